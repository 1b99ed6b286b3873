# SPDX-License-Identifier: MIT
"""Frames and records as docs/wire-format.md describes them, and nothing else."""

import os
import struct

import msgpack

HELLO, WELCOME, BEAT, REQUEST, REPLY, ERROR, NOTIFY, SUBSCRIBE, UNSUBSCRIBE, CANCEL = range(1, 11)
FLUSH, FLUSHED, GOODBYE, ACK = 12, 13, 14, 15
KEEP, ONCE = 8, 16  # flags of REQUEST


def record(kind, ident=0, subject=b"", body=b"", budget=0, status=0, attempt=0, flags=0):
    used = 32 + len(subject) + len(body)
    head = struct.pack("<IBBHQIiH6x", used, kind, flags, len(subject), ident, budget, status,
                       attempt)
    return head + subject + body + bytes(-used % 8)


def frame(*records):
    body = b"".join(records)
    return struct.pack("<4sHHII", b"DXH1", 0, len(records), 16 + len(body), 0) + body


def parse(data):
    """Yields dicts; a frame that breaks a rule fails an assertion."""
    magic, flags, count, total, reserved = struct.unpack_from("<4sHHII", data)
    assert magic == b"DXH1" and flags == 0 and reserved == 0
    assert total == len(data) and total % 8 == 0 and total <= 1 << 20
    at = 16
    for _ in range(count):
        used, kind, flags, subject, ident, budget, status, attempt = struct.unpack_from(
            "<IBBHQIiH", data, at)
        assert used >= 32 + subject and at + used <= total
        assert flags == 0 or (kind == REQUEST and flags in (KEEP, KEEP | ONCE))
        assert data[at + 26:at + 32] == bytes(6)
        end = at + (used + 7) // 8 * 8
        assert data[at + used:end] == bytes(end - at - used)
        yield {"kind": kind, "flags": flags, "id": ident, "budget": budget, "status": status, "attempt": attempt,
               "subject": data[at + 32:at + 32 + subject], "body": data[at + 32 + subject:at + used]}
        at = end
    assert at == total


def ids(body):
    assert len(body) % 8 == 0
    return [ident for ident, in struct.iter_unpack("<Q", body)]


def ack(*acknowledged):
    return record(ACK, body=b"".join(struct.pack("<Q", ident) for ident in acknowledged))


def hello(**changed):
    fields = {"features": 0, "frame_bytes": 16384, "major": 1, "minor": 3, "name": "python",
              "incarnation": int.from_bytes(os.urandom(8), "little"),
              "window_bytes": 0, "window_records": 0}
    fields.update(changed)
    return msgpack.packb({key: fields[key] for key in fields if fields[key] is not None})
