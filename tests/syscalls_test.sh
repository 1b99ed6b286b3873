#!/bin/sh
# SPDX-License-Identifier: MIT
# syscalls_test.sh BUILD: a post and a cancel make no system call while the I/O thread
# is awake, as the kernel counts them: see tests/syscalls/post.c.
set -eu

build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $build in
*-address | *-thread)
    echo "not shown: sanitizers make system calls of their own"
    exit 0
    ;;
esac
gcc -std=c11 -O2 -D_GNU_SOURCE -Iinclude -pthread tests/syscalls/post.c -o "$work/post" \
    -L"$build" -ldxh -Wl,-rpath,"$PWD/$build"
if ! strace -o "$work/none" true 2>"$work/why"; then
    echo "not shown: processes may not be traced here: $(head -n 1 "$work/why")"
    exit 0
fi

# count [plant]: the calls that the posting thread made between its two getppid().
count() {
    strace -f -o "$work/log" "$work/post" "$@"
    awk '$2 ~ /^getppid/ {thread = $1; marks++; next}
         $2 != "<..." && marks == 1 && $1 == thread {calls++}
         END {if (marks != 2) exit 1; print calls + 0}' "$work/log"
}

posts=$(count)
planted=$(count plant)
echo "3000 posts and cancels: $posts system calls; with 3 planted: $planted"
[ "$posts" -eq 0 ] && [ "$planted" -eq 3 ]
