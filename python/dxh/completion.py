# SPDX-License-Identifier: MIT
"""The completion: what a posted request will have come to."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from typing import Generator, Iterable, Iterator, NamedTuple

from . import _native
from .errors import Error, WaitTimeoutError
from .local import Local
from .loops import LoopGroup, ended_elsewhere, group_of_running_loop

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "Completion",
    "Waited",
    "as_completed",
    "wait",
]


class Completion(Local):
    """A request under way; made by :meth:`dxh.Peer.request`.

    ``await`` it in a coroutine, or wait for its :meth:`result` in any thread. Dropping it
    means: go on, nobody wants the result. Any thread may use it.
    """

    __slots__ = ("_group", "_native", "_peer", "__weakref__")

    def __init__(
        self, native: _native.Completion, group: LoopGroup | None, peer: _native.Peer
    ) -> None:
        self._native = native
        self._peer = peer  # one that nobody else holds stays connected so long
        self._group = group

    def result(self, timeout: float | None = None) -> bytes:
        """Wait, and return the body of the reply.

        ``timeout`` in seconds is of this wait alone: :class:`dxh.WaitTimeoutError` says that
        the request is still under way. Otherwise raises how the request ended, an
        :class:`dxh.Error` with a :attr:`~dxh.Error.certainty`.
        """
        self._wait(timeout)
        return self._native.take()

    def exception(self, timeout: float | None = None) -> Error | None:
        """Wait as :meth:`result` does; the error as a value, or ``None``."""
        self._wait(timeout)
        try:
            self._native.take()
        except Error as error:
            return error.with_traceback(None)  # which would lead back here
        return None

    def _wait(self, timeout: float | None) -> None:
        if not self._native.wait(timeout):
            raise WaitTimeoutError("DXH_EWAIT: the request is still under way")
        if self._group is not None:
            self._group.tell(self._native)

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._native.done()

    def cancel(self) -> bool:
        """Ask for it to end as :class:`dxh.CanceledError`; ``False``: it had ended before.

        One that was sent may have been executed; a reply that comes later is dropped.
        """
        too_late = 2
        return self._native.cancel() != too_late

    def __await__(self) -> Generator[object, None, bytes]:
        if not self._native.done():
            yield from self._ended().__await__()
        return self._native.take()

    async def _ended(self) -> None:
        group = group_of_running_loop()
        try:
            if group is not None and group is self._group:
                await group.ended(self._native)
            else:  # posted elsewhere: its end comes to no descriptor of this loop
                await ended_elsewhere(self._native)
        except asyncio.CancelledError:
            self._native.cancel()
            raise


class Waited(NamedTuple):
    """What :func:`wait` found."""

    done: set[Completion]  #: those that have ended
    not_done: set[Completion]  #: the others


class _Patience:
    """What is left of a timeout."""

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and timeout != timeout:
            raise ValueError("a time in seconds is not NaN")
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())


def _split(completions: Iterable[Completion]) -> Waited:
    waited = Waited(set(), set())
    for each in completions:
        (waited.done if each.done() else waited.not_done).add(each)
    return waited


def _any_of(completions: Iterable[Completion], patience: _Patience) -> bool:
    return _native.wait_any([each._native for each in completions], patience.left())


def wait(
    completions: Iterable[Completion],
    timeout: float | None = None,
    return_when: str = ALL_COMPLETED,
) -> Waited:
    """Wait for completions as :func:`concurrent.futures.wait` does for futures.

    ``return_when`` is ``FIRST_COMPLETED``, ``FIRST_EXCEPTION`` or ``ALL_COMPLETED``;
    ``timeout`` is in seconds. Those posted inside an event loop belong to it: await them
    there (:class:`dxh.StateError`).
    """
    if return_when not in (ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION):
        raise ValueError(f"return_when is no {return_when!r}")
    patience = _Patience(timeout)
    done, rest = _split(completions)
    fresh = set(done)
    while rest:
        if fresh and return_when == FIRST_COMPLETED:
            break
        if return_when == FIRST_EXCEPTION and any(each.exception() for each in fresh):
            break
        if not _any_of(rest, patience):
            break
        fresh, rest = _split(rest)
        done |= fresh
    return Waited(done, rest)


def as_completed(
    completions: Iterable[Completion], timeout: float | None = None
) -> Iterator[Completion]:
    """Yield each completion once it has ended, as :func:`concurrent.futures.as_completed`.

    Raises :class:`dxh.WaitTimeoutError` when ``timeout`` seconds from the call pass first.
    """
    return _in_order_of_end(set(completions), _Patience(timeout))


def _in_order_of_end(rest: set[Completion], patience: _Patience) -> Iterator[Completion]:
    ended: list[Completion] = []
    while rest:
        done, rest = _split(rest)
        ended.extend(done)
        while ended:
            yield ended.pop()
        if rest and not _any_of(rest, patience):
            raise WaitTimeoutError(f"DXH_EWAIT: {len(rest)} requests are still under way")
