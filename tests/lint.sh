#!/bin/sh
# SPDX-License-Identifier: MIT
# lint.sh: what the compiler does not check. Prints each violation; exit 1 if any.
set -u

failed=0
complain() {
    echo "lint: $1"
    failed=1
}

# find_in PATTERN FOLDER...: the includes in those folders that match.
includes() {
    pattern=$1
    shift
    grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$pattern" -r "$@" \
        --include='*.c' --include='*.h' 2>/dev/null
}

# arrow WHY PATTERN FOLDER...: none of these folders may include that.
arrow() {
    why=$1
    shift
    found=$(includes "$@") && complain "$why
$found"
}

# --- format
sources=$(git ls-files -co --exclude-standard '*.c' '*.h')
# shellcheck disable=SC2086
unformatted=$(clang-format --dry-run $sources 2>&1 | grep 'warning:' | cut -d: -f1 | sort -u)
[ -n "$unformatted" ] && complain "not formatted, run clang-format -i on:
$unformatted"

# --- arrows between rooms (docs/architecture.md draws them)
arrow 'base knows no room' '(queue|shm|runtime|tools)/' base
arrow 'queue knows base only' '(shm|runtime|tools)/' queue
arrow 'shm knows base only' '(queue|runtime|tools)/' shm
arrow 'tools, examples and python use public headers only' '(base|queue|shm|runtime)/' \
    tools docs/examples python
found=$(includes '(base|queue|shm|runtime)/' bench | grep -v '^bench/micro_') &&
    complain "of bench only micro_*.c see rooms from inside
$found"
arrow 'public headers stand alone' '(base|queue|shm|runtime)/' include
arrow 'ck only in queue/' 'ck_' base shm runtime tools include
found=$(includes 'shm/' runtime | grep -v "^runtime/channel_\(produce\|consume\|join\)\.c:") &&
    complain "only runtime/channel_{produce,consume,join}.c know shm
$found"
found=$(includes 'zmq' . | grep -vE '^(\./)?(runtime/(socket|socket_parts|monitor|security)\.c|tests/|bench/|build/)') &&
    complain "zmq.h only in runtime/socket.c, socket_parts.c, monitor.c and security.c
$found"
found=$(includes 'ck_' queue | grep -vE '^queue/(queue|inbox)\.[ch]:') &&
    complain "ck only in queue/queue.* and queue/inbox.*
$found"

# --- names: what a file exports into the program starts with dxi_ or dxh_
archive=build/libdxh.a
if [ -e "$archive" ]; then
    found=$(nm --defined-only --extern-only "$archive" 2>/dev/null |
        awk 'NF == 3 {print $3}' | grep -vE '^(dxh_|dxi_|_\.stapsdt\.base$)' | sort -u)
    [ -n "$found" ] && complain "global names without dxh_ or dxi_ in $archive:
$found"
fi

# --- each public header stands alone, as C11 and as C++17
object=$(mktemp)
trap 'rm -f "$object"' EXIT
for header in include/*.h include/dxh/*.h; do
    name=${header#include/}
    echo "#include <$name>" | gcc -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
        -Iinclude -x c -c - -o "$object" || complain "$header does not stand alone as C11"
    echo "#include <$name>" | g++ -std=c++17 -Wall -Wextra -Wpedantic -Wshadow -Werror \
        -Iinclude -x c++ -c - -o "$object" || complain "$header does not stand alone as C++17"
done

# --- every source says its licence in the first three lines
for file in $sources $(git ls-files -co --exclude-standard '*.sh' '*.py' Makefile); do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || complain "$file: no SPDX line"
done

# --- scripts
scripts=$(git ls-files -co --exclude-standard '*.sh' .ci/run)
# shellcheck disable=SC2086
shellcheck $scripts || complain 'shellcheck has something to say'

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
