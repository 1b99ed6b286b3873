# SPDX-License-Identifier: MIT
"""The consumer: who reads a block."""

from __future__ import annotations

import sys
from typing import Any, AsyncIterator, Iterator

import numpy as np
import numpy.typing as npt

from . import _native
from .block import BlockInfo, Start, info_of
from .errors import (
    ClosedError,
    MovedError,
    ProducerDeadError,
    SizeError,
    StateError,
    UnlinkedError,
    WaitTimeoutError,
)
from .item import Item, slot_shape
from .local import Local
from .loops import Descriptor
from .schema import Layout, ZoneLayouts, schema_as_wanted
from .views import View, view_of
from .zones import Zones

__all__ = ["Consumer", "Looking"]

#: From so many bytes on memory that is new costs more than the copy into it: the kernel maps it
#: page by page, and whether malloc gives it back each time is a matter of luck.
_LARGE = 1 << 16

#: The item before is often held while the next one is read.
_SPARES = 2


class Looking(Local):
    """An item that is looked at where it lies; made by :meth:`Consumer.view`."""

    __slots__ = ("_consumer", "_lease", "_timeout")

    def __init__(self, consumer: Consumer, timeout: float | None) -> None:
        self._consumer = consumer
        self._timeout = timeout
        self._lease: _native.Lease | None = None

    def __enter__(self) -> Item[View]:
        if self._lease is not None:
            raise StateError("DXH_ESTATE: an item is looked at already")
        try:
            self._lease, facts = self._consumer._native.peek(self._timeout)
        except MovedError:
            self._consumer._learn()
            raise
        shape = self._consumer._shape
        if facts[1] < shape.bytes and not shape.dimensions:
            self._lease.end()
            self._lease = None
            raise SizeError(
                f"DXH_ESIZE: item {facts[0]} has {facts[1]} bytes, its struct {shape.bytes}: read()"
            )
        return Item(view_of(self._lease, shape.base, shape.of(facts[1])), facts)

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        lease, self._lease = self._lease, None
        if lease is None or not lease.is_live:
            return  # the consumer was closed meanwhile
        if kind is None:
            lease.end()
            return
        try:
            lease.end()
        except Exception:
            pass  # it goes on with what was raised inside


class Consumer(Local):
    """Reads a block; made by :meth:`dxh.Hub.consume` or :func:`dxh.consume`. One thread at a time
    (:class:`dxh.BusyError`): threads that want all items open a consumer each. Not in a child of
    ``fork()``."""

    def __init__(
        self,
        native: _native.Consumer,
        slot: Layout | None,
        zones: ZoneLayouts | None,
        writable: bool,
        follows: bool = False,
    ) -> None:
        self._native = native
        self._wanted = slot, dict(zones or {})
        self._writable = writable
        self._follows = follows
        self._spares: list[npt.NDArray[np.uint8]] = []
        self._learn()
        self._fd: Descriptor | None = None
        self._gone: tuple[type[Exception], int] | None = None  # what read_async() has told

    def _learn(self) -> None:
        schema = schema_as_wanted(self._native.schema(), *self._wanted)
        #: The zones, by attribute.
        self.zones = Zones(self._native, schema.zones, self._writable)
        self._shape = slot_shape(schema.slot, self._native.info()["slot_bytes"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of an element of a slot, with what the producer said of its members."""
        return self._shape.base

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array in a slot; ``()`` for a struct."""
        return self._shape.dimensions

    # ---- reading ----

    def read(self, timeout: float | None = None) -> Item[npt.NDArray[Any]]:
        """A copy of the next item, in an array of its own. ``timeout`` in seconds. Of large items
        (64 KiB) the consumer keeps the memory of two, for when nobody holds their arrays any more.

        Losses are no error: ``item.lost`` counts them, exactly. Raises
        :class:`dxh.WaitTimeoutError`: nothing new, the producer lives;
        :class:`dxh.ProducerDeadError`, :class:`dxh.ClosedError`: nothing new, and the producer is
        gone; told at once, then at the end of each further wait, until a successor publishes;
        :class:`dxh.UnlinkedError`: none will come, but for a channel, that waits for the next
        block; :class:`dxh.MovedError` (channels only): from here on it reads another block, whose
        tickets begin at 0: :attr:`zones` and :attr:`dtype` are those of the new one, and arrays of
        the old zones show what was there last; :class:`dxh.EvictedError`: the writer went on
        without this lossless reader, its ``lost`` counts what is gone; :class:`dxh.CorruptError`: an
        item breaks a rule and is lost. The next call goes on in all these cases.
        """
        shape = self._shape
        room = None if shape.bytes < _LARGE else self._take_room(shape.bytes)
        whole: npt.NDArray[Any] = np.ndarray(shape.dimensions, shape.base, room)
        try:
            return self._item(whole, self._native.read(whole, timeout))
        except MovedError:
            self._learn()
            raise
        finally:
            if room is not None:
                self._spares = [*self._spares, room][-_SPARES:]

    def _take_room(self, bytes: int) -> npt.NDArray[np.uint8]:
        """Memory that nobody else holds, nor takes meanwhile: what is here is in no list."""
        for _ in range(len(self._spares)):
            try:
                room = self._spares.pop(0)
            except IndexError:
                break  # another thread, which is told that it is one too many
            if sys.getrefcount(room) == 2 and room.size == bytes:
                return room
            self._spares.append(room)
        return np.empty(bytes, "u1")

    def read_many(self, most: int, timeout: float | None = None) -> list[Item[npt.NDArray[Any]]]:
        """Copies of the items that are there, ``most`` at the most, with one call; waits for the
        first as :meth:`read` does, and raises as it. They lie side by side in one array,
        ``items[0].data.base``, which is kept as long as one of them."""
        shape = self._shape
        if most < 1:
            raise ValueError("at least one item is to be read")
        whole: npt.NDArray[Any] = np.empty((most, *shape.dimensions), shape.base)
        try:
            facts = self._native.read_many(whole, shape.bytes, timeout)
        except MovedError:
            self._learn()
            raise
        return [self._item(whole[i, ...], each) for i, each in enumerate(facts)]

    def _item(
        self, whole: npt.NDArray[Any], facts: _native.ItemFacts
    ) -> Item[npt.NDArray[Any]]:
        """What was read into a whole slot, of which less may have been published."""
        shape = self._shape
        if facts[1] == shape.bytes:
            return Item(whole, facts)
        if shape.dimensions:
            return Item(whole[: shape.of(facts[1])[0]], facts)
        whole.reshape(1).view("u1")[facts[1] :] = 0  # of a struct
        return Item(whole, facts)

    def view(self, timeout: float | None = None) -> Looking:
        """``with consumer.view() as item:`` the next item where it lies, without a copy.

        The writer does not wait: ``item.data`` raises :class:`dxh.LappedError` when it has gone over
        the item, and so does the end of the ``with``: discard then what was derived. For a lossless
        consumer the writer waits. Raises as :meth:`read`.
        """
        return Looking(self, timeout)

    def items(self, timeout: float | None = None) -> Iterator[Item[npt.NDArray[Any]]]:
        """Copies of the items, until the producer closes. ``timeout``: of each wait. Loop again for
        what comes after that, of a successor or in the next block.

        Raises :class:`dxh.ProducerDeadError` when it died: loop again to wait for a successor.
        """
        while True:
            try:
                item = self.read(timeout)
            except (ClosedError, UnlinkedError, MovedError):
                return
            yield item

    def __iter__(self) -> Iterator[Item[npt.NDArray[Any]]]:
        return self.items()

    # ---- in an event loop ----

    def _descriptor(self) -> Descriptor:
        if self._fd is None:
            self._fd = Descriptor(self._native.fd())
        return self._fd

    async def read_async(self) -> Item[npt.NDArray[Any]]:
        """:meth:`read` in an event loop; cancel it to stop waiting, or use ``asyncio.wait_for``.

        What says that the producer is gone is raised once; after that it waits for a successor.
        """
        descriptor = self._descriptor()
        await descriptor.turn()
        while True:
            try:
                item = self.read(0)
            except WaitTimeoutError:
                pass
            except (ClosedError, ProducerDeadError, UnlinkedError) as error:
                if isinstance(error, UnlinkedError) and not self._follows:
                    raise
                gone = type(error), self.stats()["epoch"]
                if gone != self._gone:
                    self._gone = gone
                    raise
            else:
                self._gone = None
                return item
            await descriptor.readable()

    async def __aiter__(self) -> AsyncIterator[Item[npt.NDArray[Any]]]:
        """Copies of the items, until the producer closes."""
        while True:
            try:
                item = await self.read_async()
            except (ClosedError, UnlinkedError, MovedError):
                return
            yield item

    # ---- the rest ----

    def seek(self, start: Start, ticket: int = 0) -> None:
        """Go on at another place; ``ticket`` for :attr:`dxh.Start.TICKET`. What is passed over is
        neither read nor lost."""
        self._native.seek(start, ticket)

    def check(self) -> None:
        """Raise what :meth:`read` would raise besides a timeout, without reading: for blocks without
        slots, and for who looks at zones alone."""
        self._native.check()

    def fileno(self) -> int:
        """A descriptor for select, poll and what is built on them: readable when there may be
        something to read. Then read with timeout 0 until that raises. Never read or close it."""
        return self._native.fd()

    @property
    def info(self) -> BlockInfo:
        """Facts of the block, now."""
        return info_of(self._native.info())

    def stats(self) -> dict[str, int]:
        """The counters of ``dxh_consumer_stats``, by name."""
        return self._native.stats()

    def close(self) -> None:
        """Detach; views and zones end. A second time does nothing."""
        if self._fd is not None:
            self._fd.close()
        self._native.close()
        self._spares = []

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
