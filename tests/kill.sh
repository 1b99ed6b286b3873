#!/bin/sh
# SPDX-License-Identifier: MIT
# kill.sh MAKE BUILD...: the kill matrix (tests/kill) with each compiler and level named,
# as gcc-O2; then twins of the block in which one step is wrong, which must leave
# something behind. Prints the points tried and what they showed.
set -u

make=$1
shift
passed=0
failed=0
points=0
floor=0
log=$(mktemp)
twin=$(mktemp -d)
directory=/dev/shm/dxh-kill-$$
mkdir -m 700 "$directory" || exit 1
trap 'rm -rf "$log" "$twin" "$directory"' EXIT
trap 'exit 130' INT TERM HUP
export DXH_SHM_DIR="$directory"

# build NAME [TWIN]: sets program.
build() {
    program=build/kill-$1/kill
    $make -s --no-print-directory -j2 CC="${1%-*}" CFLAGS="-${1#*-} -g -Wno-cpp" \
        B="build/kill-$1" ${2:+TWIN="$2"} "$program" >"$log" 2>&1 || cat "$log"
}

# verdict CODE WANTED WHAT
verdict() {
    if [ "$1" -eq "$2" ]; then
        passed=$((passed + 1))
        echo "ok   $3"
    else
        failed=$((failed + 1))
        echo "FAIL $3: it ended with $1, not $2"
        cat "$log"
    fi
}

for name in "$@"; do
    build "$name"
    "$program" >"$log" 2>&1
    code=$?
    tried=$(sed -n 's/^ok .*: \([0-9]*\) points.*/\1/p' "$log" | awk '{ sum += $1 } END { print sum + 0 }')
    points=$((points + ${tried:-0}))
    floor=$((floor + 8000))
    cat "$log"
    verdict $code 0 "$name: ${tried:-0} points, nothing torn, lost, wedged or left behind"
done
echo "$points points in all"
[ "$points" -ge "$floor" ] || failed=$((failed + 1))

# seen SCENARIO SOURCE WHAT CHANGE: with this change (sed) it must show violations.
seen() {
    sed "$4" "$2" >"$twin/twin.c"
    if cmp -s "$2" "$twin/twin.c"; then
        failed=$((failed + 1))
        echo "FAIL the twin of $2 is no twin: '$4' changes nothing"
        return
    fi
    gcc -std=c11 -O2 -D_GNU_SOURCE -I. -Iinclude -pthread -c "$twin/twin.c" -o "$twin/twin.o" \
        2>"$log" || cat "$log"
    rm -f "build/kill-$first/kill"
    build "$first" "$twin/twin.o"
    "$program" -e 20 "$1" >"$log" 2>&1
    code=$?
    verdict $code 1 "$1 shows $3: $(sed -n 's/.* \([0-9]* violations\).*/\1/p' "$log")"
    rm -f "$program"
}

first=$1
seen takeover-half shm/takeover.c 'a torn ticket that a takeover makes even' \
    's|^\(.*\)\*next_ticket = largest / 2;|if (largest % 2 == 1) { atomic_store(\&dxi_slot_at(\&block->ring, largest / 2)->seq, largest + 1); largest++; } &|'
seen takeover-bulk shm/takeover.c 'a takeover that trusts head' \
    's|\*next_ticket = largest / 2;|*next_ticket = head;|'
seen publish shm/write.c 'a ticket marked as published before it is' \
    's|return \(dxi_slot_begin(.*)\);|void *payload = \1; atomic_store(\&slot_of(producer)->seq, dxi_seq_published(producer->next_ticket)); return payload;|'
seen latch shm/zone.c 'a latch that is written in place' \
    's|\*data = dxi_latch_copy_at(block, index, seq + 1)|*data = dxi_latch_copy_at(block, index, seq)|'
seen read shm/hold.c 'a dead reader that is waited for' \
    's/dxi_byte_has_writer(hold->fd, [a-z]*)/true/'
seen evict shm/hold.c 'a reader that is gone on without and not told' \
    's|evicted, row.generation,|evicted, 0,|'
seen recover shm/recover.c 'a torn ticket that a recovery makes even' \
    's|return dxi_repair_head(block, &largest);|{ dxh_status s = dxi_repair_head(block, \&largest); if (largest % 2 == 1) atomic_store(\&dxi_slot_at(\&block->ring, largest / 2)->seq, largest + 1); return s; }|'
seen recover shm/recover.c 'a repair that is counted twice' \
    's|dxi_count_repair(block);|dxi_count_repair(block), &|'
seen gc-used shm/gc.c 'a block that is removed from under its readers' \
    's|fcntl(candidate->fd, F_SETLEASE, F_WRLCK) == 0|true|'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 10 ]
