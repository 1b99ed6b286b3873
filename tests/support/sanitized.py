# SPDX-License-Identifier: MIT
"""Python with a library that was built with AddressSanitizer: its runtime has to be in the
interpreter first."""
import os
import subprocess


def environment(build):
    """What an interpreter needs to load the library of this build, beside os.environ."""
    build = os.path.abspath(build)
    if not build.endswith("-address"):
        return {}
    clang = os.path.basename(build).startswith("clang")
    runtime = "libclang_rt.asan-x86_64.so" if clang else "libasan.so"
    found = subprocess.run(["clang" if clang else "gcc", "-print-file-name=" + runtime],
                           capture_output=True, text=True, check=True).stdout.strip()
    # The interpreter keeps what it once made.
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return {"LD_PRELOAD": found, "ASAN_OPTIONS": options}
