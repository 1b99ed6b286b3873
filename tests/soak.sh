#!/bin/sh
# SPDX-License-Identifier: MIT
# soak.sh BUILD SECONDS OPERATIONS [STEPS]: what takes long to show. Each step has a
# control that it must notice.
#
#   accounting  the stress programs, OPERATIONS of each kind
#   storms      services restarted, connections reset and garbled for SECONDS each
#   torn        a ring and a latch whose writer laps their readers, for SECONDS
#   strangers   a live service among strangers who send 3000 frames for each of SECONDS
#   kills       writers and readers of a block killed over and over, for SECONDS
#   crowds      producers and consumers of a broker come, go and are killed, for SECONDS
#   orders      of five events at a broker, all
#   idle        hubs with connected peers sleep for SECONDS without waking once
set -u

build=$1
seconds=$2
operations=$3
steps=${4:-accounting storms torn kills strangers crowds orders idle}
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# say WHAT CODE WANTED: 0 or not 0.
say() {
    if { [ "$3" -eq 0 ] && [ "$2" -eq 0 ]; } || { [ "$3" -ne 0 ] && [ "$2" -ne 0 ]; }; then
        passed=$((passed + 1))
        echo "ok   $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1: exit $2"
        cat "$log"
    fi
}

accounting() {
    tests/stress.sh "$build" "$operations" >"$log" 2>&1
    code=$?
    cat "$log"
    say "$operations operations of each kind accounted for, and the faults planted noticed" $code 0
}

# net.c notices a proxy that drops, among others, when all scenes are played.
storms() {
    for scene in 'tcp: restarted' 'proxy: resets' 'proxy: garbles'; do
        timeout $((seconds + 300)) tests/net.sh "$build/net" $((seconds * 1000)) "$scene" \
            >"$log" 2>&1
        code=$?
        grep '^ok ' "$log"
        say "$scene for $seconds s" $code 0
    done
    timeout 300 tests/net.sh "$build/net" 300 counting >"$log" 2>&1
    say 'a proxy that drops, a service that executes twice, a lost end' $? 0
}

torn() {
    tests/torn.sh "$build" "$seconds" >"$log" 2>&1
    code=$?
    grep '^ok ' "$log"
    say "nothing torn in $seconds s, and four weaker checks deliver it" $code 0
}

strangers() {
    tests/listener_test.sh "$build" $((seconds * 3000)) >"$log" 2>&1
    code=$?
    grep '^listener: .*served' "$log"
    say "$((seconds * 3000)) frames of strangers, twice" $code 0
}

kills() {
    tests/slaughter_test.sh "$build" "$seconds" >"$log" 2>&1
    code=$?
    grep '^slaughter: .*killed' "$log"
    say "a block survives kills for $seconds s, and wrong payloads are noticed" $code 0
}

crowds() {
    for control in at_the_end a_truth_that; do
        CROWD_SECONDS=$seconds DXH_BUILD=$build timeout $((seconds + 300)) \
            "$build/tests/broker_crowd_test" --filter "broker_crowd/${control}*" >"$log" 2>&1
        code=$?
        grep ' came, ' "$log"
        say "a crowd at a broker for $seconds s, and a truth that is another ($control)" $code 0
    done
}

orders() {
    ORDERS_LENGTH=5 timeout 900 "$build/tests/broker_orders_test" >"$log" 2>&1
    code=$?
    grep ' tried$' "$log"
    say 'every order of five events at a broker' $code 0
}

idle() {
    timeout $((seconds + 120)) "$build/idle" "$seconds" >"$log" 2>&1
    code=$?
    cat "$log"
    say "no wake-up in $seconds s" $code 0
    timeout 120 "$build/idle" 2 plant >"$log" 2>&1
    say 'one request that wakes them is noticed' $? 1
}

for step in $steps; do
    case $step in
    accounting | storms | torn | kills | strangers | crowds | orders | idle) $step ;;
    *)
        echo "no such step: $step"
        failed=$((failed + 1))
        ;;
    esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
