#!/bin/sh
# SPDX-License-Identifier: MIT
# listener_test.sh BUILD [FRAMES]: a live service among strangers, see
# tests/fuzz/listener.c, with the same choices each time and with others; and what is
# planted there is noticed.
set -u

listener=$1/listener
frames=${2:-5000}
passed=0
failed=0

# run WANTED SEED [FAULT]: 0 or not 0.
run() {
    wanted=$1
    shift
    timeout 3600 "$listener" "$frames" "$@"
    code=$?
    if { [ "$wanted" -eq 0 ] && [ $code -eq 0 ]; } ||
        { [ "$wanted" -ne 0 ] && [ $code -ne 0 ] && [ $code -ne 124 ]; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL listener $frames $*: exit $code"
    fi
}

run 0 7
run 0 "$(date +%s)"
frames=5000
run 1 7 deaf
# Whoever keeps what was freed cannot tell it from what was hoarded.
nm "$listener" | grep -q __asan_init || run 1 7 hoard

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
