#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Print the zones and the newest item of a block, without the library: all that is known here
stands in docs/block-format.md. Usage: read_block.py /dev/shm/NAME.dxh"""
import json, mmap, struct, sys, msgpack

NUMBERS = dict(zip("u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 bool".split(), "BbHhIiQqfd?"))

def load(form, data, at):
    return struct.unpack_from("<" + form, data, at)

def one(field, data):
    if field["type"] in NUMBERS:
        (number,) = load(NUMBERS[field["type"]], data, 0)
        return number if abs(number) < float("inf") else str(number)
    return data.split(b"\0")[0].decode(errors="replace") if field["type"] == "text" else part(field, data)

def member(field, data):
    kind, count, row = field["type"], field["count"], field.get("columns", 0)
    size = field["size"] if kind == "struct" else struct.calcsize(NUMBERS.get(kind, "c"))
    if kind in ("text", "bytes"):  # one value, or one a row
        size, count = row or count, count // (row or count)
    data = data[field["offset"]:][:size * count]
    if len(data) < size * count:
        return None  # the item ends before it
    every = [one(field, data[i * size:][:size]) for i in range(count)]
    rows = [every[i:i + row] for i in range(0, count, row)] if row and kind not in ("text", "bytes") else every
    return rows if row or count > 1 else every[0]

def part(described, data):  # a struct, or raw bytes
    return {f["name"]: member(f, data) for f in described["fields"]} if "fields" in described else data.hex()

def latch(data, at, size):  # copy `seq & 1` is whole if seq is still the same behind it
    for (seq,) in (load("Q", data, at) for _ in range(1000000)):
        copy = data[(begin := at + 128 + (seq & 1) * (-(-size // 64) * 64)):begin + size]
        if load("Q", data, at) == (seq,):
            return copy
    sys.exit("a latch is written faster than it is read")

def attach(path, magic):
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return data if load("IH", data, 0) == (magic, 1) else sys.exit(path + " is no file of a block of format 1")

block, told, shared = attach(sys.argv[1], 0x42485844), {"zones": [], "slots": []}, None
table, zones, slots, stride, capacity, kept, physical, at, size = load("QI4xQQQIIQI", block, 64)
schema = msgpack.unpackb(block[at:at + size])
for i in range(zones):
    name, at, size, _, kind = load("64sQQII", block, table + 128 * i)
    shared = attach(sys.argv[1].removesuffix(".dxh") + ".zones", 0x5a485844) if kind == 2 else None
    value = latch(block, at, size) if kind == 1 else (shared or block)[at:at + size]
    told["zones"].append({"name": name.rstrip(b"\0").decode(), "value": part(schema["zones"][i], value)})
for ticket in range((head := load("Q", block, 384)[0]) - 1, max(head - kept, 0) - 1, -1):
    at = slots + ticket % physical * stride
    seq, size, flags, time, value = *load("QQI4xq", block, at), block[at + 64:at + 64 + capacity]
    if seq == 2 * ticket + 2 == load("Q", block, at)[0] and not flags & 0xfffd:  # whole, and no abort
        told["slots"] = [{"ticket": ticket, "bytes": size, "timestamp_ns": time,
                          "value": part(schema["slot"], value[:size])}]
        break
print(json.dumps(told, indent=2))
