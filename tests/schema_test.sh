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

# nested STRUCT FIELDS: the same of this struct, which may hold a struct in.
nested() {
    {
        echo '#include <dxh.h>'
        echo 'struct in { _Atomic uint32_t x; float y; }; struct other { uint64_t x; };'
        echo 'DXH_SCHEMA(in, DXH_FIELD(x), DXH_FIELD(y)); DXH_SCHEMA(other, DXH_FIELD(x));'
        echo "struct $1;"
        echo "DXH_SCHEMA(s, $2);"
        echo 'const dxh_schema *of_s(void); const dxh_schema *of_s(void) { return DXH_SCHEMA_OF(s); }'
        echo 'const dxh_schema *of_o(void); const dxh_schema *of_o(void) { return DXH_SCHEMA_OF(other); }'
    } >"$work/s.c"
    gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -c "$work/s.c" -o "$work/s.o" 2>"$work/err"
}
nested 's { char c; struct in one, many[3], grid[2][4]; }' \
    'DXH_FIELD(c), DXH_NESTED(one, in), DXH_NESTED(many, in, "doc"), DXH_NESTED(grid, in)' ||
    { cat "$work/err"; exit 1; }
nested '__attribute__((packed)) s { char c; uint64_t d; struct in e; }' \
    'DXH_FIELD(c), DXH_FIELD(d), DXH_NESTED(e, in)' || { cat "$work/err"; exit 1; }

# wrong WORDS STRUCT FIELDS
wrong() {
    if nested "$2" "$3"; then
        echo "compiled, though it should not: $3"
        exit 1
    fi
    grep -q "$1" "$work/err" || { echo "not the reason expected ($1):"; cat "$work/err"; exit 1; }
    tried=$((tried + 1))
}
wrong 'not compatible with any association' 's { struct in a; }' 'DXH_NESTED(a, other)'
wrong 'undeclared' 's { struct in a; }' 'DXH_NESTED(a, missing)'
wrong 'not aligned to its size' '__attribute__((packed)) s { char c; _Atomic uint32_t a; }' \
    'DXH_FIELD(c), DXH_FIELD(a)'
wrong 'missing or out of order' 's { struct in a; int b; struct in c; }' \
    'DXH_NESTED(a, in), DXH_NESTED(c, in)'

echo "$tried wrong lists, all refused"
[ "$tried" -ge 9 ]
