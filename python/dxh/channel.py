# SPDX-License-Identifier: MIT
"""Channels: what the broker knows, and a broker in this process."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, AsyncIterator, Iterator

from . import _native
from .block import Discipline
from .errors import ClosedError, WaitTimeoutError
from .local import Local
from .loops import Descriptor

__all__ = [
    "Broker",
    "ChannelConsumer",
    "ChannelFacts",
    "ChannelInfo",
    "ChannelState",
    "ChannelZone",
    "WatchEvent",
    "WatchKind",
    "Watcher",
]


class ChannelState(enum.IntEnum):
    """Of a channel."""

    NOT_FOUND = 0  #: nobody produces it
    PENDING = 1  #: known, but its producer does not beat
    FOUND = 2  #: it is produced


@dataclass(frozen=True)
class ChannelInfo:
    """What the broker knows of a channel."""

    name: str  #: of channel and block
    state: ChannelState  #: whether it is produced
    reason: str  #: why it is pending
    directory: str  #: where the block lies
    endpoint: str  #: of the producer's service, or ""
    schema_hash: bytes  #: BLAKE2b-256 of the schema
    block_uuid: bytes  #: of the block
    producer_uid: int  #: random, one for each opened producer
    producer_pid: int  #: of its process
    epoch: int  #: of the block: takeovers so far
    slot_bytes: int  #: of one item, at most
    slot_count: int  #: items kept
    zone_count: int  #: zones, latches among them
    checksum_errors: int  #: items that consumers found broken, since it was registered
    consumers: int  #: that are registered; those without a broker nobody knows


def channel_info(told: dict[str, Any]) -> ChannelInfo:
    """The facts, typed."""
    told["state"] = ChannelState(told["state"])
    return ChannelInfo(**told)


@dataclass(frozen=True)
class ChannelZone:
    """A zone, as the broker was told."""

    name: str  #: by which it is found
    hash: bytes  #: BLAKE2b-256 of its part of the schema
    bytes: int  #: of one copy


@dataclass(frozen=True)
class ChannelConsumer:
    """A consumer that was opened by the broker. Figures are those of its last beat."""

    name: str  #: of its hub
    uid: int  #: random, one for each opened consumer
    pid: int  #: of its process
    start: int  #: when its process began: field 22 of /proc/PID/stat
    discipline: Discipline  #: how it reads
    silent_ms: int  #: since its last beat
    block_uuid: bytes  #: the block it reads
    next_ticket: int  #: the item that it reads next
    read: int  #: items it has read
    lost: int  #: items it has lost
    corrupt: int  #: items it found broken
    lag: int  #: items it is behind


@dataclass(frozen=True)
class ChannelFacts:
    """All that the broker knows of one channel."""

    channel: ChannelInfo  #: as :meth:`dxh.Hub.discover` tells it
    zones: list[ChannelZone]  #: in their order
    schema: bytes  #: as it lies in the block
    consumers: list[ChannelConsumer]  #: in order of their uid
    producer_start: int  #: of its process; 0: not told
    boot_id: bytes  #: of the machine it runs on; zeros: not told
    progress: int  #: tickets published, at its last beat
    silent_ms: int  #: since that


def _consumer(told: dict[str, Any]) -> ChannelConsumer:
    told["discipline"] = Discipline(told["discipline"])
    return ChannelConsumer(**told)


def channel_facts(told: dict[str, Any]) -> ChannelFacts:
    """The facts, typed."""
    told["channel"] = channel_info(told["channel"])
    told["zones"] = [ChannelZone(**each) for each in told["zones"]]
    told["consumers"] = [_consumer(each) for each in told["consumers"]]
    return ChannelFacts(**told)


class WatchKind(enum.IntEnum):
    """What happened."""

    GAP = 0  #: events may be missing here: list the channels anew
    OPENED = 1  #: it is live: registered, or its producer is alive again
    CHANGED = 2  #: another producer has it
    ERROR = 3  #: its producer does not beat, or makes no progress, or items are broken
    CLOSING = 4  #: the broker knows it no more
    CONSUMER_DIED = 5  #: one that did not deregister


@dataclass(frozen=True)
class WatchEvent:
    """Something that happened to a channel."""

    kind: WatchKind  #: what happened
    channel: str  #: its name
    reason: str  #: in words
    producer: int  #: as :attr:`ChannelInfo.producer_uid`; 0: it is about a consumer
    pid: int  #: of the producer, or of the consumer
    epoch: int  #: of the producer's block
    consumer: int  #: uid of the consumer that died; else 0
    checksum_errors: int  #: items of it that consumers found broken
    broker: int  #: random, another one after each start of the broker
    number: int  #: 1, 2, ... of all events of that broker
    lost: int  #: of a gap: events known to be missing; 0: nobody knows


class Watcher(Local):
    """Channels that come and go; made by :meth:`dxh.Hub.watch`. One thread at a time
    (:class:`dxh.BusyError`)."""

    __slots__ = ("_fd", "_native", "__weakref__")

    def __init__(self, native: _native.Watcher) -> None:
        self._native = native
        self._fd: Descriptor | None = None

    def receive(self, timeout: float | None = None) -> WatchEvent:
        """The next event. Raises :class:`dxh.WaitTimeoutError`; :class:`dxh.ClosedError` once it, or
        its hub, was closed."""
        told = self._native.next(timeout)
        told["kind"] = WatchKind(told["kind"])
        return WatchEvent(**told)

    async def receive_async(self) -> WatchEvent:
        """The same in an event loop."""
        if self._fd is None:
            self._fd = Descriptor(self._native.fd())
        descriptor = self._fd
        await descriptor.turn()
        while True:
            try:
                return self.receive(0)
            except WaitTimeoutError:
                await descriptor.readable()

    def __iter__(self) -> Iterator[WatchEvent]:
        """What comes, until it is closed."""
        while True:
            try:
                event = self.receive()
            except ClosedError:
                return
            yield event

    async def __aiter__(self) -> AsyncIterator[WatchEvent]:
        """The same in an event loop."""
        while True:
            try:
                event = await self.receive_async()
            except ClosedError:
                return
            yield event

    def close(self) -> None:
        """Watch no more. A second time does nothing."""
        if self._fd is not None:
            self._fd.close()
        self._native.close()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


class Broker(Local):
    """A broker in this process; made by :meth:`dxh.Hub.start_broker`. It knows which channel is
    produced where, and is never in the way of the data."""

    __slots__ = ("_native", "__weakref__")

    def __init__(self, native: _native.Broker) -> None:
        self._native = native

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return self._native.endpoint

    def stop(self) -> None:
        """End it; the data goes on. A second time does nothing."""
        self._native.stop()

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop()
