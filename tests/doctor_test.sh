#!/bin/sh
# SPDX-License-Identifier: MIT
# doctor_test.sh BUILD: dxh doctor says what is wrong where something is, and what to do.
set -eu

dxh=$1/dxh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# says CODE TEXT COMMAND...: it ends so, and says that.
says() {
    wanted=$1
    text=$2
    shift 2
    code=0
    "$@" >"$work/out" 2>&1 || code=$?
    if [ "$code" != "$wanted" ] || ! grep -qF -- "$text" "$work/out"; then
        echo "$*: exit $code, not $wanted, or it does not say '$text':"
        cat "$work/out"
        exit 1
    fi
}

says 0 '0 broken' "$dxh" doctor
says 1 'O_TMPFILE' env DXH_SHM_DIR=/proc "$dxh" doctor
says 1 'DXH_SHM_DIR' env DXH_SHM_DIR="$work/nowhere" "$dxh" doctor
# shellcheck disable=SC2016
says 0 'LimitNOFILE' sh -c 'ulimit -n 300; exec "$0" doctor' "$dxh"
says 2 'what is "now"' "$dxh" doctor now
says 0 '"name": "space"' "$dxh" doctor --json
python3 -c 'import json, sys
organs = json.load(open(sys.argv[1]))
assert len(organs) >= 10, organs
assert all(organ["found"] for organ in organs), organs
assert all(organ["advice"] for organ in organs if organ["state"] in ("warning", "broken"))' \
    "$work/out"
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    # shellcheck disable=SC2016
    says 0 'remount,size' unshare -m sh -c \
        'mount -t tmpfs -o size=1m tmpfs /mnt && exec env DXH_SHM_DIR=/mnt "$0" doctor' \
        "$(realpath "$dxh")"
fi
left=$(find /tmp -maxdepth 1 -name 'dxh-doctor-*' -newer "$work" 2>/dev/null || true)
[ -z "$left" ] || { echo "it left $left"; exit 1; }
