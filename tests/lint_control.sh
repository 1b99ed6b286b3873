#!/bin/sh
# SPDX-License-Identifier: MIT
# lint_control.sh: what `make lint` and `make symbols` must notice, planted one by
# one in a copy of the tree.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/tree"
cd "$work/tree"
planted=0

# noticed WORDS COMMAND...: the check fails and says so; then the tree is as before.
noticed() {
    words=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        echo "not noticed: $words"
        exit 1
    fi
    grep -q "$words" "$work/out" || { echo "noticed, but not as: $words"; cat "$work/out"; exit 1; }
    git checkout -q . && git clean -qfd -e build
    planted=$((planted + 1))
}

# plant FILE INCLUDE
plant() {
    printf '/* SPDX-License-Identifier: MIT */\n#include "%s"\n' "$2" >"$1"
}

plant queue/planted.c runtime/hub.h
noticed 'queue knows base only' tests/lint.sh
plant shm/planted.c queue/queue.h
noticed 'shm knows base only' tests/lint.sh
plant runtime/planted.c shm/layout.h
noticed 'only runtime/channel_{produce,consume,join}.c know shm' tests/lint.sh
plant tools/planted.c base/status.h
noticed 'public headers only' tests/lint.sh
printf '/* SPDX-License-Identifier: MIT */\n#include <zmq.h>\n' >runtime/planted.c
noticed 'zmq.h only in' tests/lint.sh
printf '/* SPDX-License-Identifier: MIT */\n#include <ck_pr.h>\n' >runtime/planted.c
noticed 'ck only in queue' tests/lint.sh
printf '/* SPDX-License-Identifier: MIT */\nint  x ;\n' >base/planted.c
noticed 'not formatted' tests/lint.sh
printf '/* SPDX-License-Identifier: MIT */\nsize_t planted(void);\n' >include/dxh/planted.h
noticed 'does not stand alone' tests/lint.sh
echo 'int planted;' >base/planted.c
noticed 'no SPDX line' tests/lint.sh

make -s -j2 build/libdxh.so
tests/symbols.sh build/libdxh.so
printf 'DXH_API int dxh_planted(void);\n' >>include/dxh/base.h
noticed 'dxh_planted' tests/symbols.sh build/libdxh.so

echo "$planted faults planted, all noticed"
[ "$planted" -ge 10 ]
