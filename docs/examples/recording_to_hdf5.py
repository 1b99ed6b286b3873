#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""recording_to_hdf5.py RECORDING OUT.h5: what dxh record wrote, for programs that read HDF5.

A group a block, with its items as one dataset: the members of their struct, or bytes; and
beside it their tickets, when they were published, and what is missing. Written from
docs/recording-format.md alone. Debian: python3-h5py, -msgpack, -xxhash, -lz4.
"""
import struct
import sys

import lz4.block
import msgpack
import xxhash

BLOCK, ITEM, GAP, PRODUCER, CLOCK, ZONE, INDEX, END = range(1, 9)
TYPES = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4",
         "u64": "<u8", "i64": "<i8", "f32": "<f4", "f64": "<f8", "bool": "?"}


def records(path):
    """(kind, ticket, time_ns, payload) of each good record; the first bad one is the end."""
    with open(path, "rb") as file:
        if file.read(8) != b"DXHREC\r\n" or struct.unpack("<H6x", file.read(8)) != (1,):
            sys.exit(f"{path} is no recording of format 1")
        while len(header := file.read(40)) == 40:
            count, kind, flags, ticket, time_ns, total = struct.unpack("<QBB6xQqQ", header)
            payload = file.read(count)
            if len(payload) < count or xxhash.xxh3_64_intdigest(header[:32] + payload) != total:
                return
            file.read(-count % 8)
            if kind == ITEM and flags & 1:
                size, = struct.unpack_from("<Q", payload)
                payload = lz4.block.decompress(payload[8:], uncompressed_size=size)
            yield kind, ticket, time_ns, payload


def block_of(payload):
    """(name, description) of a BLOCK."""
    begin, = struct.unpack_from("<Q", payload)
    return payload[48:112].rstrip(b"\0").decode(), msgpack.unpackb(payload[begin:])


def dtype_of(part):
    """The numpy type of a struct, or of an array of them."""
    names, formats, offsets = [], [], []
    for field in part["fields"]:
        count, columns = field["count"], field.get("columns", 0)
        if field["type"] == "struct":
            one = dtype_of(field)
        elif field["type"] == "bytes":
            one, count = f"V{count}", 1
        elif field["type"] == "text":
            one, count, columns = f"S{columns or count}", count // columns if columns else 1, 0
        else:
            one = TYPES[field["type"]]
        shape = (count // columns, columns) if columns else (count,)
        names.append(field["name"])
        formats.append(one if shape == (1,) else (one, shape))
        offsets.append(field["offset"])
    return {"names": names, "formats": formats, "offsets": offsets, "itemsize": part["size"]}


def sections(path):
    """Each block of the recording, with all that was recorded of it."""
    section = None
    for kind, ticket, time_ns, payload in records(path):
        if kind == BLOCK:
            if section:
                yield section
            name, description = block_of(payload)
            section = {"name": name, "slot": description["slot"], "items": [], "tickets": [],
                       "published_ns": [], "gaps": []}
        elif kind == ITEM:
            section["items"].append(payload)
            section["tickets"].append(ticket)
            section["published_ns"].append(time_ns)
        elif kind == GAP:
            section["gaps"].append((ticket, *struct.unpack("<QI", payload)))
    if section:
        yield section


def main():
    import h5py
    import numpy

    with h5py.File(sys.argv[2], "w") as out:
        for number, section in enumerate(sections(sys.argv[1])):
            group = out.create_group(f"{number}")
            group.attrs["block"] = section["name"]
            if "fields" in section["slot"]:
                dtype = numpy.dtype(dtype_of(section["slot"]))
                whole = [item[:dtype.itemsize].ljust(dtype.itemsize, b"\0")
                         for item in section["items"]]
                items = numpy.frombuffer(b"".join(whole), dtype)
            else:
                items = numpy.empty(len(section["items"]), dtype=object)
                items[:] = [numpy.frombuffer(item, "u1") for item in section["items"]]
                dtype = h5py.vlen_dtype(numpy.uint8)
            group.create_dataset("items", data=items, dtype=dtype)
            group["tickets"] = numpy.array(section["tickets"], "u8")
            group["published_ns"] = numpy.array(section["published_ns"], "i8")
            group["missing"] = numpy.array(section["gaps"], "u8").reshape(-1, 3)


if __name__ == "__main__":
    main()
