# SPDX-License-Identifier: MIT
"""One exception for each status, so that ``except`` can name what it is for.

All are an :class:`Error`; those that have a sibling among Python's own exceptions are
that too: a wait that timed out is a ``TimeoutError``, a name that does not exist a
``LookupError``.
"""

from __future__ import annotations

from typing import ClassVar

from . import _native
from .status import Certainty, Status


__all__ = [
    "Error",
    "AccessError",
    "BusyError",
    "CanceledError",
    "ClosedError",
    "ConflictError",
    "CorruptError",
    "DeadlockError",
    "DrainingError",
    "EmptyError",
    "EvictedError",
    "ExistsError",
    "ExpiredError",
    "ForkedError",
    "FullError",
    "InsecureError",
    "InvalidError",
    "LappedError",
    "LimitError",
    "LostError",
    "MovedError",
    "NoMemoryError",
    "NotFoundError",
    "NotOwnerError",
    "OverloadedError",
    "ProducerDeadError",
    "ProtocolError",
    "RejectedError",
    "RepeatedError",
    "SchemaError",
    "SizeError",
    "SpaceError",
    "StaleError",
    "StateError",
    "SystemRefusedError",
    "TooBigError",
    "UnknownSubjectError",
    "UnlinkedError",
    "UnsupportedError",
    "VersionError",
    "WaitTimeoutError",
    "ZoneError",
]


class Error(Exception):
    """What the library said: its text is that of ``dxh_last_error()``, with all values."""

    #: The status that this class stands for; ``None`` where it stands for several.
    of: ClassVar[Status | None] = None

    status_code: int = -1  #: set by the extension module, see :attr:`status`
    certainty_code: int = -1  #: the same of :attr:`certainty`

    #: Items lost, where it tells of items: of a block.
    lost: int = 0

    #: What the service said, of a request that it answered with an error; else ``None``.
    text: str | None = None

    @property
    def status(self) -> Status:
        """The status; of one that you raise yourself, that of its class."""
        if self.status_code >= 0:
            return Status(self.status_code)
        return self.of if self.of is not None else Status.REJECTED

    @property
    def certainty(self) -> Certainty | None:
        """Of a request that failed: whether the service may have seen it. Else ``None``."""
        return Certainty(self.certainty_code) if self.certainty_code >= 0 else None


class InvalidError(Error, ValueError):
    """An argument is not usable; the text names it."""

    of = Status.INVAL


class NoMemoryError(Error, MemoryError):
    """Out of memory."""

    of = Status.NOMEM


class FullError(Error):
    """No credit or slot is free: await or drop completions, or give the peer a
    ``full_wait``."""

    of = Status.FULL


class WaitTimeoutError(Error, TimeoutError):
    """This wait is over; what was waited for lives, and can be waited for again."""

    of = Status.WAIT


class ExpiredError(Error, TimeoutError):
    """The operation's own deadline passed; see its :attr:`~Error.certainty`."""

    of = Status.EXPIRED


class CanceledError(Error):
    """The operation was cancelled."""

    of = Status.CANCELED


class LostError(Error, ConnectionError):
    """The connection ended before the answer; see its :attr:`~Error.certainty`."""

    of = Status.LOST


class ClosedError(Error):
    """The object is closed; of a block: its producer closed it in good order."""

    of = Status.CLOSED


class DrainingError(Error):
    """The hub is draining and takes no new work."""

    of = Status.DRAINING


class StaleError(Error):
    """It was answered or released before."""

    of = Status.STALE


class DeadlockError(Error):
    """The I/O thread may not wait."""

    of = Status.DEADLK


class ForkedError(Error):
    """The object belongs to the parent process: open a new one here."""

    of = Status.FORKED


class BusyError(Error):
    """Somebody else holds it."""

    of = Status.BUSY


class EmptyError(Error):
    """Nothing is outstanding or stored."""

    of = Status.EMPTY


class LappedError(Error):
    """The writer overtook this reader while it looked: what was derived from the item is
    to be discarded."""

    of = Status.LAPPED


class EvictedError(Error):
    """The writer went on without this lossless reader, which goes on from now;
    :attr:`~Error.lost` counts what is gone."""

    of = Status.EVICTED


class ProducerDeadError(Error):
    """The producer died; a successor may come, and reading goes on then."""

    of = Status.DEAD


class CorruptError(Error):
    """Stored or received bytes break a rule; the text names place and rule."""

    of = Status.CORRUPT


class VersionError(Error):
    """The format or protocol version differs."""

    of = Status.VERSION


class NotFoundError(Error, LookupError):
    """No such name."""

    of = Status.NOTFOUND


class ExistsError(Error):
    """The name is taken."""

    of = Status.EXIST


class ConflictError(Error):
    """A live owner holds the name."""

    of = Status.CONFLICT


class NotOwnerError(Error):
    """Only the owner may do this."""

    of = Status.NOTOWNER


class SchemaError(Error):
    """The two sides describe the data differently; the text names the field."""

    of = Status.SCHEMA


class SizeError(Error):
    """Wrong size or alignment."""

    of = Status.SIZE


class ZoneError(Error, LookupError):
    """No zone of that name; the text names those that exist."""

    of = Status.ZONE


class TooBigError(Error):
    """Larger than the configured limit."""

    of = Status.TOOBIG


class ProtocolError(Error):
    """The peer broke the protocol."""

    of = Status.PROTO


class AccessError(Error):
    """Permission denied."""

    of = Status.ACCESS


class SpaceError(Error):
    """Not enough space; the text says what is needed and what there is."""

    of = Status.NOSPACE


class LimitError(Error):
    """A limit of the system is reached."""

    of = Status.LIMIT


class SystemRefusedError(Error):
    """The system refused; the text has its reason."""

    of = Status.SYSTEM


class RejectedError(Error):
    """The service rejected the request; :attr:`~Error.text` is what it said."""

    of = Status.REJECTED


class OverloadedError(Error):
    """The service has no room for the request."""

    of = Status.OVERLOADED


class InsecureError(Error):
    """Would listen beyond this machine without encryption."""

    of = Status.INSECURE


class UnsupportedError(Error):
    """Not available here."""

    of = Status.UNSUPPORTED


class StateError(Error):
    """Not possible in this state; see the order of calls."""

    of = Status.STATE


class UnlinkedError(Error):
    """The block was unlinked while in use: attach again by name."""

    of = Status.UNLINKED


class UnknownSubjectError(Error, LookupError):
    """The service does not know this subject."""

    of = Status.UNKNOWN


class MovedError(Error):
    """The channel goes on in another block: ask for zones again, and read on."""

    of = Status.MOVED


class RepeatedError(Error):
    """Executed before, and the answer is not kept: see what it did."""

    of = Status.REPEATED


BY_STATUS: dict[int, type[Error]] = {
    int(each.of): each for each in Error.__subclasses__() if each.of is not None
}
BY_STATUS[0] = Error  # of a library that knows more than this binding
_native.errors(BY_STATUS)
