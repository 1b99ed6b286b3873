#!/bin/sh
# SPDX-License-Identifier: MIT
# top_test.sh BUILD: dxh top tells rates, readers and hubs as lines and as JSON, and its
# screen in a terminal says the same, and ends when it is told to.
set -eu

build=$(realpath "$1")
work=$(mktemp -d)
DXH_SHM_DIR=$(mktemp -d "${DXH_SHM_DIR:-/dev/shm}/top-XXXXXX")
export DXH_SHM_DIR TMUX_TMPDIR="$work" # tmux leaves its sockets
socket=dxh-top-$$
mkfifo "$work/orders"
"$build/publisher" top/one 64 0 <"$work/orders" >"$work/done" &
publisher=$!
exec 3>"$work/orders"
others=
end() {
    tmux -L "$socket" kill-server 2>/dev/null || true
    exec 3>&-
    for other in $others; do
        kill "$other" 2>/dev/null || true
        kill -CONT "$other" 2>/dev/null || true
    done
    wait || true
    rm -rf "$work" "$DXH_SHM_DIR"
}
trap end EXIT

fail() {
    echo "$1"
    [ -e "$work/out" ] && cat "$work/out"
    exit 1
}

# Until a file or the screen says so; the limit is for a test that would never end.
until_says() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || fail "it never came: $*"
        sleep 0.05
    done
}
orders_done() { [ "$(grep -c 'done' "$work/done")" -ge "$1" ]; }

until_says orders_done 1
echo "publish 20" >&3
until_says orders_done 2

"$build/dxh" top --once --every 0.1 >"$work/out" || fail "--once failed"
grep -q '^top/one  *alive' "$work/out" || fail "--once does not show the block"
"$build/dxh" top --json --every 0.1 >"$work/out" || fail "--json failed"
/usr/bin/python3 - "$work/out" <<'P' || fail "--json is not what it should be"
import json, sys
one, = json.load(open(sys.argv[1]))
assert one["name"] == "top/one" and one["producer"] == "alive" and one["items"] == 20, one
assert one["items_s"] == 0 and one["readers"] == [], one
P
"$build/dxh" top --once --dir "$work/nowhere" >"$work/out" 2>&1 && fail "it shows what is not there"
grep -q nowhere "$work/out" || fail "it does not say what is not there"
"$build/dxh" top --every 99 >"$work/out" 2>&1 && fail "--every 99 is no interval"

# On a terminal.
tmux -L "$socket" -f /dev/null new-session -d -x 140 -y 12 \
    "env LANG=C.UTF-8 DXH_SHM_DIR='$DXH_SHM_DIR' '$build/dxh' top --every 0.1; echo ended with \$?; cat"
screen_says() { tmux -L "$socket" capture-pane -p >"$work/out" && grep -qE "$1" "$work/out"; }
until_says screen_says '^top/one +alive'
until_says screen_says '^q quit'
rounds=0
until screen_says '^top/one +alive +[0-9]+ +[1-9].* +0\+0 .*█'; do
    rounds=$((rounds + 1))
    [ $rounds -lt 300 ] || fail "it never shows that items are published"
    echo "publish 50" >&3
    sleep 0.02
done
tmux -L "$socket" send-keys p
until_says screen_says '^dxh top .*paused'

# What does not fit is cut off: nothing runs on into the next line, at whatever size.
resized() {
    tmux -L "$socket" resize-window -x "$1" -y "$2"
    until_says screen_is "$3" "$4"
}
screen_is() { # the list begins with this line, and there is nothing below
    tmux -L "$socket" capture-pane -p >"$work/out"
    sed -n 2p "$work/out" | grep -q '^$' && sed -n 3p "$work/out" | grep -q '^BLOCK' &&
        sed -n 4p "$work/out" | grep -qE "$1" && sed -n "$2p" "$work/out" | grep -q '^$'
}
resized 80 24 '^top/one +alive .* 0\+0 .*█' 5
grep -q 'READERS HISTORY$' "$work/out" || fail "the head does not fit 80 columns"
resized 40 10 '^top/one +alive' 5
resized 20 6 '^top/one +aliv?e?' 5
tmux -L "$socket" resize-window -x 1 -y 1
tmux -L "$socket" resize-window -x 5 -y 2
resized 140 12 '^top/one +alive .* 0\+0 .*█' 5
tmux -L "$socket" send-keys q
until_says screen_says '^ended with 0'
tmux -L "$socket" kill-server
socket=$socket-letters

# Where the terminal has letters only.
tmux -L "$socket" -f /dev/null new-session -d -x 80 -y 12 \
    "env LC_ALL=C DXH_SHM_DIR='$DXH_SHM_DIR' '$build/dxh' top --every 0.1; cat"
rounds=0
until screen_says '^top/one +alive +[0-9]+ +[1-9].* 0\+0 .*#'; do
    rounds=$((rounds + 1))
    [ $rounds -lt 300 ] || fail "it never shows that items are published, in letters"
    echo "publish 50" >&3
    sleep 0.02
done
LC_ALL=C grep -q '[^ -~]' "$work/out" && fail "signs that this terminal has not"
tmux -L "$socket" kill-server
script -qc "env TERM=nonsense '$build/dxh' top" /dev/null >"$work/out" </dev/null || true
grep -q 'this terminal cannot be used: try --once' "$work/out" || fail "an unknown terminal"

# Rates are by the time between two looks, also while a broker that does not answer is waited
# for: a channel of 100 items a second, at the most, never shows 400. Long names are told apart,
# and a list is not scrolled beyond its end.
endpoint="ipc://$work/broker"
"$build/dxh" broker --endpoint "$endpoint" 2>"$work/broker.log" &
broker=$!
others=$broker
for name in one two; do
    "$build/examples/channel_produce" "$endpoint" "plant/hall/conveyor/$name" &
    others="$others $!"
done
known() { "$build/dxh" ls --broker "$endpoint" 2>/dev/null | grep -c '^plant.*live' | grep -q 2; }
until_says known
socket=dxh-top-$$-broker
tmux -L "$socket" -f /dev/null new-session -d -x 140 -y 12 \
    "env LANG=C.UTF-8 '$build/dxh' top --broker '$endpoint' --every 0.1; echo ended with \$?; cat"
until_says screen_says '^plant/hall/conveyor/one +alive .*█'
tmux -L "$socket" resize-window -x 60 -y 5
until_says screen_says '^plant/hall/…[a-z]*/one +alive .*█'
tmux -L "$socket" send-keys Down Down Down
until_says screen_says '^plant/hall/…[a-z]*/two +alive .*█'
tmux -L "$socket" resize-window -x 140 -y 12
until_says screen_says '^plant/hall/conveyor/one +alive +[0-9]+ +[0-9]+ '
kill -STOP $broker
until_says screen_says '^dxh top .*the broker does not answer'
rates=$(awk '/^plant/ { print int($4 * ($5 == "k" ? 1000 : 1)) }' "$work/out")
kill -CONT $broker
for rate in $rates; do
    [ "$rate" -lt 400 ] || fail "a rate of $rate items a second while the broker was waited for"
done
tmux -L "$socket" send-keys q
until_says screen_says '^ended with 0'
tmux -L "$socket" kill-server
for other in $others; do
    kill "$other"
done
others=

# However many blocks there are, each process is looked at once a sample.
echo leave | "$build/publisher" top/two 4 0 >"$work/out"
if strace -o "$work/trace" true 2>"$work/out"; then
    # A traced process cannot be searched for leaks.
    ASAN_OPTIONS=detect_leaks=0 strace -f -o "$work/trace" -e trace=openat \
        "$build/dxh" top --once --every 0.1 >"$work/out"
    grep -q '^top/two ' "$work/out" || fail "a block without a producer is not shown"
    looks=$(grep -c "\"/proc/$publisher/maps\"" "$work/trace")
    [ "$looks" -eq 2 ] || fail "the publisher was looked at $looks times in two samples"
fi

# Names of others are no orders to the terminal.
printf x >"$DXH_SHM_DIR/$(printf '\033[31mred.dxh')"
"$build/dxh" top --once --every 0.1 >"$work/out" || fail "--once failed with a strange name"
LC_ALL=C grep -q '[^ -~]' "$work/out" && fail "a name reaches the terminal as it is"
grep -q '^\\x1b' "$work/out" || fail "the strange name is not shown"
