#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: as somebody who has the packages and this folder, build the programs and use them.
set -eu

cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for program in camera viewer load; do
    # shellcheck disable=SC2046
    gcc -std=c11 -Wall -Wextra $program.c $(pkg-config --cflags --libs dxh) -pthread -o "$work/$program"
done
{ cmake -S . -B "$work/cmake" && cmake --build "$work/cmake"; } >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
mv "$work/cmake/client" "$work/"
/usr/bin/python3 -W error stranger.py "$work"
