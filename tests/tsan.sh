#!/bin/sh
# SPDX-License-Identifier: MIT
# tsan.sh MAKE OPERATIONS: the stress programs under ThreadSanitizer must be silent;
# programs in which one memory order is weakened, or that the sanitizer cannot see
# into, must not be. So silence means something.
set -u

make=$1
operations=$2
build=build/gcc-thread
passed=0
failed=0
log=$(mktemp)
twin=$(mktemp -d)
trap 'rm -rf "$log" "$twin"' EXIT
export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp:exitcode=66:second_deadlock_stack=1"

say() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok   $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1: exit $2, not $3"
        head -n 60 "$log"
    fi
}

for program in "$build"/tests/*_stress; do
    # Its children would need ThreadSanitizer to survive a fork beside threads.
    [ "$(basename "$program")" = fork_stress ] && continue
    # A broker with its channels takes its time, and so do items, each word of which is an
    # access that the sanitizer looks at: a tenth, and 100000 at the least.
    case $program in
    */broker_stress | */ring_stress) count=$((operations / 10)) ;;
    *) count=$operations ;;
    esac
    [ "$count" -lt 100000 ] && count=100000
    timeout 3600 "$program" "$count" >"$log" 2>&1
    say "$(basename "$program") has no race in $count operations" $? 0
    tail -n 1 "$log"
done

# shows PROGRAM WHAT [MODE]: the program must show a race. A race is only seen where two
# threads meet, so it has ten tries, of which each has another seed.
shows() {
    for seed in 7 8 9 10 11 12 13 14 15 16; do
        timeout 300 "$build/tests/$1" 50000 "$seed" ${3:+"$3"} >"$log" 2>&1
        code=$?
        # The program itself may have noticed too, and ended with that.
        grep -q '^WARNING: ThreadSanitizer: data race' "$log" && code=66
        [ "$code" = 66 ] && break
    done
    say "$1 shows a race$2" "$code" 66
}

# seen PROGRAM SOURCE WHAT CHANGE FLAGS: with this change (sed) of the source, or
# these flags, the program must show a race.
seen() {
    program=$1
    source=$2
    what=$3
    change=$4
    flags=$5
    sed "$change" "$source" >"$twin/twin.c"
    if [ -n "$change" ] && cmp -s "$source" "$twin/twin.c"; then
        failed=$((failed + 1))
        echo "FAIL the twin of $source is no twin: '$change' changes nothing"
        return
    fi
    # shellcheck disable=SC2086
    if ! gcc -std=c11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -pthread -fsanitize=thread \
        -include tests/support/tsan_ck.h -fno-builtin-memcpy $flags -c "$twin/twin.c" -o "$twin/twin.o" 2>"$log"; then
        say "twin of $source compiles" 1 0
        return
    fi
    $make -s --no-print-directory SAN=thread -B -o "$build/libdxh.a" \
        -o "$build/obj/tests/$program.o" TWIN="$twin/twin.o" "$build/tests/$program" >"$log" 2>&1
    shows "$program" ": $what"
    rm -f "$build/tests/$program"
}

shows queue_stress " when a node is written behind its push" payload
shows inbox_stress " when an item is written behind its put" payload
shows ring_stress " when payloads are filled in place" plain
seen ring_stress shm/copy.c 'payloads copied in by plain words' \
    '/atomic_store_explicit(to, word/s/.*/\t*(uint64_t *)to = word;/' ''
seen ring_stress shm/copy.c 'payloads copied out by plain words' \
    '/uint64_t word = atomic_load_explicit/s/= .*/= *(const uint64_t *)from;/' ''
seen queue_stress queue/queue.c 'Concurrency Kit unseen' '' -DTSAN_BLIND
seen inbox_stress queue/inbox.c 'a place of the ring read by plain words' \
    's/= ck_pr_load_ptr(/= *(void **)(/' ''
seen completion_stress queue/completion.c 'flags of the state word set relaxed' \
    '/return atomic_fetch_or_explicit/s/memory_order_acq_rel/memory_order_relaxed/' ''
seen result_stress queue/completion.c 'a text that was read let go relaxed' \
    '/fetch_sub_explicit(&slot->state, DXI_STATE_PIN/s/memory_order_acq_rel/memory_order_relaxed/' ''
seen result_stress queue/completion.c 'a text read without a pin' \
    's/if (!dxi_completion_pin(slot, done))/if (0)/; s/^\tdxi_completion_unpin(slot);$//' ''
seen completion_stress queue/pool.c 'a free slot given back relaxed' \
    's/memory_order_release, memory_order_relaxed)/memory_order_relaxed, memory_order_relaxed)/' ''
seen hub_stress runtime/batch.c 'a record of an open frame published relaxed' \
    '/more - WRITING/s/memory_order_acq_rel/memory_order_relaxed/' ''
seen broker_stress runtime/channel_join.c 'figures of a consumer read by plain words' \
    's/atomic_load_explicit(&shown->read, memory_order_relaxed)/*(uint64_t *)\&shown->read/' ''
# What was linked with a twin is not left behind.
$make -s --no-print-directory -j2 SAN=thread stress-programs >/dev/null 2>&1

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 15 ]
