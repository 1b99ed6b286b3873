# SPDX-License-Identifier: MIT
"""Calls of the library that wait in one piece, made so that KeyboardInterrupt ends the wait."""

from __future__ import annotations

import threading
from typing import Callable, TypeVar

_T = TypeVar("_T")


def run_apart(call: Callable[[], _T]) -> _T:
    """What ``call`` returns or raises, from a thread of its own.

    Interrupted, this wait ends; the call itself goes on to its end, and nobody learns of it.
    """
    returned: list[_T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="dxh-apart", daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return returned[0]
