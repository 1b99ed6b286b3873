# SPDX-License-Identifier: MIT
"""Situations of blocks (tests/tools/scene.c), and running dxh in them; for the tests of the
tools. Everything lies in a directory of its own, which goes at the end."""

import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(sys.argv[1])
DXH = os.path.join(BUILD, "dxh")
SCENE = os.path.join(BUILD, "scene")
LIMIT = 60  # seconds for one program


class Scenes:
    """with Scenes() as scenes: a directory, and the living, who end with it."""

    def __init__(self, program=SCENE, place=None):
        self.program = program
        self.place = place or os.environ.get("DXH_SHM_DIR") or "/dev/shm"

    def __enter__(self):
        self.directory = tempfile.mkdtemp(
            prefix="dxh-tools-", dir=self.place
        )
        self.environment = dict(os.environ, DXH_SHM_DIR=self.directory, LC_ALL="C", TZ="UTC")
        self.environment["PATH"] = BUILD + ":" + self.environment["PATH"]
        self.living = {}
        return self

    def __exit__(self, *_):
        for name in list(self.living):
            self.end(name)
        shutil.rmtree(self.directory)

    def path(self, file):
        return os.path.join(self.directory, file)

    def make(self, situation, name):
        """One that ends by itself; its exit code, negative for a signal. Its pid: made."""
        process = subprocess.Popen(
            [self.program, situation, name], env=self.environment, stdin=subprocess.DEVNULL
        )
        self.made = process.pid
        return process.wait(timeout=LIMIT)

    def begin(self, situation, name, label=None):
        """One that lives until end(); its pid."""
        process = subprocess.Popen(
            [self.program, situation, name], env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        self.living[label or name] = process
        if process.stdout.readline() != "ready\n":
            sys.exit(f"FAIL scene {situation} did not begin")
        return process.pid

    def go_on(self, label):
        """Let it do what it has left to do."""
        process = self.living[label]
        process.stdin.write("\n")
        process.stdin.flush()
        if process.stdout.readline() != "done\n":
            sys.exit(f"FAIL scene {label} did not go on")

    def end(self, label):
        process = self.living.pop(label)
        process.stdin.close()
        code = process.wait(timeout=LIMIT)
        process.stdout.close()
        if code != 0:
            sys.exit(f"FAIL scene {label} ended with {code}")

    def kill(self, label):
        process = self.living.pop(label)
        process.kill()
        process.wait(timeout=LIMIT)
        process.stdin.close()
        process.stdout.close()

    def dxh(self, *arguments, **options):
        return subprocess.run(
            [DXH, *arguments], env=self.environment, capture_output=True, timeout=LIMIT,
            text=True, stdin=subprocess.DEVNULL, check=False, **options,
        )
