#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The shape of the C ABI, as lines: each function, each constant, each member of a struct with
its offset and size. What tests/golden/abi-1.txt says of soname 1 must stay; more may come.

Usage: abi_test.py BUILD [--write]
"""

import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = os.path.join(TOP, "tests", "golden", "abi-1.txt")
INCLUDE = os.path.join(TOP, "include")


def headers(include):
    return sorted(os.path.join("dxh", each) for each in os.listdir(os.path.join(include, "dxh")))


def text_of(include):
    text = []
    for each in headers(include):
        with open(os.path.join(include, each), encoding="utf-8") as file:
            text.append(file.read())
    return re.sub(r"/\*.*?\*/", "", "\n".join(text), flags=re.S)


def structs(text):
    """(name, members) of all that users see the inside of."""
    for body, name in re.findall(r"typedef struct \w+ \{([^{}]*)\} (dxh_\w+);", text):
        members = []
        for declaration in body.split(";"):
            declaration = declaration.strip()
            if not declaration or declaration.startswith("#"):
                continue
            pointer = re.search(r"\(\*(\w+)\)\s*\(", declaration)
            if pointer:
                members.append(pointer.group(1))
                continue
            first, *others = declaration.split(",")
            members.append(re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", first).group(1))
            members += [re.search(r"(\w+)", each).group(1) for each in others]
        yield name, members


def constants(text):
    for body in re.findall(r"enum(?: \w+)? \{([^{}]*)\}", text):
        yield from re.findall(r"^\s*(DXH_[A-Z0-9_]+)\b(?!\()", body, re.M)
    for body in re.findall(r"#define DXH_(?:STATUS|RULE)_LIST\(X\)(.*?)\n\n", text, re.S):
        yield from re.findall(r"X\((DXH_\w+)", body)


def measured(include):
    """Lines about structs and constants, from a program that is compiled for it."""
    text = text_of(include)
    lines = []
    sized = set(re.findall(r"sizeof\((dxh_\w+)\)", text))
    for name, members in structs(text):
        if name not in sized:
            lines.append(f'printf("struct {name} %zu\\n", sizeof({name}));')
        for member in members:
            lines.append(f'printf("member {name}.{member} %zu %zu\\n", '
                         f'offsetof({name}, {member}), sizeof((({name} *)0)->{member}));')
    for name in dict.fromkeys(constants(text)):
        lines.append(f'printf("constant {name} %lld\\n", (long long){name});')
    program = "#include <dxh.h>\n#include <stddef.h>\n#include <stdio.h>\n" + "".join(
        f"#include <{each}>\n" for each in headers(include))
    program += "int main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "shape")
        subprocess.run(["gcc", "-w", "-x", "c", "-", "-I", include, "-o", path],
                       input=program, text=True, check=True)
        return subprocess.run([path], capture_output=True, text=True, check=True).stdout.splitlines()


def exported(library):
    listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                            check=True).stdout
    return [f"function {name}" for name in re.findall(r" T (dxh_\w+@@DXH_\d+)", listed)]


CHANGES = (
    ("a member that moves", "typedef struct dxh_item {", "typedef struct dxh_item { int added;",
     "member dxh_item.ticket"),
    ("a struct that grows", "} dxh_reply;", "\tint added[4];\n} dxh_reply;", "struct dxh_reply"),
    ("a code that changes", "X(DXH_EFULL, 3,", "X(DXH_EFULL, 63,", "constant DXH_EFULL"),
    ("a constant that goes", "DXH_LOSSLESS", "DXH_LOSSLESS_TOO", "constant DXH_LOSSLESS"),
)


def control(golden):
    """What would break programs is noticed."""
    for what, before, after, line in CHANGES:
        with tempfile.TemporaryDirectory() as folder:
            changed = 0
            for each in ["dxh.h", *headers(INCLUDE)]:
                with open(os.path.join(INCLUDE, each), encoding="utf-8") as file:
                    text = file.read()
                changed += text.count(before)
                path = os.path.join(folder, each)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text.replace(before, after))
            missing = {each for each in golden if not each.startswith("function")}
            missing -= set(measured(folder))
            if not changed or not any(each.startswith(line) for each in missing):
                sys.exit(f"abi: {what} would not be noticed")


def main():
    now = set(measured(INCLUDE)) | set(exported(os.path.join(sys.argv[1], "libdxh.so")))
    if sys.argv[2:] == ["--write"]:
        with open(GOLDEN, "w", encoding="utf-8") as file:
            file.write("\n".join(sorted(now)) + "\n")
        print(f"wrote {len(now)} lines")
        return
    with open(GOLDEN, encoding="utf-8") as file:
        golden = set(file.read().splitlines())
    missing = sorted(golden - now)
    for line in missing:
        print(f"abi: no more '{line}'")
    if missing:
        sys.exit("abi: programs that are linked with soname 1 would break: a struct that has no size "
                 "beside it\ncannot change, others only grow at their ends. Before 1.0.0 is out: "
                 "tests/abi_test.py build --write")
    if len(golden) < 800:
        sys.exit(f"abi: only {len(golden)} lines, the check is blind")
    control(golden)
    print(f"abi: {len(golden)} lines of soname 1 hold, {len(now - golden)} are new")


main()
