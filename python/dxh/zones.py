# SPDX-License-Identifier: MIT
"""Zones: structs in a block, by attribute; atomics and latches explicitly."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Union

import numpy as np

from . import _native
from .errors import StateError, ZoneError
from .local import Local
from .schema import Part, field_facts
from .views import View, view_of

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Atomic", "LatchZone", "Zone", "Zones"]

_LOAD, _STORE, _EXCHANGE, _ADD, _AND, _OR, _COMPARE_EXCHANGE = range(7)

Number = Union[int, float, bool]

_PACKED = {"u": "Q", "i": "q", "b": "?"}


class Atomic(Local):
    """An atomic member of a zone. Each call is one step that nobody sees the half of, in one
    order for all processes."""

    __slots__ = ("_dtype", "_lease", "_offset")

    def __init__(self, lease: _native.Lease, offset: int, dtype: np.dtype[Any]) -> None:
        self._lease = lease
        self._offset = offset
        self._dtype = dtype

    def _packed_float(self, value: Number) -> bytes:
        try:
            return struct.pack("<f" if self._dtype.itemsize == 4 else "<d", value)
        except struct.error:
            raise TypeError(f"a number is needed, not {value!r}") from None

    def _bits(self, value: Number) -> int:
        size = self._dtype.itemsize
        if self._dtype.kind == "f":
            packed = self._packed_float(value)
        elif self._dtype.kind == "b":
            packed = bytes([bool(value)])
        else:  # says itself what does not fit
            packed = int(value).to_bytes(size, "little", signed=self._dtype.kind == "i")
        return int.from_bytes(packed, "little")

    def _value(self, bits: int) -> Number:
        size = self._dtype.itemsize
        packed = bits.to_bytes(8, "little")[:size]
        if self._dtype.kind == "f":
            return float(struct.unpack("<f" if size == 4 else "<d", packed)[0])
        if self._dtype.kind == "b":
            return packed != b"\0"
        return int.from_bytes(packed, "little", signed=self._dtype.kind == "i")

    def _step(self, operation: int, operand: int, expected: int = 0) -> tuple[int, bool]:
        return self._lease.atomic(
            operation, self._offset, self._dtype.itemsize, operand, expected
        )

    def load(self) -> Number:
        """The value."""
        return self._value(self._step(_LOAD, 0)[0])

    def store(self, value: Number) -> None:
        """Set it. Raises OverflowError for what does not fit; :class:`dxh.StateError` in a zone
        that is for reading only, as all calls but :meth:`load`."""
        self._step(_STORE, self._bits(value))

    def exchange(self, value: Number) -> Number:
        """Set it, and return what it was."""
        return self._value(self._step(_EXCHANGE, self._bits(value))[0])

    def compare_exchange(self, expected: Number, value: Number) -> tuple[bool, Number]:
        """Set it if it is as expected; whether it was, and what it was."""
        bits, done = self._step(_COMPARE_EXCHANGE, self._bits(value), self._bits(expected))
        return done, self._value(bits)

    def add(self, amount: Number) -> Number:
        """Add, modulo the size of the type, and return what it was. A negative amount subtracts."""
        if self._dtype.kind in "ui":
            mask = (1 << 8 * self._dtype.itemsize) - 1
            return self._value(self._step(_ADD, int(amount) & mask)[0])
        if self._dtype.kind == "b":
            raise TypeError("a bool is not added to")
        while True:  # ends when nobody comes between
            bits, _ = self._step(_LOAD, 0)  # which are compared: a NaN is no float twice
            before = self._value(bits)
            _, done = self._step(_COMPARE_EXCHANGE, self._bits(before + amount), bits)
            if done:
                return before

    def and_(self, bits: int) -> Number:
        """Keep these bits only, and return what it was; of integers."""
        return self._value(self._step(_AND, self._whole(bits))[0])

    def or_(self, bits: int) -> Number:
        """Set these bits, and return what it was; of integers."""
        return self._value(self._step(_OR, self._whole(bits))[0])

    def _whole(self, bits: int) -> int:
        if self._dtype.kind not in "uib":
            raise TypeError("bits are of integers")
        return self._bits(bits)

    def __repr__(self) -> str:
        return f"<atomic {self._dtype}: {self.load()}>"


_Ends = Union[_native.Producer, _native.Consumer]


class _Proved(Local):
    """What zones of both kinds do with a digest."""

    __slots__ = ("_native", "_part")

    _native: _Ends
    _part: Part

    def set_digest(self) -> None:
        """Keep the digest of what it holds now; call it after each change. On a zone made as
        :class:`dxh.Digested` (:class:`dxh.StateError`), by who may write it, one at a time."""
        self._native.digest_set(self._part.name)

    def verified(self) -> Any:
        """A copy that is proved to be what it was when its digest was set.

        Raises :class:`dxh.CorruptError`: it differs; :class:`dxh.EmptyError`: no digest is set, or a
        latch holds another value since; :class:`dxh.BusyError`: it changed all the time.
        """
        return _whole_value(self._native.digest_verify(self._part.name, self._part.bytes), self._part)


def _array_of(raw: bytearray, part: Part) -> npt.NDArray[Any]:
    dtype = part.dtype
    base, shape = (dtype, ()) if dtype.subdtype is None else dtype.subdtype
    return np.ndarray(shape, base, buffer=raw)


def _whole_value(raw: bytearray, part: Part) -> Any:
    """A structured scalar, or an array."""
    return _array_of(raw, part)[()]


class Zone(_Proved):
    """A zone: members by attribute or by key, ``zone.gain``, ``zone["gain"]``.

    Numbers are values; arrays and structs are views, that change with the zone; atomic members are
    :class:`dxh.Atomic`. All ends with the block: :class:`dxh.ClosedError`.
    """

    __slots__ = ("_lease", "_view")

    def __init__(
        self, native: _Ends, lease: _native.Lease, part: Part
    ) -> None:
        dtype = part.dtype
        base, shape = (dtype, ()) if dtype.subdtype is None else dtype.subdtype
        object.__setattr__(self, "_native", native)
        object.__setattr__(self, "_lease", lease)
        object.__setattr__(self, "_part", part)
        object.__setattr__(self, "_view", view_of(lease, base, shape))

    @property
    def array(self) -> View:
        """All of it as one view; of a struct an array without dimensions."""
        self._lease.check()
        view: View = self._view
        return view

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the zone, with what :func:`dxh.field` said of its members."""
        dtype: np.dtype[Any] = self._part.dtype
        return dtype

    def _place(self, name: str) -> tuple[np.dtype[Any], int]:
        fields: Any = self._part.dtype.fields or {}
        if name not in fields:
            raise AttributeError(
                f"the zone {self._part.name!r} has no {name!r}, but {', '.join(fields) or 'bytes'}"
            )
        found = fields[name]
        return found[0], found[1]

    def __getitem__(self, name: str) -> Any:
        self._lease.check()
        dtype, offset = self._place(name)
        if field_facts(dtype).atomic and dtype.subdtype is None:
            return Atomic(self._lease, offset, dtype)
        found = self._view[name]
        return found[()] if dtype.subdtype is None and dtype.names is None else found

    def __setitem__(self, name: str, value: Any) -> None:
        self._lease.check()
        dtype, _ = self._place(name)
        if field_facts(dtype).atomic:
            raise StateError(f"DXH_ESTATE: {name} is atomic: use zone.{name}.store(...)")
        self._view[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def atomic(self, name: str, index: int) -> Atomic:
        """An element of an array of atomics."""
        dtype, offset = self._place(name)
        if dtype.subdtype is None or not field_facts(dtype).atomic:
            raise StateError(f"DXH_ESTATE: {name} is no array of atomics")
        base, shape = dtype.subdtype
        count = dtype.itemsize // base.itemsize
        if not 0 <= index < count:
            raise IndexError(f"{name} has {count} elements")
        return Atomic(self._lease, offset + index * base.itemsize, base)

    def __dir__(self) -> list[str]:
        own = ["array", "atomic", "dtype", "set_digest", "verified"]
        return [*own, *(self._part.dtype.names or ())]

    def __repr__(self) -> str:
        return f"<zone {self._part.name}: {self._part.dtype}>"


class LatchZone(_Proved):
    """A zone that is kept twice: a reader always gets a whole value, and no writer waits."""

    __slots__ = ()

    def __init__(self, native: _Ends, part: Part) -> None:
        self._native = native
        self._part = part

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the value."""
        return self._part.dtype

    def load(self) -> Any:
        """A whole copy: a structured scalar, ``value["x"]``, or an array.

        Raises :class:`dxh.BusyError` when the writer was faster many times in a row.
        """
        raw = self._native.latch_load(self._part.name, self._part.bytes)
        return _whole_value(raw, self._part)

    def store(self, value: Any) -> None:
        """Make this the value, in one step for all readers."""
        if isinstance(self._native, _native.Consumer):
            raise StateError("DXH_ESTATE: only the producer writes a latch")
        with self.write() as fresh:
            fresh[...] = value

    @contextlib.contextmanager
    def write(self) -> Iterator[npt.NDArray[Any]]:
        """``with latch.write() as value:`` change what is handed out, a copy of the current value;
        at the end it becomes the value. An exception leaves the old one."""
        if isinstance(self._native, _native.Consumer):
            raise StateError("DXH_ESTATE: only the producer writes a latch")
        raw = self._native.latch_load(self._part.name, self._part.bytes)
        yield _array_of(raw, self._part)
        self._native.latch_store(self._part.name, raw)

    def __repr__(self) -> str:
        return f"<latch {self._part.name}: {self._part.dtype}>"


class Zones(Local):
    """The zones of a block by name: ``block.zones.telemetry``, ``block.zones["telemetry"]``."""

    __slots__ = ("_found", "_native", "_parts", "_writable")

    def __init__(
        self,
        native: _Ends,
        parts: Mapping[str, Part],
        writable: bool,
    ) -> None:
        self._native = native
        self._parts = parts
        self._writable = writable
        self._found: dict[str, Zone | LatchZone] = {}

    def __getitem__(self, name: str) -> Any:
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._open(name)
        return found

    def _open(self, name: str) -> Zone | LatchZone:
        part = self._parts.get(name)
        if part is None:
            raise ZoneError(
                f"DXH_EZONE: no zone {name!r}, but {', '.join(self._parts) or 'none at all'}"
            )
        if part.is_latch:
            return LatchZone(self._native, part)
        lease = self._native.zone(name, part.bytes, self._writable)
        return Zone(self._native, lease, part)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except ZoneError as error:
            raise AttributeError(str(error)) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __dir__(self) -> list[str]:
        return list(self._parts)

    def __repr__(self) -> str:
        return f"<zones {', '.join(self._parts)}>"
