#!/bin/sh
# SPDX-License-Identifier: MIT
# DXH_SCHEMA lists every member in order, or the program does not compile.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried=0

# compiles FIELD...: does the struct below with these fields compile?
compiles() {
    {
        echo '#include <dxh.h>'
        echo 'struct s { _Atomic uint64_t a; uint32_t b[3]; char c[5]; double d; };'
        echo "DXH_SCHEMA(s, $1);"
        echo 'const dxh_schema *of_s(void); const dxh_schema *of_s(void) { return DXH_SCHEMA_OF(s); }'
    } >"$work/s.c"
    gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -c "$work/s.c" -o "$work/s.o" 2>"$work/err"
}

# refused WORDS FIELDS
refused() {
    if compiles "$2"; then
        echo "compiled, though it should not: $2"
        exit 1
    fi
    grep -q "$1" "$work/err" || { echo "not the reason expected ($1):"; cat "$work/err"; exit 1; }
    tried=$((tried + 1))
}

all='DXH_FIELD(a, "counter"), DXH_FIELD(b), DXH_FIELD(c, "name", "text"), DXH_FIELD(d)'
compiles "$all" || { cat "$work/err"; exit 1; }
refused 'missing or out of order' 'DXH_FIELD(a), DXH_FIELD(c), DXH_FIELD(d)'
refused 'missing or out of order' 'DXH_FIELD(b), DXH_FIELD(c), DXH_FIELD(d)'
refused 'missing or out of order' 'DXH_FIELD(b), DXH_FIELD(a), DXH_FIELD(c), DXH_FIELD(d)'
refused 'last members are missing' 'DXH_FIELD(a), DXH_FIELD(b), DXH_FIELD(c)'
refused 'no member named' "$all, DXH_FIELD(e)"

echo "$tried wrong lists, all refused"
[ "$tried" -ge 5 ]
