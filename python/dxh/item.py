# SPDX-License-Identifier: MIT
"""The item: what a slot carried, and what was lost right before it."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from . import _native
from .schema import Part

__all__ = ["Item"]

_Array = TypeVar("_Array", bound=npt.NDArray[Any])


class Item(Generic[_Array]):
    """One item of a block."""

    __slots__ = (
        "data",
        "ticket",
        "bytes",
        "timestamp_ns",
        "epoch",
        "lost",
        "lost_first",
        "lost_last",
    )

    def __init__(self, data: _Array, facts: _native.ItemFacts) -> None:
        #: The payload, with dtype and shape of the slot; of a struct: an array without
        #: dimensions, whose members are ``item.data["name"]``; of raw bytes: ``u1``, as many as
        #: were published.
        self.data = data
        (
            self.ticket,  #: its number: 0, 1, 2, ... over the life of the block
            self.bytes,  #: of the payload
            self.timestamp_ns,  #: when it was published, CLOCK_MONOTONIC
            self.epoch,  #: of the producer: takeovers so far
            self.lost,  #: items lost or passed over since the item before, exactly
            self.lost_first,  #: the first ticket of these
            self.lost_last,  #: the last
        ) = facts

    def __repr__(self) -> str:
        lost = f", {self.lost} lost before" if self.lost else ""
        return f"<item {self.ticket}: {self.data.dtype} {self.data.shape}{lost}>"


class SlotShape:
    """How the bytes of a slot become an array."""

    __slots__ = ("base", "dimensions", "is_raw", "bytes")

    def __init__(self, dtype: np.dtype[Any], is_raw: bool) -> None:
        self.is_raw = is_raw
        self.bytes = dtype.itemsize
        base, dimensions = (dtype, ()) if dtype.subdtype is None else dtype.subdtype
        self.base: np.dtype[Any] = base
        self.dimensions: tuple[int, ...] = dimensions

    def of(self, length: int) -> tuple[int, ...]:
        """Of an item of so many bytes: the first dimension gives way, if they are fewer."""
        if self.is_raw:
            return (length,)
        if length == self.bytes or not self.dimensions:
            return self.dimensions
        return (length * self.dimensions[0] // self.bytes,) + self.dimensions[1:]


def slot_shape(slot: Part | None, slot_bytes: int) -> SlotShape:
    """Of the slots of a block; of one without: nothing."""
    if slot is None or slot.is_raw:
        return SlotShape(np.dtype(("u1", (slot_bytes,))), True)
    return SlotShape(slot.dtype, False)
