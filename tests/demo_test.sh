#!/bin/sh
# SPDX-License-Identifier: MIT
# demo_test.sh BUILD: the command dxh as a user meets it: the demo adds up, also
# when processes are killed; and when something is wrong, it says so.
set -u

dxh=$1/dxh
work=$(mktemp -d "${TMPDIR:-/tmp}/dxh-demo-test-XXXXXX") || exit 1
shm=$(mktemp -d "${DXH_SHM_DIR:-/dev/shm}/dxh-demo-test-XXXXXX") || exit 1
export DXH_SHM_DIR="$shm"
broker=
failed=0
trap 'kill "$broker" 2>/dev/null; rm -rf "$work" "$shm"' EXIT
trap 'exit 130' INT TERM HUP

# complain WHAT: with what the program said.
complain() {
    failed=1
    echo "FAIL $1"
    cat "$work/out" "$work/err"
}

# run CODE ARGUMENT...: dxh must exit with that code.
run() {
    wanted=$1
    shift
    timeout 300 "$dxh" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    [ $code -eq "$wanted" ] || complain "dxh $*: exit $code instead of $wanted"
}

# says FILE TEXT
says() {
    grep -qF -- "$2" "$work/$1" || complain "dxh did not say on $1: $2"
}

# --- the command line
run 2
run 2 nonsense
says err 'there is no command "nonsense"'
says err 'broker'
run 0 --version
run 0 --help
run 0 help demo
says out '--chaos'
run 2 demo --rate 5
says err '--rate takes a whole number from 10 to 10000, not "5"'
run 2 demo --seconds 1x
run 2 demo more
run 1 demo --json /nowhere/report.json

# --- broker and ls
endpoint=ipc://@dxh-demo-test-$$
run 1 ls --broker "$endpoint" --timeout 200
says err 'no broker answers'
mkfifo "$work/ready"
"$dxh" broker --endpoint "$endpoint" >"$work/ready" 2>&1 &
broker=$!
read -r line <"$work/ready"
[ "$line" = "dxh broker: listening on $endpoint" ] || complain "dxh broker said: $line"
run 0 ls --broker "$endpoint" --timeout 20000
says out 'knows no channel'
run 0 ls --broker "$endpoint" --timeout 20000 --json
python3 -c 'import json, sys; sys.exit(json.load(sys.stdin) != [])' <"$work/out" ||
    complain "dxh ls --json"
kill "$broker"
wait "$broker" || complain "dxh broker: exit $? after SIGTERM"
broker=

# --- the demo: the report as JSON must add up for another reader, too
check_report() {
    python3 - "$work/report.json" "$1" <<'END' || complain "the report does not add up"
import json
import sys

report = json.load(open(sys.argv[1]))
chaos = sys.argv[2] == "chaos"


def need(what, holds):
    if not holds:
        sys.exit(what + ": " + json.dumps(report, indent=1))


need("adds_up", report["adds_up"] and not report["problems"])
need("chaos", report["chaos"] == chaos)
samples = report["samples"]
need("samples", samples["published"] + samples["aborted"] == samples["head"] > 0)
for name, reader in report["readers"].items():
    need(name, reader["start"] + reader["read"] + reader["lost"] + reader["skipped"]
         == reader["next"] == samples["head"])
need("losses", all(sum(x["last"] - x["first"] + 1 for x in r["losses"]) == r["lost"]
                   for n, r in report["readers"].items() if n != "latest"))
requests = report["requests"]
ends = ("done", "expired", "cancelled", "failed", "lost", "closed", "other")
need("requests", sum(requests[end] for end in ends) == requests["posted"] > 0)
need("round trips", requests["round_trip_ns"]["count"] == requests["done"] > 0)
marks = report["notifications"]
need("notifications", marks["sent"] == marks["received"] + marks["lost"])
need("nothing lost", chaos or marks["lost"] == 0 == requests["lost"])
need("epoch", samples["epoch"] == int(chaos))
need("kills", sum(p["killed"] for p in report["processes"]) == (3 if chaos else 0))
END
}

run 0 demo --seconds 2 --json "$work/report.json"
says out 'everything adds up'
check_report calm
run 0 demo --chaos --seconds 4 --json "$work/report.json"
says out 'everything adds up'
check_report chaos
run 0 demo --seconds 1 --json -
says err 'everything adds up'
cp "$work/out" "$work/report.json"
check_report calm

# --- ended early, it still adds up
"$dxh" demo --seconds 3600 >"$work/out" 2>"$work/err" </dev/null &
demo=$!
until grep -q 'requests/s' "$work/out"; do
    kill -0 $demo || break
    sleep 0.1
done
kill -TERM $demo
wait $demo
code=$?
[ $code -eq 143 ] || complain "the demo ended early: exit $code instead of 143"

# --- the control: each of these faults must be found and named
fault() {
    export DXH_DEMO_FAULT="$1"
    run 1 demo --seconds 1
    unset DXH_DEMO_FAULT
    says out "$2"
}
fault lose-one 'follower: samples gone without a word: expected 0, found 1'
fault corrupt-one 'samples with a wrong checksum: expected 0, found 1'
fault lose-completion 'client: done + failed + expired + cancelled + lost + closed + other'
fault leave-file 'files left in the shared-memory folder: 1'

left=$(find "$shm" -mindepth 1)
[ -z "$left" ] || complain "left behind: $left"
exit $failed
