# SPDX-License-Identifier: MIT
"""Looking at blocks, also at broken ones; putting in order what a crash left; collecting garbage.

Nothing here changes a byte without ``apply=True``. Files are read, never mapped, and a live
producer is never disturbed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Callable, Mapping, TypeVar

from . import _native
from .block import BlockInfo, Checksum, info_of
from .blocks import zone_specs
from .schema import Layout, ZoneLayouts, slot_spec
from .status import Status

__all__ = [
    "BlockFacts",
    "BlockSize",
    "Finding",
    "Garbage",
    "GarbageEntry",
    "Policy",
    "Reader",
    "ReaderState",
    "Repair",
    "Report",
    "Severity",
    "Verdict",
    "ZoneFacts",
    "block_facts",
    "block_size",
    "check",
    "collect_garbage",
    "diagnose",
    "recover",
    "validate",
]

_T = TypeVar("_T")
_NO_OFFSET = 2**64 - 1
_DIAGNOSE, _VALIDATE, _CHECK = range(3)
_RULES = {number: words for number, *words in _native.rules()}


class Severity(enum.IntEnum):
    """Of a finding."""

    NOTE = 1  #: as the design means it to be: nothing has to be done
    WARNING = 2  #: somebody should act, users go on meanwhile
    ERROR = 3  #: a rule is broken: attaching is refused, or items are lost


class Repair(enum.IntEnum):
    """Who puts it in order."""

    NONE = 0  #: nobody, nobody needs to, or not while the producer lives
    RECOVER = 1  #: :func:`recover` with ``apply``, or the next producer
    DONE = 2  #: this call of :func:`recover` did it


@dataclass(frozen=True)
class Finding:
    """Something that was seen."""

    rule: str  #: its name, "head-lags"
    meaning: str  #: the rule, in words
    advice: str  #: what to do about it
    severity: Severity  #: how bad it is
    repair: Repair  #: who puts it in order
    file: str  #: "data", "control", "zones" or "lock"
    offset: int | None  #: in that file
    detail: str  #: one line with the values


@dataclass(frozen=True)
class Report:
    """What was seen of a block; one without errors and warnings is in order."""

    readable: bool  #: False: the header is broken, and ``block`` is empty but for the name
    block: BlockInfo  #: which block
    errors: int  #: findings of this severity
    warnings: int  #: of this one
    notes: int  #: and of this one
    findings: list[Finding]  #: at most 1000, in the order of the file
    items_verified: int  #: by their checksums
    items_unverified: int  #: those without one, without the key for it, or overwritten meanwhile
    recoveries: int  #: repairs that takeovers and recoveries made, ever
    recovered_ns: int  #: CLOCK_REALTIME of the last; 0: none

    @property
    def is_in_order(self) -> bool:
        """Neither an error nor a warning."""
        return self.errors == 0 and self.warnings == 0


def _finding(told: dict[str, Any]) -> Finding:
    rule, meaning, advice = _RULES.get(told["rule"], ("?", "", ""))
    return Finding(
        rule,
        meaning,
        advice,
        Severity(told["severity"]),
        Repair(told["repair"]),
        told["file"],
        None if told["offset"] == _NO_OFFSET else told["offset"],
        told["detail"],
    )


def _report(told: dict[str, Any]) -> Report:
    told["readable"] = bool(told["readable"])
    told["block"] = info_of(told["block"])
    told["findings"] = [_finding(each) for each in told["findings"]]
    return Report(**told)


def diagnose(
    name: str | None = None,
    *,
    directory: str | None = None,
    file: str | None = None,
    owner_uid: int | None = None,
) -> Report:
    """Is the block as it should be? Header, tables, tickets, its files, readers, producer.

    ``file``: exactly this data file instead, for example a copy. ``owner_uid``: accept a block of
    this other user. Raises :class:`dxh.NotFoundError`, :class:`dxh.AccessError`.
    """
    return _report(_native.inspect(_DIAGNOSE, name, directory, file, owner_uid, None))


def validate(
    name: str | None = None,
    *,
    directory: str | None = None,
    file: str | None = None,
    owner_uid: int | None = None,
    checksum_key: bytes | None = None,
) -> Report:
    """Is what it carries what was written? The sums of all items, and the digests of zones. As
    :func:`diagnose`."""
    return _report(
        _native.inspect(_VALIDATE, name, directory, file, owner_uid, checksum_key)
    )


def check(
    name: str | None = None,
    *,
    directory: str | None = None,
    file: str | None = None,
    owner_uid: int | None = None,
    checksum_key: bytes | None = None,
) -> Report:
    """:func:`diagnose` and :func:`validate`."""
    return _report(_native.inspect(_CHECK, name, directory, file, owner_uid, checksum_key))


def recover(
    name: str,
    *,
    apply: bool = False,
    directory: str | None = None,
    owner_uid: int | None = None,
) -> Report:
    """Put in order what a crash left, without becoming the producer; without ``apply`` only tell
    what would be done. May be killed at any point and run again.

    Raises :class:`dxh.BusyError` naming the live producer; as :func:`diagnose`.
    """
    return _report(_native.recover(name, directory, apply, owner_uid))


# ---- facts ----------------------------------------------------------------------------------


class Policy(enum.IntEnum):
    """What is kept."""

    NO_SLOTS = 0  #: zones only
    RING = 1  #: the newest items, so many as there are slots
    SINGLE = 2  #: the newest item
    DOUBLE = 3  #: the newest two


class ReaderState(enum.IntEnum):
    """Of a lossless reader."""

    ACTIVE = 1  #: lives, and is less than all that is kept behind
    LAGGING = 2  #: lives, and the next write waits for it
    EVICTED = 3  #: the writer went on without it, and it does not know yet
    DEAD = 4  #: died with its row, which holds nobody back


@dataclass(frozen=True)
class Reader:
    """A lossless reader; others leave no trace in a block."""

    row: int  #: its place in NAME.ctl
    pid: int  #: as it says, as all up to ``retries``
    uid: int  #: of its user
    next_ticket: int  #: all below are done with
    read: int  #: items it has read
    lost: int  #: items it has lost
    retries: int  #: reads begun again, as the writer came between
    lag: int  #: tickets published and not yet done with
    lag_ns: int  #: since when the oldest of them that is kept has been there
    state: ReaderState  #: how it does


@dataclass(frozen=True)
class ZoneFacts:
    """A zone, as it lies in its file."""

    name: str  #: by which it is found
    schema: str  #: of its struct; "": raw bytes
    bytes: int  #: of one copy
    offset: int  #: in the data file, or NAME.zones if shared
    align: int  #: of its first byte
    latch: bool  #: two copies
    shared: bool  #: consumers may write it


@dataclass(frozen=True)
class BlockFacts:
    """What a block is and how it does. Times are CLOCK_MONOTONIC of the producer's boot; with
    ``block.clock_offset_ns`` they are times of day."""

    block: BlockInfo  #: what :func:`dxh.stat` tells
    path: str  #: of the data file
    uid: int  #: owner of the data file
    gid: int  #: its group
    mode: int  #: its permissions
    zones: list[ZoneFacts]  #: in their order
    schema: bytes  #: canonical MessagePack
    slot_schema: str  #: of the items' struct; "": raw bytes
    policy: Policy  #: what is kept of the items
    slots_physical: int  #: ``block.slot_count`` are kept, and some are spare
    oldest: int  #: the oldest ticket that is whole; ``block.head``: none is
    oldest_ns: int  #: when that was published; 0: none is, or it says nothing
    newest_ns: int  #: the same of the newest
    checksum: Checksum  #: of the items
    checksum_manual: bool  #: of some items only
    checksum_keyed: bool  #: with a key
    no_wait: bool  #: publishing wakes nobody
    zones_writable: bool  #: there is a file NAME.zones
    no_timestamps: bool  #: ``oldest_ns`` and ``newest_ns`` are 0
    readers_max: int  #: lossless readers at a time
    producer_started_ns: int  #: CLOCK_BOOTTIME; 0: unknown
    producer_boot_id: str  #: as /proc/sys/kernel/random/boot_id; "": unknown
    same_boot: bool  #: it is this machine's boot: times compare with :func:`time.monotonic_ns`
    locked_bytes: int  #: that the producer locked in memory
    huge_bytes: int  #: of its mapping, in huge pages
    items: int  #: published over the life of the block, as all that follows
    bytes: int  #: of these items
    aborted: int  #: writes given up
    wakes: int  #: calls of the system that wake readers
    held: int  #: writes that waited for lossless readers
    evicted: int  #: readers gone on without
    write_max_ns: int  #: longest write; one in 64 is measured
    recoveries: int  #: repairs that takeovers and recoveries made
    recovered_ns: int  #: CLOCK_REALTIME of the last; 0: none
    recovered_by: int  #: pid of who made it
    readers_status: Status  #: OK, or why the rows of readers could not be looked at
    readers: list[Reader]  #: lossless ones, the dead too


_FLAGS = ("checksum_manual", "checksum_keyed", "no_wait", "zones_writable", "no_timestamps", "same_boot")


def _typed(told: dict[str, Any], types: Mapping[str, Callable[[Any], Any]], made: type[_T]) -> _T:
    for name, kind in types.items():
        told[name] = kind(told[name])
    return made(**told)


def block_facts(
    name: str | None = None,
    *,
    directory: str | None = None,
    file: str | None = None,
    owner_uid: int | None = None,
) -> BlockFacts:
    """Tell what a block is, who produces it, which lossless readers it has, what was counted.

    Raises :class:`dxh.CorruptError`, :class:`dxh.VersionError`; as :func:`diagnose`.
    """
    told = _native.facts(name, directory, file, owner_uid)
    zone = {"latch": bool, "shared": bool}
    return _typed(
        told,
        {
            **dict.fromkeys(_FLAGS, bool),
            "block": info_of,
            "policy": Policy,
            "checksum": Checksum,
            "readers_status": Status,
            "zones": lambda all: [_typed(each, zone, ZoneFacts) for each in all],
            "readers": lambda all: [_typed(each, {"state": ReaderState}, Reader) for each in all],
        },
        BlockFacts,
    )


@dataclass(frozen=True)
class BlockSize:
    """What a block takes, by file; 0: there is no such file."""

    data_bytes: int  #: header, schema, zones and slots
    control_bytes: int  #: NAME.ctl, rows of lossless readers
    zones_bytes: int  #: NAME.zones, zones that consumers write
    lock_bytes: int  #: NAME.lock
    total_bytes: int  #: of all files
    schema_bytes: int  #: of these, the schema
    slots_offset: int  #: what comes before is header, schema, zones; 0: no slots
    slot_stride_bytes: int  #: from slot to slot
    slots_in_all: int  #: with those that are spare


def block_size(
    name: str,
    *,
    slot: Layout | None = None,
    slots: int = 0,
    zones: ZoneLayouts | None = None,
    readers_max: int = 0,
    memfd: bool = False,
    zones_writable: bool = False,
) -> BlockSize:
    """How large a block will be, exactly, before it is made; the arguments are those of
    :func:`dxh.produce`."""
    told = _native.block_size(
        name, zone_specs(zones), slot_spec(slot), slots, readers_max, memfd, zones_writable
    )
    return BlockSize(**told)


# ---- garbage --------------------------------------------------------------------------------


class Garbage(enum.IntEnum):
    """What was found."""

    BLOCK = 1  #: a block that no producer holds and nobody has open
    LEFTOVER = 2  #: files beside a block, without one
    NOT_OURS = 3  #: named like files of a block, but none: never touched


class Verdict(enum.IntEnum):
    """What becomes of it."""

    KEPT = 0  #: ``reason`` says why
    REMOVABLE = 1  #: ``apply`` would remove it
    REMOVED = 2  #: by this call


@dataclass(frozen=True)
class GarbageEntry:
    """What :func:`collect_garbage` found, and did with it."""

    name: str  #: of the block
    kind: Garbage  #: what it is
    verdict: Verdict  #: what becomes of it
    bytes: int  #: of memory or disk that its files take
    reason: str  #: one line: why it is kept, or why it may go


def collect_garbage(
    *, apply: bool = False, directory: str | None = None, keep_closed: bool = False
) -> list[GarbageEntry]:
    """Find blocks whose producer is gone and which nobody uses, and what half-made or half-removed
    ones left; with ``apply`` remove them.

    Such a block may still be wanted, by a producer that is to come back: look at what would be
    removed first. ``keep_closed``: blocks that were closed in good order are kept.
    """
    types = {"kind": Garbage, "verdict": Verdict}
    return [
        _typed(each, types, GarbageEntry) for each in _native.gc(directory, apply, keep_closed)
    ]
