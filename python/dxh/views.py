# SPDX-License-Identifier: MIT
"""Views: arrays over bytes of a block that end when they are no longer what they were.

A view of a slot is good inside its ``with``, one of a zone until its block is closed. What
comes later, and what is read from an item that the writer has overtaken, raises instead of showing
other bytes. What numpy derives (slices, fields, reshaped ones) is a view too; what it computes is
a plain array. An element that is a struct is as a :class:`numpy.void`: of what may be written it ends with
the view, else it is a copy, as ``view[()]`` of one is.

What numpy makes without telling is outside of this: ``np.asarray(view)`` and what is built on it (``np.nditer``,
``np.ma``, ``np.matrix``, ``np.random``), ``memoryview(view)``, ``view.flat``, ``view.data``, ``view.ctypes``, and what C
extensions make of a view. Made of a view that has ended they are empty or zeros, or raise. Made before and used after
the ``with`` they never crash, but show whatever lies there: copy instead.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from . import _native
from .errors import Error

__all__ = ["View"]


def _plain(value: Any) -> Any:
    """Views inside of arguments as plain arrays, so that numpy does not come back here."""
    if isinstance(value, View):
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(_plain(each) for each in value)
    return value


def _leases(values: Any) -> list[_native.Lease]:
    found: list[_native.Lease] = []
    for each in values:
        if isinstance(each, View):
            if each._lease is not None:
                found.append(each._lease)
        elif isinstance(each, (tuple, list)):
            found.extend(_leases(each))
    return found


class _Checked:
    """Leases that must hold before and after; what they say goes before any other error, which
    may come of it."""

    __slots__ = ("_leases",)

    def __init__(self, leases: list[_native.Lease]) -> None:
        self._leases = leases

    def __enter__(self) -> None:
        self.__exit__()

    def __exit__(self, *unused: object) -> None:
        for lease in self._leases:
            lease.check()


class View(np.ndarray[Any, Any]):
    """An array over bytes of a block. Every look at it is checked, before and after."""

    _lease: _native.Lease | None

    def __array_finalize__(self, parent: Any) -> None:
        lease = getattr(parent, "_lease", None)
        # A copy is nobody's; but of what has ended there is none, only zeros in its place.
        is_own = lease is None or lease.is_live and not lease.adopt(self)
        self._lease = None if is_own else lease

    def check(self) -> None:
        """Raise if what the view shows is not what it was made for: :class:`dxh.StateError` after
        its ``with``, :class:`dxh.LappedError` when the writer went over it, :class:`dxh.ClosedError`,
        :class:`dxh.ForkedError`."""
        if self._lease is not None:
            self._lease.check()

    def __getitem__(self, key: Any) -> Any:
        self.check()
        try:
            found = super().__getitem__(key)
            if isinstance(found, np.void):  # which shows these bytes, too, and is told of nothing
                found = self._element(found, key)
        finally:
            self.check()
        if isinstance(found, View) and found._lease is None:
            return found.view(np.ndarray)  # a copy, as of a list of places
        return found

    def _element(self, found: np.void, key: Any) -> Any:
        if not self.flags.writeable or key == ():
            return found.copy()
        places = key if isinstance(key, tuple) else (key,)
        return super().__getitem__((*places, ...)).view(_Element)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.check()
        try:
            super().__setitem__(key, _plain(value))  # type: ignore[no-untyped-call]
        finally:
            self.check()

    def __iter__(self) -> Any:
        self.check()
        return (self[i] for i in range(len(self)))

    def _told(self, tell: Callable[[npt.NDArray[Any]], str]) -> str:
        try:
            self.check()
            told = tell(self.view(np.ndarray))
            self.check()
        except Error as error:  # who asks wants to see something
            is_live = self._lease is not None and self._lease.is_live
            return f"<a view: {error}>" if is_live else "<a view that has ended>"
        return told

    def __repr__(self) -> str:
        return self._told(repr)

    def __str__(self) -> str:
        return self._told(str)

    def __format__(self, how: str) -> str:
        if not how:
            return str(self)
        self.check()
        return format(self.view(np.ndarray), how)

    def __reduce__(self) -> Any:
        return self.copy().__reduce__()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = {key: _plain(value) for key, value in options.items()}
        with _Checked(_leases(inputs) + _leases(options.get("out", ()))):
            result = getattr(ufunc, method)(*_plain(inputs), **plain)
        given = options.get("out")
        if given is None or result is NotImplemented:
            return result
        return given if len(given) > 1 else given[0]

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        leases = _leases(args) + _leases(options.values())
        plain = {key: _plain(value) for key, value in options.items()}
        with _Checked(leases):
            result = function(*_plain(args), **plain)
        return _as_views(result, leases)


class _Element(View):
    """A struct in an array that may be written, as :class:`numpy.void` is one: numbers are values,
    arrays and structs are views."""

    def _name(self, key: Any) -> Any:
        names = self.dtype.names or ()
        return names[key] if isinstance(key, (int, np.integer)) else key

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(self._name(key))
        if not isinstance(found, View):
            return found
        if found.ndim > 0:
            return found.view(View)
        return found if found.dtype.names else found[()]

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(self._name(key), value)

    def __iter__(self) -> Any:
        return (self[each] for each in self.dtype.names or ())

    def __len__(self) -> int:
        return len(self.dtype.names or ())


def _checked(name: str) -> Callable[..., Any]:
    """A method of ndarray on the plain array, checked before and after."""
    method = getattr(np.ndarray, name)
    takes_apart = name in ("item", "tolist")

    def call(self: View, *args: Any, **options: Any) -> Any:
        with _Checked([self._lease] if self._lease is not None else []):
            plain = self.view(np.ndarray)
            if takes_apart and self.dtype.names:
                plain = plain.copy()  # arrays in structs come out as such
            return method(plain, *_plain(args), **options)

    call.__name__ = name
    call.__doc__ = method.__doc__ or f"As :meth:`numpy.ndarray.{name}`."
    return call


# Those that give values, or change them; views come from all others.
for _name in (
    "__array__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __contains__ __copy__ __float__ __int__ "
    "__bool__ __index__ __complex__ __len__ all any argmax argmin argpartition argsort astype byteswap choose clip "
    "compress copy cumprod cumsum dot dump dumps fill item itemset max mean min nonzero partition "
    "prod ptp put repeat round searchsorted sort std sum take tobytes tofile tolist "
    "tostring trace var"
).split():
    setattr(View, _name, _checked(_name))


def _handed_out(name: str) -> property:
    """An attribute through which numpy hands out the bytes: not of a view that has ended."""
    plain: Any = getattr(np.ndarray, name)

    def get(self: View) -> Any:
        self.check()
        return plain.__get__(self)

    def put(self: View, value: Any) -> None:
        self.check()
        plain.__set__(self, _plain(value))

    return property(get, put, doc=plain.__doc__)


for _name in ("ctypes", "data", "flat", "__array_interface__", "__array_struct__"):
    setattr(View, _name, _handed_out(_name))


def _as_views(found: Any, leases: list[_native.Lease]) -> Any:
    """Arrays that lie in leased bytes, also those in a list, as views; all else as it is."""
    if type(found) in (tuple, list):
        return type(found)(_as_views(each, leases) for each in found)
    if not isinstance(found, np.ndarray) or found.base is None:
        return found
    view = found.view(View)
    for lease in leases:
        if lease.adopt(view):
            view._lease = lease
            return view
    return found


def view_of(
    lease: _native.Lease, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int = 0
) -> View:
    """A view of what is leased."""
    memory: Any = lease  # has the buffer protocol, which has no type yet
    made: View = np.ndarray.__new__(View, shape, dtype, buffer=memory, offset=offset)
    made._lease = lease
    lease.adopt(made)
    return made
