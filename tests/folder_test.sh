#!/bin/sh
# SPDX-License-Identifier: MIT
# folder_test.sh BUILD: the folder of the default endpoint and of channels' services, when it
# belongs to somebody else or others may write there: nobody listens in it, and nobody trusts
# who does. In a mount namespace of its own, so that the real folder stays as it is.
set -eu

build=$(realpath "$1")
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
    echo "skipped: only root can put another folder in its place"
    exit 0
fi
work=$(mktemp -d)
open=$(mktemp -d /tmp/dxh-folder-XXXXXX) # whose path all may go
trap 'rm -rf "$work" "$open"' EXIT
[ -d /tmp/dxh-0 ] || mkdir -m 700 /tmp/dxh-0
mkdir -m 700 "$work/strange" "$work/own" "$work/shm"
mkdir -m 755 "$work/open"
chown 1 "$work/strange"

# tried FOLDER: what each of them says with this folder in place, a line a program.
cat >"$work/tried" <<'T'
mount --bind "$1" /tmp/dxh-0
export DXH_SHM_DIR="$3"
unset DXH_BROKER
place=ipc:///tmp/dxh-0/broker
try() {
    code=0
    said=$("$@" 2>&1 </dev/null) || code=$?
    echo "$(basename "$1") $2: $code $said"
}
dxh=$2/dxh
timeout -k 9 2 "$dxh" broker >"$3/said" 2>&1 &
broker=$!
wait "$broker" || echo "dxh broker: $? $(cat "$3/said")"
try "$dxh" ls --timeout 100
try "$dxh" stat --broker "$place" x
try "$dxh" tail --broker "$place" x
try "$dxh" top --once --broker "$place"
# One whose broker lies elsewhere, for its own service.
try timeout 2 "$2/examples/channel_produce" ipc://@dxh-folder-test-nobody "folder/$$"
T
tried() {
    unshare -m --propagation private sh "$work/tried" "$work/$1" "$build" "$work/shm" >"$work/out" 2>&1 || true
}
fail() {
    echo "$1"
    cat "$work/out"
    exit 1
}
expect() { grep -qE "$1" "$work/out" || fail "nobody says: $1"; }

for folder in strange open; do
    tried "$folder"
    for command in broker ls stat tail top; do
        expect "^dxh $command: [13] .*/tmp/dxh-0 is not a folder that belongs to you alone"
    done
    expect '^timeout 2: 1 .*/tmp/dxh-0 is not a folder that belongs to this user alone'
    [ -z "$(ls -A "$work/$folder")" ] || fail "something was made in there"
done

# A socket that is not for everybody is no broker that is away.
chmod 755 "$open"
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
if nobody "$build/dxh" --version >"$work/out" 2>&1; then
    for mask in 0077 0000; do
        (umask $mask && exec "$build/dxh" broker --endpoint "ipc://$open/broker") >"$work/said" &
        broker=$!
        until grep -q listening "$work/said"; do
            kill -0 $broker || fail "the broker ended"
            sleep 0.01
        done
        nobody "$build/dxh" ls --timeout 500 --broker "ipc://$open/broker" >"$work/out" 2>&1 || true
        kill $broker
        wait $broker
        [ $mask = 0000 ] || expect 'this user may not connect to .*/broker: ask as another one'
    done
    expect 'knows no channel'
fi

# The control: one's own is used.
tried own
expect '^dxh broker: 124 dxh broker: listening on ipc:///tmp/dxh-0/broker'
expect '^dxh ls: 0 no broker answers at'
grep -q 'not a folder' "$work/out" && fail "one's own folder is refused"
exit 0
