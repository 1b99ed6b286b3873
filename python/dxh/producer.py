# SPDX-License-Identifier: MIT
"""The producer: who writes a block."""

from __future__ import annotations

import socket as sockets
from typing import TYPE_CHECKING, Any, Iterable

import numpy as np
import numpy.typing as npt

from . import _native
from .block import BlockInfo, info_of
from .errors import StateError
from .item import slot_shape
from .local import Local
from .schema import Layout, ZoneLayouts, schema_as_wanted
from .service import Service
from .views import View, view_of
from .zones import Zones

if TYPE_CHECKING:
    from .buffers import Payload

__all__ = ["Producer", "Writing"]


class Writing(Local):
    """A slot being written; made by :meth:`Producer.write`. Its ``with`` hands out the view."""

    __slots__ = ("_count", "_lease", "_producer", "_timeout", "checked")

    def __init__(self, producer: Producer, timeout: float | None, checked: bool) -> None:
        self._producer = producer
        self._timeout = timeout
        self._lease: _native.Lease | None = None
        self._count: int | None = None
        #: Commit with a checksum, on a block where these are manual.
        self.checked = checked

    @property
    def ticket(self) -> int:
        """The number of the item; inside the ``with``."""
        return self._live().ticket

    def _live(self) -> _native.Lease:
        if self._lease is None:
            raise StateError("DXH_ESTATE: the write was not begun, or has ended: use it in a with")
        return self._lease

    def shorten(self, count: int) -> None:
        """Publish only the first ``count`` elements: of raw bytes, or rows of an array."""
        self._live()
        if not 0 <= count <= self._producer._rows:
            raise ValueError(f"a slot has 0 to {self._producer._rows} elements, not {count}")
        self._count = count

    def __enter__(self) -> View:
        if self._lease is not None:
            raise StateError("DXH_ESTATE: the write is begun already")
        self._count = None
        self._lease = self._producer._native.begin(self._timeout)
        shape = self._producer._shape
        return view_of(self._lease, shape.base, shape.of(shape.bytes))

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        lease, self._lease = self._live(), None
        if not lease.is_live:
            return  # the producer was closed meanwhile, which aborts
        if kind is not None:
            lease.abort()
            return
        bytes = self._producer._shape.bytes
        if self._count is not None:
            bytes = bytes * self._count // self._producer._rows
        try:
            lease.commit(bytes, self.checked)
        except BaseException:
            if lease.is_live:
                lease.abort()
            raise


class Producer(Local):
    """Writes a block; made by :meth:`dxh.Hub.produce` or :func:`dxh.produce`. One thread at a time
    (:class:`dxh.BusyError`), but for zones; not in a child of ``fork()``."""

    def __init__(
        self, native: _native.Producer, slot: Layout | None, zones: ZoneLayouts | None
    ) -> None:
        self._native = native
        schema = schema_as_wanted(native.schema(), slot, zones)
        #: The zones, by attribute.
        self.zones = Zones(native, schema.zones, True)
        self._shape = slot_shape(schema.slot, native.info()["slot_bytes"])
        native_service = native.service()
        #: Of a channel that was produced with ``serve``: give it handlers and start it. It is closed
        #: with the producer.
        self.service = None if native_service is None else Service(native_service)
        self._rows = self._shape.dimensions[0] if self._shape.dimensions else 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of an element of a slot."""
        return self._shape.base

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array in a slot; ``()`` for a struct."""
        return self._shape.dimensions

    def write(self, timeout: float | None = None, *, checked: bool = False) -> Writing:
        """``with producer.write() as frame:`` the next slot, as a view to be filled.

        The end of the ``with`` publishes it, an exception aborts it, and the view ends in either
        case. ``timeout`` in seconds is for blocks with lossless readers, which may hold the write
        back: :class:`dxh.WaitTimeoutError`, or they are evicted. A producer that evicts needs one, and
        waits in one piece: KeyboardInterrupt comes after it.
        """
        return Writing(self, timeout, checked)

    def publish(self, data: Payload, timeout: float | None = None) -> None:
        """Copy into the next slot and publish. Of a block with a dtype: anything that numpy turns
        into that, without a copy when it is that already.

        Of an array fewer rows will do. Raises ValueError for another shape, or TypeError, as numpy
        says it; :class:`dxh.SizeError` for too many raw bytes; as :meth:`write`.
        """
        self._native.publish(self._as_payload(data), timeout)

    def publish_many(self, items: Iterable[Payload], timeout: float | None = None) -> int:
        """Publish many items with one wake of the readers; how many of them were published:
        fewer only when lossless readers held the writer back. Raises as :meth:`publish`."""
        return self._native.publish_many([self._as_payload(each) for each in items], timeout)

    def _as_payload(self, data: Any) -> Any:
        if self._shape.is_raw:
            return data
        array: npt.NDArray[Any] = np.ascontiguousarray(data, self._shape.base)
        wanted = self._shape.dimensions
        fits = array.shape == wanted or (wanted == () and array.size == 1)
        is_shorter = array.shape[1:] == wanted[1:] and len(array) <= self._rows
        if not fits and not (array.ndim == len(wanted) and is_shorter):
            raise ValueError(f"a slot holds {wanted} of {self._shape.base}, not {array.shape}")
        return array

    def send(
        self, socket: sockets.socket, timeout: float | None = None, *, uid: int | None = None
    ) -> None:
        """Hand a block made with ``memfd`` to the process at the other end of a unix socket, which
        calls :func:`dxh.receive`. ``uid``: also when it is of this other user.

        Raises :class:`dxh.AccessError`; :class:`dxh.StateError` for a block with a name;
        :class:`dxh.WaitTimeoutError`; :class:`dxh.ClosedError`.
        """
        self._native.send(socket.fileno(), uid, timeout)

    @property
    def info(self) -> BlockInfo:
        """Facts of the block, now."""
        return info_of(self._native.info())

    def progress(self) -> None:
        """The work goes on although nothing is published; of a channel with ``stall``."""
        self._native.progress()

    def stats(self) -> dict[str, int]:
        """The counters of ``dxh_producer_stats``, by name."""
        return self._native.stats()

    def close(self) -> None:
        """Stop producing; views and zones end. Readers read what is left. A second time does
        nothing."""
        if self.service is not None:
            self.service.close()
        self._native.close()

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
