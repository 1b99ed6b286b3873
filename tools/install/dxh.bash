# bash completion for dxh. Commands and options come from its own help, so what is
# offered is what the installed version takes.
_dxh() {
	local current previous command words
	current=${COMP_WORDS[COMP_CWORD]}
	previous=${COMP_WORDS[COMP_CWORD - 1]}
	command=${COMP_WORDS[1]}

	if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$command" = help ]; }; then
		words=$("${COMP_WORDS[0]}" --help 2>/dev/null |
			sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$words help --help --version" -- "$current")
		return
	fi
	case $current in
	-*)
		words=$("${COMP_WORDS[0]}" help "$command" 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
		;;
	esac
	case $previous in
	--key | --allow | --json | --plot) ;;
	*)
		# A block by its name, beside files.
		words=$(cd "${DXH_SHM_DIR:-/dev/shm}" 2>/dev/null && find . -name '*.dxh' 2>/dev/null |
			sed 's@^\./@@; s@\.dxh$@@; s@+@/@g')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		;;
	esac
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
}
complete -o filenames -F _dxh dxh
