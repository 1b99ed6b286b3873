# SPDX-License-Identifier: MIT
"""Images of blocks made byte by byte from docs/block-format.md, with all hashes right: what a
stranger would make who wants to be read. They are sparse: what they claim costs nothing."""

import hashlib
import struct

import msgpack


def canonical(value):
    """Keys in byte order, at every depth."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value, key=str.encode)}
    return [canonical(one) for one in value] if isinstance(value, list) else value


def field(name, kind, offset, count=1, **more):
    return dict(name=name, type=kind, offset=offset, count=count, **more)


def part(name, size, fields=None, align=8, **more):
    described = {"fields": fields, "struct": more.pop("struct", name)} if fields else {}
    return dict(name=name, size=size, align=align, **described, **more)


def digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def up(number, multiple):
    return -(-number // multiple) * multiple


def write(path, zones=(), slot=None, kept=0, head=0, name="forged", patch=None, header_patch=None):
    """`header_patch(header)` changes it before it is hashed, `patch(file, slots_offset)` the file
    when all is written."""
    described = {"name": name, "version": 1, "zones": list(zones)}
    if slot:
        described["slot"] = slot
    schema = msgpack.packb(canonical(described))
    table, at = b"", up(1024 + 128 * len(zones) + len(schema), 128)
    for zone in zones:
        table += struct.pack("<64sQQII40x", zone["name"].encode(), at, zone["size"], zone["align"], 0)
        at = up(at + zone["size"], 128)
    capacity = up(slot["size"], 64) if slot else 0
    physical = kept + 2 if kept else 0
    slots = at if kept else 0
    total = slots + physical * (capacity + 64) if kept else up(at, 64)
    policy = {0: 0, 1: 2, 2: 3}.get(kept, 1)
    header = bytearray(1024)
    struct.pack_into("<IHHQQQQ4BI16s", header, 0, 0x42485844, 1, 0, 1024, total, 0, 0, 0x18, 1, policy,
                     0, 128, b"forged by a test")
    struct.pack_into("<QIIQQQIIQII", header, 64, 1024, len(zones), 128, slots,
                     capacity + 64 if kept else 0, capacity, kept, physical, 1024 + len(table),
                     len(schema), 64)
    if header_patch:
        header_patch(header)
    header[128:160] = digest(schema)
    header[160:192] = digest(bytes(header[64:128]) + table)
    header[224:256] = digest(bytes(header[4:224]))
    struct.pack_into("<Q", header, 384, head)
    with open(path, "wb") as file:
        file.truncate(total)
        file.write(header + table + schema)
        if patch:
            patch(file, slots)
