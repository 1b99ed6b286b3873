# SPDX-License-Identifier: MIT
"""dtypes and schemas: how numpy and a block describe the same bytes.

A structured dtype is a struct. Its members are integers, floats and bools of fixed width,
``S`` (text, padded with NUL), ``V`` (opaque bytes), structs, and arrays of these; a dtype
that is no struct stands for an array, described as ``struct ndarray {data}``; complex
numbers are ``struct complex64 {re, im}``. A struct of C found in a block becomes the dtype of
the same layout, so both sides can be written in either language.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, NamedTuple, Optional, Union

import msgpack  # type: ignore[import]
import numpy as np
import numpy.typing as npt

from . import _native
from .block import Checksum

__all__ = ["FieldFacts", "Struct", "field", "field_facts"]

Dtype = npt.DTypeLike

#: (kind, bytes of an element) to dxh_type and its name.
_TYPES = {
    ("u", 1): (1, "u8"),
    ("i", 1): (2, "i8"),
    ("u", 2): (3, "u16"),
    ("i", 2): (4, "i16"),
    ("u", 4): (5, "u32"),
    ("i", 4): (6, "i32"),
    ("u", 8): (7, "u64"),
    ("i", 8): (8, "i64"),
    ("f", 4): (9, "f32"),
    ("f", 8): (10, "f64"),
    ("b", 1): (11, "bool"),
}
_BYTES, _TEXT, _STRUCT = 0, 12, 13
_FORMATS = {name: f"{kind}{size}" for (kind, size), (_, name) in _TYPES.items()}
_FORMATS["bool"] = "?"

_ARRAY = "ndarray"  # the struct around what is no struct
_COMPLEX = {"complex64": "c8", "complex128": "c16"}


class FieldFacts(NamedTuple):
    """What a member says beside its type."""

    doc: str | None = None  #: a line of documentation
    unit: str | None = None  #: as written: "mm"
    atomic: bool = False  #: others write it at the same time


_NO_FACTS = FieldFacts()


def field(
    dtype: Dtype,
    doc: str | None = None,
    unit: str | None = None,
    *,
    atomic: bool = False,
    shape: int | tuple[int, ...] = (),
) -> np.dtype[Any]:
    """The dtype of a member that has a documentation, a unit, or is atomic.

    >>> np.dtype([("frames", dxh.field("u8", "frames since start", atomic=True)),
    ...           ("gain", dxh.field("f8", "amplifier gain", "dB"))])

    ``doc`` is a line of at most 255 bytes, ``unit`` of 31. An atomic is an integer, float or bool
    that others write at the same time; a zone hands it out as a :class:`dxh.Atomic`.
    """
    facts = {"dxh": FieldFacts(doc, unit, atomic)}
    dimensions = (shape,) if isinstance(shape, int) else shape  # to numpy 1 is not (1,)
    plain: np.dtype[Any] = np.dtype(dtype)
    if dimensions != ():
        plain = np.dtype((plain, dimensions))
    if plain.subdtype is None:
        return np.dtype(plain, metadata=facts)  # type: ignore[call-overload, no-any-return]
    base, dimensions = _shape_of(plain)
    told = np.dtype(base, metadata=facts)  # type: ignore[call-overload]
    return np.dtype((told, dimensions))


def _metadata(dtype: np.dtype[Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = dtype.metadata
    return found or {}


def field_facts(dtype: np.dtype[Any]) -> FieldFacts:
    """What :func:`field` said of a dtype, also of one that was found in a block."""
    found = _metadata(dtype.base).get("dxh", _NO_FACTS)
    return found if isinstance(found, FieldFacts) else _NO_FACTS


class _StructType(type):
    """Turns the members of a class into a dtype."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
    ) -> _StructType:
        own = {
            key: np.dtype(value)
            for key, value in namespace.items()
            if _is_member(value, f"{namespace.get('__qualname__', name)}.{key}")
        }
        rest = {key: value for key, value in namespace.items() if key not in own}
        made = super().__new__(mcs, name, bases, rest)
        if own:
            members = {**_members_of(bases, name, own), **own}
            dtype = np.dtype(list(members.items()), align=True)
            made.dtype = np.dtype(dtype, metadata={"dxh_struct": name})  # type: ignore
        return made


def _is_member(value: object, place: str) -> bool:
    """A dtype, a number type of numpy, or a struct, unless it is only written there."""
    if isinstance(value, _StructType):
        return value.__qualname__ != place
    return isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic))


def _members_of(
    bases: tuple[type, ...], name: str, own: Mapping[str, Any]
) -> dict[str, np.dtype[Any]]:
    """Of the structs that a struct goes on from."""
    found: dict[str, np.dtype[Any]] = {}
    for base in bases:
        dtype = getattr(base, "dtype", None) if isinstance(base, _StructType) else None
        for key, (member, *_) in _fields_of(dtype).items() if dtype is not None else ():
            if key in found or key in own:
                raise TypeError(f"{name}: the member {key} is there twice")
            found[key] = member
    return found


class Struct(metaclass=_StructType):
    """A struct, written as a class; laid out as a C compiler does.

    >>> class Telemetry(dxh.Struct):
    ...     frames = dxh.field("u8", "frames since start", atomic=True)
    ...     gain = dxh.field("f8", "amplifier gain", "dB")

    A member is a :func:`field`, a dtype, a number type of numpy, or another struct. A class that is
    derived from it has its members first. numpy takes the class for its ``dtype`` wherever it wants
    one.
    """

    dtype: np.dtype[Any]  #: what numpy makes of the members


# ---- from dtype to schema ----------------------------------------------------------------


def _refuse(where: str, dtype: np.dtype[Any], why: str) -> TypeError:
    return TypeError(f"{where}: {dtype} {why}")


def _shape_of(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The element and all dimensions, also of an array of arrays."""
    dimensions: tuple[int, ...] = ()
    while dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        dimensions += inner
    return dtype, dimensions


def _natural_align(dtype: np.dtype[Any]) -> int:
    base, _ = _shape_of(dtype)
    if base.names is None:
        return 1 if base.kind in "SVb" else base.alignment
    return _align_of_struct(base)


def _struct_name(dtype: np.dtype[Any], otherwise: str) -> str:
    return str(_metadata(dtype).get("dxh_struct", otherwise))


def _fields_of(dtype: np.dtype[Any]) -> Mapping[str, Any]:
    """Name to (dtype, offset, ...)."""
    found: Mapping[str, Any] | None = dtype.fields
    return found or {}


def _align_of_struct(dtype: np.dtype[Any]) -> int:
    """That of a C compiler if it would lay the members out so, else 1: packed."""
    aligns = [(_natural_align(each[0]), each[1]) for each in _fields_of(dtype).values()]
    align = max((each for each, _ in aligns), default=1)
    fits = all(offset % each == 0 for each, offset in aligns) and dtype.itemsize % align == 0
    return max(align, dtype.alignment) if fits else 1


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for each in shape:
        count *= each
    return count


def _columns(shape: tuple[int, ...], element: int = 1) -> int:
    """Elements of a row, where there are two dimensions; text adds one of its own."""
    if len(shape) == 2:
        return shape[1] * element
    return element if len(shape) == 1 and element > 1 else 0


def _member(name: str, dtype: np.dtype[Any], offset: int, where: str) -> _native.Member:
    where = f"{where}.{name}" if where else name
    base, shape = _shape_of(dtype)
    facts = field_facts(dtype)
    if base.hasobject or base.itemsize == 0:
        raise _refuse(where, dtype, "has no bytes of its own")
    if base.byteorder == ">":
        raise _refuse(where, dtype, "is big-endian: blocks are little-endian")
    if _product(shape) == 0:
        raise _refuse(where, dtype, "has no elements")
    count, columns = _product(shape), _columns(shape)
    nested: Optional[_native.Schema] = None
    if base.names is not None:
        code, nested = _STRUCT, _struct(base, _struct_name(base, name), where)
    elif base.kind == "c" and base.str[1:] in _COMPLEX.values():
        code, nested = _STRUCT, _complex(base)
    elif base.kind in "SV":
        code = _TEXT if base.kind == "S" else _BYTES
        count, columns = count * base.itemsize, _columns(shape, base.itemsize)
    elif (base.kind, base.itemsize) in _TYPES:
        code = _TYPES[base.kind, base.itemsize][0]
    else:
        raise _refuse(where, dtype, "has no type in a schema")
    is_text = code in (_TEXT, _BYTES) and base.itemsize > 1  # has a dimension of its own
    if len(shape) > (1 if is_text else 2):
        code = _STRUCT  # of one array each, one in the other
        count, columns, nested = _wrapped(base, shape, where)
    if facts.atomic and nested is not None:
        raise _refuse(where, dtype, "cannot be atomic")
    if facts.atomic and offset % base.itemsize != 0:
        raise _refuse(where, dtype, "is atomic, and not aligned to its size: write the struct as a "
                      "dxh.Struct, or as np.dtype([...], align=True)")
    return (
        name,
        facts.doc,
        facts.unit,
        offset,
        count,
        dtype.itemsize,
        code,
        facts.atomic,
        columns,
        nested,
    )


def _wrapped(
    base: np.dtype[Any], shape: tuple[int, ...], where: str
) -> tuple[int, int, _native.Schema]:
    """count, columns and struct of an array of more than two dimensions."""
    outer, inner = shape[:-2], shape[-2:]
    if not outer:  # of text
        outer, inner = shape[:1], shape[1:]
    if len(outer) > 2:
        inner, outer = shape[2:], shape[:2]
    return _product(outer), _columns(outer), _array(np.dtype((base, inner)), where)


def _array(dtype: np.dtype[Any], where: str) -> _native.Schema:
    """The struct around what is no struct."""
    return (_ARRAY, dtype.itemsize, _natural_align(dtype), [_member("data", dtype, 0, where)])


def _complex(dtype: np.dtype[Any]) -> _native.Schema:
    half = np.dtype(f"f{dtype.itemsize // 2}")
    members = [_member("re", half, 0, ""), _member("im", half, half.itemsize, "")]
    return (dtype.name, dtype.itemsize, half.alignment, members)


def _struct(dtype: np.dtype[Any], name: str, where: str) -> _native.Schema:
    fields = _fields_of(dtype)
    placed = sorted((fields[each][1], each, fields[each][0]) for each in dtype.names or ())
    members = [_member(each, found, offset, where) for offset, each, found in placed]
    return (name, dtype.itemsize, _align_of_struct(dtype), members)


def schema_of(dtype: np.dtype[Any], name: str, where: str) -> _native.Schema:
    """What a block says of a dtype; raises TypeError naming the member that cannot be said."""
    if dtype.names is None:
        return _array(dtype, where)
    return _struct(dtype, _struct_name(dtype, name), where)


# ---- from schema to dtype ------------------------------------------------------------------


def _arrayed(base: np.dtype[Any], shape: tuple[int, ...]) -> np.dtype[Any]:
    """An array of arrays is one with more dimensions."""
    inner, more = _shape_of(base)
    return np.dtype((inner, shape + more))


def _array_dtype(base: np.dtype[Any], told: Mapping[str, Any], element: int = 1) -> np.dtype[Any]:
    """With the dimensions of a member; `element`: units of a text."""
    count, columns = told["count"], told.get("columns", 0)
    if columns:
        shape: tuple[int, ...] = (count // columns, columns // element)
        return _arrayed(base, shape if element == 1 else shape[:1])
    return base if count // element == 1 else _arrayed(base, (count // element,))


def _dtype_of_member(told: Mapping[str, Any]) -> np.dtype[Any]:
    kind = told["type"]
    if kind == "struct":
        base = _dtype_of_struct(told)
        if base.subdtype is None or not _is_plain(told):
            base = _with_facts(base, told)
        return _array_dtype(base, told)
    if kind in ("text", "bytes"):
        length = told.get("columns", 0) or told["count"]
        base = np.dtype(f"{'S' if kind == 'text' else 'V'}{length}")
        return _array_dtype(_with_facts(base, told), told, length)
    if kind not in _FORMATS:
        raise TypeError(f"{told['name']}: the type {kind!r} is of a later version")
    return _array_dtype(_with_facts(np.dtype(_FORMATS[kind]), told), told)


def _is_plain(told: Mapping[str, Any]) -> bool:
    return not (told.get("doc") or told.get("unit") or told.get("atomic"))


def _with_facts(dtype: np.dtype[Any], told: Mapping[str, Any]) -> np.dtype[Any]:
    if _is_plain(told) or dtype.subdtype is not None:
        return dtype
    facts = FieldFacts(told.get("doc"), told.get("unit"), bool(told.get("atomic")))
    metadata = dict(_metadata(dtype), dxh=facts)
    return np.dtype(dtype, metadata=metadata)  # type: ignore[call-overload, no-any-return]


def _dtype_of_struct(told: Mapping[str, Any]) -> np.dtype[Any]:
    members = told["fields"]
    name = told["struct"]
    if name == _ARRAY and len(members) == 1 and members[0]["name"] == "data":
        return _dtype_of_member(members[0])
    if name in _COMPLEX and [each["name"] for each in members] == ["re", "im"]:
        return np.dtype(_COMPLEX[name])
    dtype = np.dtype(
        {
            "names": [each["name"] for each in members],
            "formats": [_dtype_of_member(each) for each in members],
            "offsets": [each["offset"] for each in members],
            "itemsize": told["size"],
        }
    )
    return np.dtype(dtype, metadata={"dxh_struct": name})  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Part:
    """A zone or the slot of a block, as its schema tells."""

    name: str
    bytes: int
    align: int
    is_latch: bool
    is_raw: bool
    dtype: np.dtype[Any]  #: of raw bytes: so many ``u1``


def _part(told: Mapping[str, Any]) -> Part:
    is_raw = "fields" not in told
    dtype = np.dtype(("u1", (told["size"],))) if is_raw else _dtype_of_struct(told)
    return Part(
        told["name"], told["size"], told["align"], bool(told.get("latch")), is_raw, dtype
    )


@dataclass(frozen=True)
class BlockSchema:
    """All that a block says of its bytes."""

    name: str
    zones: dict[str, Part]
    slot: Part | None


def read_schema(packed: bytes) -> BlockSchema:
    """From the MessagePack that lies in a block, which the library has checked."""
    told = msgpack.unpackb(packed, unicode_errors="replace")  # "\xb5V" is a unit to C
    zones = {each["name"]: _part(each) for each in told["zones"]}
    return BlockSchema(told["name"], zones, _part(told["slot"]) if "slot" in told else None)


# ---- as a program wants it --------------------------------------------------------------------


def _arranged(found: np.dtype[Any], wanted: np.dtype[Any]) -> np.dtype[Any]:
    """What was found, with members in the order of what is wanted, since numpy assigns structs by
    place and not by name; and characters that are wanted one by one so, since a schema does not
    tell them from text."""
    base, shape = _shape_of(found)
    wanted_base, wanted_shape = _shape_of(wanted)
    if base.names is None and base.kind in "SV" and wanted_base.kind == base.kind:
        facts = dict(_metadata(base))
        each = np.dtype(wanted_base, metadata=facts)  # type: ignore[call-overload]
        return np.dtype((each, wanted_shape)) if wanted.itemsize == found.itemsize else found
    if base.names is None or not set(wanted_base.names or ()) <= set(base.names):
        return found
    names = list(dict.fromkeys([*(wanted_base.names or ()), *base.names]))
    ours, theirs = _fields_of(base), _fields_of(wanted_base)
    told = {
        "names": names,
        "formats": [
            _arranged(ours[each][0], theirs[each][0]) if each in theirs else ours[each][0]
            for each in names
        ],
        "offsets": [ours[each][1] for each in names],
        "itemsize": base.itemsize,
    }
    made: np.dtype[Any] = np.dtype(told)  # type: ignore[call-overload]
    made = np.dtype(made, metadata=dict(_metadata(base)))  # type: ignore[call-overload]
    return np.dtype((made, shape)) if shape else made


# ---- what a program asks for ------------------------------------------------------------------

#: A struct or array as anything that numpy takes for a dtype; an int: so many raw bytes.
Layout = Union[Dtype, int]


@dataclass(frozen=True)
class Latch:
    """A zone that is kept twice, so that readers always get a whole copy."""

    layout: Layout  #: as of a zone


@dataclass(frozen=True)
class Digested:
    """A zone, or :class:`Latch`, that has a digest: set and verified by hand, see
    :meth:`dxh.Zone.set_digest`. For what is written rarely and has to be right."""

    layout: Layout | Latch  #: as of a zone
    digest: Checksum = Checksum.BLAKE2B  #: how it is computed


#: What a zone can be made of.
ZoneLayout = Union["Layout", Latch, Digested]

ZoneLayouts = Mapping[str, ZoneLayout]


def _bare(layout: ZoneLayout) -> Layout:
    """What is inside of a latch or a digest."""
    inside = layout.layout if isinstance(layout, Digested) else layout
    return inside.layout if isinstance(inside, Latch) else inside


def _part_as_wanted(part: Part, layout: Layout | None) -> Part:
    if layout is None or isinstance(layout, int) or part.is_raw:
        return part
    return replace(part, dtype=_arranged(part.dtype, np.dtype(layout)))


def schema_as_wanted(
    packed: bytes, slot: Layout | None = None, zones: ZoneLayouts | None = None
) -> BlockSchema:
    """:func:`read_schema`, as the program described it that opened the block."""
    told = read_schema(packed)
    asked = zones or {}
    parts = {
        name: _part_as_wanted(part, _bare(asked[name]) if name in asked else None)
        for name, part in told.zones.items()
    }
    return replace(told, zones=parts, slot=told.slot and _part_as_wanted(told.slot, slot))


def zone_spec(name: str, layout: ZoneLayout) -> _native.ZoneSpec:
    """A zone for the library."""
    digest = Checksum.NONE
    if isinstance(layout, Digested):
        digest = layout.digest
        layout = layout.layout
    is_latch = isinstance(layout, Latch)
    wanted = _bare(layout)
    if isinstance(wanted, int):
        return (name, None, wanted, 0, is_latch, digest)
    dtype: np.dtype[Any] = np.dtype(wanted)
    schema = schema_of(dtype, name, name)
    return (name, schema, schema[1], schema[2], is_latch, digest)


def slot_spec(layout: Layout | None) -> _native.SlotSpec | None:
    """A slot for the library."""
    if layout is None:
        return None
    if isinstance(layout, int):
        return (None, layout)
    dtype: np.dtype[Any] = np.dtype(layout)
    return (schema_of(dtype, "slot", "slot"), dtype.itemsize)
