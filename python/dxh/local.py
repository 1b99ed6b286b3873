# SPDX-License-Identifier: MIT
"""What belongs to one process: it cannot be sent to another one."""

from __future__ import annotations

from typing import NoReturn


class Local:
    """Refuses to be pickled, with a word on what to do instead."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} belongs to its process: open one of its own in the other "
            "process, by endpoint or name"
        )
