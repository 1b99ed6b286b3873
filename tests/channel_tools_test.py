#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""stat, cat, tail, record, ls and top by the names of channels, through a broker.

The channel's block lies in a directory that only the broker can tell of.

Usage: channel_tools_test.py BUILD
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.path.realpath(sys.argv[1])
DXH = os.path.join(BUILD, "dxh")
LIMIT = 60
BROKER = f"ipc://@dxh-channel-tools-{os.getpid()}"
NAME = f"probe/{os.getpid()}"
checks = 0
running = []


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"FAIL {what}")


def until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, f"it never came: {what}")
        time.sleep(0.02)


def begin(*command, **options):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    running.append(process)
    return process


def end(process, sent=signal.SIGTERM, code=0):
    process.send_signal(sent)
    check(process.wait(LIMIT) == code, f"{process.args} ended with {process.returncode}")


def dxh(*arguments, code=0, says="", broker=None):
    """With `broker` in the environment."""
    environment = {**os.environ, "DXH_BROKER": broker} if broker else os.environ
    run = subprocess.run([DXH, *arguments], capture_output=True, text=True, timeout=LIMIT,
                         check=False, env=environment)
    said = run.stdout + run.stderr
    check(run.returncode == code, f"{arguments}: {run.returncode}, not {code}: {said}")
    for text in [says] if isinstance(says, str) else says:
        check(text in said, f"{arguments} does not say {text!r}: {said}")
    return run.stdout


def told(*arguments, **options):
    return json.loads(dxh(*arguments, "--json", **options))


def start_broker():
    broker = begin(DXH, "broker", "--endpoint", BROKER, "--beat-ms", "100", "--beats-missed", "15",
                   "--beats-kept", "1000", stdout=subprocess.DEVNULL)
    until(lambda: subprocess.run([DXH, "ls", "--broker", BROKER], capture_output=True,
                                 check=False).returncode == 0, "a broker")
    return broker


def produce(elsewhere):
    producer = begin(os.path.join(BUILD, "examples", "channel_produce"), BROKER, NAME,
                     env={**os.environ, "DXH_SHM_DIR": elsewhere})
    until(lambda: any(each["name"] == NAME and each["state"] == "live"
                      for each in told("ls", "--broker", BROKER)), "the channel")
    return producer


def names_of_channels(elsewhere, producer):
    for how in (["--broker", BROKER], []):
        broker = None if how else BROKER
        facts = told("stat", *how, NAME, broker=broker)
        check(facts["name"] == NAME and facts["path"].startswith(elsewhere + "/"), "stat")
        check(facts["producer"]["pid"] == producer.pid, "its producer")
        until(lambda h=how, b=broker: "volts" in dxh("cat", *h, NAME, broker=b), "cat")
        lines = dxh("tail", *how, "--items", "3", "--json", NAME, broker=broker).splitlines()
        check(all("volts" in json.loads(line)["item"] for line in lines), f"tail: {lines}")
        dxh("record", *how, "--items", "5", "--quiet", "--replace", "--output", "probe.dxr", NAME,
            broker=broker)
        rows = [line for line in dxh("replay", "--csv", "-", "probe.dxr").splitlines()
                if line[:1].isdigit()]
        check(len(rows) == 5, f"record: {rows}")
        block, = [each for each in told("top", *how, "--every", "0.2", broker=broker)
                  if each["name"] == NAME]
        check(block["producer"] == "alive" and block["items_s"] > 0, f"top: {block}")
    dxh("stat", "--dir", elsewhere, NAME, says="alive", broker="ipc://@nobody-is-asked")


def names_are_not_found_without(elsewhere):
    """The control: nothing of this works but through the broker."""
    dxh("stat", NAME, code=3, says="DXH_ENOTFOUND")
    dxh("cat", NAME, code=3, says="DXH_ENOTFOUND")
    dxh("stat", "--broker", BROKER, "no/such", code=3, says=["knows no channel", "dxh ls", "--dir"])
    for command in (["stat", NAME], ["cat", NAME]):
        dxh(*command, "--broker", BROKER, "--dir", elsewhere, code=2, says="--broker or --dir")
        dxh(*command, "--broker", "ipc://@nobody-listens", code=3, says="no broker answers at")
    for command in (["tail", NAME], ["record", NAME], ["top"]):
        dxh(*command, "--broker", BROKER, "--dir", elsewhere, code=2, says="--broker or --dir")
    dxh("top", "--once", "--broker", "ipc://@nobody-listens", code=1, says="no broker answers at")
    dxh("ls", "--watch", "--timeout", "50", "--broker", "ipc://@nobody-listens", code=1,
        says="no broker answers at ipc://@nobody-listens\nnext: ")
    dxh("ls", "--broker", "ipc://@nobody-listens", "--timeout", "50", code=1, says="dxh broker")
    dxh("ls", "--timeout", "50", code=1, says="dxh broker", broker="ipc://@nobody-listens")


def lists_are_narrowed(elsewhere):
    """By how a name begins; and blocks by their directory, or one file, without a broker."""
    for begin, found in ((NAME, 1), (NAME[:4], 1), ("probf", 0), (NAME + "x", 0)):
        check(len(told("ls", "--broker", BROKER, begin)) == found, f"channels from {begin}")
        check(len(told("ls", "--dir", elsewhere, begin)) == found, f"blocks from {begin}")
    dxh("ls", "--broker", BROKER, "probf", says="knows no channel that begins with probf")
    path, = [os.path.join(elsewhere, each) for each in os.listdir(elsewhere)
             if each.endswith(".dxh")]
    check(dxh("ls", "--dir", elsewhere).splitlines()[1].startswith(NAME + " "), "a block")
    check(dxh("ls", path, broker=BROKER).splitlines()[1].startswith(path + " "), "a file")
    check(told("ls", path)[0]["name"] == path, "a file for programs")
    check(dxh("ls", "--dir", elsewhere + "/no", "--json", code=1, says="No such file") == "",
          "no half a list")
    dxh("ls", elsewhere + "/none.dxh", "--json", code=1, says="there is no file")
    for how in (), ("--json",):
        check(dxh("ls", *how, __file__, code=1, says="next: ") == "", "no list of what is no block")
    dxh("ls", "--dir", elsewhere, "--broker", BROKER, code=2, says="without a broker")
    dxh("ls", "--dir", elsewhere, "--watch", code=2, says="without a broker")
    dxh("ls", "--watch", NAME, code=2, says="are of all channels")
    dxh("ls", NAME, "more", code=2, says="one NAME at a time")


def blocks_where_no_broker_is(elsewhere):
    """Who did not name one wants to see what is there; programs are told that none answers."""
    place = f"/tmp/dxh-{os.getuid()}/broker"
    if os.path.exists(place):
        print(f"skipped: a broker may listen at {place}")
        return
    listed = dxh("ls", "--dir", elsewhere)
    environment = {**os.environ, "DXH_SHM_DIR": elsewhere}
    for arguments, code, out in ((["--timeout", "50"], 0, True),
                                 (["--timeout", "50", "--json"], 1, False),
                                 (["--timeout", "50", "--consumers"], 1, False)):
        run = subprocess.run([DXH, "ls", *arguments], capture_output=True, text=True,
                             timeout=LIMIT, check=False, env=environment)
        check(run.returncode == code and "no broker answers at" in run.stderr, f"{run}")
        check(run.stdout.split()[:12] == (listed.split()[:12] if out else []), f"{run}")


def consumers_are_shown(elsewhere):
    tail = begin(DXH, "tail", "--broker", BROKER, NAME, stdout=subprocess.DEVNULL)

    def seen():
        channel, = [each for each in told("ls", "--consumers", "--broker", BROKER)
                    if each["name"] == NAME]
        return [each for each in channel["consumer_list"] if each["pid"] == tail.pid]

    until(lambda: seen() and seen()[0]["read"] > 0, "a consumer with its figures")
    consumer, = seen()
    check(consumer["discipline"] == "follow" and consumer["lost"] == 0, f"{consumer}")
    dxh("ls", "--consumers", "--broker", BROKER, says=f"consumer {tail.pid} ")
    dxh("stat", "--broker", BROKER, NAME, says=[f"consumer {tail.pid} dxh, follow: read ",
                                                "live, serves requests at ipc://",
                                                "followers 0 unobserved"])
    facts = told("stat", "--broker", BROKER, NAME)
    consumer, = facts["channel"]["consumers"]
    check(consumer["pid"] == tail.pid and consumer["lost"] == 0, f"stat: {facts}")
    check(facts["channel"]["state"] == "live" and facts["followers"] == [], f"stat: {facts}")
    check("channel" not in told("stat", "--dir", elsewhere, NAME), "nothing of it without a broker")
    dxh("stat", "--dir", elsewhere, NAME, says=f"pid {tail.pid}, ")
    block, = [each for each in told("top", "--broker", BROKER, "--every", "0.1")
              if each["name"] == NAME]
    check(tail.pid in [each["pid"] for each in block["consumers"]], f"top: {block}")
    check(block["followers"] == 1 and block["readers"] == [], f"it has it mapped: {block}")
    dxh("top", "--once", "--every", "0.1", "--broker", BROKER, says=f"consumer {tail.pid} ")
    return tail


def top_on_a_screen(broker, tail):
    """It shows channels and consumers, survives the broker, and comes back to it."""
    socket = f"dxh-channel-top-{os.getpid()}"
    tmux = ["tmux", "-L", socket, "-f", "/dev/null"]

    def screen():
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True,
                              check=False).stdout

    def until_screen(pattern):
        until(lambda: re.search(pattern, screen(), re.MULTILINE), f"{pattern} on the screen")

    subprocess.run([*tmux, "new-session", "-d", "-x", "140", "-y", "14",
                    f"env LANG=C.UTF-8 '{DXH}' top --broker '{BROKER}' --every 0.1; "
                    "echo ended with $?; cat"], check=True)
    try:
        until_screen(rf"^{NAME} +alive +\d+ +[1-9].*[▁-█]")
        until_screen(rf"└ consumer {tail.pid} +follow +\d+ behind")
        end(broker)
        until_screen("^dxh top .*the broker does not answer")
        until_screen(rf"^{NAME} +alive +\d+ +[1-9]")
        broker = start_broker()
        until_screen(rf"└ consumer {tail.pid} ")
        check("does not answer" not in screen(), "and it is asked again")
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        until_screen("^ended with 0")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)
    return broker


def a_restart_is_followed(elsewhere, producer):
    """tail and record go on in the next block, and say so."""
    with open("tail.json", "wb") as out:
        tail = begin(DXH, "tail", "--broker", BROKER, "--json", NAME, stdout=out)

    def lines():
        with open("tail.json", encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    recorder = begin(DXH, "record", "--broker", BROKER, "--quiet", "--output", "restart.dxr", NAME)
    until(lambda: len(lines()) > 5 and os.path.exists("restart.dxr"), "items")
    until(lambda: os.path.getsize("restart.dxr") > 1000, "a recording")
    end(producer, signal.SIGKILL, -signal.SIGKILL)
    until(lambda: lines()[-1].get("event") == "the producer died", "its death")
    dxh("gc", "--dir", elsewhere, says="somebody has it open")  # followers keep it
    subprocess.run(["rm", *[os.path.join(elsewhere, each) for each in os.listdir(elsewhere)]],
                   check=True)
    until(lambda: told("ls", "--broker", BROKER)[0]["state"] == "pending", "the broker knows")
    producer = produce(elsewhere)
    until(lambda: {"event": "the block was made anew"} in lines(), "the next block")
    until(lambda: lines()[-1].get("ticket", -1) > 5, "its items")
    end(tail, signal.SIGINT)
    end(recorder, signal.SIGINT)
    after = lines()[lines().index({"event": "the block was made anew"}) + 1:]
    tickets = [line["ticket"] for line in after if "ticket" in line]
    check(tickets == list(range(len(tickets))), f"from the first on: {tickets[:5]}")
    rows = [line for line in dxh("replay", "--csv", "-", "restart.dxr").splitlines()]
    values = [float(row.split(",")[-1]) for row in rows if row[:1].isdigit()]
    check(0.5 in values and values.index(0.5) > 0, "both blocks are in the recording")
    return producer


def main():
    work = tempfile.mkdtemp(prefix="dxh-channel-tools-")
    shm = tempfile.mkdtemp(prefix="dxh-ct-", dir=os.environ.get("DXH_SHM_DIR") or "/dev/shm")
    elsewhere = tempfile.mkdtemp(prefix="dxh-cte-", dir=os.environ.get("DXH_SHM_DIR") or "/dev/shm")
    os.environ["DXH_SHM_DIR"] = shm
    os.environ.pop("DXH_BROKER", None)
    os.chdir(work)
    try:
        broker = start_broker()
        producer = produce(elsewhere)
        names_of_channels(elsewhere, producer)
        names_are_not_found_without(elsewhere)
        lists_are_narrowed(elsewhere)
        blocks_where_no_broker_is(elsewhere)
        tail = consumers_are_shown(elsewhere)
        broker = top_on_a_screen(broker, tail)
        end(tail, signal.SIGINT)
        producer = a_restart_is_followed(elsewhere, producer)
        asked = subprocess.run([os.path.join(BUILD, "examples", "channel_consume"), BROKER, NAME],
                               capture_output=True, text=True, timeout=LIMIT, check=False)
        check(asked.stdout.endswith("goodbye\n"), f"the end by request: {asked}")
        check(producer.wait(LIMIT) == 0, "the producer ended well")
        end(broker)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
        os.chdir("/")
        for directory in (work, shm, elsewhere):
            shutil.rmtree(directory)
    print(f"{checks} checks")
    if checks < 90:
        sys.exit("FAIL fewer than 90 checks")


main()
