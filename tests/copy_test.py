#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What compilers made of shm/copy.c: shared memory is touched by whole moves alone, in order.

Usage: copy_test.py BUILD

A relaxed atomic word promises three things that plain C does not, and which a compiler or
libc's memcpy() could break without any test of the running program noticing:
- a word is never torn, which the atomics of users inside zones rely on. Moves of bytes
  tear it, and not every manual promises that a vector is moved at once;
- it is written and read once: what was checked is what is used;
- on x86 it is ordered by the odd and the even mark. `rep movs` and non-temporal stores are
  not: they may pass a plain store.

So the disassembly is walked through, with what each register points to, and each access
to shared memory has to be a plain move of a general register of 64 bits, at a multiple of 8.
Items may be torn, for seq tells; so they may also be moved by plain vectors of 16 bytes.
The tail of an item goes through a word on the stack, which may be touched in any way.

Control: the same functions written plainly must be found out.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

SHARED, OWN, STACK = "shared", "own", "stack"
# What the first two arguments are, how many accesses there are at the least, and whether
# vectors are allowed.
FUNCTIONS = {
    "dxi_copy_out": ({"rdi": OWN, "rsi": SHARED}, 10, False),
    "dxi_copy_across": ({"rdi": SHARED, "rsi": SHARED}, 2, False),
    "dxi_copy_item_in": ({"rdi": SHARED, "rsi": OWN}, 14, True),
    "dxi_copy_item_out": ({"rdi": OWN, "rsi": SHARED}, 14, True),
}
CALLER_SAVED = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
STRING = re.compile(r"^(rep\w*|movs[bwlq]|stos[bwlq]|lods[bwlq])$")

WORDS64 = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{i}" for i in range(8, 16))}


def whole_register(name):
    """The 64-bit register that %name is a part of."""
    name = name.lstrip("%")
    if name in WORDS64:
        return name
    if re.match(r"^r\d+[dwb]$", name):
        return name[:-1]
    for letters in ("ax", "bx", "cx", "dx"):
        if name in ("e" + letters, letters, letters[0] + "l", letters[0] + "h"):
            return "r" + letters
    for letters in ("si", "di", "bp", "sp"):
        if name in ("e" + letters, letters, letters + "l"):
            return "r" + letters
    return name  # a vector


class Function:
    """Instructions by address: (mnemonic, operands, address of the next)."""

    def __init__(self, name):
        self.name = name
        self.code = {}
        self.ends = set()  # calls that take nothing and do not return

    def close(self):
        addresses = sorted(self.code)
        for address, following in zip(addresses, addresses[1:] + [None]):
            mnemonic, operands = self.code[address]
            self.code[address] = (mnemonic, operands, following)
        self.entry = addresses[0]


def split_operands(text):
    return [part for part in re.split(r",(?![^(]*\))", text) if part]


def disassemble(path):
    """The functions of interest in an object or library."""
    text = subprocess.run(
        ["objdump", "-dr", "--no-show-raw-insn", path], check=True, capture_output=True, text=True
    ).stdout
    found, current = {}, None
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(\w+)>:$", line)
        if head:
            current = Function(head[1]) if head[1] in FUNCTIONS else None
            if current:
                found[head[1]] = current
            continue
        body = re.match(r"^ *([0-9a-f]+):\t(\S+) *([^#<]*)", line)
        if current and body:
            operands = split_operands(body[3].strip())
            mnemonic = body[2]
            # A prefix stands in front of what it is for.
            while mnemonic in ("rep", "repz", "data16", "cs", "bnd", "notrack") and operands:
                rest = operands[0].split(None, 1)
                if mnemonic.startswith("rep"):
                    break
                mnemonic, operands = rest[0], split_operands(rest[1] if len(rest) > 1 else "")
            address = int(body[1], 16)
            current.code[address] = (mnemonic, operands)
            if "<__stack_chk_fail@plt>" in line:
                current.ends.add(address)
        elif current and "\t__stack_chk_fail" in line:
            current.ends.add(address)
    for function in found.values():
        function.close()
    return found


def memory_of(operand):
    """(offset, registers) of an operand in memory, or None."""
    place = re.match(r"^(-?0x[0-9a-f]+|-?\d+)?\(([^)]*)\)$", operand)
    if not place:
        return None
    registers = [whole_register(r) for r in place[2].split(",") if r.startswith("%")]
    return int(place[1] or "0", 0), registers


class Walk:
    """Every instruction with all that its registers may point to when it is reached."""

    def __init__(self, function, arguments, vectors):
        self.function = function
        self.vectors = vectors
        self.faults = set()
        self.accesses = set()
        start = {register: frozenset([what]) for register, what in arguments.items()}
        start["rsp"] = frozenset([STACK])
        self.states = {function.entry: start}
        waiting = [function.entry]
        while waiting:
            address = waiting.pop()
            for target, state in self.step(address, dict(self.states[address])):
                if self.merge(target, state):
                    waiting.append(target)

    def merge(self, address, state):
        known = self.states.get(address)
        if known is None:
            self.states[address] = state
            return True
        both = {k: known.get(k, frozenset()) | state.get(k, frozenset()) for k in {*known, *state}}
        if both == known:
            return False
        self.states[address] = both
        return True

    def fault(self, address, why):
        mnemonic, operands, _ = self.function.code[address]
        self.faults.add(f"{self.function.name}: {mnemonic} {','.join(operands)}: {why}")

    def access(self, address, operand, state):
        mnemonic, operands, _ = self.function.code[address]
        offset, registers = memory_of(operand)
        if registers == ["rip"]:
            return
        points_to = frozenset().union(*(state.get(r, frozenset()) for r in registers))
        if not points_to:
            self.fault(address, "nobody knows where that points to")
        if SHARED not in points_to:
            return
        others = [o for o in operands if o != operand]
        self.accesses.add(address)
        is_word = len(others) == 1 and (
            (mnemonic in ("mov", "movq") and others[0].lstrip("%") in WORDS64)
            or (mnemonic == "movq" and others[0].startswith("$"))
        )
        is_vector = len(others) == 1 and mnemonic == "movups" and others[0].startswith("%xmm")
        if not is_word and not (is_vector and self.vectors):
            self.fault(address, "no move of one whole word")
        elif offset % (8 if is_word else 16):
            self.fault(address, "no multiple of its size")

    def assign(self, mnemonic, operands, state):
        """What the last operand points to behind this instruction."""
        target = operands[-1]
        if not target.startswith("%") or mnemonic.startswith(("cmp", "test")):
            return
        register = whole_register(target)
        sources = [state.get(whole_register(o), frozenset()) for o in operands if o.startswith("%")]
        if mnemonic == "lea":
            _, registers = memory_of(operands[0])
            state[register] = frozenset().union(*(state.get(r, frozenset()) for r in registers))
        elif mnemonic.startswith(("add", "sub", "and", "or", "cmov", "inc", "dec")):
            state[register] = frozenset().union(*sources)
        elif mnemonic in ("mov", "movq") and operands[0].lstrip("%") in WORDS64:
            state[register] = sources[0]
        elif mnemonic == "mov" and operands[0].startswith("%fs"):
            state[register] = frozenset()
        elif register != "rsp":
            state[register] = frozenset()

    def step(self, address, state):
        mnemonic, operands, following = self.function.code[address]
        if mnemonic.startswith("nop") or mnemonic in ("xchg", "endbr64", "push", "data16", "cs"):
            return [(following, state)] if following is not None else []
        if STRING.match(mnemonic):
            self.fault(address, "a string instruction")
        if mnemonic.startswith("ret"):
            return []
        if mnemonic.startswith("j"):
            target = int(operands[0], 16) if re.match(r"^[0-9a-f]+$", operands[0]) else None
            if target not in self.function.code:
                self.fault(address, "leaves the function")
                return []
            return [(target, state)] + ([] if mnemonic == "jmp" else [(following, dict(state))])
        if address in self.function.ends:
            return []
        if mnemonic.startswith("call"):
            if any(SHARED in state.get(r, frozenset()) for r in ("rdi", "rsi", "rdx", "rcx")):
                self.fault(address, "hands shared memory on")
            for register in CALLER_SAVED:
                state[register] = frozenset()
            return [(following, state)] if following is not None else []
        if mnemonic != "lea":
            for operand in operands:
                if memory_of(operand):
                    self.access(address, operand, state)
        if operands:
            self.assign(mnemonic, operands, state)
        return [(following, state)] if following is not None else []


def judge(path):
    """(accesses, faults) of all functions in it."""
    functions, accesses, faults = disassemble(path), 0, set()
    for name, (arguments, floor, vectors) in FUNCTIONS.items():
        if name not in functions:
            faults.add(f"{name} is not there")
            continue
        walk = Walk(functions[name], arguments, vectors)
        accesses += len(walk.accesses)
        faults |= walk.faults
        if len(walk.accesses) < floor and not walk.faults:
            faults.add(f"{name}: only {len(walk.accesses)} accesses to shared memory were seen")
    return accesses, faults


# How many faults there have to be, and where they are.
PLAIN = {
    "memcpy() of all": (4, r"""
#include <string.h>
void dxi_copy_item_in(void *to, const void *from, size_t n) { memcpy(to, from, n); }
void dxi_copy_out(void *to, const void *from, size_t n) { memcpy(to, from, n); }
void dxi_copy_item_out(void *to, const void *from, size_t n) { memcpy(to, from, n); }
void dxi_copy_across(void *to, const void *from, size_t n) { memcpy(to, from, n); }
"""),
    "a loop over bytes": (4, r"""
#include <stddef.h>
#define LOOP { volatile unsigned char *t = to; const volatile unsigned char *f = from; \
        for (size_t i = 0; i < n; i++) t[i] = f[i]; }
void dxi_copy_item_in(void *to, const void *from, size_t n) LOOP
void dxi_copy_out(void *to, const void *from, size_t n) LOOP
void dxi_copy_item_out(void *to, const void *from, size_t n) LOOP
void dxi_copy_across(void *to, const void *from, size_t n) LOOP
"""),
    "rep movsb": (4, r"""
#include <stddef.h>
#define REP { __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); }
void dxi_copy_item_in(void *to, const void *from, size_t n) REP
void dxi_copy_out(void *to, const void *from, size_t n) REP
void dxi_copy_item_out(void *to, const void *from, size_t n) REP
void dxi_copy_across(void *to, const void *from, size_t n) REP
"""),
    "vectors for zones": (2, r"""
#include <emmintrin.h>
#include <stddef.h>
#define PAIRS { for (; n >= 16; n -= 16, to = (char *)to + 16, from = (const char *)from + 16) \
        _mm_storeu_si128(to, _mm_loadu_si128(from)); }
void dxi_copy_item_in(void *to, const void *from, size_t n) PAIRS
void dxi_copy_out(void *to, const void *from, size_t n) PAIRS
void dxi_copy_item_out(void *to, const void *from, size_t n) PAIRS
void dxi_copy_across(void *to, const void *from, size_t n) PAIRS
"""),
    "streaming stores": (4, r"""
#include <emmintrin.h>
#include <stddef.h>
#define STREAM { long long *t = to; const long long *f = from; \
        for (; n >= 8; n -= 8) _mm_stream_si64(t++, *f++); }
void dxi_copy_item_in(void *to, const void *from, size_t n) STREAM
void dxi_copy_out(void *to, const void *from, size_t n) STREAM
void dxi_copy_item_out(void *to, const void *from, size_t n) STREAM
void dxi_copy_across(void *to, const void *from, size_t n) STREAM
"""),
    "streaming vectors for items": (2, r"""
#include <emmintrin.h>
#include <stddef.h>
#define WORDS { long long *t = to; const volatile long long *f = from; \
        for (; n >= 8; n -= 8) *(volatile long long *)t++ = *f++; }
#define PAIRS { for (; n >= 16; n -= 16, to = (char *)to + 16, from = (const char *)from + 16) \
        _mm_stream_si128(to, _mm_loadu_si128(from)); }
void dxi_copy_out(void *to, const void *from, size_t n) WORDS
void dxi_copy_across(void *to, const void *from, size_t n) WORDS
void dxi_copy_item_in(void *to, const void *from, size_t n) PAIRS
void dxi_copy_item_out(void *to, const void *from, size_t n) PAIRS
"""),
}

FLAGS = "-std=c11 -g -fPIC -fstack-protector-strong -D_GNU_SOURCE -I. -Iinclude -c".split()


class Bench:
    """Counts verdicts."""

    def __init__(self):
        self.passed = self.failed = 0

    def say(self, is_good, text, faults=()):
        self.passed += bool(is_good)
        self.failed += not is_good
        print("ok  " if is_good else "FAIL", text)
        for fault in sorted(faults) if not is_good else ():
            print("    ", fault)


def twin_of_tail(work):
    """The real thing, but for its last bytes."""
    with open("shm/copy.c", encoding="ascii") as file:
        text = file.read()
    twin = text.replace("memcpy(&last, from, bytes);", "memcpy(to, from, bytes), last = *to;")
    assert twin != text
    path = os.path.join(work, "tail.c")
    with open(path, "w", encoding="ascii") as file:
        file.write(twin)
    return path


def compile_to(work, compiler, level, source):
    target = os.path.join(work, "copy.o")
    subprocess.run([compiler, level, *FLAGS, source, "-o", target], check=True)
    return target


def main(build):
    if platform.machine() != "x86_64":
        print("skipped: this knows the instructions of x86_64 only")
        return 0
    bench = Bench()
    if not os.path.basename(build).endswith(("-address", "-thread", "-fuzzer")):
        accesses, faults = judge(os.path.join(build, "libdxh.so"))
        bench.say(not faults, f"{build}/libdxh.so: {accesses} accesses, all of whole words", faults)
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    with tempfile.TemporaryDirectory() as work:
        for compiler in compilers:
            for level in ("-O2", "-O3"):
                accesses, faults = judge(compile_to(work, compiler, level, "shm/copy.c"))
                bench.say(not faults, f"{compiler} {level}: {accesses} accesses, whole words", faults)
            for what, (least, text) in PLAIN.items():
                source = os.path.join(work, "plain.c")
                with open(source, "w", encoding="ascii") as file:
                    file.write(text)
                _, faults = judge(compile_to(work, compiler, "-O2", source))
                bench.say(len(faults) >= least, f"{compiler}: {what} is found out", faults)
            _, faults = judge(compile_to(work, compiler, "-O2", twin_of_tail(work)))
            bench.say(faults, f"{compiler}: a tail that goes straight to shared memory is found out")
    print(f"{bench.passed} passed, {bench.failed} failed")
    return 0 if bench.failed == 0 and bench.passed >= 8 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
