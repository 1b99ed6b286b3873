# SPDX-License-Identifier: MIT
"""The hub: one I/O thread that owns every socket, and what is opened on it."""

from __future__ import annotations

import atexit
import weakref
from typing import Callable, NamedTuple

from . import _native
from .apart import end_all, run_apart
from .block import Checksum, Discipline, Start
from .blocks import close_all, consume, find_channel, produce
from .channel import Broker, ChannelFacts, ChannelInfo, Watcher, channel_facts, channel_info
from .consumer import Consumer
from .errors import ClosedError, StateError, WaitTimeoutError
from .local import Local
from .peer import Peer
from .producer import Producer
from .schema import Layout, ZoneLayouts
from .service import Service
from .status import PeerState, Repeats, Stage

__all__ = ["DrainReport", "DrainRow", "Hub"]


class DrainRow(NamedTuple):
    """One lane of one peer, or of one client of a service, in which something was left."""

    endpoint: str  #: of the peer, or of the service
    client: str | None  #: ``None``: of a peer
    lane: str  #: "control", "request" or "notification"
    state: PeerState  #: of its connection
    unsent: int  #: operations, or answers, not yet handed to the network
    unsent_bytes: int  #: of these
    unanswered: int  #: operations that left and have no answer
    unanswered_bytes: int  #: of these
    reason: str  #: why it was not ready


class DrainReport(NamedTuple):
    """What a drain did, and what it left behind."""

    completed: int  #: operations that ended while draining
    abandoned: int  #: operations ended as closed at the deadline
    notifications_sent: int  #: handed to the network while draining
    notifications_left: int  #: never handed to the network
    answers_left: int  #: of services, for clients that did not take them
    rows: list[DrainRow]  #: where something was left

    @property
    def is_clean(self) -> bool:
        """Nothing was left."""
        return not (self.abandoned or self.notifications_left or self.answers_left)


class Hub(Local):
    """One I/O thread with its sockets; usually a program has one hub. Any thread may use it.

    Use it in a ``with``, or :meth:`close` it. A child of ``fork()`` opens its own:
    :class:`dxh.ForkedError` tells. ``broker``: the endpoint of a broker, by which channels are produced
    and found; without it blocks are, by their names alone. ``metrics_block``: a block where other
    processes read what this hub counts, see :func:`dxh.read_metrics`. Times are in seconds; 0 stands for the default of the library.

    Raises :class:`dxh.InvalidError`, :class:`dxh.LimitError`, :class:`dxh.SystemRefusedError`.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        operations_max: int = 0,
        body_bytes_max: int = 0,
        frame_bytes: int = 0,
        connect_timeout: float = 0,
        reconnect_min: float = 0,
        reconnect_max: float = 0,
        sample_one_in: int = 0,
        metrics_block: str | None = None,
        broker: str | None = None,
    ) -> None:
        self._native = _native.Hub(
            name,
            operations_max,
            body_bytes_max,
            frame_bytes,
            connect_timeout,
            reconnect_min,
            reconnect_max,
            sample_one_in,
            metrics_block,
        )
        self._peers: "weakref.WeakSet[Peer]" = weakref.WeakSet()
        self._services: "weakref.WeakSet[Service]" = weakref.WeakSet()
        self._ends: "weakref.WeakSet[Producer | Consumer]" = weakref.WeakSet()
        self._watchers: "weakref.WeakSet[Watcher]" = weakref.WeakSet()
        self._brokers: list[Broker] = []  # they go on, whoever holds them
        #: The peer of the broker; ``None`` without one.
        self.broker = None if broker is None else self.connect(broker)
        _open_hubs.add(self)

    def connect(
        self,
        endpoint: str | None = None,
        *,
        channel: str | None = None,
        timeout: float | None = None,
        requests_max: int = 0,
        requests_bytes: int = 0,
        full_wait: float = 0,
        notify_frames: int = 0,
        drop_oldest: bool = False,
        batch_records: int = 0,
        batch_bytes: int = 0,
        linger: float = 0,
        retries_max: int = 0,
        retry_percent: int = 0,
        retry_min: float = 0,
        retry_max: float = 0,
        beat: float = 0,
        silence: float = 0,
        server_key: str | None = None,
        key_file: str | None = None,
        on_state: Callable[[PeerState, str], None] | None = None,
    ) -> Peer:
        """Connect to a service: ``ipc:///path``, ``ipc://@abstract``, ``tcp://host:port``. Or, by the
        broker of this hub, to whoever produces ``channel``, also when that is restarted or another
        one takes over; waits ``timeout`` seconds for a channel that is not there yet.

        Returns before the connection stands; requests wait for it, up to their timeouts. Times
        are in seconds; 0 stands for the default. ``full_wait``: wait so long for credit before
        :class:`dxh.FullError`. ``linger``: hold notifications back so long for company.
        ``drop_oldest``: of notifications that wait, instead of refusing new ones. ``server_key``,
        ``key_file``: CURVE. ``on_state(state, reason)`` is called at every change of the
        connection, in a thread of its own: let it be short.

        Raises :class:`dxh.InvalidError` naming what is wrong with the endpoint or the keys; of a
        channel :class:`dxh.NotFoundError`, :class:`dxh.ProducerDeadError`,
        :class:`dxh.UnsupportedError`: its producer serves no requests, :class:`dxh.ExpiredError`: the
        broker did not answer, :class:`dxh.StateError`: the hub was opened without one.
        """
        to: str = endpoint or channel or ""
        if (endpoint is None) == (channel is None):
            raise TypeError("either an endpoint or a channel is needed")
        if on_state is not None and not callable(on_state):
            raise TypeError(f"on_state is called, and {on_state!r} cannot be")
        broker = None if channel is None else self._broker_peer()
        told = None if on_state is None else _typed(on_state)
        open_it: Callable[[float | None], _native.Peer] = lambda patience: _native.Peer(
            self._native,
            to,
            requests_max,
            notify_frames,
            full_wait,
            server_key,
            key_file,
            retries_max,
            retry_percent,
            retry_min,
            retry_max,
            beat,
            silence,
            requests_bytes,
            batch_records,
            batch_bytes,
            round(linger * 1e6),
            drop_oldest,
            told,
            broker,
            patience,
        )
        peer = Peer(open_it(0) if broker is None else find_channel(open_it, timeout), to)
        self._peers.add(peer)
        return peer

    def serve(
        self,
        endpoint: str,
        *,
        inbox_max: int = 0,
        inbox_bytes: int = 0,
        clients_max: int = 0,
        client_window: int = 0,
        client_bytes: int = 0,
        notify_bytes: int = 0,
        publish_max: int = 0,
        publish_bytes: int = 0,
        subscriptions_max: int = 0,
        insecure: bool = False,
        key_file: str | None = None,
        allow_file: str | None = None,
        allow_any: bool = False,
        repeats: Repeats = Repeats.ANSWER,
        replies_max: int = 0,
        replies_bytes: int = 0,
        replies_absent: float = 0,
    ) -> Service:
        """Listen on an endpoint; set handlers and :meth:`~dxh.Service.start` the service.

        ``repeats``: what becomes of requests that come again; the answers kept for them are at
        most ``replies_max`` and ``replies_bytes``, of a client that is gone for
        ``replies_absent`` seconds. The others are as in ``dxh_service_config``.

        Raises :class:`dxh.BusyError` when the address is in use, :class:`dxh.InsecureError` for
        tcp beyond this machine in the clear, :class:`dxh.InvalidError`.
        """
        native = _native.Service(
            self._native,
            endpoint,
            inbox_max,
            clients_max,
            client_window,
            insecure,
            inbox_bytes,
            client_bytes,
            notify_bytes,
            publish_max,
            publish_bytes,
            subscriptions_max,
            key_file,
            allow_file,
            allow_any,
            repeats,
            replies_max,
            replies_bytes,
            replies_absent,
        )
        service = Service(native)
        self._services.add(service)
        return service

    # ---- blocks and channels ----

    def produce(
        self,
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
        lock_memory: bool = False,
        huge_pages: bool = False,
        zones_writable: bool = False,
        timestamps: bool = True,
        endpoint: str | None = None,
        serve: bool = False,
        stall: float = 0,
        timeout: float | None = 5.0,
    ) -> Producer:
        """:func:`dxh.produce`, as a channel of this hub's broker if it has one. It is closed with
        the hub. Raises also :class:`dxh.ClosedError`."""
        self._check_open()
        made = produce(
            name,
            slot=slot,
            slots=slots,
            zones=zones,
            directory=directory,
            mode=mode,
            group=group,
            wake=wake,
            unlink_on_close=unlink_on_close,
            owner_wait=owner_wait,
            checksum=checksum,
            checksum_manual=checksum_manual,
            checksum_key=checksum_key,
            readers_max=readers_max,
            evict=evict,
            lock_memory=lock_memory,
            huge_pages=huge_pages,
            zones_writable=zones_writable,
            timestamps=timestamps,
            broker=self.broker,
            endpoint=endpoint,
            serve=serve,
            stall=stall,
            timeout=timeout,
        )
        self._ends.add(made)
        return made

    def consume(
        self,
        name: str,
        *,
        slot: Layout | None = None,
        zones: ZoneLayouts | None = None,
        discipline: Discipline = Discipline.FOLLOW,
        start: Start = Start.OLDEST,
        start_ticket: int = 0,
        directory: str | None = None,
        owner_uid: int | None = None,
        checksum_key: bytes | None = None,
        write_zones: bool = False,
        accept_appended: bool = False,
        follow_name: bool = False,
        timeout: float | None = None,
    ) -> Consumer:
        """:func:`dxh.consume`, of a channel that this hub's broker knows if it has one. It is closed
        with the hub. Raises also :class:`dxh.ClosedError`."""
        self._check_open()
        made = consume(
            name,
            slot=slot,
            zones=zones,
            discipline=discipline,
            start=start,
            start_ticket=start_ticket,
            directory=directory,
            owner_uid=owner_uid,
            checksum_key=checksum_key,
            write_zones=write_zones,
            accept_appended=accept_appended,
            follow_name=follow_name,
            broker=self.broker,
            timeout=timeout,
        )
        self._ends.add(made)
        return made

    def start_broker(
        self,
        endpoint: str,
        *,
        channels_max: int = 0,
        beat: float = 0,
        beats_missed: int = 0,
        clients_max: int = 0,
        insecure: bool = False,
        key_file: str | None = None,
        allow_file: str | None = None,
        allow_any: bool = False,
        beats_kept: int = 0,
        consumers_max: int = 0,
        client_channels: int = 0,
        client_consumers: int = 0,
        rights_file: str | None = None,
    ) -> Broker:
        """A broker in this process, until it is stopped or the hub closed. ``beat``: seconds
        between two signs of life of a producer. ``rights_file``: who may produce, consume and
        administer what, see docs/security.md. The others are as in ``dxh_broker_config``. Raises as :meth:`serve`."""
        native = _native.Broker(
            self._native,
            endpoint,
            channels_max,
            round(beat * 1e3),
            beats_missed,
            clients_max,
            insecure,
            key_file,
            allow_file,
            allow_any,
            beats_kept,
            consumers_max,
            client_channels,
            client_consumers,
            rights_file,
        )
        broker = Broker(native)
        self._brokers.append(broker)
        return broker

    def discover(self, name: str, timeout: float | None = None) -> ChannelInfo:
        """Ask the broker about a channel, once; :attr:`~dxh.ChannelInfo.state` says whether it is
        there. Raises :class:`dxh.ExpiredError`; :class:`dxh.StateError` without a broker."""
        broker = self._broker_peer()
        return channel_info(run_apart(lambda _: _native.discover(broker, name, timeout)))

    def channels(self, timeout: float | None = None) -> list[ChannelInfo]:
        """All channels that the broker knows, in order of their names. Raises as
        :meth:`discover`."""
        broker = self._broker_peer()
        told = run_apart(lambda _: _native.channels(broker, timeout))
        return [channel_info(each) for each in told]

    def describe(self, name: str, timeout: float | None = None) -> ChannelFacts:
        """All that the broker knows of a channel: its zones, its schema, who consumes it. Raises as
        :meth:`discover`; :class:`dxh.AccessError` without the right to consume it."""
        broker = self._broker_peer()
        return channel_facts(run_apart(lambda _: _native.describe(broker, name, timeout)))

    def watch(
        self, prefix: str = "", *, events_max: int = 0, timeout: float | None = None
    ) -> Watcher:
        """Watch all channels whose names begin with ``prefix``: what happens after this returns is
        told, in order, or that something may be missing (:attr:`dxh.WatchKind.GAP`).

        ``timeout``: seconds for the broker to confirm it (:class:`dxh.WaitTimeoutError`). Raises
        :class:`dxh.AccessError`, :class:`dxh.LimitError`, :class:`dxh.OverloadedError`; as
        :meth:`discover`.
        """
        broker = self._broker_peer()
        open_it: Callable[[float], _native.Watcher]
        open_it = lambda patience: _native.Watcher(broker, prefix, events_max, patience)
        watcher = Watcher(find_channel(open_it, timeout, (WaitTimeoutError,)))
        self._watchers.add(watcher)
        return watcher

    def broker_stats(self, timeout: float | None = None) -> dict[str, int]:
        """The counters of ``dxh_broker_stats``, by name. Raises as :meth:`discover`;
        :class:`dxh.AccessError`: the broker tells them to administrators only."""
        broker = self._broker_peer()
        return run_apart(lambda _: _native.broker_stats(broker, timeout))

    def _check_open(self) -> None:
        if self not in _open_hubs:
            raise ClosedError("DXH_ECLOSED: the hub is closed: open a new one")

    def _broker_peer(self) -> _native.Peer:
        if self.broker is None:
            raise StateError("DXH_ESTATE: the hub was opened without a broker")
        return self.broker._native

    # ---- the rest ----

    def stats(self) -> dict[str, int]:
        """The counters of ``dxh_hub_stats``, by name."""
        return self._native.stats()

    def latency(self, stage: Stage) -> dict[str, int]:
        """Percentiles of the requests that were timed, in ns, as ``dxh_latency``."""
        return self._native.latency(stage)

    def dump(self) -> str:
        """What it is doing now, as text: its peers with their open operations, its services with
        their clients. The hub stands still meanwhile."""
        return self._native.dump()

    def drain(self, timeout: float) -> DrainReport:
        """Take no new work and wait until what is under way has ended, at most ``timeout``
        seconds. Then what is left ends as closed. Once; close the hub next.

        KeyboardInterrupt ends the wait; the drain itself goes on to its end, which
        :meth:`close` waits for.
        """
        told = run_apart(lambda _: self._native.drain(timeout))
        rows = [
            DrainRow(row[0], row[1], row[2], PeerState(row[3]), *row[4:])
            for row in self._native.drain_rows()
        ]
        return DrainReport(*told, rows)

    def close(self) -> None:
        """Close it with its peers, services, producers and consumers; requests still open end as
        :class:`dxh.ClosedError`. A second time does nothing."""
        _open_hubs.discard(self)
        # Whoever waits in an event loop has to be told before the descriptors go.
        opened: list[Producer | Consumer | Service | Watcher | Peer]
        # What a broker leads to goes before the peer of the broker.
        rest = [each for each in self._peers if each is not self.broker]
        opened = [*self._ends, *self._services, *self._watchers, *rest]
        for each in opened:
            each.close()
        if self.broker is not None:
            self._native.end_questions(self.broker._native)
            self.broker.close()
        for broker in self._brokers:
            broker.stop()
        self._native.close()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def _typed(on_state: Callable[[PeerState, str], None]) -> Callable[[int, str], None]:
    return lambda state, reason: on_state(PeerState(state), reason)


_open_hubs: "weakref.WeakSet[Hub]" = weakref.WeakSet()


@atexit.register
def _close_what_is_open() -> None:
    """No I/O thread outlives the interpreter, and clients read their last answers; blocks are
    closed in good order. What a broker leads to goes before the hub of its peer."""
    close_all()
    for hub in list(_open_hubs):
        hub.close()
    end_all(seconds=2)
