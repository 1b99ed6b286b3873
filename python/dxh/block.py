# SPDX-License-Identifier: MIT
"""What producer and consumer of a block have in common."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

__all__ = ["BlockInfo", "Checksum", "Discipline", "Liveness", "Start"]


class Checksum(enum.IntEnum):
    """What proves an item against bytes that changed by accident."""

    NONE = 0  #: nothing does
    XXH3 = 1  #: 64 bits; the choice when nothing speaks for another
    CRC32C = 2  #: 32 bits; what processors and hardware on the way compute
    BLAKE2B = 3  #: with a key also against who changes them on purpose


class Discipline(enum.IntEnum):
    """How a consumer reads."""

    FOLLOW = 0  #: every item in order; overwritten ones are counted exactly
    LATEST = 1  #: the newest item; those passed over are counted as lost
    LOSSLESS = 2  #: every item in order; the writer waits


class Start(enum.IntEnum):
    """Where a consumer begins, or goes on."""

    OLDEST = 0  #: the oldest item still whole
    NEWEST = 1  #: the newest item
    NEXT = 2  #: the first item published from now on
    TICKET = 3  #: a given ticket


class Liveness(enum.IntEnum):
    """Of a producer."""

    UNKNOWN = 0  #: it cannot be told
    ALIVE = 1  #: it has the block open
    CLOSED = 2  #: gone in good order
    DEAD = 3  #: gone without closing


@dataclass(frozen=True)
class BlockInfo:
    """Facts of a block."""

    name: str  #: by which it is found
    uuid: bytes  #: random, another one for each block
    schema_hash: bytes  #: BLAKE2b-256 of the schema
    block_bytes: int  #: of the data file
    epoch: int  #: takeovers so far
    head: int  #: tickets published
    slot_bytes: int  #: of one item, at most
    slot_count: int  #: items kept
    zone_count: int  #: zones, latches among them
    schema_bytes: int  #: of the schema's MessagePack
    producer: Liveness  #: whether its producer lives
    producer_pid: int  #: of the last producer; for humans
    unlinked: bool  #: the name is gone
    clock_offset_ns: int  #: CLOCK_REALTIME - CLOCK_MONOTONIC


def info_of(told: dict[str, Any]) -> BlockInfo:
    """The facts, typed."""
    told["producer"] = Liveness(told["producer"])
    told["unlinked"] = bool(told["unlinked"])
    return BlockInfo(**told)
