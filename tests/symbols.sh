#!/bin/sh
# SPDX-License-Identifier: MIT
# symbols.sh LIBRARY: what the library exports is what the headers declare.
set -eu

library=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each with its version; the version itself is a symbol, too.
nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sort -u >"$work/versioned"
if grep -v '@@DXH_[0-9]*$' "$work/versioned"; then
    echo "symbols: these have no version (tools/install/libdxh.map)"
    exit 1
fi
sed 's/@@.*//' "$work/versioned" >"$work/exported"
# A declaration is DXH_API ... name(; comments and macros name no new function.
sed 's@/\*.*\*/@@' include/*.h include/dxh/*.h | tr '\n' ' ' |
    grep -oE 'DXH_API [^;]*;' | grep -oE 'dxh_[a-z0-9_]+\(' | tr -d '(' | sort -u >"$work/declared"

if ! diff "$work/declared" "$work/exported" >"$work/diff"; then
    echo "symbols: '<' is declared and not exported, '>' the reverse:"
    grep '^[<>]' "$work/diff"
    exit 1
fi
count=$(wc -l <"$work/exported")
[ "$count" -ge 20 ] || { echo "symbols: only $count found, the check is blind"; exit 1; }
echo "symbols: $count exported, all declared"
