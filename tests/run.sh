#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh BUILD [FILTER]: run every test program and script, count, and fail when
# one failed, leaked, left something behind, or when fewer ran than expected.
set -u

build=$1
filter=${2:-}
floor=$(cat tests/floor)

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
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null
        rm -f "/tmp/criterion_$running.sock"
    fi
    rm -rf "$shm" "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

export DXH_SHM_DIR="$shm" TMPDIR="$tmp" DXH_BUILD="$build" PYTHONDONTWRITEBYTECODE=1
# Criterion hides leaks of its children: a log file per process tells.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$tmp/asan:detect_leaks=1"
export UBSAN_OPTIONS="log_path=$tmp/ubsan:print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0"

passed=0
failed=0
limit=${TEST_LIMIT:-400} # seconds for one program

# add PASSED FAILED
add() {
    passed=$((passed + $1))
    failed=$((failed + $2))
}

# run_once PROGRAM LOG: sets code; 124 when it took longer than any test may.
run_once() {
    "$1" --jobs 2 >"$2" 2>&1 </dev/null &
    running=$!
    if timeout "$limit" tail --pid=$running -f /dev/null; then
        wait $running
        code=$?
    else
        kill -KILL $running
        wait $running
        code=124
    fi
    rm -f "/tmp/criterion_$running.sock" # Criterion forgets it when a test is killed
    running=
}

# The line that Criterion closes with carries the counts; a program that dies
# before it prints none and counts as one failure. Each test ends itself within
# five minutes. A program that is silent for longer is Criterion 2.4.1 waiting for
# a worker that is gone, a known fault of its runner: it is told, and run again.
# run_program PROGRAM [SUFFIX]: the suffix tells runs of one program apart.
run_program() {
    name=$(basename "$1")${2:-}
    run_once "$1" "$tmp/$name.log"
    if [ $code -eq 124 ] && ! grep -q FAIL "$tmp/$name.log"; then
        echo "     $name: Criterion's runner hung without a failed test; once more"
        run_once "$1" "$tmp/$name.log"
    fi
    counts=$(sed -n 's/.*Tested: .*\([0-9]\{1,\}\).* | Passing: .*/&/p' "$tmp/$name.log" |
        sed 's/\x1b\[[0-9;]*m//g' | tail -n 1)
    tested=$(echo "$counts" | sed -n 's/.*Tested: \([0-9]*\).*/\1/p')
    passing=$(echo "$counts" | sed -n 's/.*Passing: \([0-9]*\).*/\1/p')
    if [ -z "$tested" ] || [ "$tested" -eq 0 ]; then
        add 0 1
        echo "FAIL $name: no test ran (exit $code)"
        cat "$tmp/$name.log"
    else
        add "$passing" $((tested - passing))
        if [ "$passing" -eq "$tested" ] && [ "$code" -eq 0 ]; then
            echo "ok   $name: $tested"
        else
            [ "$passing" -eq "$tested" ] && add 0 1
            echo "FAIL $name: $passing of $tested (exit $code)"
            cat "$tmp/$name.log"
        fi
    fi
}

run_script() {
    name=$(basename "$1")
    if "$1" "$build" >"$tmp/$name.log" 2>&1 </dev/null; then
        add 1 0
        echo "ok   $name"
    else
        add 0 1
        echo "FAIL $name"
        cat "$tmp/$name.log"
    fi
}

for program in "$build"/tests/*_test; do
    case $program in
    *"$filter"*) run_program "$program" ;;
    esac
done
# Those that say so once more, with all their hubs in one.
export DXH_TEST_INPROC=1
for source in tests/*_test.c; do
    grep -qs '^/\* Also run over inproc' "$source" || continue
    program=$build/tests/$(basename "$source" .c)
    case $program-inproc in
    *"$filter"*) run_program "$program" -inproc ;;
    esac
done
unset DXH_TEST_INPROC
for script in tests/*_test.sh tests/*_test.py; do
    [ -x "$script" ] || continue
    case $script in
    *"$filter"*) run_script "$script" ;;
    esac
done

for log in "$tmp"/asan.* "$tmp"/ubsan.*; do
    [ -e "$log" ] || continue
    add 0 1
    echo "FAIL sanitizer report:"
    cat "$log"
done
left=$(find "$shm" -mindepth 1)
if [ -n "$left" ]; then
    add 0 1
    echo "FAIL left in the shared-memory directory:"
    echo "$left"
fi
if [ -z "$filter" ] && [ "$passed" -lt "$floor" ]; then
    add 0 1
    echo "FAIL only $passed tests passed, at least $floor are expected (tests/floor)"
elif [ $((passed + failed)) -eq 0 ]; then
    add 0 1
    echo "FAIL the filter '$filter' matches no test"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
