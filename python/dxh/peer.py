# SPDX-License-Identifier: MIT
"""The peer: a service that requests and notifications are posted to."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Iterable

from . import _native
from .completion import Completion
from .local import Local
from .loops import group_of_running_loop
from .status import FlushLevel, PeerState
from .subscription import Subscription

if TYPE_CHECKING:
    from .buffers import Buffer

__all__ = ["Peer"]

_IDEMPOTENT = 1
_HOLD = 8


def _flags(idempotent: bool, hold: bool) -> int:
    return (_IDEMPOTENT if idempotent else 0) | (_HOLD if hold else 0)


class Peer(Local):
    """A connection that keeps itself up; made by :meth:`dxh.Hub.connect`.

    Any thread may use it. A body is any contiguous bytes-like object, also a numpy array; it is
    copied before the call returns. Subjects are 1 to 255 bytes of UTF-8.
    """

    __slots__ = ("_native", "_subscriptions", "endpoint", "__weakref__")

    def __init__(self, native: _native.Peer, endpoint: str) -> None:
        self._native = native
        self._subscriptions: "weakref.WeakSet[Subscription]" = weakref.WeakSet()
        #: The endpoint that it was connected to.
        self.endpoint = endpoint

    def request(
        self,
        subject: str,
        body: Buffer | None = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        hold: bool = False,
    ) -> Completion:
        """Post a request and return at once.

        ``timeout`` in seconds is the budget of all: queueing, connecting, sending, answering; it
        travels to the service. What becomes of it when its connection ends before the answer:
        it ends as :class:`dxh.LostError`; or ``idempotent``: it may be sent again, and executed
        twice; or ``hold``: it is kept and sent again, up to its timeout, and executed once at the
        most. Inside a coroutine ``await`` what is returned.

        Raises :class:`dxh.FullError` when too many are in flight, :class:`dxh.TooBigError`,
        :class:`dxh.InvalidError`, :class:`dxh.ClosedError`, :class:`dxh.DrainingError`,
        :class:`dxh.ForkedError`: nothing was posted then.
        """
        group = group_of_running_loop()
        native = self._native.post(
            subject,
            body,
            timeout,
            _flags(idempotent, hold),
            None if group is None else group.native,
        )
        return Completion(native, group, self._native)

    def request_many(
        self,
        requests: Iterable[tuple[str, Buffer | None]],
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        hold: bool = False,
    ) -> list[Completion]:
        """Post many requests, (subject, body), with one hand-over: all of them or none. Raises as
        :meth:`request`."""
        group = group_of_running_loop()
        posted = self._native.post_many(
            list(requests),
            timeout,
            _flags(idempotent, hold),
            None if group is None else group.native,
        )
        return [Completion(native, group, self._native) for native in posted]

    def call(
        self,
        subject: str,
        body: Buffer | None = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        hold: bool = False,
    ) -> bytes:
        """``request(...).result()`` in one step, for threads that have nothing else to do.

        KeyboardInterrupt cancels the request. Raises as :meth:`request` and
        :meth:`dxh.Completion.result`.
        """
        return self._native.call(subject, body, timeout, _flags(idempotent, hold))

    def notify(self, subject: str, body: Buffer | None = None) -> None:
        """Post a notification: nobody answers. Those of one thread arrive in order, packed
        together by themselves. Raises :class:`dxh.FullError`, :class:`dxh.TooBigError` when
        subject and body exceed one frame; else as :meth:`request`."""
        self._native.notify(subject, body)

    def flush(
        self, timeout: float | None = None, *, level: FlushLevel = FlushLevel.SENT
    ) -> None:
        """Wait until every notification that this thread posted has got as far as ``level``.

        Raises :class:`dxh.ExpiredError` after ``timeout`` seconds; :class:`dxh.LostError`.
        """
        self._native.flush(level, timeout)

    def subscribe(
        self,
        prefix: str = "",
        *,
        inbox_max: int = 0,
        inbox_bytes: int = 0,
        tell_gaps: bool = False,
    ) -> Subscription:
        """Subscribe to all topics of the service that begin with ``prefix``; again by itself after
        each reconnect. Returns at once, see :meth:`dxh.Subscription.confirm`. What finds no room among
        ``inbox_max`` notes or ``inbox_bytes`` that wait (0: the default) is lost, and counted.
        ``tell_gaps``: a loss, and a new connection, is told at once, by a note without topic and body,
        and not with the next one."""
        native = _native.Subscription(self._native, prefix, inbox_max, inbox_bytes, tell_gaps)
        made = Subscription(native, self)
        self._subscriptions.add(made)
        return made

    @property
    def state(self) -> PeerState:
        """Of its connection, now."""
        return PeerState(self._native.state)

    def close(self) -> None:
        """Close the connection: what is open ends as :class:`dxh.ClosedError`. A second time
        does nothing."""
        for each in list(self._subscriptions):
            each.close()
        self._native.close()
