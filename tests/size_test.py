#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dxh size: what it tells beforehand is what the files then have.

Usage: size_test.py BUILD
"""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from scenes import BUILD, DXH, Scenes  # noqa: E402

RAW = ["--zone", "telemetry:256", "--zone", "metadata:1K:latch", "--zone", "plan:10:xxh3", "--slot", "100",
       "--slots", "4", "--readers", "3"]
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"FAIL {what}")


def size(code, *arguments):
    run = scenes.dxh("size", *arguments)
    check(run.returncode == code, f"{arguments}: exit {run.returncode}, not {code}: {run.stdout}{run.stderr}")
    return run.stdout + run.stderr


def told(*arguments):
    return json.loads(size(0, *arguments, "--json"))


def files_of(name):
    """The sizes of its four files, in the words of dxh size."""
    sizes = {}
    for key, suffix in (("data_bytes", ".dxh"), ("control_bytes", ".ctl"), ("zones_bytes", ".zones"),
                        ("lock_bytes", ".lock")):
        path = scenes.path(name + suffix)
        sizes[key] = os.stat(path).st_size if os.path.exists(path) else 0
    return dict(sizes, total_bytes=sum(sizes.values()))


def options_tell_the_files():
    scenes.make("raw", "raw")
    beforehand, made = told("--name", "raw", *RAW), files_of("raw")
    check({key: beforehand[key] for key in made} == made, f"{beforehand}, but {made}")
    check(beforehand["slots_in_all"] == 6 and beforehand["slot_stride_bytes"] == 192, beforehand)


def like_another_block():
    for name in ("raw", "rich", "writable", "zones-only"):
        scenes.make(name, name)
        beforehand, made = told("--like", name), files_of(name)
        check({key: beforehand[key] for key in made} == made, f"{name}: {beforehand}, but {made}")
    few, many = told("--like", "rich"), told("--like", "rich", "--slots", "100")
    check(many["data_bytes"] - few["data_bytes"] == 92 * many["slot_stride_bytes"], "more slots")
    check(told("--like", scenes.path("rich.dxh"))["data_bytes"] == few["data_bytes"], "like a file")
    check(told("--like", "zones-only", "--readers", "0")["slots_in_all"] == 0, "without slots")


def units_and_policies():
    kept = [told("--slot", "4K", "--slots", count) for count in ("1", "2")]
    check(told("--slot", "4096", "--policy", "single") == kept[0], "single")
    check(told("--slot", "4K", "--policy", "double") == kept[1], "double")
    check(told("--slot", "1G", "--slots", "65536")["slot_stride_bytes"] == (1 << 30) + 64, "1G")
    check(told("--zone", "z:1", "--memfd")["lock_bytes"] == 0, "memfd")
    check(told("--zone", "z:1", "--zones-writable")["zones_bytes"] > 0, "zones-writable")
    check(told("--zone", "z:8:latch:blake2b")["data_bytes"] > told("--zone", "z:8:latch")["data_bytes"], "digest")


def people_read_a_table():
    said = size(0, *RAW)
    for text in ("in front", "slots", "6 of 192, two more than are kept", "NAME.dxh", "NAME.ctl", "NAME.lock", "in all"):
        check(text in said, f"no {text!r} in\n{said}")
    check("NAME.zones" not in said and "\033" not in said, said)


def refusals_say_what_to_do():
    scenes.make("keyed", "keyed")
    for code, arguments, text in (
            (2, [], "neither zones nor slots"), (2, ["--zone", "z"], "NAME:BYTES"), (2, ["--zone", "z:1x"], "NAME:BYTES"),
            (2, ["--zone", "z:1:later"], "NAME:BYTES"), (2, ["--zone", ":1"], "name is not"),
            (2, ["--zone", "z:1", "--zone", "z:1"], "two zones have the name"), (2, ["--zone", "z:0"], "0 bytes"),
            (2, ["--zone", "z:99999999999999999999"], "NAME:BYTES"), (2, ["--slot", "8", "--slots", "3"], "slot_count 3"),
            (2, ["--slots", "4"], "slot.bytes 0"), (2, ["--slot", "x"], "number of bytes"), (2, ["--policy", "ring"], "single or double"),
            (2, ["--zone", "z:1", "rest"], "what is \"rest\""), (2, ["--zone", "z:1", "--name", "a b"], "block name"),
            (2, ["--zone", "\033[2Jz", ], "\\x1b[2Jz"), (2, [f"--zone=z{i}:1" for i in range(17)], "at most 16"),
            (2, ["--like", "keyed", "--slot", "8"], "leave --zone"), (3, ["--like", "keyed"], "checksum_key"),
            (3, ["--like", "absent"], "dxh stat"), (0, ["--help"], "example:")):
        check(text in size(code, *arguments), f"{arguments} does not say {text!r}: {size(code, *arguments)}")
    with open("/dev/full", "w") as full:
        run = subprocess.run([DXH, "size", "--zone", "z:1"], env=scenes.environment, stdout=full,
                             stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    check(run.returncode == 3 and "cannot write" in run.stderr, run.stderr)


SITUATIONS = (options_tell_the_files, like_another_block, units_and_policies, people_read_a_table, refusals_say_what_to_do)

for situation in SITUATIONS:
    print(situation.__name__)
    with Scenes(os.path.join(BUILD, "content")) as scenes:
        situation()
print(f"{checks} checks in {len(SITUATIONS)} situations")
assert checks >= 100
