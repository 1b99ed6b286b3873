#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dxh record, replay and tail: whatever happens to the producer and to the recorder, the file
says exactly what was there and what is missing, and plays it again byte by byte. The file is
read by docs/examples/recording_to_hdf5.py, which knows nothing but the format's description.

Usage: record_test.py BUILD
"""

import csv
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "docs", "examples"))
sys.dont_write_bytecode = True
import recording_to_hdf5 as recording  # noqa: E402
import xxhash  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
LIMIT = 120
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("FAIL " + what)


def notices(what, act):
    """The control: these checks see it."""
    try:
        act()
    except SystemExit:
        check(True, what)
        return
    sys.exit(f"FAIL the checks do not see {what}")


class Publisher:
    def __init__(self, name, slots=64, item_bytes=0):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "publisher"), name, str(slots), str(item_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.expect_done()

    def expect_done(self):
        check(self.process.stdout.readline() == "done\n", "the publisher went on")

    def do(self, *lines):
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            self.expect_done()

    def order(self, line):
        """Without waiting until it is done."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, how="close"):
        self.process.stdin.write(how + "\n")
        self.process.stdin.close()
        check(self.process.wait(LIMIT) == 0, "the publisher ended well")
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait(LIMIT)
        self.process.stdin.close()
        self.process.stdout.close()


def dxh(*arguments, code=0, says="", times=None):
    run = subprocess.run([os.path.join(BUILD, "dxh"), *arguments], capture_output=True,
                         timeout=LIMIT, stdin=subprocess.DEVNULL, check=False)
    said = run.stderr.decode(errors="replace")
    check(run.returncode == code, f"dxh {arguments}: exit {run.returncode}, not {code}: {said}")
    check(says in said, f"dxh {arguments} does not say {says!r}: {said!r}")
    if times is not None:
        check(said.count(says) == times, f"dxh {arguments} says it {times} times: {said!r}")
    return run.stdout


def begin(*arguments):
    return subprocess.Popen([os.path.join(BUILD, "dxh"), *arguments], stdin=subprocess.DEVNULL)


def until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.005)


def record(name, path, *options):
    """A recorder that has attached."""
    process = begin("record", "--output", path, *options, name)
    until(lambda: os.path.exists(path) and os.path.getsize(path) > 16, "the recorder began")
    return process


def stop(process):
    process.send_signal(signal.SIGINT)
    check(process.wait(LIMIT) == 0, "the recorder ended well")


def kinds(path, *wanted):
    return [found for found in recording.records(path) if found[0] in wanted]


def sample_of(ticket):
    return (ticket.to_bytes(8, "little") + (-ticket).to_bytes(4, "little", signed=True) +
            struct.pack("<f", ticket / 2) +
            f'"{ticket % 1000}'.encode().ljust(8, b"\0"))


def raw_of(ticket, capacity):
    return bytes((ticket * 31 + i // 16) & 0xFF for i in range(capacity - ticket % 7))


def expect_tickets(path, wanted, aborted=()):
    """Items and gaps are all these tickets, each once and in order, and items are theirs."""
    at, missing = [], 0
    for kind, ticket, _, payload in kinds(path, recording.ITEM, recording.GAP):
        if kind == recording.ITEM:
            check(payload == sample_of(ticket), f"item {ticket} is as it was published")
            at.append(ticket)
        else:
            last = int.from_bytes(payload[:8], "little")
            at += range(ticket, last + 1)
            missing += last + 1 - ticket
    check(at == [ticket for ticket in wanted if ticket not in aborted], f"{path}: {at}")
    return missing


def check_life_of_a_producer():
    """Published, aborted, lapped, killed, taken over, made anew."""
    publisher = Publisher("life")
    publisher.do("latch 7", "publish 10", "abort 2", "publish 5")
    recorder = record("life", "life.dxr", "--start", "oldest", "--zones", "0.05")
    until(lambda: len(kinds("life.dxr", recording.ITEM)) == 15, "all are recorded")
    recorder.send_signal(signal.SIGSTOP)
    publisher.do("publish 200")
    recorder.send_signal(signal.SIGCONT)
    until(lambda: kinds("life.dxr", recording.ITEM)[-1][1] == 216, "the newest is recorded")
    publisher.kill()
    until(lambda: kinds("life.dxr", recording.PRODUCER), "the death is recorded")
    publisher = Publisher("life")
    publisher.do("latch 8", "publish 3")
    until(lambda: kinds("life.dxr", recording.ITEM)[-1][1] == 219, "the successor is recorded")
    stop(recorder)
    missing = expect_tickets("life.dxr", range(220), aborted=(10, 11))
    check(missing >= 100, f"it was lapped: {missing}")
    fates = [payload[0] for _, _, _, payload in kinds("life.dxr", recording.PRODUCER)]
    check(fates == [3, 1], f"it died and was taken over: {fates}")
    check(kinds("life.dxr", recording.PRODUCER)[-1][1] == 217, "the first ticket of the successor")
    zones = [payload[:8] for _, _, _, payload in kinds("life.dxr", recording.ZONE)]
    check(zones[0] == (7).to_bytes(8, "little") and zones[-1] == (8).to_bytes(8, "little"),
          "zones at the begin and at the end")
    (_, items, _, end), = kinds("life.dxr", recording.END)
    check(items == 218 - missing, "the end counts items")
    check(int.from_bytes(end[16:24], "little") == missing, "the end counts what is missing")

    recorder = record("life", "anew.dxr", "--start", "newest")
    publisher.end("close")
    publisher = Publisher("life")
    publisher.do("publish 4")
    until(lambda: len(kinds("anew.dxr", recording.BLOCK)) == 2, "the new block is recorded")
    until(lambda: kinds("anew.dxr", recording.ITEM)[-1][1] == 3, "with its items")
    stop(recorder)
    tickets = [found[1] for found in kinds("anew.dxr", recording.ITEM)]
    check(tickets == [219, 0, 1, 2, 3], f"{tickets}")
    publisher.end()


def check_the_checks():
    """Files that lie are seen: an item or a gap left out, an item twice, another byte."""
    with open("life.dxr", "rb") as file:
        whole = file.read()
    found, at = [], 16
    while at < len(whole):
        size = 40 + (int.from_bytes(whole[at:at + 8], "little") + 7) // 8 * 8
        found.append((whole[at + 8], whole[at:at + size]))
        at += size
    item = next(i for i, (kind, _) in enumerate(found) if kind == recording.ITEM)
    gap = next(i for i, (kind, _) in enumerate(found) if kind == recording.GAP)
    changed = bytearray(found[item][1])
    changed[44] ^= 1
    for what, records in (("a missing item", found[:item] + found[item + 1:]),
                          ("a missing gap", found[:gap] + found[gap + 1:]),
                          ("an item twice", found[:item] + [found[item]] + found[item:]),
                          ("another byte", [*found[:item], (2, changed), *found[item + 1:]])):
        with open("lie.dxr", "wb") as file:
            file.write(whole[:16] + b"".join(record for _, record in records))
        notices(what, lambda: expect_tickets("lie.dxr", range(220), aborted=(10, 11)))


def play(path, copy, *options):
    """Replay as another block and record that, missing nothing."""
    replay = begin("replay", "--as", "again", "--lossless", "1", *options, path)
    recorder = begin("record", "--lossless", "--until-closed", "--output", copy, "again")
    check(replay.wait(LIMIT) == 0, "the replay ended well")
    stop_code = recorder.wait(LIMIT)
    check(stop_code == 0, "the recorder of the replay ended well")


def payloads(path):
    return [payload for _, _, _, payload in kinds(path, recording.ITEM)]


def heads(path):
    """(kind, ticket, first byte of the payload) of each record; sums are not looked at."""
    with open(path, "rb") as file:
        file.seek(16)
        while len(header := file.read(41)) == 41:
            count, kind, ticket = struct.unpack_from("<QB7xQ", header)
            yield kind, ticket, header[40]
            file.seek((count + 7) // 8 * 8 - 1, os.SEEK_CUR)


def items_seen(path):
    return sum(kind == recording.ITEM for kind, _, _ in heads(path))


def facts(name):
    return json.loads(dxh("stat", "--json", name))


def run_of_deaths(name, path, size, slots, rounds):
    """Killed wherever it happens to be, and taken over, again and again; the recorder is
    stopped now and then, so that the ring goes round under it."""
    chance = random.Random(11)
    publisher = Publisher(name, slots, size)
    recorder = record(name, path, "--start", "oldest")
    for turn in range(rounds):
        if turn % 3 == 1:
            recorder.send_signal(signal.SIGSTOP)
        publisher.order("publish 400")
        time.sleep(chance.random() * 0.003)  # it may be anywhere then
        publisher.kill()
        recorder.send_signal(signal.SIGCONT)
        if turn % 4 == 0:
            until(lambda: (recording.PRODUCER, 3) in [(k, b) for k, _, b in heads(path)],
                  "a death is recorded")
        publisher = Publisher(name, slots, size)
    publisher.do("publish 3", "latch 77")
    last = facts(name)["ring"]["head"] - 1
    until(lambda: (recording.ITEM, last) in [(k, t) for k, t, _ in heads(path)], "the newest")
    stop(recorder)
    return publisher, last


def check_deaths_under_load():
    """Each ticket is an item as it was published, or in a gap, or, at most one for each death,
    that which the dead one was writing: nothing is torn, nothing missing, nothing twice."""
    size, rounds = 16384, 16
    publisher, last = run_of_deaths("deaths", "deaths.dxr", size, 8, rounds)
    runs = [bytes([i]) * 16 for i in range(256)]
    at, missing, epoch, untold, taken = 0, 0, 0, [], []
    for kind, ticket, _, payload in recording.records("deaths.dxr"):
        if kind == recording.PRODUCER and payload[0] == 1:
            epoch, before = int.from_bytes(payload[8:16], "little"), epoch
            check(epoch > before and ticket >= at, "successors in their order")
            taken.append(ticket)
        if kind not in (recording.ITEM, recording.GAP):
            continue
        check(ticket >= at, f"ticket {ticket} after {at}")
        untold += range(at, ticket)
        at = ticket + 1
        if kind == recording.GAP:
            at = int.from_bytes(payload[:8], "little") + 1
            missing += at - ticket
            continue
        whole = b"".join(runs[(ticket * 31 + i) & 0xFF] for i in range(size // 16))
        check(payload == whole[:size - ticket % 7], f"item {ticket} is whole")
    check(at == last + 1, "up to the newest")
    check(epoch == facts("deaths")["epoch"] == rounds, f"the last successor: {epoch}")
    # Of a gap the recorder cannot know what was aborted within it.
    check(set(untold) <= {ticket - 1 for ticket in taken}, f"untold: {untold}, {taken}")
    check(missing > 0, "it was lapped")
    publisher.end()
    for options in ([], ["--keep-tickets"]):
        play("deaths.dxr", "deaths-copy.dxr", "--fast", *options)
        check(payloads("deaths-copy.dxr") == payloads("deaths.dxr"), "again, bit for bit")
        os.unlink("deaths-copy.dxr")
    print(f"deaths: {items_seen('deaths.dxr')} items, {missing} missing, "
          f"{len(untold)} half written")


def check_blocks_and_zones_again():
    """A replay makes each block of a recording anew, with zones as they were at last."""
    recorder = begin("record", "--lossless", "--output", "anew-copy.dxr", "again")
    replay = begin("replay", "--as", "again", "--lossless", "1", "--fast", "anew.dxr")
    check(replay.wait(LIMIT) == 0, "the replay ended well")
    until(lambda: items_seen("anew-copy.dxr") == 5, "all items")
    stop(recorder)
    check(len(kinds("anew-copy.dxr", recording.BLOCK)) == 2, "two blocks")
    check(payloads("anew-copy.dxr") == payloads("anew.dxr"), "of the same items")
    check([t for _, t, _, _ in kinds("anew-copy.dxr", recording.ITEM)] == [0, 0, 1, 2, 3],
          "tickets begin anew, too")
    descriptions = [[recording.block_of(payload)[1] for _, _, _, payload in
                     kinds(path, recording.BLOCK)] for path in ("anew.dxr", "anew-copy.dxr")]
    for one, other in zip(*descriptions):
        check(one["slot"]["fields"] == other["slot"]["fields"] and
              [zone["name"] for zone in one["zones"]] == [zone["name"] for zone in other["zones"]],
              "that describe themselves the same way")
    last = [kinds(path, recording.ZONE)[-1][3] for path in ("life.dxr", "copy.dxr")]
    check(last[0] == last[1] and last[0][:8] == (8).to_bytes(8, "little"), "zones")


def check_time():
    """An item is played when it is due, not before: in real time, and scaled."""
    publisher = Publisher("paced")
    recorder = record("paced", "paced.dxr")
    for _ in range(4):
        publisher.do("publish 1")
        time.sleep(0.05)
    until(lambda: items_seen("paced.dxr") == 4, "all are recorded")
    stop(recorder)
    publisher.end()
    times = [found[2] for found in kinds("paced.dxr", recording.ITEM)]
    for speed, options in ((1, []), (0.5, ["--speed", "0.5"])):
        began = time.monotonic_ns()
        play("paced.dxr", "paced-copy.dxr", *options)
        copied = [found[2] for found in kinds("paced-copy.dxr", recording.ITEM)]
        check(all(copy - began >= (at - times[0]) / speed for copy, at in zip(copied, times)),
              f"at speed {speed}: {times} {copied} {began}")
        os.unlink("paced-copy.dxr")
    dxh("replay", "--from-ticket", "5", "paced.dxr", code=1, says="no item of the recording")
    replay = begin("replay", "--as", "long", "--speed", "0.001", "paced.dxr")
    until(lambda: facts_or_none("long") is not None, "it plays")
    replay.send_signal(signal.SIGINT)
    check(replay.wait(LIMIT) == 1, "interrupted is not all")


def facts_or_none(name):
    run = subprocess.run([os.path.join(BUILD, "dxh"), "stat", "--json", name], timeout=LIMIT,
                         capture_output=True, check=False)
    return json.loads(run.stdout) if run.returncode == 0 else None


def check_replay():
    play("life.dxr", "copy.dxr", "--fast")
    check(payloads("copy.dxr") == payloads("life.dxr"), "the same items in the same order")
    check([t for _, t, _, _ in kinds("copy.dxr", recording.ITEM)] ==
          list(range(len(payloads("life.dxr")))), "with tickets of their own")
    play("life.dxr", "kept.dxr", "--fast", "--keep-tickets")
    first = kinds("life.dxr", recording.ITEM)[0][1]
    check([t for _, t, _, _ in kinds("kept.dxr", recording.ITEM)] ==
          [t - first for _, t, _, _ in kinds("life.dxr", recording.ITEM)], "as far apart")
    play("life.dxr", "part.dxr", "--fast", "--from-ticket", "5", "--to-ticket", "14")
    check(payloads("part.dxr") == [sample_of(t) for t in (5, 6, 7, 8, 9, 12, 13, 14)], "a part")


def check_index_and_compression():
    """Large enough for an index; by ticket and by time."""
    publisher = Publisher("large", 16, 65536)
    plain = record("large", "large.dxr")
    packed = record("large", "packed.dxr", "--lz4")
    for _ in range(12):
        publisher.do("publish 8")
        count = 8 * (_ + 1)
        for path in ("large.dxr", "packed.dxr"):
            until(lambda p=path, c=count: len(payloads(p)) == c, "all is recorded")
    stop(plain)
    stop(packed)
    check(payloads("large.dxr") == [raw_of(t, 65536) for t in range(96)], "large items")
    check(payloads("packed.dxr") == payloads("large.dxr"), "compressed ones are the same")
    check(os.path.getsize("packed.dxr") * 3 < os.path.getsize("large.dxr"), "and smaller")
    (_, entries, _, index), = kinds("large.dxr", recording.INDEX)
    check(entries >= 5 and len(index) == entries * 24, f"{entries} entries in the index")
    for path in ("large.dxr", "packed.dxr"):
        text = dxh("replay", "--csv", "-", "--from-ticket", "70", "--to-ticket", "72", path)
        check([line.split(b",")[0] for line in text.splitlines() if line[:1].isdigit()] ==
              [b"70", b"71", b"72"], "by ticket")
    times = [found[2] for found in kinds("large.dxr", recording.ITEM)]
    since = (times[40] - times[0]) / 1e9
    text = dxh("replay", "--csv", "-", "--from", f"{since - 1e-7:.9f}", "large.dxr")
    lines = [line.split(b",")[0] for line in text.splitlines() if line[:1].isdigit()]
    check(lines == [str(t).encode() for t in range(40, 96)], f"by time: {lines[:3]}")
    publisher.end()


def comments_of(text):
    return [line for line in text.decode().splitlines() if line.startswith("#")]


def check_comments():
    """What happened is in the text of a recording as in one that was made as text."""
    told = comments_of(dxh("replay", "--csv", "-", "life.dxr"))
    check(told[0] == "# block life, epoch 0" and
          "overwritten before they were read" in told[1], f"{told}")
    check(told[-2:] == ["# before ticket 217, epoch 0: the producer died",
                        "# before ticket 217, epoch 1: a successor took over"], f"{told}")


def check_csv():
    publisher = Publisher("text")
    publisher.do("publish 20", "abort 1", "publish 1")
    dxh("record", "--format", "csv", "--start", "oldest", "--items", "21", "text")
    publisher.end()
    with open("text.csv", encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    check([row["ticket"] for row in rows] == [str(t) for t in (*range(20), 21)], "tickets")
    for row in rows:
        ticket = int(row["ticket"])
        check((int(row["minus"]), float(row["half"]), row["text"]) ==
              (-ticket, ticket / 2, f'"{ticket}'), f"row {ticket}: {row}")
        check(abs(float(row["time_s"]) - time.time()) < 3600, "the time of day")


def check_hdf5():
    import h5py
    subprocess.run([sys.executable, os.path.join(HERE, "../docs/examples/recording_to_hdf5.py"),
                    "life.dxr", "life.h5"], check=True, timeout=LIMIT)
    with h5py.File("life.h5") as file:
        items, tickets = file["0/items"], list(file["0/tickets"])
        check(list(items["ticket"]) == tickets and list(items["half"]) == [t / 2 for t in tickets],
              "members as columns")
        check(len(tickets) + sum(last - first + 1 for first, last, _ in file["0/missing"]) == 218,
              "and what is missing")


def records_of(whole):
    found, at = [], 16
    while at < len(whole):
        size = 40 + (int.from_bytes(whole[at:at + 8], "little") + 7) // 8 * 8
        found.append(bytearray(whole[at:at + size]))
        at += size
    return found


def summed(records):
    """With sums that are right."""
    for record in records:
        count, = struct.unpack_from("<Q", record)
        total = xxhash.xxh3_64_intdigest(bytes(record[:32] + record[40:40 + count]))
        record[32:40] = total.to_bytes(8, "little")
    return b"".join(records)


def check_end_of_time(whole):
    """Its items were published at the last nanosecond there is: nothing comes after."""
    records = records_of(whole)
    for record in records:
        if record[8] == recording.ITEM:
            struct.pack_into("<q", record, 24, 2**63 - 1)
    with open("late.dxr", "wb") as file:
        file.write(whole[:16] + summed(records))
    dxh("replay", "--csv", "-", "--from", "1", "late.dxr", code=1, says="no item of the recording")


def lie(records, chance):
    """A recording which says what no recorder would."""
    records = [bytearray(record) for record in records]
    for _ in range(chance.randrange(1, 4)):
        record = chance.choice(records)
        if chance.random() < 0.4:  # its kind, a flag, its ticket, its time
            at = chance.choice((8, 9, *range(16, 32)))
        elif chance.random() < 0.5:  # a number of its payload
            at = 40 + chance.randrange(max(1, min(48, len(record) - 40)))
        else:
            at = chance.randrange(40, len(record))
        for i in range(at, min(at + chance.choice((1, 8)), len(record))):
            if not 0 <= i < 8 and not 10 <= i < 16 and not 32 <= i < 40:
                record[i] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    if chance.random() < 0.3:
        chance.shuffle(records)
    return summed(records)


def check_lies(whole, chance):
    """Whatever it says, it is played or refused: as text, and as a block with all options."""
    records = records_of(whole)
    few = records[:4] + chance.sample(records[4:], 20)
    for turn in range(200):
        with open("lies.dxr", "wb") as file:
            file.write(whole[:16] + lie(chance.choice((records, few)), chance))
        options = (["--csv", "-"], ["--fast", "--as", "lies"],
                   ["--fast", "--as", "lies", "--keep-tickets"],
                   ["--csv", "-", "--from-ticket", "30"],
                   ["--csv", "-", "--from", "0.001", "--to", "1e9"])[turn % 5]
        run = subprocess.run([os.path.join(BUILD, "dxh"), "replay", *options, "lies.dxr"],
                             capture_output=True, timeout=LIMIT, check=False)
        check(run.returncode in (0, 1), f"{options}: {run.returncode} {run.stderr}")
        check(run.returncode == 0 or run.stderr, "and it is said why")


def check_broken_files():
    """Cut anywhere and changed anywhere: what is good before is played, the rest is told."""
    size = os.path.getsize("life.dxr")
    with open("life.dxr", "rb") as file:
        whole = file.read()
    whole_lines = dxh("replay", "--csv", "-", "life.dxr").splitlines()
    tried = 0
    chance = random.Random(7)
    for cut in [*range(size - 200, size, 7), *(chance.randrange(size) for _ in range(40))]:
        with open("broken.dxr", "wb") as file:
            file.write(whole[:cut])
        run = subprocess.run([os.path.join(BUILD, "dxh"), "replay", "--csv", "-", "broken.dxr"],
                             capture_output=True, timeout=LIMIT, check=False)
        check(run.returncode in (0, 1), f"cut at {cut}: {run.returncode} {run.stderr}")
        lines = run.stdout.splitlines()
        check(lines == whole_lines[:len(lines)], f"cut at {cut}: a prefix")
        tried += 1
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(size)] ^= 1 << chance.randrange(8)
        with open("broken.dxr", "wb") as file:
            file.write(changed)
        run = subprocess.run([os.path.join(BUILD, "dxh"), "replay", "--csv", "-", "broken.dxr"],
                             capture_output=True, timeout=LIMIT, check=False)
        check(run.returncode in (0, 1), f"changed: {run.returncode} {run.stderr}")
        lines = run.stdout.splitlines()
        check(lines == whole_lines[:len(lines)], "changed: never another item")
        tried += 1
    check(tried >= 190, "enough of them")

    check_end_of_time(whole)
    check_lies(whole, chance)
    publisher = Publisher("killed")
    recorder = record("killed", "killed.dxr")
    publisher.do("publish 30")
    until(lambda: len(kinds("killed.dxr", recording.ITEM)) == 30, "they are in the file")
    recorder.kill()
    recorder.wait(LIMIT)
    publisher.end()
    expect_tickets("killed.dxr", range(30))
    dxh("replay", "--fast", "killed.dxr", says="was not closed")


def check_full_disk():
    """What fits is good, and the rest of a record behind it is told as such."""
    publisher = Publisher("fits")
    publisher.do("publish 60")

    def with_little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3001, 3001))

    run = subprocess.run([os.path.join(BUILD, "dxh"), "record", "--quiet", "--start", "oldest",
                          "--items", "60", "--output", "fits.dxr", "fits"], capture_output=True,
                         text=True, check=False, preexec_fn=with_little_room)
    check(run.returncode == 1 and "File too large; up to there it is good" in run.stderr, f"{run}")
    rows = dxh("replay", "--csv", "-", "fits.dxr", code=1, says="its disk was full").splitlines()
    tickets = [int(row.split(b",")[0]) for row in rows if row[:1].isdigit()]
    check(len(tickets) > 10 and tickets == list(range(len(tickets))), f"what fits: {tickets}")
    publisher.end()


def check_hangups():
    """A terminal that is closed ends a recording well, and not one that nohup(1) began."""
    publisher = Publisher("hangup")
    left = record("hangup", "hangup.dxr")
    kept = subprocess.Popen([os.path.join(BUILD, "dxh"), "record", "--output", "nohup.dxr",
                             "hangup"], stdin=subprocess.DEVNULL,
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    until(lambda: os.path.exists("nohup.dxr") and os.path.getsize("nohup.dxr") > 16, "it began")
    for process in left, kept:
        process.send_signal(signal.SIGHUP)
    check(left.wait(LIMIT) == 0, "the recorder ended well")
    publisher.do("publish 30")
    until(lambda: len(kinds("nohup.dxr", recording.ITEM)) == 30, "it goes on")
    stop(kept)
    check(b"was not closed" not in subprocess.run(
        [os.path.join(BUILD, "dxh"), "replay", "--csv", "-", "hangup.dxr"], capture_output=True,
        check=True).stderr, "it was closed")
    publisher.end()


def check_broker():
    endpoint = f"ipc://@dxh-record-test-{os.getpid()}"
    broker = begin("broker", "--endpoint", endpoint)
    for said, how in ("asked.dxr", ["--broker", endpoint]), ("meant.dxr", []):
        os.environ["DXH_BROKER"] = "ipc://@dxh-nobody" if how else endpoint
        recorder = begin("record", *how, "--lossless", "--until-closed", "--output", said, "again")
        replay = begin("replay", *how, "--as", "again", "--lossless", "1", "--fast", "life.dxr")
        check(replay.wait(LIMIT) == 0 and recorder.wait(LIMIT) == 0, "by the name of a channel")
        check(payloads(said) == payloads("life.dxr"), "all of it")
    del os.environ["DXH_BROKER"]
    broker.terminate()
    broker.wait(LIMIT)


def check_tail():
    """Items as lines, of people and of programs, and what became of the producer."""
    publisher = Publisher("tail")
    publisher.do("publish 10")
    lines = dxh("tail", "--last", "3", "--items", "3", "tail").decode().splitlines()
    check([line.split()[0] for line in lines] == ["7", "8", "9"], f"the newest: {lines}")
    for part in ("minus=-7", "half=3.5", 'text=""7"'):
        check(part in lines[0], f"{part}: {lines[0]}")
    out = open("tail.json", "wb")
    follower = subprocess.Popen([os.path.join(BUILD, "dxh"), "tail", "--json", "--last", "10",
                                 "tail"], stdout=out, stdin=subprocess.DEVNULL)

    def told():
        with open("tail.json", encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    until(lambda: len(told()) == 10, "what was there")
    follower.send_signal(signal.SIGSTOP)
    publisher.do("publish 200")
    follower.send_signal(signal.SIGCONT)
    until(lambda: told()[-1].get("ticket") == 209, "the newest")
    publisher.kill()
    until(lambda: told()[-1].get("event") == "the producer died", "its death")
    publisher = Publisher("tail")
    publisher.do("publish 1")
    until(lambda: told()[-1].get("epoch") == 1, "its successor")
    publisher.end("close")
    publisher = Publisher("tail")
    publisher.do("publish 2")
    until(lambda: told()[-1].get("ticket") == 1, "the block that was made anew")
    stop(follower)
    out.close()
    at = 0
    for line in told():
        if line.get("event") == "the block was made anew":
            at = 0
        elif "lost" in line:
            check(line["lost_first"] == at, "a loss begins where it went on")
            at = line["lost_last"] + 1
        elif "ticket" in line:
            check(line["ticket"] == at, f"ticket {at}: {line}")
            check(line["item"]["minus"] == -at and line["item"]["text"] == f'"{at % 1000}',
                  f"{line}")
            at += 1
    dxh("tail", "--items", "1", "--every", "0.001", "tail")
    dxh("tail", code=2, says="follow what")
    shutil.copy(os.path.join(os.environ["DXH_SHM_DIR"], "tail.dxh"), "copy.dxh")
    for path in ("./copy.dxh", os.path.join(os.environ["DXH_SHM_DIR"], "tail.dxh")):
        lines = dxh("tail", "--last", "2", path).decode().splitlines()
        check([line.split()[0] for line in lines] == ["0", "1"], f"of a file: {lines}")
        check(len(dxh("tail", "--json", path).splitlines()) == 1, "its newest")
    dxh("tail", "./none.dxh", code=1, says="there is no file ./none.dxh")
    dxh("tail", "--dir", "/tmp", "./copy.dxh", code=2, says="--dir says nothing")
    for command, code in (("tail", 1), ("cat", 3), ("stat", 3)):
        dxh(command, "./life.dxr", code=code, says="next: `dxh replay --csv - FILE`")
    dxh("tail", "nobody/at/all", code=1, says="next: `dxh stat` lists")
    dxh("tail", "--broker", "ipc://@dxh-nobody", "x", code=1, says="no broker answers at")
    dxh("tail", "--every", "x", "tail", code=2, says="--every takes")
    publisher.end()


def check_refusals():
    dxh("record", code=2, says="record what?")
    dxh("record", "--lz4", "--format", "csv", "x", code=2, says="--lz4")
    dxh("record", "--seconds", "no", "x", code=2, says="--seconds takes")
    dxh("record", "./life.dxr", code=2, says="not a file")
    dxh("replay", code=2, says="which file")
    dxh("replay", "nothing.dxr", code=1, says="No such file")
    with open("text.dxr", "w", encoding="utf-8") as file:
        file.write("this is a letter, not a recording\n")
    dxh("replay", "text.dxr", code=1, says="no recording")
    publisher = Publisher("refused")
    publisher.do("publish 1")
    dxh("record", "--items", "1", "--start", "oldest", "refused")
    dxh("record", "--items", "1", "--start", "oldest", "refused", code=1, says="--replace")
    dxh("record", "--items", "1", "--start", "oldest", "--replace", "refused")
    dxh("record", "--lossless", "--items", "1", "refused", code=1, says="readers_max")
    publisher.end()
    if os.path.exists("/dev/full"):
        publisher = Publisher("full")
        publisher.do("publish 1")
        dxh("record", "--items", "1", "--start", "oldest", "--replace", "--output", "/dev/full",
            "full", code=1, says="No space left", times=1)
        publisher.end()


def main():
    work = tempfile.mkdtemp(prefix="dxh-record-")
    shm = tempfile.mkdtemp(prefix="dxh-record-", dir=os.environ.get("DXH_SHM_DIR") or "/dev/shm")
    os.environ["DXH_SHM_DIR"] = shm
    try:
        os.chdir(work)
        check_life_of_a_producer()
        check_the_checks()
        check_replay()
        check_deaths_under_load()
        check_blocks_and_zones_again()
        check_time()
        check_comments()
        check_index_and_compression()
        check_csv()
        check_hdf5()
        check_broken_files()
        check_full_disk()
        check_hangups()
        check_broker()
        check_tail()
        check_refusals()
    finally:
        os.chdir("/")
        shutil.rmtree(work)
        shutil.rmtree(shm)
    print(f"{checks} checks")
    if checks < 800:
        sys.exit("FAIL fewer than 800 checks")


main()
