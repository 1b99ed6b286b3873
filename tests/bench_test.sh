#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_test.sh BUILD: every workload runs to its end and verifies what it moved, each
# ratio is printed, and what is written as JSON is that. What they measure decides
# nothing here. The control: with broken payloads planted, sides fail.
set -eu

build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! "$build/dxh" bench --smoke --json "$work/json" >"$work/rows" 2>&1; then
    cat "$work/rows"
    exit 1
fi
workloads=$("$build/dxh" bench --list | cut -d" " -f1)
python3 - "$work/json" "$(echo "$workloads" | wc -l)" <<'END'
import json, sys

blocks = json.load(open(sys.argv[1]))["blocks"]
names = {block["workload"] for block in blocks}
sides = [side for block in blocks for side in block["sides"]]
measured = [side for side in sides if "skipped" not in side]
ratios = [ratio for block in blocks for ratio in block["ratios"]]
print(f"{len(names)} workloads, {len(measured)} of {len(sides)} sides, {len(ratios)} ratios")
assert len(names) == int(sys.argv[2]), names
assert len(measured) >= 130 and len(ratios) >= 50
# Only what needs a rival's package or daemon is skipped, and interior points of curves.
reasons = ("make bench", "iox-roudi", "nats-server", "smoke")
for side in sides:
    assert "median" in side or any(reason in side["skipped"] for reason in reasons), side
for ratio in ratios:
    assert ratio["ratio"] is not None or "iceoryx" in ratio["name"] or "nng" in ratio["name"]
END
[ "$(grep -cE ' (ok|short)$' "$work/rows")" -ge 90 ] # twice: with their blocks, and in the table

# Of what is planted each side must notice: all but the counting of system calls, which
# moves no payload, and what moved fewer than three in so short a time.
"$build/dxh" bench --smoke --plant payload rtt sync notify post publish read large shm_latency \
    >"$work/planted" 2>&1 && code=0 || code=$?
failed=$(grep -c 'FAILED, see above' "$work/planted" || true)
passed=$(grep -cE '^  [a-z0-9].*\[.*\]' "$work/planted" || true)
echo "planted: $failed sides noticed, $passed did not"
[ "$code" -eq 1 ] && [ "$failed" -ge 60 ] && [ "$passed" -le 6 ]

if "$build/dxh" bench no-such-workload >/dev/null 2>&1; then
    echo "an unknown workload was accepted"
    exit 1
fi
[ "$(find "$DXH_SHM_DIR" -name 'dxh-bench-*' | wc -l)" -eq 0 ]
