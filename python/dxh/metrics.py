# SPDX-License-Identifier: MIT
"""What a hub counts, read by another process."""

from __future__ import annotations

from dataclasses import dataclass

from .consumer import Consumer
from .status import Stage

__all__ = ["Metrics", "read_metrics"]


@dataclass(frozen=True)
class Metrics:
    """Counters and times of a hub, as of one moment."""

    hub: str  #: its name
    version: str  #: of its library
    pid: int  #: of its process
    opened_ns: int  #: time of day, CLOCK_REALTIME
    stats: dict[str, int]  #: as :meth:`dxh.Hub.stats`
    latency: dict[Stage, dict[str, int]]  #: as :meth:`dxh.Hub.latency`


def read_metrics(consumer: Consumer) -> Metrics:
    """Read it from a consumer of a hub's ``metrics_block``, which costs that hub nothing; also
    after it was killed.

    Raises :class:`dxh.ZoneError`: this is no such block; :class:`dxh.SchemaError` or
    :class:`dxh.SizeError`: of a hub of a version that counts other things; :class:`dxh.BusyError`.
    """
    told = consumer._native.metrics()
    told["latency"] = {stage: told["latency"][stage] for stage in Stage}
    return Metrics(**told)
