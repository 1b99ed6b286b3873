# SPDX-License-Identifier: MIT
"""Opening blocks: by name, by a channel, or as descriptors from a unix socket."""

from __future__ import annotations

import socket as sockets
import time
import weakref
from typing import Callable, TypeVar

from . import _native
from .apart import Abandoned, run_apart
from .block import BlockInfo, Checksum, Discipline, Start, info_of
from .consumer import Consumer
from .errors import (
    ExpiredError,
    FullError,
    LostError,
    NotFoundError,
    OverloadedError,
    ProducerDeadError,
)
from .peer import Peer
from .producer import Producer
from .schema import Layout, ZoneLayouts, slot_spec, zone_spec

__all__ = ["consume", "produce", "receive", "stat", "unlink"]

_T = TypeVar("_T")
_E = TypeVar("_E", Producer, Consumer)

_opened: "weakref.WeakSet[Producer | Consumer]" = weakref.WeakSet()


def _keep_track(made: _E) -> _E:
    _opened.add(made)
    return made


def close_all() -> None:
    """When the interpreter ends: threads that it stops may still hold some, which nothing frees."""
    for each in list(_opened):
        each.close()


#: So many seconds at most a search for a channel goes on that nobody waits for any more.
_SEARCH = 1.0


#: What may be otherwise in a moment: also that the broker went away amid the question, or has no
#: room for it.
_NOT_YET = (NotFoundError, ProducerDeadError, ExpiredError, LostError, OverloadedError, FullError)


def find_channel(
    open_it: Callable[[float], _T],
    timeout: float | None,
    not_yet: tuple[type[Exception], ...] = _NOT_YET,
) -> _T:
    """Look for a channel until it is there, so that KeyboardInterrupt can end it: ``open_it`` is
    given its patience, and asked again and again."""

    def search(abandoned: Abandoned) -> _T:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SEARCH if end is None else end - time.monotonic()
            try:
                return open_it(min(left, _SEARCH))
            except not_yet:
                if left <= _SEARCH and end is not None or abandoned():
                    raise

    return run_apart(search)


def zone_specs(zones: ZoneLayouts | None) -> list[_native.ZoneSpec]:
    return [zone_spec(name, layout) for name, layout in (zones or {}).items()]


def produce(
    name: str,
    *,
    slot: Layout | None = None,
    slots: int = 0,
    zones: ZoneLayouts | None = None,
    directory: str | None = None,
    mode: int = 0,
    group: str | None = None,
    wake: bool = True,
    unlink_on_close: bool = False,
    owner_wait: float = 0,
    checksum: Checksum = Checksum.NONE,
    checksum_manual: bool = False,
    checksum_key: bytes | None = None,
    readers_max: int = 0,
    evict: bool = False,
    memfd: bool = False,
    lock_memory: bool = False,
    huge_pages: bool = False,
    zones_writable: bool = False,
    timestamps: bool = True,
    broker: Peer | None = None,
    endpoint: str | None = None,
    serve: bool = False,
    stall: float = 0,
    timeout: float | None = 5.0,
) -> Producer:
    """Create the block ``name``, or take over one whose producer is gone.

    ``slot``: what a slot carries, a dtype (``np.dtype(("u1", (480, 640)))``, a structured one, a
    :class:`dxh.Struct`) or an int, so many raw bytes; ``slots``: how many items are kept, 1, 2 or 4
    to 65536. ``zones``: their names and dtypes; :class:`dxh.Latch` around one that is kept twice,
    :class:`dxh.Digested` around one that has a digest. A block has slots, zones, or both.

    ``wake=False``: publishing makes no system call and readers poll. ``timestamps=False``: items do
    not say when they were published, their ``timestamp_ns`` is 0. ``owner_wait``: seconds to wait
    for a live producer to go. ``readers_max``: lossless readers at a time; ``evict``: go on without
    those that hold a write back for longer than its timeout. ``memfd``: memory without a name, see
    :meth:`dxh.Producer.send`. The others are as in ``dxh_block_config``.

    With a ``broker`` the block is registered as a channel, with the ``endpoint`` where its producer
    serves requests; ``serve``: bind a service there, or where the library likes, see
    :attr:`dxh.Producer.service`. Without progress for ``stall`` seconds it counts as hung, see
    :meth:`dxh.Producer.progress`. A broker that does not answer within ``timeout`` seconds is told
    later.

    Raises :class:`dxh.BusyError` naming the live producer; :class:`dxh.SchemaError` or
    :class:`dxh.SizeError` when the block that is there is another; :class:`dxh.ConflictError`: the
    broker knows another producer; :class:`dxh.SpaceError`, :class:`dxh.AccessError`,
    :class:`dxh.InvalidError`; TypeError for a dtype that cannot be described.
    """
    zones_wanted, slot_wanted = zone_specs(zones), slot_spec(slot)

    def open_it() -> _native.Producer:
        return _native.Producer(
            name,
            zones_wanted,
            slot_wanted,
            slots,
            directory,
            mode,
            group,
            not wake,
            unlink_on_close,
            owner_wait,
            checksum,
            checksum_manual,
            checksum_key,
            readers_max,
            evict,
            memfd,
            lock_memory,
            huge_pages,
            zones_writable,
            not timestamps,
            None if broker is None else broker._native,
            endpoint,
            serve,
            round(stall * 1e3),
            timeout,
        )

    made = open_it() if broker is None else run_apart(lambda _: open_it())
    return _keep_track(Producer(made, slot, zones))


def consume(
    name: str | None = None,
    *,
    slot: Layout | None = None,
    zones: ZoneLayouts | None = None,
    discipline: Discipline = Discipline.FOLLOW,
    start: Start = Start.OLDEST,
    start_ticket: int = 0,
    directory: str | None = None,
    file: str | None = None,
    owner_uid: int | None = None,
    checksum_key: bytes | None = None,
    write_zones: bool = False,
    accept_appended: bool = False,
    follow_name: bool = False,
    broker: Peer | None = None,
    timeout: float | None = None,
) -> Consumer:
    """Attach to the block ``name``, read-only.

    ``slot``, ``zones``: what is expected, as for :func:`produce`; ``None``: whatever is there.
    ``accept_appended``: members may have been appended to it. ``follow_name``: when the block is
    gone and the name belongs to another one, go on there (:class:`dxh.MovedError` tells). ``start``, ``start_ticket``: where to
    begin. ``file``: exactly this data file instead, for example a copy. ``owner_uid``: accept a
    block of this other user. ``write_zones``: zones are for writing too, on a block made with
    ``zones_writable``.

    With a ``broker`` the channel of that name is looked for, for ``timeout`` seconds.

    Raises :class:`dxh.NotFoundError`; :class:`dxh.AccessError`; :class:`dxh.SchemaError` naming the
    first member that differs, :class:`dxh.SizeError`; :class:`dxh.CorruptError`;
    :class:`dxh.VersionError`; with a broker also :class:`dxh.ProducerDeadError` and
    :class:`dxh.ExpiredError`.
    """
    zones_wanted, slot_wanted = zone_specs(zones), slot_spec(slot)

    def open_it(patience: float | None) -> _native.Consumer:
        return _native.Consumer(
            name,
            directory,
            file,
            discipline,
            start,
            start_ticket,
            slot_wanted,
            zones_wanted,
            owner_uid,
            checksum_key,
            write_zones,
            accept_appended,
            follow_name,
            None if broker is None else broker._native,
            -1,
            patience,
        )

    made = open_it(0) if broker is None else find_channel(open_it, timeout)
    follows = follow_name or broker is not None
    return _keep_track(Consumer(made, slot, zones, write_zones, follows))


def receive(
    socket: sockets.socket,
    timeout: float | None = None,
    *,
    slot: Layout | None = None,
    zones: ZoneLayouts | None = None,
    discipline: Discipline = Discipline.FOLLOW,
    start: Start = Start.OLDEST,
    owner_uid: int | None = None,
    checksum_key: bytes | None = None,
    write_zones: bool = False,
) -> Consumer:
    """Attach to a block without a name that :meth:`dxh.Producer.send` sends over a unix socket.

    Raises :class:`dxh.WaitTimeoutError`; :class:`dxh.ClosedError`: the socket ended;
    :class:`dxh.AccessError`; :class:`dxh.ProtocolError`: something else came; as :func:`consume`.
    """
    native = _native.Consumer(
        None,
        None,
        None,
        discipline,
        start,
        0,
        slot_spec(slot),
        zone_specs(zones),
        owner_uid,
        checksum_key,
        write_zones,
        False,
        False,
        None,
        socket.fileno(),
        timeout,
    )
    return _keep_track(Consumer(native, slot, zones, write_zones))


def stat(name: str, *, directory: str | None = None) -> BlockInfo:
    """Facts of a block, read-only. Raises as :func:`consume`."""
    return info_of(_native.stat(directory, name))


def unlink(name: str, *, directory: str | None = None) -> None:
    """Remove a block that no producer holds. Attached consumers keep their memory.

    Raises :class:`dxh.NotFoundError`; :class:`dxh.BusyError` naming the live producer.
    """
    _native.unlink(directory, name)
