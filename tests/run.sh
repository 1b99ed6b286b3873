#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh BUILD [FILTER]: run every test program and script, several at a time, count,
# and fail when one failed, leaked, left something behind, or when fewer ran than
# expected. LANES=1 runs them one after another.
set -u

build=$1
filter=${2:-}
floor=$(cat tests/floor)
processors=$(nproc)
lanes=${LANES:-$((processors < 3 ? processors + 1 : 4))} # many of them wait

# All segments of this run live in one directory that dies with it, so a killed
# test leaves nothing behind. A run that was itself killed is swept by the next.
for old in /dev/shm/dxh-check-* "${TMPDIR:-/tmp}"/dxh-check-*; do
    [ -d "$old" ] && ! kill -0 "${old##*-}" 2>/dev/null && rm -rf "$old"
done
shm=/dev/shm/dxh-check-$$
tmp=${TMPDIR:-/tmp}/dxh-check-$$
mkdir -m 700 "$shm" "$tmp" || exit 1
running=
cleanup() {
    [ -z "$running" ] || kill -TERM -- "-$running" 2>/dev/null
    rm -rf "$shm" "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

export DXH_BUILD="$build" PYTHONDONTWRITEBYTECODE=1
# Criterion hides leaks of its children: a log file per process tells.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$tmp/asan:detect_leaks=1"
export UBSAN_OPTIONS="log_path=$tmp/ubsan:print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0"

# What is to be run, a line each. Scripts come first, some of them take longest.
list() {
    for script in tests/*_test.sh tests/*_test.py; do
        [ -x "$script" ] && echo "script $script"
    done
    for program in "$build"/tests/*_test; do
        echo "program $program"
    done
    # Those that say so once more, with all their hubs in one.
    grep -ls '^/\* Also run over inproc' tests/*_test.c | while read -r source; do
        echo "inproc $build/tests/$(basename "$source" .c)-inproc"
    done
}
list | grep -F -- "$filter" >"$tmp/list"

# In a session of its own, to be ended as a whole; the shell has such processes ignore
# SIGINT, which tests of interrupted waits send.
: >"$tmp/counts"
setsid env --default-signal=INT,QUIT xargs -P "$lanes" -n 2 tests/run_one.sh "$shm" "$tmp" <"$tmp/list" &
running=$!
wait "$running"
running=

passed=$(awk '{ sum += $1 } END { print sum + 0 }' "$tmp/counts")
failed=$(awk '{ sum += $2 } END { print sum + 0 }' "$tmp/counts")

# fail WHAT...
fail() {
    failed=$((failed + 1))
    echo "FAIL $*"
}

for log in "$tmp"/asan.* "$tmp"/ubsan.*; do
    [ -e "$log" ] || continue
    fail "sanitizer report:"
    cat "$log"
done
ran=$(wc -l <"$tmp/counts")
listed=$(wc -l <"$tmp/list")
[ "$ran" -eq "$listed" ] || fail "$ran of $listed programs and scripts told what became of them"
if [ -z "$filter" ] && [ "$passed" -lt "$floor" ]; then
    fail "only $passed tests passed, at least $floor are expected (tests/floor)"
elif [ $((passed + failed)) -eq 0 ]; then
    fail "the filter '$filter' matches no test"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
