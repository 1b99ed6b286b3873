#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_test.sh BUILD: every workload runs to its end and verifies what it moved, each
# ratio of the design is printed, and what is written as JSON is that; what they measure
# decides nothing here.
set -eu

build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! "$build/dxh" bench --rounds 1 --seconds 0.004 --json "$work/json" >"$work/rows" 2>&1; then
    cat "$work/rows"
    exit 1
fi
workloads=$("$build/dxh" bench --list | wc -l)
python3 - "$work/json" "$workloads" <<'END'
import json, sys

found = json.load(open(sys.argv[1]))
blocks = found["blocks"]
names = {block["workload"] for block in blocks}
sides = [side for block in blocks for side in block["sides"]]
skipped = [side for side in sides if "skipped" in side]
ratios = [ratio for block in blocks for ratio in block["ratios"]]
assert len(names) == int(sys.argv[2]), names
for side in sides:
    assert "skipped" in side or side["median"] >= 0, side
# Sides that need a rival's package may be skipped, and say so; no other may.
for side in skipped:
    assert "make bench" in side["skipped"] or "installed" in side["skipped"], side
print(f"{len(names)} workloads, {len(sides)} sides, {len(skipped)} skipped, {len(ratios)} ratios")
assert len(sides) >= 70 and len(ratios) >= 35
END
[ "$(grep -cE ' (ok|short)$' "$work/rows")" -ge 60 ]

if "$build/dxh" bench no-such-workload >/dev/null 2>&1; then
    echo "an unknown workload was accepted"
    exit 1
fi
[ "$(find "$DXH_SHM_DIR" -name 'dxh-bench-*' | wc -l)" -eq 0 ]
