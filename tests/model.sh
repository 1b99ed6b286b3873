#!/bin/sh
# SPDX-License-Identifier: MIT
# model.sh: explore every order of events of the models in tests/model, and refute each
# twin that their first comments name. Prints the states.
set -u

passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# explore MODEL [TWIN]: sets errors and states.
explore() {
    (cd "$work" && rm -f pan* && spin -a ${2:+-D"$2"} "$1" >log 2>&1 &&
        gcc -O2 -DSAFETY -DMEMLIM=2048 -w -o pan pan.c >>log 2>&1 &&
        timeout 300 ./pan -m1000000 >>log 2>&1)
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$work/log" | tail -n 1)
    states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$work/log" | tail -n 1)
}

for model in tests/model/*.pml; do
    name=$(basename "$model" .pml)
    explore "$PWD/$model"
    if [ "${errors:-1}" -eq 0 ] && [ "${states:-0}" -ge 500 ] &&
        ! grep -q 'Search not completed' "$work/log"; then
        passed=$((passed + 1))
        echo "ok   $name: $states states, none wrong"
    else
        failed=$((failed + 1))
        echo "FAIL $name: ${errors:-no} errors in ${states:-no} states"
        cat "$work/log"
    fi
    twins=$(sed -n '/Twins, which/,/\*\//p' "$model" | grep -oE '[A-Z]+(_[A-Z]+)+')
    for twin in $twins; do
        explore "$PWD/$model" "$twin"
        if [ "${errors:-0}" -gt 0 ]; then
            passed=$((passed + 1))
            echo "ok   $name: $twin is refuted"
        else
            failed=$((failed + 1))
            echo "FAIL $name: $twin is not refuted in ${states:-no} states"
            cat "$work/log"
        fi
    done
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 51 ]
