#!/bin/sh
# SPDX-License-Identifier: MIT
# stress.sh BUILD OPERATIONS [SEED]: run every stress program, and with each fault
# that it plants, which it must notice. Counts programs and controls. RUN is put in front
# of each: an emulator.
set -u

build=$1
operations=$2
seed=${3:-}
passed=0
failed=0
log=$(mktemp)
# What a program leaves that ends at a planted fault, dies with this directory.
DXH_SHM_DIR=$(mktemp -d "${DXH_SHM_DIR:-/dev/shm}/dxh-stress-XXXXXX") || exit 1
export DXH_SHM_DIR
trap 'rm -rf "$log" "$DXH_SHM_DIR"' EXIT

# check WANTED NAME: what the last command's exit code has to be.
check() {
    if [ "$1" = "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $3: it ended with $4"
        cat "$log"
    fi
}

for program in "$build"/tests/*_stress; do
    name=$(basename "$program")
    # A broker with its channels takes its time, and so does a process that is forked with
    # all that a sanitizer has mapped: a hundredth, a tenth; and 100000 at the least.
    case $build/$name in
    */broker_stress) count=$((operations / 100)) ;;
    *-address/fork_stress) count=$((operations / 10)) ;;
    *) count=$operations ;;
    esac
    [ "$count" -lt 100000 ] && count=100000
    # shellcheck disable=SC2086
    timeout 3600 ${RUN:-} "$program" "$count" $seed >"$log" 2>&1
    code=$?
    check "$code" 0 "$name" "$code"
    [ "$code" -eq 0 ] && tail -n 1 "$log"
    # The faults stand in the first comment of the program.
    for fault in $(sed -n '1,/\*\//{s/^ \* //p}' "tests/$name.c" |
        sed -n '/^Planted:/,$p' | grep -o '"[a-z-]*"' | tr -d '"'); do
        # One that only ThreadSanitizer can see is for tests/tsan.sh.
        grep -q "\"$fault\" .*data race" "tests/$name.c" && continue
        # A race shows itself on a busy machine only if somebody is stopped in the right place.
        for seed_of_fault in 7 8 9 10 11; do
            # shellcheck disable=SC2086
            timeout 120 ${RUN:-} "$program" 50000 $seed_of_fault "$fault" >"$log" 2>&1
            code=$?
            [ $code -eq 0 ] || break
        done
        check $((code != 0 && code != 124)) 1 "$name did not notice the planted \"$fault\"" \
            "$code"
    done
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 8 ]
