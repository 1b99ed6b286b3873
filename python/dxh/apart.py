# SPDX-License-Identifier: MIT
"""Calls of the library that wait in one piece, made so that KeyboardInterrupt ends the wait."""

from __future__ import annotations

import threading
import weakref
from typing import Callable, TypeVar

_T = TypeVar("_T")

_threads: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()

#: Whether nobody waits for the call any more.
Abandoned = Callable[[], bool]


def run_apart(call: Callable[[Abandoned], _T]) -> _T:
    """What ``call`` returns or raises, from a thread of its own.

    Interrupted, this wait ends; the call itself goes on, and what it returns is dropped. It
    can ask whether it came to that.
    """
    returned: list[_T] = []
    raised: list[BaseException] = []
    abandoned = threading.Event()

    def run() -> None:
        try:
            made = call(abandoned.is_set)
            if not abandoned.is_set():
                returned.append(made)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="dxh-apart", daemon=True)
    _threads.add(thread)
    thread.start()
    try:
        thread.join()
    except BaseException:
        abandoned.set()
        raise
    if raised:
        raise raised.pop()
    return returned.pop()


def end_all(seconds: float) -> None:
    """When the interpreter ends, and all hubs are closed, so that every call returns: wait for the
    threads, at most so long each. They still have to drop what came of it, such as a block."""
    for thread in list(_threads):
        if thread.is_alive():
            thread.join(seconds)
