# SPDX-License-Identifier: MIT
"""Event loops: each has one group, whose descriptor tells it what has ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from typing import Callable

from . import _native
from .errors import ClosedError


class LoopGroup:
    """Where the completions of one event loop come home."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.native = _native.Group()
        weakref.finalize(self, self.native.close).atexit = False
        self._waiting: dict[_native.Completion, list["asyncio.Future[None]"]] = {}
        self._loop = weakref.ref(loop)
        loop.add_reader(self.native.fd(), self._on_readable)

    def _on_readable(self) -> None:
        for ended in self.native.take():
            self._wake(ended)

    def _wake(self, ended: _native.Completion) -> None:
        for future in self._waiting.pop(ended, ()):
            if not future.done():
                future.set_result(None)

    def tell(self, ended: _native.Completion) -> None:
        """A thread has taken the result of one that ended, of which nothing comes home then."""
        loop = self._loop()
        if ended in self._waiting and loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._wake, ended)

    async def ended(self, completion: _native.Completion) -> None:
        """Return once the completion has ended."""
        future: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(completion, []).append(future)
        if completion.done():  # a thread may have taken it before this one waited
            future.set_result(None)
        try:
            await future
        finally:
            waiting = self._waiting.get(completion, [])
            if future in waiting:  # cancelled: perhaps the last that happens in this loop
                waiting.remove(future)
                if not waiting:
                    del self._waiting[completion]

    def close(self) -> None:
        """Nobody waits here any more; what is under way goes on without it."""
        self._waiting.clear()
        self.native.close()


_groups: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopGroup]"
_groups = weakref.WeakKeyDictionary()


def _forget_closed_loops() -> None:
    """No loop tells that it was closed, and who waited in it may still hold it."""
    for reference in _groups.keyrefs():
        loop = reference()
        if loop is not None and loop.is_closed():
            group = _groups.pop(loop, None)
            if group is not None:
                group.close()


def group_of_running_loop() -> LoopGroup | None:
    """The group of the event loop that runs in this thread; ``None`` without one."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return None
    group = _groups.get(loop)
    if group is None:
        _forget_closed_loops()
        group = _groups[loop] = LoopGroup(loop)
    return group


async def ended_elsewhere(completion: _native.Completion) -> None:
    """Return once a completion has ended that comes home to no descriptor of this loop: a thread
    waits for it, of its own, since one of a pool would wait behind others, and a daemon, since
    those of a pool have to end before the interpreter does."""
    loop = asyncio.get_running_loop()
    future: "asyncio.Future[None]" = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if not future.done():
            future.set_result(None) if error is None else future.set_exception(error)

    def run() -> None:
        error = None
        try:
            completion.wait(None)
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name="dxh-elsewhere", daemon=True).start()
    await future


#: So many are taken at most without the loop's other tasks having their turn.
_AT_ONCE = 16


class Descriptor:
    """A descriptor of the library that tasks wait for, of any event loop."""

    __slots__ = ("_fd", "_is_closed", "_taken", "_waiting")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_closed = False
        self._taken = 0
        self._waiting: dict[asyncio.AbstractEventLoop, list["asyncio.Future[None]"]] = {}

    async def turn(self) -> None:
        """Before each taking: a task that always finds something would never let others run.
        Before, since who is cancelled here has taken nothing yet."""
        self._taken += 1
        if self._taken > _AT_ONCE:
            self._taken = 0
            await asyncio.sleep(0)

    async def readable(self) -> None:
        """Return once it is readable, or is being closed; raises after that."""
        if self._is_closed:
            raise ClosedError("DXH_ECLOSED: it was closed")
        loop = asyncio.get_running_loop()
        future: "asyncio.Future[None]" = loop.create_future()
        waiting = self._waiting.setdefault(loop, [])
        if not waiting:
            loop.add_reader(self._fd, self._wake, loop)
        waiting.append(future)
        try:
            await future
        finally:
            if future in waiting:  # cancelled
                waiting.remove(future)
                if not waiting:
                    self._forget(loop)

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting.pop(loop, None) is not None:
            loop.remove_reader(self._fd)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting.get(loop, [])
        self._forget(loop)
        while waiting:
            future = waiting.pop()
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """Before it is closed: tasks look once more, and find out."""
        self._is_closed = True
        for loop in list(self._waiting):
            if loop is asyncio._get_running_loop():
                self._wake(loop)
            elif not loop.is_closed():
                _run_in(loop, self._wake)


def _run_in(
    loop: asyncio.AbstractEventLoop, call: Callable[[asyncio.AbstractEventLoop], None]
) -> None:
    """Have a loop of another thread do it, and wait for that."""
    done = threading.Event()

    def run() -> None:
        call(loop)
        done.set()

    try:
        loop.call_soon_threadsafe(run)
    except RuntimeError:
        return  # closed meanwhile
    while not done.wait(0.1):
        if loop.is_closed() or not loop.is_running():
            return
