#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh BUILD SECONDS [FILTER]: run each fuzzer for so long, from the corpus in the tree,
# and a live service among strangers; then twins of the code in which a check is missing,
# which they have to find.
set -u

build=$1
seconds=$2
filter=${3:-}
passed=0
failed=0
work=$(mktemp -d)
DXH_SHM_DIR=$(mktemp -d /dev/shm/dxh-fuzz-XXXXXX)
export DXH_SHM_DIR
trap 'rm -rf "$work" "$DXH_SHM_DIR"' EXIT
floor=10000 # executions, below which nothing was shown

flags="-O1 -g -D_GNU_SOURCE -I. -Iinclude -fsanitize=address,undefined,fuzzer-no-link \
    -fno-sanitize-recover=all"
libraries=$(pkg-config --libs libzmq msgpack ck libsodium libxxhash libisal liblz4)

# What a fuzzer uses beside the library.
image_fuzz='tools/cat_block.c tools/value_json.c tools/value_text.c tools/json.c tools/text.c
    tools/block.c tools/users.c tools/recording_read.c'

# link NAME [TWIN]: the fuzzer, with this object in place of the archive's.
link() {
    main=-fsanitize=fuzzer
    more=
    [ "$1" = listener ] && main=
    [ "$1" = image_fuzz ] && more=$image_fuzz
    # shellcheck disable=SC2086
    clang $flags $main "tests/fuzz/$1.c" $more ${2:-} "$build/libdxh.a" $libraries -pthread \
        -o "$work/$1" 2>"$work/log"
}

# run_listener SECONDS: with other choices until the time is over; executed counts frames.
run_listener() {
    until=$(($(date +%s) + $1))
    executed=0
    seed=1
    while [ "$(date +%s)" -lt "$until" ]; do
        timeout 300 "$work/listener" 5000 $seed >"$work/log" 2>&1 || return
        executed=$((executed + 5000))
        seed=$((seed + 1))
    done
}

# run NAME SECONDS: its exit code; the log in $work/log.
run() {
    if [ "$1" = listener ]; then
        run_listener "$2"
        return
    fi
    rm -rf "$work/corpus"
    cp -r "tests/fuzz/corpus-${1%_fuzz}" "$work/corpus"
    (cd "$work" && timeout $(($2 + 60)) "./$1" -max_total_time="$2" -rss_limit_mb=2048 -timeout=10 \
        -max_len=8192 -print_final_stats=1 corpus >log 2>&1)
}

for name in listener wire_fuzz pack_fuzz image_fuzz; do
    case $name in *"$filter"*) ;; *) continue ;; esac
    link $name && run $name "$seconds"
    code=$?
    [ $name = listener ] || executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    if [ $code -eq 0 ] && [ "${executed:-0}" -ge $floor ]; then
        passed=$((passed + 1))
        echo "ok   $name: $executed executions in $seconds s"
    else
        failed=$((failed + 1))
        echo "FAIL $name: exit $code, ${executed:-0} executions"
        tail -n 40 "$work/log"
    fi
done

# finds NAME SOURCE WHAT CHANGE: with this change (sed) the fuzzer must fail.
finds() {
    case $1 in *"$filter"*) ;; *) return ;; esac
    sed "$4" "$2" >"$work/twin.c"
    if cmp -s "$2" "$work/twin.c"; then
        failed=$((failed + 1))
        echo "FAIL the twin of $2 is no twin: '$4' changes nothing"
        return
    fi
    # shellcheck disable=SC2086
    if ! clang -std=c11 $flags -c "$work/twin.c" -o "$work/twin.o" 2>"$work/log" ||
        ! link "$1" "$work/twin.o"; then
        failed=$((failed + 1))
        echo "FAIL the twin of $2 with '$4' cannot be built"
        cat "$work/log"
        return
    fi
    run "$1" 60
    code=$?
    if [ $code -ne 0 ] && [ $code -ne 124 ] && grep -q 'SUMMARY: ' "$work/log"; then
        passed=$((passed + 1))
        echo "ok   $1 finds $3"
    else
        failed=$((failed + 1))
        echo "FAIL $1 did not find $3 within 60 s (exit $code)"
        tail -n 20 "$work/log"
    fi
}

finds wire_fuzz runtime/wire.c 'a record whose length is not clamped' \
    's/if (bytes > left)/if (bytes > left + 4096)/'
finds wire_fuzz runtime/wire.c 'a subject that reaches beyond its record' \
    's/if (subject_bytes > bytes - DXI_RECORD_HEADER_BYTES)/if (subject_bytes > 65535)/'
finds wire_fuzz runtime/wire.c 'a part without the bytes of its total and offset' \
    's/header_bytes = flags & DXI_FLAG_PART ? PART_HEADER_BYTES : 0/header_bytes = 0/'
finds listener runtime/assembly.c 'a part that reaches beyond what was announced' \
    's/if (part->body_bytes > left)/if (part->body_bytes > left + 65536)/; s/says_more != (part->body_bytes < left)/says_more \&\& left == 0/'
finds listener runtime/clients.c 'a client that is dropped and still found' \
    's/\*at = client->next_in_bucket;/(void)at;/'
finds pack_fuzz base/pack.c 'a text whose length is not clamped' \
    's/if (count > (uint64_t)(reader->end - reader->at))/if (count > UINT32_MAX)/'

# Two checks stand in its way: both are taken away.
finds image_fuzz shm/slot.c 'an item whose length is not clamped' \
    's/content->bytes > ring->slot_bytes)/content->bytes > UINT32_MAX)/
    s/ticket, NULL, ring->slot_bytes, content/ticket, NULL, SIZE_MAX, content/'
finds image_fuzz shm/schema_rules.c 'a member that ends behind its struct' \
    's/field->bytes > schema->bytes)/field->bytes > schema->bytes + 65536)/'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
