# SPDX-License-Identifier: MIT
"""Channels: what the broker knows, and a broker in this process."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from . import _native
from .local import Local

__all__ = ["Broker", "ChannelInfo", "ChannelState"]


class ChannelState(enum.IntEnum):
    """Of a channel."""

    NOT_FOUND = 0
    PENDING = 1  #: known, but its producer does not beat
    FOUND = 2


@dataclass(frozen=True)
class ChannelInfo:
    """What the broker knows of a channel."""

    name: str
    state: ChannelState
    reason: str  #: why it is pending
    directory: str  #: where the block lies
    endpoint: str  #: of the producer's service, or ""
    schema_hash: bytes
    block_uuid: bytes
    producer_uid: int
    producer_pid: int
    epoch: int
    slot_bytes: int
    slot_count: int
    zone_count: int
    checksum_errors: int  #: items that consumers found broken, since it was registered
    consumers: int  #: that are registered; those without a broker nobody knows


def channel_info(told: dict[str, Any]) -> ChannelInfo:
    """The facts, typed."""
    told["state"] = ChannelState(told["state"])
    return ChannelInfo(**told)


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
