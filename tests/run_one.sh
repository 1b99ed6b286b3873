#!/bin/sh
# SPDX-License-Identifier: MIT
# run_one.sh SHM TMP KIND PATH: run one test program or script for run.sh, in
# directories of its own under SHM and TMP; say what became of it in one piece, and
# add a line "PASSED FAILED" to TMP/counts.
set -u

tmp=$2
kind=$3
path=$4
name=$(basename "$path")
DXH_SHM_DIR=$(mktemp -d "$1/XXXX") && TMPDIR=$(mktemp -d "$tmp/XXXX") || exit 1
export DXH_SHM_DIR TMPDIR
log=$tmp/$name.log
said=$tmp/$name.said
passed=0
failed=0
limit=${TEST_LIMIT:-400} # seconds for one program or script

# fail COUNT WHY: with what was printed.
fail() {
    failed=$((failed + $1))
    echo "FAIL $name$2"
    cat "$log"
}

# run_once PROGRAM: sets code; 124 when it took longer than any test may.
run_once() {
    "$1" --jobs 2 >"$log" 2>&1 </dev/null &
    running=$!
    if timeout "$limit" tail -s 0.05 --pid=$running -f /dev/null; then
        wait $running
        code=$?
    else
        kill -KILL $running
        wait $running
        code=124
    fi
    rm -f "/tmp/criterion_$running.sock" # Criterion forgets it when a test is killed
}

# count WORD: the number behind it in the line that Criterion closes with.
count() {
    sed 's/\x1b\[[0-9;]*m//g' "$log" |
        sed -n "/Tested: .* | Passing: /s/.*$1: \([0-9]*\).*/\1/p" | tail -n 1
}

# Each test ends itself within five minutes, and what it does happens in a process of its
# own. So a program that is silent for longer, or dies before its line, is the runner of
# Criterion 2.4.1, which now and then waits for a worker that is gone, and was seen to crash,
# on a busy machine: it is told, and run again. Who does it twice counts as one failure.
run_program() {
    run_once "$1"
    if [ $code -ge 124 ] && [ -z "$(count Tested)" ] && ! grep -q FAIL "$log"; then
        echo "     $name: Criterion's runner hung or died (exit $code) without a failed test; once more"
        run_once "$1"
    fi
    tested=$(count Tested)
    passed=$(count Passing)
    if [ "${tested:-0}" -eq 0 ]; then
        passed=0
        fail 1 ": no test ran (exit $code)"
    elif [ "$passed" -ne "$tested" ]; then
        fail $((tested - passed)) ": $passed of $tested (exit $code)"
    elif [ "$code" -ne 0 ]; then
        fail 1 ": $passed of $tested (exit $code)"
    else
        echo "ok   $name: $tested"
    fi
}

run_script() {
    timeout "$limit" "$1" "$DXH_BUILD" >"$log" 2>&1 </dev/null
    code=$?
    if [ $code -eq 0 ]; then
        passed=1
        echo "ok   $name"
    else
        fail 1 " (exit $code)"
    fi
}

look_for_leftovers() {
    left=$(find "$DXH_SHM_DIR" -mindepth 1)
    [ -n "$left" ] || return
    failed=$((failed + 1))
    echo "FAIL $name left in the shared-memory directory:"
    echo "$left"
}

{
    case $kind in
    script) run_script "$path" ;;
    program) run_program "$path" ;;
    inproc)
        export DXH_TEST_INPROC=1
        run_program "${path%-inproc}"
        ;;
    esac
    look_for_leftovers
} >"$said"
flock "$tmp/counts" cat "$said"
echo "$passed $failed" >>"$tmp/counts"
