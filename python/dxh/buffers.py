# SPDX-License-Identifier: MIT
"""What can be sent: contiguous bytes-like objects; and what can be made one by numpy."""

from __future__ import annotations

import array
import mmap
from typing import Any, Union

import numpy as np
import numpy.typing as npt

#: Anything contiguous with the buffer protocol; these are the ones that type checkers know.
Buffer = Union[
    bytes, bytearray, memoryview, "array.array[Any]", mmap.mmap, npt.NDArray[Any], "np.generic"
]

#: Of an item: numbers, and what numpy makes an array of numbers or a struct of.
Payload = Union[Buffer, npt.ArrayLike]
