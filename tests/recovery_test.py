#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every command of docs/recovery.md is run, in the situation that its section is about, and
says what the text says it does.

A comment `scene: SITUATION NAME` sets up what the commands behind it meet (Document.scene).
In what is printed, "..." stands for anything in a line, and alone for any lines; 4711 and 4712
are whatever the processes are, /dev/shm wherever blocks are.

Usage: recovery_test.py BUILD
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from scenes import Scenes  # noqa: E402

DOCUMENT = "docs/recovery.md"
COMMANDS_MIN = 35


def sections(text):
    """(scene, [(command, [line printed])]) for each comment."""
    found = []
    for piece in re.split(r"<!-- scene: ", text)[1:]:
        scene, rest = piece.split(" -->", 1)
        steps = []
        for block in re.findall(r"```console\n(.*?)```", rest, re.DOTALL):
            for line in block.splitlines():
                if line.startswith("$ "):
                    steps.append((line[2:], []))
                else:
                    steps[-1][1].append(line)
        found.append((scene, steps))
    return found


def difference(wanted, printed):
    """The first wanted line that is not there; None: all are. Lines follow each other, but
    for what "..." passes over."""
    at, free = 0, False
    for line in wanted:
        if line == "...":
            free = True
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("...")))
        while at < len(printed) and free and not pattern.fullmatch(printed[at]):
            at += 1
        if at == len(printed) or not pattern.fullmatch(printed[at]):
            return line
        at, free = at + 1, False
    return None if free or at == len(printed) else f"nothing more, but there is {printed[at]!r}"


class Document:
    def __init__(self, scenes):
        self.scenes = scenes
        self.pids = {}

    def scene(self, situation, name):
        """What each section begins with."""
        begin = {"alive": "alive", "followed": "alive", "reader-lags": "alive-empty"}
        if situation in begin:
            self.pids["4711"] = self.scenes.begin(begin[situation], name, "4711")
            if situation == "followed":
                self.pids["4712"] = self.scenes.begin("followers", name, "4712")
            elif situation == "reader-lags":
                self.pids["4712"] = self.scenes.begin("reader", name, "4712")
                self.scenes.go_on("4711")
        elif situation == "squatted":
            self.scenes.make("closed", name)
            self.pids["4711"] = self.scenes.begin("squatter", name, "4711")
        elif situation == "too-large":
            self.scenes.make("closed", "old")
            program = self.scenes.path("camera")
            with open(program, "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\nscene too-large {name} 2>&1 | sed 's/scene: //'\n")
            os.chmod(program, 0o700)
        else:
            self.scenes.make(situation, name)
            self.pids["4711"] = self.scenes.made

    def here(self, text):
        for placeholder, pid in self.pids.items():
            text = text.replace(placeholder, str(pid))
        return text.replace("/dev/shm", self.scenes.directory)

    def there(self, text):
        text = text.replace(self.scenes.directory, "/dev/shm")
        for placeholder, pid in self.pids.items():
            # Numbers stand in columns.
            text = re.sub(rf"(?: *)\b{pid}\b", lambda at: self.align(at.group(), placeholder), text)
        return text

    @staticmethod
    def align(found, placeholder):
        return placeholder.rjust(len(found)) if found.startswith("  ") else (
            found[: len(found) - len(found.lstrip())] + placeholder
        )

    def run(self, command):
        environment = dict(self.scenes.environment)
        environment["PATH"] = self.scenes.directory + ":" + environment["PATH"]
        run = subprocess.run(
            ["/bin/sh", "-c", self.here(command)], env=environment, text=True, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.scenes.directory,
            stdin=subprocess.DEVNULL, check=False,
        )
        for label, pid in self.pids.items():
            if command == f"kill -KILL {label}":
                self.scenes.kill(label)
        return self.there(run.stdout).splitlines()


def look_at_the_ruler():
    """What compares must find a difference."""
    printed = ["one", "two 17", "three"]
    assert difference(["one", "two ...", "three"], printed) is None
    assert difference(["...", "three"], printed) is None
    assert difference(["one", "..."], printed) is None
    assert difference(["one", "three"], printed) == "three"
    assert difference(["...", "four"], printed) == "four"
    assert difference(["one", "two 18", "..."], printed) == "two 18"
    assert difference(["one", "two 17"], printed) is not None
    assert difference(["one", "two 17", "three", "four"], printed) == "four"


def main():
    look_at_the_ruler()
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    tried = 0
    for scene, steps in sections(text):
        with Scenes() as scenes:
            document = Document(scenes)
            document.scene(*scene.split())
            for command, wanted in steps:
                printed = document.run(command)
                missing = difference(wanted, printed)
                if missing is not None:
                    sys.exit("\n".join([f"FAIL {scene}: $ {command}", f"wanted: {missing}",
                                        "printed:", *printed]))
                tried += 1
    in_fences = len(re.findall(r"^\$ ", text, re.MULTILINE))
    if tried != in_fences or tried < COMMANDS_MIN:
        sys.exit(f"FAIL {tried} commands were run, {in_fences} stand there, {COMMANDS_MIN} at least")
    print(f"{tried} commands")


main()
