#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dxh cat: every type by its member, whole or not shown, also of blocks made to harm; and
docs/examples/read_block.py, which knows docs/block-format.md alone, says the same.

Usage: cat_test.py BUILD
"""

import json
import os
import pty
import resource
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
import forge  # noqa: E402
from scenes import BUILD, DXH, Scenes  # noqa: E402

CONTENT = os.path.join(BUILD, "content")
READ_BLOCK = "docs/examples/read_block.py"
checks = 0
scenes = None


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"FAIL {what}")


def cat(code, *arguments):
    run = scenes.dxh("cat", *arguments)
    check(run.returncode == code, f"{arguments}: exit {run.returncode}, not {code}: {run.stdout}{run.stderr}")
    check("\033" not in run.stdout + run.stderr, f"{arguments} prints escapes: {run.stdout!r}")
    return run


def shown(code, *arguments):
    run = cat(code, *arguments)
    return run.stdout + run.stderr


def told(code, *arguments):
    return json.loads(cat(code, *arguments, "--json").stdout)


def read_block(path):
    run = subprocess.run(["/usr/bin/python3", READ_BLOCK, path], capture_output=True, text=True, check=False,
                         timeout=60)
    check(run.returncode == 0, f"read_block.py: {run.stderr}")
    return json.loads(run.stdout)


def same_for_both(name, path):
    """What the two say of one block; returns it."""
    ours, theirs = told(0, name), read_block(path)
    for zone, other in zip(ours["zones"], theirs["zones"], strict=True):
        check((zone["name"], zone["value"]) == (other["name"], other["value"]), f"{zone} and {other}")
    for slot, other in zip(ours["slots"], theirs["slots"], strict=True):
        check({key: slot[key] for key in other} == other, f"{slot} and {other}")
    return ours


# ---- values ----


def every_type_has_its_value():
    scenes.make("rich", "plant/rich")
    value = told(0, "--zone", "everything", "plant/rich")["zones"][0]["value"]
    wanted = {
        "moves": 42, "u8": 255, "i8": -128, "u16": 65535, "i16": -32768, "u32": 2**32 - 1,
        "i32": -(2**31), "i64": -(2**63), "f32": struct.unpack("f", struct.pack("f", 0.1))[0], "f64": 0.1,
        "odd": ["nan", "-inf", 1e300], "on": True, "flags": [False, True, False],
        "text": "a\033[31m\n\"\ufffd\u00e9", "names": ["one", "two"], "grid": [[-2, -1, 0], [1, 2, 3]],
        "axes": [{"position": 0, "speed": 0, "label": "axis 0"},
                 {"position": 1.5, "speed": 0, "label": "axis 1"}],
        "cells": [[{"position": 0, "speed": 0, "label": ""}] * 2,
                  [{"position": 0, "speed": -2, "label": ""}, {"position": 0, "speed": 0, "label": ""}]],
        "opaque": "0403020100000000",
    }
    check(list(value) == list(wanted), "members in their order")
    for name, one in wanted.items():
        check(value[name] == one, f"{name}: {value[name]}, not {one}")


def people_read_lines():
    scenes.make("rich", "rich")
    said = shown(0, "--zone", "everything", "rich")
    check("zone everything  plain, " in said and ", struct everything, digest right\n" in said, said)
    for path, value in (("moves", "42  # moves since start"), ("i8", "-128"), ("f32", "0.1"), ("f64", "0.1 K"),
                        ("odd", "[nan, -inf, 1e+300]"), ("on", "true"),
                        ("text", '"a\\x1b[31m\\x0a"\\xff\\xc3\\xa9"'), ("names", '["one", "two"]'),
                        ("grid", "[[-2, -1, 0], [1, 2, 3]]"), ("axes[1].position", "1.5 mm  # where it is"),
                        ("cells[1][0].speed", "-2 mm/s"), ("opaque", "04 03 02 01 00 00 00 00")):
        check(f"  {path:20}  {value}\n" in said, f"no {path} {value} in\n{said}")
    said = shown(0, "--zone", "notes", "rich")
    check("  00000000  72 61 77 20 1b 5b 32 4a 00 00 00 00 00 00 00 00  raw .[2J........\n" in said, said)
    check("00000060  00 00 00 00              " in said, said)


def units_and_kinds_are_told():
    scenes.make("rich", "rich")
    everything, notes, axis = told(0, "--zones", "rich")["zones"]
    check(everything["units"] == {"f64": "K", "axes.position": "mm", "axes.speed": "mm/s",
                                  "cells.position": "mm", "cells.speed": "mm/s"}, everything["units"])
    check((everything["kind"], everything["struct"], everything["digest"]) == ("plain", "everything", "right"), everything)
    check((notes["kind"], notes["struct"], notes["bytes"]) == ("plain", "", 100), notes)
    check("units" not in notes and "digest" not in notes and len(notes["value"]) == 200, notes)
    check((axis["kind"], axis["value"]["position"]) == ("latch", 3), axis)


# ---- which items ----


def items_are_chosen():
    scenes.make("rich", "rich")
    block = told(0, "rich")
    check(block["head"] == 12 and block["producer"] == "closed" and block["name"] == "rich", block)
    check([slot["ticket"] for slot in block["slots"]] == [10], "the newest, as 11 was aborted")
    check(len(block["zones"]) == 3, "with all zones")
    short = block["slots"][0]
    check((short["bytes"], short["value"]["i64"], short["value"]["moves"]) == (40, 0, 10) or
          short["value"]["text"] is None, short)
    check(short["value"]["cells"] is None and short["value"]["u8"] == 255, short)
    check("(not there)" in shown(0, "--last", "1", "rich"), "an item that is shorter than its struct")
    block = told(0, "--last", "3", "rich")
    check("zones" not in block, "only what was chosen")
    check([slot["value"]["moves"] for slot in block["slots"]] == [10, 9, 8], "the newest first")
    check(len(told(0, "--last", "65536", "rich")["slots"]) == 7, "all that are kept, but the aborted one")
    check(told(0, "--ticket", "6", "rich")["slots"][0]["value"]["moves"] == 6, "by ticket")
    for ticket in ("11", "12", "1", "4611686018427387903"):
        said = shown(3, "--ticket", ticket, "rich")
        check(f"no item with ticket {ticket}" in said, said)
        check(("not published yet" in said) == (int(ticket) >= 12), said)
    both = told(0, "--zone", "axis", "--ticket", "7", "rich")
    check(len(both["zones"]) == len(both["slots"]) == 1, "both when both are chosen")


def what_is_broken_is_not_shown():
    scenes.make("raw", "raw")
    scenes.make("rich", "rich")
    check(told(0, "raw")["slots"][0]["value"] == "ab" * 100, "raw items are hex digits")
    with open(scenes.path("rich.dxh"), "r+b") as file:
        slots, stride = struct.unpack("<QQ", file.read(96)[80:])
        file.seek(slots + (10 % 10) * stride + 8)
        file.write(struct.pack("<Q", 1 << 50))
    said = told(1, "--last", "2", "rich")["slots"]
    check((said[0]["ticket"], "value" in said[0]) == (10, False), said)
    check("length" in said[0]["missing"] and said[1]["ticket"] == 9 and said[2]["ticket"] == 8, said)
    check("not shown: " in shown(1, "--ticket", "10", "rich"), "by ticket")


def a_broken_digest_is_told():
    scenes.make("rich", "rich")
    zone, = [zone for zone in json.loads(scenes.dxh("stat", "rich", "--json").stdout)["zones"]
             if zone["name"] == "everything"]
    with open(scenes.path("rich.dxh"), "r+b") as file:
        file.seek(zone["offset"])
        byte = file.read(1)[0]
        file.seek(zone["offset"])
        file.write(bytes([byte ^ 1]))
    check("digest wrong" in shown(1, "--zone", "everything", "rich"), "a digest that is wrong")


def elements_are_limited():
    scenes.make("rich", "rich")
    said = shown(0, "--elements", "2", "--zone", "everything", "rich")
    for line in ("[nan, -inf, ...] of 3", "[[-2, -1, ...]] of 6", "\"on\"..."):
        check(line in said, f"no {line!r} in\n{said}")
    check("see --elements" in said, said)
    zone = told(0, "--elements", "1", "--zone", "everything", "rich")["zones"][0]
    check(zone["cut"] and zone["value"]["odd"] == ["nan"] and zone["value"]["grid"] == [[-2]], zone)


# ---- whole, in every state ----


def both_read_live_dead_and_copied_blocks():
    scenes.begin("live", "plant/live")
    path = scenes.path("plant+live.dxh")
    check(same_for_both("plant/live", path)["producer"] == "alive", "of a live producer")
    shutil.copy(path, scenes.path("copy.img"))
    scenes.end("plant/live")
    check(same_for_both(scenes.path("copy.img"), scenes.path("copy.img"))["name"] == "plant/live", "of a copy")
    check(scenes.make("died", "dead") == -9, "died")
    block = same_for_both("dead", scenes.path("dead.dxh"))
    check(block["producer"] == "dead" and block["zones"][2]["value"]["position"] == 3, "a latch outlives its writer")
    check(block["slots"][0]["ticket"] == 10, "no half item")
    scenes.make("writable", "writable")
    same_for_both("writable", scenes.path("writable.dxh"))
    scenes.make("raw", "raw")
    same_for_both("raw", scenes.path("raw.dxh"))
    scenes.make("zones-only", "zones-only")
    check(same_for_both("zones-only", scenes.path("zones-only.dxh"))["slots"] == [], "without slots")
    check("has no slots" in shown(3, "--last", "1", "zones-only"), "and there are none to choose")
    for command in ("tail", "record"):
        run = subprocess.run([DXH, command, "zones-only"], capture_output=True, text=True,
                             check=False, env=scenes.environment, cwd=scenes.directory)
        check(run.returncode == 1 and "`dxh cat --zones` shows them" in run.stderr, f"{run}")
    check(not os.path.exists(scenes.path("zones-only.dxr")), "a file of nothing is not made")


def nothing_torn_is_shown():
    """A latch and a ring that are written all the time, read over and over."""
    scenes.begin("busy", "busy")
    seen = set()
    for _ in range(10):
        block = told(0, "--zones", "--last", "4", "busy")
        theirs = read_block(scenes.path("busy.dxh"))
        for part in block["zones"] + block["slots"] + theirs["zones"] + theirs["slots"]:
            words = part["value"]["words"]
            check(len(words) == 64 and len(set(words)) == 1, f"torn: {words}")
            seen.add(words[0])
        for slot in block["slots"] + theirs["slots"]:
            check(slot["value"]["words"][0] == slot["ticket"], "another ticket's item")
    check(len(seen) >= 20, f"only {len(seen)} values were seen: it was not busy")
    scenes.end("busy")


def zones_in_a_file_of_their_own():
    scenes.make("writable", "writable")
    block = told(0, "writable")
    check([zone["kind"] for zone in block["zones"]] == ["writable", "writable", "latch"], block)
    shutil.copy(scenes.path("writable.dxh"), scenes.path("alone.img"))
    block = told(1, scenes.path("alone.img"))
    check("file of its own" in block["zones"][0]["missing"] and "value" not in block["zones"][0], block)
    check(block["zones"][2]["value"]["position"] == 3 and block["slots"], "the rest is shown")


def keyed_items_need_the_key():
    scenes.make("keyed", "keyed")
    said = shown(3, "keyed")
    check("checksum_key" in said and "next: --key FILE" in said and "as root" not in said, said)
    with open(scenes.path("key"), "wb") as file:
        file.write(b"0123456789abcdef0123456789abcde\0")
    block = told(0, "--key", scenes.path("key"), "keyed")
    check(block["slots"][0]["ticket"] == 10 and block["zones"][0]["digest"] == "right", block)


# ---- made to harm ----


def words_of_strangers_are_harmless():
    evil = "\u009b31m\u202e"  # C1 and bidirectional controls: no control characters in ASCII
    members = [forge.field("a" + evil, "u32", 0, unit=evil, doc="doc" + evil)]
    forge.write(scenes.path("evil.dxh"), [forge.part("z" + evil, 8, members, struct="s" + evil)],
                forge.part("slot", 8, members), 4)
    said = shown(0, "evil")
    check(said.isascii() and "\\xc2\\x9b31m" in said, repr(said))
    check(told(0, "evil")["zones"][0]["value"] == {"a" + evil: 0}, "programs get what is there")
    check(said.isascii() and shown(3, "--zone", "x" + evil, "evil").isascii(), "what is not there")
    forge.write(scenes.path("worse.dxh"), [forge.part("\033[2J", 8)])
    check("control character" in shown(3, "worse"), "a name with escapes is refused")


def limited():
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
    if "address" not in BUILD:  # AddressSanitizer needs all there is
        resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))


def huge(*arguments):
    run = scenes.dxh("cat", *arguments, preexec_fn=limited)
    check(run.returncode == 0, f"{arguments}: {run.returncode} {run.stderr[-200:]}")
    return run.stdout


def what_claims_to_be_huge_is_cut():
    big = 2**32 - 64
    inner = [forge.field("x", "u8", 0)]
    deep = [forge.field("y", "struct", 0, 250, fields=[forge.field("x", "struct", 0, 250, fields=inner, size=1, align=1, struct="i")],
                        size=250, align=1, struct="j")]
    zones = [
        forge.part("bytes", 2**40),
        forge.part("numbers", big, [forge.field("n", "u8", 0, big)]),
        forge.part("rows", big, [forge.field("n", "u16", 0, big // 2, columns=2)]),
        forge.part("text", big, [forge.field("t", "text", 0, big)]),
        forge.part("texts", big, [forge.field("t", "text", 0, big, columns=1)]),
        forge.part("opaque", big, [forge.field("o", "bytes", 0, big)]),
        forge.part("structs", big, [forge.field("s", "struct", 0, big, fields=inner, size=1, align=1, struct="i")]),
        forge.part("deep", 250 * 250, deep),
    ]

    def publish(file, slots):
        for ticket in range(4):
            file.seek(slots + ticket * (2**33 + 64))
            file.write(struct.pack("<QQ", 2 * ticket + 2, 2**33))

    forge.write(scenes.path("huge.dxh"), zones, forge.part("slot", 2**33), 4, 4, patch=publish)
    for arguments in ([], ["--last", "4"]):
        text, data = huge(*arguments, "huge"), huge(*arguments, "--json", "huge")
        check(0 < len(text) < 1 << 20 and "see --elements" in text, f"{len(text)} bytes of text")
        check(0 < len(data) < 200 << 20, f"{len(data)} bytes for programs")
        check(all(part.get("cut") for part in sum((json.loads(data).get(key, []) for key in ("zones", "slots")), [])
                  if part.get("name") not in ("deep", "text")), "all are cut")  # the text is empty
    small = json.loads(huge("--elements", "3", "--json", "huge"))
    check(small["zones"][1]["value"]["n"] == [0, 0, 0] and len(small["zones"][7]["value"]["y"]) <= 3, "three")


def a_head_beyond_any_ticket():
    forge.write(scenes.path("head.dxh"), [], forge.part("slot", 64), 4, 2**63 + 5)
    check("beyond any ticket" in shown(3, "head"), "head")


def times_beyond_all_time():
    def write(file, slots):
        file.seek(slots)
        file.write(struct.pack("<QQIIq", 2, 8, 0, 1, 2**63 - 1))
        file.seek(640)
        file.write(struct.pack("<q", 2**63 - 1))

    forge.write(scenes.path("late.dxh"), [], forge.part("slot", 64), 4, 1, patch=write)
    check("ticket 0" in shown(0, "late"), "late")
    check(told(0, "late")["slots"][0]["timestamp_ns"] == 2**63 - 1, "late")


def slots_that_are_none_lie_nowhere():
    for offset in (80, 88, 96):
        forge.write(scenes.path("none.dxh"), [forge.part("z", 8)],
                    header_patch=lambda header, at=offset: struct.pack_into("<Q", header, at, 1 << 40))
        check("no slots, but" in shown(3, "none"), f"offset {offset}")


# ---- the command ----


def refusals_say_what_to_do():
    scenes.make("rich", "rich")
    for code, arguments, text in (
            (2, ["--last", "0", "rich"], "whole number from 1"), (2, ["--ticket", "x", "rich"], "whole number"),
            (2, [], "which block?"), (2, ["--nonsense", "rich"], "cannot be understood"),
            (2, ["rich", "other"], "one block at a time"), (3, ["absent"], "dxh stat"),
            (3, ["/nowhere/x.img"], "no file /nowhere/x.img"), (3, ["--zone", "none", "rich"], "it has: everything, notes, axis"),
            (0, ["--help"], "example:")):
        check(text in shown(code, *arguments), f"{arguments} does not say {text!r}")
    with open("/dev/full", "w") as full:
        run = subprocess.run([DXH, "cat", "rich"], env=scenes.environment, stdout=full, stderr=subprocess.PIPE,
                             text=True, check=False, timeout=60)
    check(run.returncode == 3 and "cannot write" in run.stderr, run.stderr)


def on_terminal(environment, *arguments):
    main, terminal = pty.openpty()
    with subprocess.Popen([DXH, *arguments], env=environment, stdout=terminal) as process:
        os.close(terminal)
        said = b""
        try:
            while piece := os.read(main, 4096):
                said += piece
        except OSError:
            pass  # how Linux says that nobody has the other end any more
        process.wait(timeout=60)
    os.close(main)
    return said


def colour_is_for_terminals():
    scenes.make("zones-only", "coloured")
    colour = dict(scenes.environment, TERM="xterm")
    colour.pop("NO_COLOR", None)
    check(b"\033[1m" in on_terminal(colour, "cat", "coloured"), "no colour")
    check(b"\033" not in on_terminal(dict(colour, NO_COLOR="1"), "cat", "coloured"), "colour")
    check(b"\033" not in on_terminal(colour, "cat", "--json", "coloured"), "colour for programs")


SITUATIONS = (
    every_type_has_its_value,
    people_read_lines,
    units_and_kinds_are_told,
    items_are_chosen,
    what_is_broken_is_not_shown,
    a_broken_digest_is_told,
    elements_are_limited,
    both_read_live_dead_and_copied_blocks,
    nothing_torn_is_shown,
    zones_in_a_file_of_their_own,
    keyed_items_need_the_key,
    words_of_strangers_are_harmless,
    what_claims_to_be_huge_is_cut,
    a_head_beyond_any_ticket,
    times_beyond_all_time,
    slots_that_are_none_lie_nowhere,
    refusals_say_what_to_do,
    colour_is_for_terminals,
)

with open(READ_BLOCK, encoding="utf-8") as script:
    check(len(script.readlines()) <= 60, "read_block.py has more than 60 lines")
for situation in SITUATIONS:
    print(situation.__name__)
    with Scenes(CONTENT) as scenes:
        situation()
print(f"{checks} checks in {len(SITUATIONS)} situations")
assert checks >= 220  # how many items a busy ring still holds when it is read, varies
