#!/bin/sh
# SPDX-License-Identifier: MIT
# examples_test.sh BUILD: run every program of docs/examples and compare what it
# prints with what it should.
set -u

build=$1
failed=0

# expect NAME: the text that NAME must print is read from standard input.
expect() {
    wanted=$(cat)
    found=$(timeout 60 "$build/examples/$1" 2>&1)
    code=$?
    seen="$seen $1"
    if [ $code -ne 0 ] || [ "$found" != "$wanted" ]; then
        failed=1
        printf '%s: exit %d\n--- expected\n%s\n--- found\n%s\n' "$1" $code "$wanted" "$found"
    fi
}
seen=

expect post_await <<'END'
posted; preparing the next frame meanwhile
the scope says: armed
END
expect group_any <<'END'
100 answers, the squares of 0..99 sum up to 328350
END
expect epoll_loop <<'END'
5 ticks, 5 answers
END
expect block_loop <<'END'
10 samples, 10 answers
END
expect paced <<'END'
every tick was published or counted as missed
END
expect poll_loop <<'END'
1 bytes
16 bytes
3 bytes
3 asked, 3 told
END
expect notify <<'END'
1000 edges logged in order; more than one to a frame
END
expect subscribe <<'END'
door.left: open (0 lost)
door.right: closed (0 lost)
END
expect serve <<'END'
with 5000 ms: 42.0 V
with 10 ms: no
END
expect inproc <<'END'
at 4000, and back at 0
END
expect dispatch <<'END'
the meter says: twice 21 is 42
treble: DXH_EUNKNOWN
END
expect zone_and_ring <<'END'
10 frames at a gain of 1.5 dB
ticket 0: 307200 bytes of value 0
END
expect follow <<'END'
lost 12 samples, tickets 0..11
read 8 samples, the last was 19; the channel is closed
END

expect watch <<'END'
0 channels
8 items of 64 bytes, 0 consumers
opened: registered
closing: closed by its producer
END
# Two programs that meet at a broker.
meet_at_a_broker() {
    broker="ipc://@dxh-examples-$$"
    "$build/dxh" broker --endpoint "$broker" >/dev/null &
    broker_process=$!
    "$build/examples/channel_produce" "$broker" "probe/$$" &
    producer=$!
    timeout 60 "$build/examples/channel_consume" "$broker" "probe/$$" || echo "exit $?"
    timeout 60 tail --pid=$producer -f /dev/null || kill $producer
    wait $producer || echo "the producer ended with $?"
    kill $broker_process
    wait $broker_process
}
found=$(meet_at_a_broker 2>&1)
wanted="0.5 V
1.0 V
1.5 V
2.0 V
2.5 V
goodbye"
seen="$seen channel_produce channel_consume"
if [ "$found" != "$wanted" ]; then
    failed=1
    printf 'channel_produce, channel_consume:\n--- expected\n%s\n--- found\n%s\n' "$wanted" "$found"
fi

for source in docs/examples/*.c; do
    name=$(basename "$source" .c)
    case "$seen " in
    *" $name "*) ;;
    *)
        failed=1
        echo "$source: nothing says here what it should print"
        ;;
    esac
done
exit $failed
