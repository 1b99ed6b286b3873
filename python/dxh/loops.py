# SPDX-License-Identifier: MIT
"""Event loops: each has one group, whose descriptor tells it what has ended."""

from __future__ import annotations

import asyncio
import weakref

from . import _native


class LoopGroup:
    """Where the completions of one event loop come home."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.native = _native.Group()
        self._waiting: dict[_native.Completion, list["asyncio.Future[None]"]] = {}
        loop.add_reader(self.native.fd(), self._on_readable)

    def _on_readable(self) -> None:
        for ended in self.native.take():
            for future in self._waiting.pop(ended, ()):
                if not future.done():
                    future.set_result(None)

    async def ended(self, completion: _native.Completion) -> None:
        """Return once the completion has ended."""
        future: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(completion, []).append(future)
        await future


_groups: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopGroup]"
_groups = weakref.WeakKeyDictionary()


def group_of_running_loop() -> LoopGroup | None:
    """The group of the event loop that runs in this thread; ``None`` without one."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return None
    group = _groups.get(loop)
    if group is None:
        group = _groups[loop] = LoopGroup(loop)
    return group


async def readable(fd: int) -> None:
    """Return once the descriptor is readable."""
    loop = asyncio.get_running_loop()
    future: "asyncio.Future[None]" = loop.create_future()

    def on_readable() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_reader(fd, on_readable)
    try:
        await future
    finally:
        loop.remove_reader(fd)
