#!/bin/sh
# SPDX-License-Identifier: MIT
# torn.sh BUILD SECONDS [OPERATIONS]: a ring and a latch whose writer laps its readers
# (tests/ring_stress.c), over and over for SECONDS: nothing torn may be delivered. Then
# twins of the seqlock in which one check is weaker, which must deliver what is torn.
set -u

build=$1
seconds=$2
operations=${3:-1000000}
passed=0
failed=0
work=$(mktemp -d)
# A twin that fails ends where it stands and leaves its block.
DXH_SHM_DIR=$(mktemp -d -p "${DXH_SHM_DIR:-/dev/shm}")
export DXH_SHM_DIR
trap 'rm -rf "$work" "$DXH_SHM_DIR"' EXIT
log=$work/log

verdict() {
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok   $2"
    else
        failed=$((failed + 1))
        echo "FAIL $2"
        cat "$log"
    fi
}

# The compiler and the sanitizer that BUILD was made with.
compiler=gcc
flags=
case $(basename "$build") in
*-address) flags='-fsanitize=address,undefined -fno-sanitize-recover=all' ;;
esac
case $(basename "$build") in
clang*) compiler=clang ;;
esac

# sum WHAT: over all rounds in the log, of the number in front of this.
sum() {
    grep -oE "[0-9]+ $1" "$log" | awk '{ sum += $1 } END { print sum + 0 }'
}

# ---- the library itself ----
: >"$log"
rounds=0
code=0
until=$(($(date +%s) + seconds))
while [ "$code" -eq 0 ] && { [ "$rounds" -eq 0 ] || [ "$(date +%s)" -lt "$until" ]; }; do
    timeout 600 "$build/tests/ring_stress" "$operations" >>"$log" 2>&1
    code=$?
    rounds=$((rounds + 1))
done
[ "$(sum lost)" -gt 1000 ] || code=1
verdict $code "$(sum items) items in $rounds rounds: $(sum 'read,') reads and \
$(sum snapshots) snapshots, $(sum lost) lost, nothing torn"

# torn SOURCE WHAT CHANGE: with this change (sed) it must deliver what is torn, within
# some rounds: how the threads run is chance.
torn() {
    sed "$3" "$1" >"$work/twin.c"
    cmp -s "$1" "$work/twin.c" && echo "'$3' changes nothing" >"$log" && verdict 1 "$2" && return
    # shellcheck disable=SC2046,SC2086
    if ! $compiler -std=c11 -O2 -D_GNU_SOURCE -I. -Iinclude -pthread $flags -o "$work/twin" \
        "$work/twin.c" tests/ring_stress.c "$build/libdxh.a" \
        $(pkg-config --libs libzmq msgpack ck libsodium libxxhash libisal) 2>"$log"; then
        verdict 1 "the twin of $1 compiles"
        return
    fi
    for round in $(seq 60); do
        timeout 600 "$work/twin" 50000 "$round" >"$log" 2>&1
        grep -qE '[ ;][1-9][0-9]* torn' "$log" && break
    done
    grep -qE '[ ;][1-9][0-9]* torn' "$log"
    verdict $? "$2: torn in round $round, $(sum 'torn;') items and $(sum 'torn$') snapshots"
}

torn shm/slot.c 'a reader that accepts what is even and did not change' \
    's/content->seq != dxi_seq_published(ticket)/content->seq < dxi_seq_published(ticket) || content->seq % 2 == 1/
s/!dxi_slot_holds(slot, ticket)/(atomic_thread_fence(memory_order_acquire), content->seq != atomic_load(\&slot->seq))/'
torn shm/slot.c 'a reader that does not look again' \
    's/if (!dxi_slot_holds(slot, ticket))/if (!dxi_slot_holds(slot, ticket) \&\& false)/'
torn shm/zone.c 'a latch that is written in place' \
    's|\*data = dxi_latch_copy_at(block, index, seq + 1)|*data = dxi_latch_copy_at(block, index, seq)|'
torn shm/zone.c 'a latch that is not looked at again' \
    's/memory_order_relaxed) == seq)/memory_order_relaxed) >= seq)/'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -eq 5 ]
