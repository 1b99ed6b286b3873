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
from .channel import Broker, ChannelInfo, ChannelState
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
from .item import Item
from .keys import make_key, public_key
from .peer import Peer
from .producer import Producer, Writing
from .schema import FieldFacts, Latch, Struct, field, field_facts
from .service import LATER, Request, Service
from .status import Certainty, FlushLevel, PeerState, Repeats, Stage, Status
from .subscription import Note, Subscription
from .views import View
from .zones import Atomic, LatchZone, Zone, Zones

__version__ = version()

__all__ = [
    "ALL_COMPLETED",
    "Atomic",
    "BlockInfo",
    "Broker",
    "Certainty",
    "ChannelInfo",
    "ChannelState",
    "Checksum",
    "Completion",
    "Consumer",
    "Discipline",
    "DrainReport",
    "DrainRow",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "FieldFacts",
    "FlushLevel",
    "Hub",
    "Item",
    "LATER",
    "Latch",
    "LatchZone",
    "Liveness",
    "Looking",
    "Note",
    "Peer",
    "PeerState",
    "Producer",
    "Repeats",
    "Request",
    "Service",
    "Stage",
    "Start",
    "Status",
    "Struct",
    "Subscription",
    "View",
    "Waited",
    "Writing",
    "Zone",
    "Zones",
    "as_completed",
    "consume",
    "field",
    "field_facts",
    "make_key",
    "produce",
    "public_key",
    "receive",
    "stat",
    "unlink",
    "wait",
]
__all__ += errors.__all__
