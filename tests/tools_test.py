#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dxh stat, check, recover and gc, in every situation that a block can be in.

Usage: tools_test.py BUILD
"""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from scenes import DXH, Scenes  # noqa: E402

checks = 0
scenes = None


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("FAIL " + what)


def expect(run, code, *texts):
    """It ends so, and says these on either stream."""
    said = run.stdout + run.stderr
    check(run.returncode == code, f"{run.args[1:]}: exit {run.returncode}, not {code}: {said}")
    for text in texts:
        check(text in said, f"{run.args[1:]} does not say {text!r}: {said}")
    check("\033" not in said, f"{run.args[1:]} prints escapes: {said!r}")
    return run


def told(code, *arguments):
    """What it tells programs."""
    run = scenes.dxh(*arguments, "--json")
    check(run.returncode == code, f"{arguments}: exit {run.returncode}, not {code}: {run.stderr}")
    return json.loads(run.stdout)


def rules(report):
    return {finding["rule"]: finding for finding in report["findings"]}


def files():
    found = {}
    for name in sorted(os.listdir(scenes.directory)):
        with open(scenes.path(name), "rb") as file:
            found[name] = file.read()
    return found


# ---- stat ----


def stat_of_a_live_block():
    pid = scenes.begin("lagging", "plant/camera")
    facts = told(0, "stat", "plant/camera")
    check(facts["name"] == "plant/camera", "name")
    check(facts["path"] == scenes.path("plant+camera.dxh"), "path")
    check(facts["producer"]["state"] == "alive" and facts["producer"]["pid"] == pid, "producer")
    check(facts["producer"]["same_boot"] and facts["producer"]["started_realtime_ns"] > 0, "start")
    check([zone["name"] for zone in facts["zones"]] == ["telemetry", "notes"], "zones")
    check(facts["zones"][0]["struct"] == "telemetry" and facts["zones"][1]["struct"] == "", "structs")
    ring = facts["ring"]
    check((ring["policy"], ring["slot_count"], ring["slots_physical"]) == ("ring", 8, 10), "ring")
    check((ring["checksum"], ring["struct"]) == ("xxh3", "sample"), "items")
    check((ring["head"], ring["oldest"]) == (8, 0), "tickets")
    check(ring["oldest_age_ns"] >= ring["newest_age_ns"] > 0, "ages")
    check(facts["counters"]["items"] == 8 and facts["counters"]["bytes"] == 8 * 64, "counters")
    check(facts["counters"]["write_max_ns"] > 0, "the longest write")
    (reader,) = facts["readers"]
    check((reader["pid"], reader["state"], reader["lag"]) == (pid, "lagging", 8), "reader")
    check(reader["lag_ns"] > 0 and reader["next_ticket"] == 0, "lag")
    check(facts["followers"] == [] and facts["unlinked"] is False, "nobody else")
    expect(scenes.dxh("stat", "plant/camera"), 0, "alive", f"pid {pid}", "lagging", "head 8", "8 items")
    scenes.end("plant/camera")


def stat_of_a_dead_block():
    check(scenes.make("died", "dead") == -signal.SIGKILL, "it was killed")
    facts = told(0, "stat", "dead")
    check(facts["producer"]["state"] == "dead" and facts["ring"]["oldest"] == 1, "facts of the dead")
    expect(scenes.dxh("stat", "dead"), 0, "dead", "start a producer")


def stat_of_a_copy():
    scenes.make("died-writing", "origin")
    copy = scenes.path("copy.image")
    shutil.copy(scenes.path("origin.dxh"), copy)
    facts = told(0, "stat", copy)
    check(facts["name"] == "origin" and facts["path"] == copy, "a copy knows its origin")
    check(facts["producer"]["state"] == "unknown", "but not who lives")
    check(facts["readers_status"] == "DXH_ESTATE", "and not who reads")
    expect(scenes.dxh("stat", copy), 0, "unknown", "a copy does not tell")
    expect(scenes.dxh("stat", "./copy.image", cwd=scenes.directory), 0, "origin")


def followers_without_rows_are_found():
    pid = scenes.begin("alive", "watched")
    other = scenes.begin("followers", "watched", "watchers")
    facts = told(0, "stat", "watched")
    (follower,) = facts["followers"]
    check((follower["pid"], follower["unobserved"]) == (other, 2), "two in one process")
    check(follower["command"] == '\033[31mred"', "its name as it is, in JSON")
    check(facts["producer"]["pid"] == pid, "the producer is no follower")
    expect(scenes.dxh("stat", "watched"), 0, "2 unobserved", '"\\x1b[31mred"": 2')
    scenes.end("watchers")
    check(told(0, "stat", "watched")["followers"] == [], "gone with its process")
    scenes.end("watched")


def all_blocks_are_listed():
    expect(scenes.dxh("stat"), 0, "no block in")
    scenes.make("closed", "a/b")
    scenes.make("died", "c")
    with open(scenes.path("broken.dxh"), "wb") as file:
        file.write(b"no block" * 1000)
    listed = told(0, "stat")
    check([block["name"] for block in listed] == ["a/b", "broken", "c"], "in order")
    check([block.get("producer") for block in listed] == ["closed", None, "dead"], "states")
    check("DXH_ECORRUPT" in listed[1]["error"], "what is broken is said")
    expect(scenes.dxh("stat"), 0, "BLOCK", "a/b", "closed", "DXH_ECORRUPT")


# ---- check ----


def check_of_blocks_in_order():
    scenes.begin("alive", "live")
    report = told(0, "check", "live")
    check(report["findings"] == [] and report["items_verified"] == 9, "nothing is found")
    expect(scenes.dxh("check", "live"), 0, "in order", "producer alive", "9 items verified")
    scenes.end("live")
    scenes.make("died-writing", "notes")
    before = files()
    report = told(0, "check", "notes")
    check(set(rules(report)) == {"producer-dead", "slot-unfinished"}, "two notes")
    check(report["notes"] == 2 and report["warnings"] == report["errors"] == 0, "counted")
    check(files() == before, "nothing is changed")


def check_finds_what_is_wrong():
    scenes.make("died-announcing", "broken")
    finding = rules(told(1, "check", "broken"))["head-lags"]
    check((finding["severity"], finding["repair"]) == ("warning", "recover"), "weight")
    check((finding["file"], finding["offset"]) == ("data", 384), "place")
    check(finding["meaning"] and finding["advice"], "meaning and advice")
    expect(scenes.dxh("check", "broken"), 1, "head-lags", "not in order", "next: `dxh recover broken`")
    with open(scenes.path("broken.dxh"), "r+b") as file:
        file.seek(100)
        file.write(b"\xff")
    report = told(1, "check", "broken")
    check(report["readable"] is False and report["errors"] > 0, "an error")
    check("header-checksum" in rules(report), "which rule")
    check(set(rules(told(1, "check", scenes.path("broken.dxh")))) >= {"header-checksum"}, "as a file")


def items_are_verified():
    scenes.make("closed", "items")
    with open(scenes.path("items.dxh"), "r+b") as file:
        image = file.read()
        at = image.rindex((5).to_bytes(8, "little") + bytes(56))  # slots lie behind all else
        file.seek(at + 20)
        file.write(b"x")
    finding = rules(told(1, "check", "items"))["item-checksum"]
    check("ticket 5" in finding["detail"], "which item")
    expect(scenes.dxh("check", "items"), 1, "item-checksum")
    check("readers count it as lost" in finding["advice"], "what becomes of it")


def texts_of_a_hostile_block_are_harmless():
    scenes.make("closed", "plain")
    evil = scenes.path("\033]0;owned\007\n.image")
    os.rename(scenes.path("plain.dxh"), evil)
    expect(scenes.dxh("stat", evil), 0, "\\x1b]0;owned\\x07\\x0a.image")
    check(told(0, "stat", evil)["path"] == evil, "whole in JSON")
    expect(scenes.dxh("check", evil), 0, "\\x1b]0;owned")
    expect(scenes.dxh("check", "no\033[31msuch"), 3, "0x1b")
    expect(scenes.dxh("stat", "--dir", "/\033x", "name"), 3, "/?x/name.dxh")
    expect(scenes.dxh("stat", "--dir", "/\033x"), 3, "/\\x1bx")
    expect(scenes.dxh("stat", "a", "\033[1m"), 2, "\\x1b[1m")
    # No UTF-8: still JSON.
    worse = scenes.path("image").encode() + b"\xff\xc0\xaf\xed\xa0\x80"
    os.rename(evil, worse)
    run = subprocess.run([DXH, "stat", "--json", worse], capture_output=True, check=False)
    check(run.returncode == 0 and json.loads(run.stdout)["path"].endswith("\ufffd" * 6), "UTF-8")


# ---- recover ----


def recover_acts_only_when_told():
    scenes.make("died-announcing", "crashed")
    before = files()
    report = told(1, "recover", "crashed")
    check((report["to_repair"], report["repaired"], report["apply"]) == (1, 0, False), "a dry run")
    expect(scenes.dxh("recover", "crashed"), 1, "head-lags", "nothing was changed", "dxh recover --apply crashed")
    check(files() == before, "nothing is changed")
    report = told(0, "recover", "--apply", "crashed")
    check((report["to_repair"], report["repaired"]) == (0, 1), "done")
    facts = told(0, "stat", "crashed")
    check(facts["ring"]["head"] == 10, "head is where the slots are")
    check(facts["counters"]["recoveries"] == 1 and facts["counters"]["recovered_by"] > 0, "recorded")
    before = files()
    expect(scenes.dxh("recover", "--apply", "crashed"), 0, "nothing to repair")
    check(files() == before, "a second time changes nothing")
    check(told(0, "stat", "crashed")["counters"]["recoveries"] == 1, "nor counts")


def each_repair_is_one_that_can_be_seen():
    scenes.make("reader-died", "rows")
    os.unlink(scenes.path("rows.lock"))
    report = told(0, "recover", "--apply", "rows")
    done = {rule for rule, finding in rules(report).items() if finding["repair"] == "done"}
    check(done == {"row-stale", "lock-missing"}, f"what was done: {done}")
    os.unlink(scenes.path("rows.ctl"))
    check("control-missing" in rules(told(1, "check", "rows")), "the control file")
    expect(scenes.dxh("recover", "--apply", "rows"), 0, "control-missing", "repaired")
    expect(scenes.dxh("check", "rows"), 0, "in order")


def a_live_producer_is_left_alone():
    pid = scenes.begin("alive", "busy")
    before = files()
    for apply in ([], ["--apply"]):
        run = expect(
            scenes.dxh("recover", *apply, "busy"), 3, f"pid {pid}", "DXH_EBUSY", "stop it first",
            "next: ", "restart it",
        )
        check("owner_wait_ns" not in run.stderr, "recover cannot wait")
    check(files() == before, "nothing is changed")
    scenes.end("busy")


def what_a_live_producer_lacks_is_for_its_restart():
    scenes.begin("alive", "lacking")
    os.unlink(scenes.path("lacking.ctl"))
    run = expect(scenes.dxh("check", "lacking"), 1, "restart the producer if one lives")
    check("next:" not in run.stdout, f"recover is no help: {run.stdout}")
    finding = rules(told(1, "check", "lacking"))["control-missing"]
    check(finding["repair"] == "none", "nothing is repaired under a living producer")
    scenes.end("lacking")
    expect(scenes.dxh("check", "lacking"), 1, "next: `dxh recover lacking`")
    scenes.begin("alive", "lacking")
    expect(scenes.dxh("check", "lacking"), 0, "in order")
    scenes.end("lacking")


def what_is_beyond_repair_is_said():
    scenes.make("closed", "beyond")
    with open(scenes.path("beyond.dxh"), "r+b") as file:
        file.seek(100)
        file.write(b"\xff")
    before = files()
    expect(scenes.dxh("recover", "--apply", "beyond"), 1, "header-checksum", "nobody can repair", "next: ")
    check(files() == before, "nothing is changed")


# ---- gc ----


def gc_acts_only_when_told():
    scenes.make("closed", "ended")
    scenes.make("died", "dead")
    scenes.begin("alive", "used")
    scenes.make("closed", "left")
    os.unlink(scenes.path("left.dxh"))
    with open(scenes.path("other.dxh"), "wb") as file:
        file.write(b"mine")
    before = files()
    report = told(1, "gc")
    verdicts = {entry["name"]: (entry["kind"], entry["verdict"]) for entry in report["entries"]}
    check(
        verdicts == {
            "ended": ("block", "removable"), "dead": ("block", "removable"),
            "used": ("block", "kept"), "left": ("leftover", "removable"),
            "other": ("foreign", "kept"),
        },
        f"verdicts: {verdicts}",
    )
    check(all(entry["reason"] for entry in report["entries"]), "each with its reason")
    check((report["kept"], report["removable"], report["removed"]) == (2, 3, 0), "counted")
    expect(scenes.dxh("gc"), 1, "nothing was removed", "next: dxh gc --apply")
    check(files() == before, "nothing is changed")
    report = told(1, "gc", "--keep-closed")
    check(report["removable"] == 2, "one less when closed ones are kept")
    expect(scenes.dxh("gc", "--apply"), 0, "removed", "dead", "2 kept, 3 removed")
    check(set(files()) == {"used.dxh", "used.ctl", "used.lock", "other.dxh"}, f"left: {set(files())}")
    expect(scenes.dxh("gc", "--apply"), 0, "0 removed")
    scenes.end("used")


def gc_removes_sockets_that_nobody_listens_to():
    """Never one that is listened to, has just been made, or is no channel's."""
    folder = tempfile.mkdtemp()
    here = lambda name: os.path.join(folder, name)  # noqa: E731
    dead, full, just, busy, foreign = "0a" * 16, "1b" * 16 + ".full", "2c" * 16, "3d" * 16, "broker"
    held = []
    for name in (dead, full, just, busy, foreign):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].bind(here(name))
        held[-1].listen()
        if name != just:
            os.utime(here(name), (0, 0))
    for each in (*held[:3], held[4]):
        each.close()
    with open(here("4e" * 16), "w", encoding="ascii"):
        os.utime(here("4e" * 16), (0, 0))
    report = told(1, "gc", "--sockets", folder)
    check([(each["name"], each["kind"], each["verdict"]) for each in report["entries"]] ==
          [(dead, "socket", "removable"), (full, "socket", "removable")], f"{report}")
    check((report["removable"], report["removed"]) == (2, 0), "counted")
    check(len(os.listdir(folder)) == 6, "nothing is changed")
    expect(scenes.dxh("gc", "--sockets", folder, "--apply"), 0, "nobody listens", "2 removed")
    check(set(os.listdir(folder)) == {just, busy, foreign, "4e" * 16}, "those two")
    check(told(0, "gc", "--sockets", folder)["entries"] == [], "nothing more")
    os.chmod(folder, 0o777)
    expect(scenes.dxh("gc", "--sockets", folder), 3, folder, "must be yours")
    expect(scenes.dxh("gc", "--sockets", here("none")), 3, "No such file")
    shutil.rmtree(folder)


# ---- all of them ----


def refusals_say_what_to_do():
    expect(scenes.dxh("stat", "nobody"), 3, "DXH_ENOTFOUND", "next: `dxh stat` lists")
    expect(scenes.dxh("check", "nobody"), 3, "DXH_ENOTFOUND")
    expect(scenes.dxh("recover", "nobody"), 3, "DXH_ENOTFOUND")
    expect(scenes.dxh("gc", "--dir", scenes.path("nowhere")), 3, "DXH_ENOTFOUND")
    expect(scenes.dxh("stat", "--dir", scenes.path("nowhere")), 3, "No such file")
    for command in ("check", "recover"):
        expect(scenes.dxh(command), 2, "which block?", f"dxh {command} --help")
    expect(scenes.dxh("stat", "a", "b"), 2, "one block at a time")
    expect(scenes.dxh("recover", "/tmp/file"), 2, "name a block, not a file")
    expect(scenes.dxh("check", "--dir", "/tmp", "/tmp/file"), 2, "--dir says nothing")
    expect(scenes.dxh("gc", "name"), 2, 'what is "name"?')
    expect(scenes.dxh("stat", "--apply", "x"), 2)
    expect(scenes.dxh("check", "--owner", "no-such-user", "x"), 2, "--owner")
    expect(scenes.dxh("check", "--key", scenes.path("no.key"), "x"), 2, "No such file")
    with open(scenes.path("short.key"), "wb") as file:
        file.write(bytes(31))
    expect(scenes.dxh("check", "--key", scenes.path("short.key"), "x"), 2, "exactly 32 bytes")
    for command in ("stat", "check", "recover", "gc"):
        expect(scenes.dxh(command, "--help"), 0, "usage:", "example:", "exit status:")
        expect(scenes.dxh("help", command), 0, "usage:")


def a_full_disk_is_told():
    scenes.make("closed", "full")
    for command, code in (
        (["stat", "full"], 3), (["check", "full", "--json"], 3), (["gc"], 3),
        (["recover", "full"], 3), (["cat", "full"], 3), (["size", "--slot", "8", "--slots", "4"], 3), (["top", "--once"], 1),
        (["doctor"], 1), (["doctor", "--json"], 1), (["keygen", "full.key"], 1), (["--help"], 1),
        (["--version"], 1), (["help", "ls"], 1), (["ls", "--help"], 1),
    ):
        with open("/dev/full", "w", encoding="ascii") as full:
            run = subprocess.run(
                [DXH, *command], env=scenes.environment, stdout=full, stderr=subprocess.PIPE,
                text=True, check=False, cwd=scenes.directory,
            )
        check(run.returncode == code, f"{command} onto a full disk: exit {run.returncode}")
        check("cannot write" in run.stderr, f"{command}: {run.stderr}")


def a_name_that_was_taken_away_is_told():
    pid = scenes.begin("alive", "taken")
    other = scenes.begin("followers", "taken", "watchers")
    os.unlink(scenes.path("taken.dxh"))
    expect(
        scenes.dxh("stat", "taken"), 3, "unlinked under its users", f"pid {pid}", "produces",
        f"pid {other}", "reads", "next: restart its producer",
    )
    link = scenes.dxh("stat", "taken").stderr.split("`")[1].split()[-1]
    facts = told(0, "stat", link)
    check(facts["name"] == "taken" and facts["unlinked"] is True, "by its descriptor")
    expect(scenes.dxh("stat", link), 0, "its name was removed")
    scenes.end("watchers")
    scenes.end("taken")
    expect(scenes.dxh("check", "taken"), 3, "next: `dxh stat` lists")


def blocks_of_strangers_need_consent():
    if os.geteuid() != 0:
        return
    scenes.make("closed", "theirs")
    os.chown(scenes.path("theirs.dxh"), 12345, 12345)
    expect(scenes.dxh("check", "theirs"), 3, "DXH_EACCESS", "--owner")
    expect(scenes.dxh("stat", "--owner", "12345", "theirs"), 0, "owner 12345")
    expect(scenes.dxh("top", "--once", "--every", "0.1"), 0, "denied")


def what_is_no_file_is_told():
    scenes.make("closed", "real")
    os.symlink(scenes.path("real.dxh"), scenes.path("led.dxh"))
    os.mkfifo(scenes.path("fifo.dxh"))
    os.mkdir(scenes.path("folder.dxh"))
    for name in ("led", "fifo", "folder"):
        run = expect(scenes.dxh("stat", name), 3, "next: no block lies at this name")
        check("as root" not in run.stderr, run.stderr)
        run = expect(scenes.dxh("check", scenes.path(name + ".dxh")), 3, "next: name the data file")
        check("as root" not in run.stderr, run.stderr)
    expect(scenes.dxh("cat", "--ticket", "8", "real"), 0)
    run = expect(scenes.dxh("cat", "--ticket", "9", "real"), 3, "not published yet", "next one is 9")
    check("aborted" not in run.stderr, run.stderr)


def on_terminal(environment, *arguments):
    """What it prints when standard output is a terminal."""
    main, terminal = pty.openpty()
    process = subprocess.Popen([DXH, *arguments], env=environment, stdout=terminal)
    os.close(terminal)
    said = b""
    try:
        while piece := os.read(main, 4096):
            said += piece
    except OSError:
        pass  # how Linux says that nobody has the other end any more
    os.close(main)
    process.wait(timeout=60)
    return said


def colour_is_for_terminals():
    scenes.make("died-announcing", "coloured")
    for command in (["stat", "coloured"], ["check", "coloured"], ["recover", "coloured"], ["gc"]):
        colour = dict(scenes.environment, TERM="xterm")
        colour.pop("NO_COLOR", None)
        check(b"\033[" in on_terminal(colour, *command), f"{command} without colour")
        for plain in (dict(colour, NO_COLOR="1"), dict(colour, TERM="dumb")):
            check(b"\033[" not in on_terminal(plain, *command), f"{command} in colour")


SITUATIONS = (
    stat_of_a_live_block,
    stat_of_a_dead_block,
    stat_of_a_copy,
    followers_without_rows_are_found,
    all_blocks_are_listed,
    check_of_blocks_in_order,
    check_finds_what_is_wrong,
    items_are_verified,
    texts_of_a_hostile_block_are_harmless,
    recover_acts_only_when_told,
    each_repair_is_one_that_can_be_seen,
    a_live_producer_is_left_alone,
    what_a_live_producer_lacks_is_for_its_restart,
    what_is_beyond_repair_is_said,
    gc_acts_only_when_told,
    gc_removes_sockets_that_nobody_listens_to,
    refusals_say_what_to_do,
    a_full_disk_is_told,
    a_name_that_was_taken_away_is_told,
    blocks_of_strangers_need_consent,
    what_is_no_file_is_told,
    colour_is_for_terminals,
)

for situation in SITUATIONS:
    print(situation.__name__)
    with Scenes() as scenes:
        situation()
for place in ("/tmp", "/var/tmp", "."):
    if subprocess.run(
        ["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=False
    ).stdout.strip() not in ("", "tmpfs"):
        print("a_name_that_was_taken_away_is_told, no tmpfs")
        with Scenes(place=os.path.abspath(place)) as scenes:
            a_name_that_was_taken_away_is_told()
        break
else:
    print("skipped: no file system but tmpfs for a_name_that_was_taken_away_is_told")
print(f"{checks} checks in {len(SITUATIONS)} situations")
assert checks >= 150
