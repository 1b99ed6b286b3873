#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every example of a manual page of `dxh` is run as it stands there.

The pages of section 1 are made from --help, where the examples stand. Names that other
programs of this machine may use at the same time are replaced, see PLACES. `demo` and `bench`
take long: demo_test.sh and bench_test.sh run them.

Usage: manual_test.py BUILD
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from scenes import DXH, Scenes  # noqa: E402

ELSEWHERE = {"demo", "bench"}
PLACES = {
    "tcp://127.0.0.1:5599": "tcp://127.0.0.1:*",
    "ipc://@plant": f"ipc://@dxh-manual-{os.getpid()}",
}
# Those that go on until they are interrupted, and what they say when they have begun.
ENDLESS = {"broker": "listening on", "tail": "ticket=", "record": None}
FOUND = {"gc": 1, "recover": 0, "doctor": (0, 1)}  # exit codes other than 0 that are right
LIMIT = 60
scenes = publisher = None
environment = {}


def fail(text):
    sys.exit(f"FAIL {text}")


def commands():
    listed = subprocess.run([DXH, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z]+) +\S", listed.split("commands:")[1], re.MULTILINE)


def examples_of(command):
    """The text behind "example:", up to the end of its line; several are joined by "then:"."""
    page = subprocess.run([DXH, command, "--help"], capture_output=True, text=True, check=True)
    found = re.findall(r"^example: +(.*)$", page.stdout, re.MULTILINE)
    if len(found) != 1:
        fail(f"dxh {command} --help has {len(found)} examples, not one")
    return [each.strip() for each in re.split(r", then:", found[0])]


def said(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def has_items(path):
    """Of a recording; some are published until there are."""
    publisher.do("publish 5")
    return os.path.exists(path) and os.path.getsize(path) > 3000


def run_endless(command, arguments):
    path = scenes.path("said")
    with open(path, "w", encoding="utf-8") as out:
        process = subprocess.Popen([DXH, *arguments], stdout=out, stderr=out, env=environment,
                                   stdin=subprocess.DEVNULL, cwd=scenes.directory)
    wanted = ENDLESS[command]
    end = time.monotonic() + LIMIT
    try:
        while not (wanted in said(path) if wanted
                   else has_items(scenes.path("camera-front.dxr"))):
            if process.poll() is not None or time.monotonic() > end:
                fail(f"{arguments}: ended with {process.poll()}: {said(path)}")
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        return process.wait(LIMIT), said(path)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run(command, example):
    for place, ours in PLACES.items():
        example = example.replace(place, ours)
    words = shlex.split(example)
    if words[:2] != ["dxh", command]:
        fail(f"the example of {command} begins otherwise: {example}")
    if command in ENDLESS:
        code, text = run_endless(command, words[1:])
    else:
        done = subprocess.run([DXH, *words[1:]], capture_output=True, text=True, timeout=LIMIT,
                              env=environment, cwd=scenes.directory, check=False)
        code, text = done.returncode, done.stdout + done.stderr
    wanted = FOUND.get(command, 0) if "--apply" not in words else 0
    if code not in (wanted if isinstance(wanted, tuple) else (wanted,)):
        fail(f"{example}: ended with {code}: {text}")
    return text


class Publisher:
    """Producer of camera/front, with items."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.path.join(os.path.dirname(DXH), "publisher"), "camera/front", "64", "0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.do("publish 20", "publish 20")

    def do(self, *orders):
        for order in orders:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
            if "done" not in self.process.stdout.readline():
                fail(f"the publisher did not {order}")

    def end(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)


def main():
    global scenes, environment, publisher
    scenes = Scenes().__enter__()
    environment = {**scenes.environment, "DXH_SHM_DIR": scenes.directory}
    environment.pop("DXH_BROKER", None)
    broker = subprocess.Popen([DXH, "broker", "--endpoint", PLACES["ipc://@plant"]],
                              stdout=subprocess.DEVNULL)
    ran = 0
    try:
        publisher = Publisher()
        scenes.begin("alive", "camera")
        order = [each for each in commands() if each not in ELSEWHERE | {"recover", "gc"}]
        for command in order:
            for example in examples_of(command):
                run(command, example)
                ran += 1
        # These are for blocks whose producer is gone.
        scenes.end("camera")
        scenes.make("died", "camera")
        for command in ("recover", "gc"):
            for example in examples_of(command):
                run(command, example)
                ran += 1
        publisher.end()
        if ran < 15 or set(order) | ELSEWHERE | {"recover", "gc"} != set(commands()):
            fail(f"only {ran} examples were run")
    finally:
        broker.terminate()
        broker.wait(LIMIT)
        scenes.__exit__()
    print(f"{ran} examples")


main()
