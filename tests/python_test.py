#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The Python binding: its own tests, its types, and a floor under their number.

Usage: python_test.py BUILD [TEST...]
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
import sanitized  # noqa: E402

#: So many tests the binding has at least.
FLOOR = 264

BUILD = os.path.abspath(sys.argv[1])
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.join(BUILD, "python")


def environment():
    return dict(os.environ, PYTHONPATH=PACKAGE, PYTHONDONTWRITEBYTECODE="1", DXH_BUILD=BUILD,
                **sanitized.environment(BUILD))


def run_tests(names):
    tests = os.path.join(TOP, "python", "tests")
    what = names or ["discover", "-s", tests]
    ran = subprocess.run([sys.executable, "-X", "faulthandler", "-W", "error", "-m", "unittest"] + what,
                         cwd=tests, env=environment(), stderr=subprocess.PIPE, text=True)
    sys.stdout.write(ran.stderr)
    counts = [line.split()[1] for line in ran.stderr.splitlines() if line.startswith("Ran ")]
    if ran.returncode != 0 or not counts:
        sys.exit("FAIL the tests of python/tests")
    if not names and int(counts[-1]) < FLOOR:
        sys.exit("FAIL only %s tests, at least %d are expected" % (counts[-1], FLOOR))


def check_types():
    """mypy has nothing to say; and it does say something about what is wrong."""
    command = ["mypy", "--strict", "--python-executable", sys.executable,
               "--cache-dir", os.path.join(BUILD, "mypy")]
    ran = subprocess.run(command + ["dxh"], cwd=PACKAGE, capture_output=True, text=True)
    print(ran.stdout.strip())
    if ran.returncode != 0:
        sys.exit("FAIL mypy --strict")
    user = subprocess.run(command + [os.path.join(TOP, "python", "tests", "user_program.py")],
                          cwd=PACKAGE, env=dict(os.environ, MYPYPATH=PACKAGE),
                          capture_output=True, text=True)
    if user.returncode != 0:
        sys.exit("FAIL mypy --strict of a program that uses it: " + user.stdout)
    wrong = subprocess.run(command + ["-c", "import dxh\ndxh.Hub().connect(5)\n"],
                           cwd=PACKAGE, capture_output=True, text=True)
    if "incompatible type" not in wrong.stdout:
        sys.exit("FAIL mypy does not see a wrong call: " + wrong.stdout + wrong.stderr)


def main():
    names = sys.argv[2:]
    run_tests(names)
    if not names and shutil.which("mypy"):
        check_types()


main()
