# SPDX-License-Identifier: MIT
"""dxhub for Python: data and commands between threads, processes and machines.

A :class:`Hub` owns the sockets. ``hub.connect(endpoint)`` gives a :class:`Peer` to post
requests and notifications to, ``hub.serve(endpoint)`` a :class:`Service` that answers.

Timeouts are seconds, or ``None`` for ever. KeyboardInterrupt ends every wait within a tenth
of a second. What fails raises an :class:`Error` of a class of its own.
"""

from . import errors
from ._native import version
from .completion import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Completion,
    Waited,
    as_completed,
    wait,
)
from .errors import *
from .hub import DrainReport, DrainRow, Hub
from .peer import Peer
from .service import LATER, Request, Service
from .status import Certainty, FlushLevel, PeerState, Status

__version__ = version()

__all__ = [
    "ALL_COMPLETED",
    "Certainty",
    "Completion",
    "DrainReport",
    "DrainRow",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "FlushLevel",
    "Hub",
    "LATER",
    "Peer",
    "PeerState",
    "Request",
    "Service",
    "Status",
    "Waited",
    "as_completed",
    "wait",
]
__all__ += errors.__all__
