# SPDX-License-Identifier: MIT
"""dxhub for Python: data and commands between threads, processes and machines.

A :class:`Hub` owns the sockets. ``hub.connect(endpoint)`` gives a :class:`Peer` to post
requests and notifications to, ``hub.serve(endpoint)`` a :class:`Service` that answers.
``hub.produce(name, ...)`` and ``hub.consume(name)`` are the ends of a block in shared memory, whose
slots and zones are numpy arrays.

Timeouts are seconds, or ``None`` for ever. KeyboardInterrupt ends every wait within a tenth
of a second. What fails raises an :class:`Error` of a class of its own. What the library has to
say besides goes to the logger "dxh" of :mod:`logging`.
"""

from . import errors, log  # log first: it ends after the hubs
from ._native import version
from .block import BlockInfo, Checksum, Discipline, Liveness, Start
from .blocks import consume, produce, receive, stat, unlink
from .channel import (
    Broker,
    ChannelConsumer,
    ChannelFacts,
    ChannelInfo,
    ChannelState,
    ChannelZone,
    Watcher,
    WatchEvent,
    WatchKind,
)
from .completion import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Completion,
    Waited,
    as_completed,
    wait,
)
from .consumer import Consumer, Looking
from .errors import *
from .hub import DrainReport, DrainRow, Hub
from .inspection import (
    BlockFacts,
    BlockSize,
    Finding,
    Garbage,
    GarbageEntry,
    Policy,
    Reader,
    ReaderState,
    Repair,
    Report,
    Severity,
    Verdict,
    ZoneFacts,
    block_facts,
    block_size,
    check,
    collect_garbage,
    diagnose,
    recover,
    validate,
)
from .item import Item
from .keys import make_key, public_key
from .metrics import Metrics, read_metrics
from .pacer import Pace, Pacer
from .peer import Peer
from .producer import Producer, Writing
from .schema import Digested, FieldFacts, Latch, Struct, field, field_facts
from .service import LATER, Client, Request, Service
from .status import Certainty, FlushLevel, PeerState, Repeats, Stage, Status
from .subscription import Note, Subscription
from .views import View
from .zones import Atomic, LatchZone, Zone, Zones

__version__ = version()

__all__ = [
    "ALL_COMPLETED",
    "Atomic",
    "BlockFacts",
    "BlockInfo",
    "BlockSize",
    "Broker",
    "Certainty",
    "ChannelConsumer",
    "ChannelFacts",
    "ChannelInfo",
    "ChannelState",
    "ChannelZone",
    "Checksum",
    "Client",
    "Completion",
    "Consumer",
    "Digested",
    "Discipline",
    "DrainReport",
    "DrainRow",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "FieldFacts",
    "Finding",
    "FlushLevel",
    "Garbage",
    "GarbageEntry",
    "Hub",
    "Item",
    "LATER",
    "Latch",
    "LatchZone",
    "Liveness",
    "Looking",
    "Metrics",
    "Note",
    "Pace",
    "Pacer",
    "Peer",
    "PeerState",
    "Policy",
    "Producer",
    "Reader",
    "ReaderState",
    "Repair",
    "Repeats",
    "Report",
    "Request",
    "Service",
    "Severity",
    "Stage",
    "Start",
    "Status",
    "Struct",
    "Subscription",
    "Verdict",
    "View",
    "Waited",
    "WatchEvent",
    "WatchKind",
    "Watcher",
    "Writing",
    "Zone",
    "ZoneFacts",
    "Zones",
    "as_completed",
    "block_facts",
    "block_size",
    "check",
    "collect_garbage",
    "consume",
    "diagnose",
    "field",
    "field_facts",
    "make_key",
    "produce",
    "public_key",
    "read_metrics",
    "receive",
    "recover",
    "stat",
    "unlink",
    "validate",
    "wait",
]
__all__ += errors.__all__
