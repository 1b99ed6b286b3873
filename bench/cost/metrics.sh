#!/bin/sh
# SPDX-License-Identifier: MIT
# metrics.sh [COUNT [ROUNDS]]: what counting and timing cost, in instructions of a request
# from post to release, service included. Counted by valgrind, as a shared machine has no
# time to give that would tell 2 % apart; the twin is the same tree with the counters of
# the I/O thread taken out. Fails above 2 %.
set -eu

count=${1:-20000}
rounds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libraries="libzmq msgpack ck libsodium libxxhash libisal"

# build NAME: the tree as it lies in $work/NAME.
build() {
    # shellcheck disable=SC2046,SC2086
    (cd "$work/$1" && gcc -std=c11 -O2 -D_GNU_SOURCE -I. -Iinclude \
        $(pkg-config --cflags $libraries) bench/cost/requests.c base/*.c queue/*.c shm/*.c \
        runtime/*.c runtime/broker/*.c $(pkg-config --libs $libraries) -pthread -o "$work/$1.run")
}

for name in with without; do
    mkdir "$work/$name"
    cp -r base queue shm runtime include bench "$work/$name"
done
sed -i '/^static inline void dxi_count_set/,/^}/s/^\tatomic_store.*/\t(void)counter, (void)value;/' \
    "$work/without/runtime/metrics.h"
if cmp -s runtime/metrics.h "$work/without/runtime/metrics.h"; then
    echo "the twin is no twin" >&2
    exit 1
fi
build with
build without

# instructions PROGRAM COUNT ARGS...
instructions() {
    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$@" 2>&1 |
        sed -n 's/,//g; s/.*I *refs: *\([0-9]*\).*/\1/p'
}

# of PROGRAM ARGS...: instructions of one request, the least of all rounds: what comes on
# top are turns that found nothing.
of() {
    program=$1
    shift
    least=
    i=0
    while [ $i -lt "$rounds" ]; do
        none=$(instructions "$program" 0 "$@")
        all=$(instructions "$program" "$count" "$@")
        one=$(((all - none) / count))
        { [ -z "$least" ] || [ $one -lt "$least" ]; } && least=$one
        i=$((i + 1))
    done
    echo "$least"
}

bare=$(of "$work/without.run" -1)
counted=$(of "$work/with.run" -1)
timed=$(of "$work/with.run" 64)
block=$(of "$work/with.run" 64 "cost-$$")
echo "without $bare, counted $counted, and timed $timed, and in a block $block instructions"
awk -v bare="$bare" -v block="$block" 'BEGIN {
    cost = (block - bare) * 100 / bare
    printf "all of it costs %.2f %%\n", cost
    exit cost > 2
}'
