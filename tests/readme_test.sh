#!/bin/sh
# SPDX-License-Identifier: MIT
# The first program of the README compiles and links as the README says; it would
# talk to another machine, so it is not run.
set -eu

build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ {on = 1; next} /^```$/ {if (on) exit} on' README.md >"$work/first.c"
grep -q 'int main' "$work/first.c"
line=$(grep '^gcc -Iinclude first.c' README.md)
if [ "$build" != build ]; then
    echo "built elsewhere ($build): only the syntax is looked at"
    gcc -Iinclude -fsyntax-only -Wall -Wextra "$work/first.c"
    exit 0
fi
ln -s "$PWD/include" "$PWD/build" "$work/"
(cd "$work" && eval "$line" && [ -x first ])
grep -oE 'make [a-z0-9-]+' README.md | sort -u | while read -r _ target; do
    grep -q "^$target:" Makefile || { echo "the README names make $target, which is not there"; exit 1; }
done
