# SPDX-License-Identifier: MIT
"""A fixed rate, without drift."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import AsyncIterator, Iterator, NamedTuple

from . import _native
from .errors import WaitTimeoutError
from .local import Local

__all__ = ["Pace", "Pacer"]


class Pace(NamedTuple):
    """A tick that was handed out."""

    tick: int  #: its number: 0, 1, 2, ...
    due_ns: int  #: CLOCK_MONOTONIC, as :func:`time.monotonic_ns`
    late_ns: int  #: how long after that it was handed out
    missed: int  #: ticks right before it that were not


class Pacer(Local):
    """``for pace in Pacer(60):`` 60 times a second, or ``async for`` in an event loop.

    Each tick is due at a time that is computed from the first one, so that no error adds up. Who is
    late is told how many ticks were missed and goes on with the latest; with ``catch_up`` all are
    handed out. ``first_ns``: when tick 0 is due; 0: at the first call. One thread at a time
    (:class:`dxh.BusyError`).
    """

    __slots__ = ("_native",)

    def __init__(
        self, per_second: float | Fraction, *, first_ns: int = 0, catch_up: bool = False
    ) -> None:
        rate = Fraction(per_second).limit_denominator(1_000_000)
        if rate <= 0:
            raise ValueError("a rate is more than 0 per second")
        self._native = _native.Pacer(
            rate.denominator * 1_000_000_000, rate.numerator, first_ns, catch_up
        )

    def wait(self, timeout: float | None = None) -> Pace:
        """Sleep until a tick is due, and take it; one that is due already at once.

        Raises :class:`dxh.WaitTimeoutError` when the next is due after ``timeout`` seconds;
        :class:`dxh.InvalidError`: more than one tick a nanosecond.
        """
        return Pace(*self._native.wait(timeout))

    async def wait_async(self) -> Pace:
        """The same in an event loop, whose timers may be some milliseconds late."""
        while True:
            try:
                return self.wait(0)
            except WaitTimeoutError:
                left_ns = self._native.due_ns - time.monotonic_ns()
                await asyncio.sleep(max(0.0, left_ns / 1e9))

    @property
    def missed(self) -> int:
        """Ticks that never were, in all."""
        return self._native.missed

    def __iter__(self) -> Iterator[Pace]:
        while True:
            yield self.wait()

    async def __aiter__(self) -> AsyncIterator[Pace]:
        while True:
            yield await self.wait_async()
