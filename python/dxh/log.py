# SPDX-License-Identifier: MIT
"""The log of the library, as records of the logger "dxh"."""

from __future__ import annotations

import atexit
import logging

from . import _native

__all__: list[str] = []

logger = logging.getLogger("dxh")

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


def _write(level: int, line: str) -> None:
    logger.log(_LEVELS.get(level, logging.DEBUG), "%s", line)


_native.log_to(_write)
atexit.register(_native.errands_end)
