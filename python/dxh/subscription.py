# SPDX-License-Identifier: MIT
"""The subscription: notes that a service publishes, by topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, AsyncIterator, Iterator, NamedTuple

from . import _native
from .errors import ClosedError, WaitTimeoutError
from .local import Local
from .loops import Descriptor

if TYPE_CHECKING:
    from .peer import Peer

__all__ = ["Note", "Subscription"]


class Note(NamedTuple):
    """What was published."""

    topic: str  #: as published
    body: bytes  #: as published
    sequence: int  #: 1, 2, ... on one connection
    lost: int  #: notes of this subscription lost right before this one
    reconnected: bool  #: the first one on a new connection


class Subscription(Local):
    """Notes of a service; made by :meth:`dxh.Peer.subscribe`. Any thread, several at once: each
    gets others."""

    __slots__ = ("_fd", "_native", "_peer", "__weakref__")

    def __init__(self, native: _native.Subscription, peer: Peer) -> None:
        self._native = native
        self._peer = peer  # one that nobody else holds stays connected so long
        self._fd: Descriptor | None = None

    def confirm(self, timeout: float | None = None) -> None:
        """Wait until the service has confirmed it: what is published from then on comes, or is
        counted as lost. Raises :class:`dxh.WaitTimeoutError`; :class:`dxh.LimitError`,
        :class:`dxh.OverloadedError`, :class:`dxh.UnsupportedError` when the service refuses."""
        self._native.confirm(timeout)

    def receive(self, timeout: float | None = None) -> Note:
        """The next note. Raises :class:`dxh.WaitTimeoutError`; :class:`dxh.ClosedError` once it,
        its peer or its hub was closed."""
        return Note(*self._native.receive(timeout))

    def _descriptor(self) -> Descriptor:
        if self._fd is None:
            self._fd = Descriptor(self._native.fd())
        return self._fd

    async def receive_async(self) -> Note:
        """The same in an event loop."""
        descriptor = self._descriptor()
        await descriptor.turn()
        while True:
            try:
                return self.receive(0)
            except WaitTimeoutError:
                await descriptor.readable()

    def __iter__(self) -> Iterator[Note]:
        """What comes, until it is closed."""
        while True:
            try:
                note = self.receive()
            except ClosedError:
                return
            yield note

    async def __aiter__(self) -> AsyncIterator[Note]:
        """The same in an event loop."""
        while True:
            try:
                note = await self.receive_async()
            except ClosedError:
                return
            yield note

    def stats(self) -> dict[str, int]:
        """The counters of ``dxh_subscription_stats``, by name."""
        return self._native.stats()

    def close(self) -> None:
        """Unsubscribe. A second time does nothing."""
        if self._fd is not None:
            self._fd.close()
        self._native.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
