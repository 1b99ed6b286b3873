# SPDX-License-Identifier: MIT
"""The codes of the library as enums: what a call or an operation came to."""

from __future__ import annotations

import enum

__all__ = ["Certainty", "FlushLevel", "PeerState", "Repeats", "Stage", "Status"]


class Status(enum.IntEnum):
    """Every status of the library, as ``dxh_status`` in C without its ``DXH_E``."""

    OK = 0
    INVAL = 1
    NOMEM = 2
    FULL = 3
    WAIT = 4
    EXPIRED = 5
    CANCELED = 6
    LOST = 7
    CLOSED = 8
    DRAINING = 9
    STALE = 10
    DEADLK = 11
    FORKED = 12
    BUSY = 13
    EMPTY = 14
    LAPPED = 15
    EVICTED = 16
    DEAD = 17
    CORRUPT = 18
    VERSION = 19
    NOTFOUND = 20
    EXIST = 21
    CONFLICT = 22
    NOTOWNER = 23
    SCHEMA = 24
    SIZE = 25
    ZONE = 26
    TOOBIG = 27
    PROTO = 28
    ACCESS = 29
    NOSPACE = 30
    LIMIT = 31
    SYSTEM = 32
    REJECTED = 33
    OVERLOADED = 34
    INSECURE = 35
    UNSUPPORTED = 36
    STATE = 37
    UNLINKED = 38
    UNKNOWN = 39
    REPEATED = 40
    MOVED = 41


class Certainty(enum.IntEnum):
    """How much is known about the fate of a request that failed."""

    NOT_SENT = 0  #: the service never saw it
    MAYBE_EXECUTED = 1  #: it left; no answer came
    REPLIED = 2  #: the service answered, with success or an error


class FlushLevel(enum.IntEnum):
    """How far notifications have got when a flush ends."""

    SENT = 1  #: handed to the network
    REPLIED = 2  #: taken by the service at the other end


class PeerState(enum.IntEnum):
    """The connection of a peer."""

    CONNECTING = 0  #: the first try is under way
    READY = 1  #: requests flow
    WAITING = 2  #: disconnected; the next try is scheduled
    REFUSED = 3  #: another protocol version, or the keys do not fit; tried again all the same


class Repeats(enum.IntEnum):
    """What a service does with a request that its client sends once more, because the connection
    ended before the answer."""

    ANSWER = 0  #: it is executed once, and gets the same answer again, out of a cache
    REFUSE = 1  #: it is executed once; what was answered is refused: :class:`dxh.RepeatedError`
    EXECUTE = 2  #: it is executed again; clients repeat only what they marked ``idempotent``


class Stage(enum.IntEnum):
    """Where the time of a request goes."""

    QUEUE = 0  #: posted, until the I/O thread has taken it
    LANE = 1  #: until it is handed to the network
    SERVICE = 2  #: until its answer is here
    WAKE = 3  #: until its waiter is woken
