#!/bin/sh
# SPDX-License-Identifier: MIT
# slaughter_test.sh BUILD [SECONDS]: writers and readers of a block killed over and over,
# and the control, which ends where it stands and leaves its block.
set -eu

DXH_SHM_DIR=$(mktemp -d -p "${DXH_SHM_DIR:-/dev/shm}")
export DXH_SHM_DIR
trap 'rm -rf "$DXH_SHM_DIR"' EXIT

timeout $((${2:-2} + 120)) "$1/slaughter" "${2:-2}" >"$DXH_SHM_DIR/log"
cat "$DXH_SHM_DIR/log"
killed=$(sed -n 's/^slaughter: \([0-9]*\) killed.*/\1/p' "$DXH_SHM_DIR/log")
[ "$killed" -ge 20 ]
if timeout 100 "$1/slaughter" 1 7 plant; then
    echo "a writer that goes on with the wrong payload went unnoticed"
    exit 1
fi
