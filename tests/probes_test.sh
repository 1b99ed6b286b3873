#!/bin/sh
# SPDX-License-Identifier: MIT
# probes_test.sh BUILD: the probes of docs/probes.md are in the library, each is a nop,
# and without <sys/sdt.h> nothing is left of them.
set -u

library=$1/libdxh.so
failed=0
complain() {
    echo "$1"
    failed=1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# notes FILE: name and address of each probe.
notes() {
    readelf -n "$1" 2>/dev/null | awk '
        /Provider:/ {ours = ($2 == "dxh")}
        /Name:/ {name = $2}
        /Location:/ {sub(",", "", $2); if (ours) print name, $2}'
}

# with FLAGS: the probes of one source, compiled so.
with() {
    # shellcheck disable=SC2086
    ${CC:-gcc} -std=c11 -O2 -D_GNU_SOURCE -I. -Iinclude -fPIC $1 -c queue/completion.c -o "$work/one.o" &&
        notes "$work/one.o" | wc -l
}

if ! echo '#include <sys/sdt.h>' | ${CC:-gcc} -E - >/dev/null 2>&1; then
    [ -z "$(notes "$library")" ] || complain "probes without <sys/sdt.h>"
    [ "$(with '')" = 0 ] || complain "compiled without <sys/sdt.h> some are left"
    echo "no <sys/sdt.h> here: compiled out"
    exit $failed
fi

# shellcheck disable=SC2016
sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' docs/probes.md | sort -u >"$work/told"
notes "$library" >"$work/notes"
cut -d' ' -f1 "$work/notes" | sort -u >"$work/found"
diff "$work/told" "$work/found" >"$work/diff" ||
    complain "docs/probes.md (<) and $library (>) differ:
$(cat "$work/diff")"

# at ADDRESS: the byte there.
byte_at() {
    objdump -d --start-address="$1" --stop-address=$(($1 + 1)) "$library" |
        sed -n 's/^ *[0-9a-f]*:[[:space:]]*\([0-9a-f][0-9a-f]\).*/\1/p'
}

tried=0
case $(uname -m) in
x86_64)
    others=0
    while read -r name address; do
        [ "$(byte_at "$address")" = 90 ] || complain "$name at $address is no nop"
        # What is looked at can be something else: the byte behind it.
        [ "$(byte_at $((address + 1)))" = 90 ] || others=$((others + 1))
        tried=$((tried + 1))
    done <"$work/notes"
    [ "$tried" -ge 18 ] || complain "only $tried probes were looked at"
    [ "$others" -gt 0 ] || complain "every byte is a nop"
    ;;
esac

[ "$(with '')" -gt 0 ] || complain "compiled as it is, a source has no probes"
[ "$(with -DDXH_NO_PROBES)" = 0 ] || complain "compiled with DXH_NO_PROBES, probes are left"
echo "$tried probes looked at"
exit $failed
