# SPDX-License-Identifier: MIT
"""A program of a user who lets mypy --strict look at it; it is checked, and never run."""

from __future__ import annotations

import asyncio
import socket as socket_module
from typing import Any

import numpy as np
import numpy.typing as npt

import dxh


class Telemetry(dxh.Struct):
    frames = dxh.field("u8", "frames since start", atomic=True)
    gain = dxh.field("f8", "amplifier gain", "dB")


def serve(hub: dxh.Hub) -> dxh.Service:
    service = hub.serve("ipc://@user")

    @service.on("bytes")
    def returns_bytes(request: dxh.Request) -> bytes:
        return request.body

    @service.on("nothing")
    async def returns_nothing(request: dxh.Request) -> None:
        await asyncio.sleep(0)

    @service.on("array")
    def returns_an_array(request: dxh.Request) -> npt.NDArray[np.float64]:
        return np.zeros(3)

    @service.on("later")
    def answers_later(request: dxh.Request) -> Any:
        return dxh.LATER

    return service.start(threads=2)


def ask(hub: dxh.Hub) -> bytes:
    peer = hub.connect("ipc://@user", on_state=lambda state, reason: print(state.name, reason))
    sent = [peer.request("bytes", body) for body in (b"x", bytearray(2), memoryview(b"y"), None)]
    done, rest = dxh.wait(sent, 1.0, dxh.FIRST_COMPLETED)
    for each in dxh.as_completed(done | rest):
        print(len(each.result()))
    try:
        return peer.call("bytes", np.zeros(3), timeout=1.0)
    except dxh.Error as error:
        return f"{error.status.name} {error.certainty} {error.text}".encode()


def produce(hub: dxh.Hub) -> None:
    with hub.produce(
        "user",
        slot=np.dtype(("u1", (4, 2))),
        slots=4,
        zones={"telemetry": Telemetry, "pose": dxh.Latch(np.dtype("f8")), "raw": 100},
    ) as made:
        made.zones.telemetry.frames.add(1)
        with made.write(timeout=0.1) as frame:
            frame[:] = 7
        made.publish(np.zeros((4, 2)))
        made.publish([[1, 2]] * 4)
        made.publish_many([np.zeros((4, 2)), [[3, 4]] * 4])
    with dxh.produce("pairs", slot=Telemetry, slots=4) as pairs:
        pairs.publish((1, 2.0))


def consume(hub: dxh.Hub) -> npt.NDArray[Any] | None:
    with hub.consume("user", zones={"telemetry": Telemetry}) as seen:
        with seen.view(1.0) as looked:
            print(looked.data.mean(), looked.lost)
        for item in seen:
            return item.data
    return None


async def all_at_once(peer: dxh.Peer, seen: dxh.Consumer) -> list[bytes]:
    async for item in seen:
        print(item.ticket)
    async for pace in dxh.Pacer(60):
        print(pace.late_ns)
        break
    return list(await asyncio.gather(peer.request("bytes"), peer.request("nothing")))


# ---- the rest: each public call once, as somebody would write it ------------------------------


def answer_by_hand(service: dxh.Service, peer: dxh.Peer) -> list[str]:
    said = [service.endpoint]
    for request in service:
        client: dxh.Client = request.client
        if request.canceled or (request.budget or 0) < 0 or not request.is_open:
            request.release()
        elif request.is_notification or request.attempt > 0:
            request.reject(f"{request.subject} of {client.name}", dxh.Status.UNSUPPORTED)
        else:
            request.reply(request.body)
        break
    service.receive(timeout=1.0).reply(bytearray(3))
    service.publish("topic", np.float64(1))
    service.run()
    service.stop()
    service.close()
    sent = peer.request_many([("x", b"y"), ("x", None)], timeout=1, idempotent=True)
    waited: dxh.Waited = dxh.wait(sent, return_when=dxh.ALL_COMPLETED)
    for each in waited.not_done:
        if not each.done() and each.cancel():
            failed: dxh.Error | None = each.exception(timeout=0.1)
            said.append(str(failed))
    peer.notify("subject", memoryview(b"x"))
    peer.flush(1, level=dxh.FlushLevel.REPLIED)
    said.append(peer.state.name + peer.endpoint)
    with peer.subscribe("topic", tell_gaps=True) as notes:
        notes.confirm(1.0)
        note: dxh.Note = notes.receive()
        said += [each.topic for each in notes] + [note.topic, str(notes.stats()["received"])]
        notes.close()
    peer.close()
    return said


def administer(hub: dxh.Hub) -> dict[str, int]:
    with hub.start_broker("ipc://@broker", beat=0.5) as broker, dxh.Hub(broker=broker.endpoint) as lab:
        info: dxh.ChannelInfo = lab.discover("user", timeout=1)
        names = [each.name for each in lab.channels() if each.state is dxh.ChannelState.FOUND]
        facts: dxh.ChannelFacts = lab.describe("user")
        zones: list[dxh.ChannelZone] = facts.zones
        users: list[dxh.ChannelConsumer] = facts.consumers
        with lab.watch("us", timeout=1) as watcher:
            event: dxh.WatchEvent = watcher.receive(1)
            seen = [each.kind is dxh.WatchKind.GAP for each in watcher]
            watcher.close()
        print(info.endpoint, names, zones[0].bytes, users[0].lag, event.reason, seen)
        broker_peer: dxh.Peer | None = lab.broker
        figures = {**lab.broker_stats(), **lab.stats(), **lab.latency(dxh.Stage.WAKE)}
        report: dxh.DrainReport = lab.drain(0.1)
        rows: list[dxh.DrainRow] = report.rows
        print(report.is_clean, [row.lane for row in rows], lab.dump(), broker_peer)
        lab.close()
        broker.stop()
    return figures


def look_at_blocks(key: bytes) -> str:
    report: dxh.Report = dxh.diagnose("user")
    for each in (dxh.validate("user", checksum_key=key), dxh.check(file="/tmp/copy"), dxh.recover("user")):
        for finding in each.findings:
            print(finding.rule, finding.severity > dxh.Severity.NOTE, finding.repair is dxh.Repair.DONE)
    facts: dxh.BlockFacts = dxh.block_facts("user")
    size: dxh.BlockSize = dxh.block_size("user", slot=Telemetry, slots=4, zones={"z": 8})
    found: list[dxh.GarbageEntry] = dxh.collect_garbage(apply=False, keep_closed=True)
    info: dxh.BlockInfo = dxh.stat("user")
    dxh.unlink("user")
    reader: dxh.ReaderState | None = facts.readers[0].state if facts.readers else None
    print(report.is_in_order, size.total_bytes, [each.verdict for each in found], info.head, reader)
    return dxh.make_key("/tmp/key") + dxh.public_key("/tmp/key")


def read_in_all_ways(seen: dxh.Consumer, timeout: float | None) -> int:
    items = seen.read_many(8, timeout) + [seen.read(timeout)] + list(seen.items(timeout))
    item: dxh.Item[npt.NDArray[Any]] = items[0]
    seen.seek(dxh.Start.TICKET, item.ticket)
    seen.check()
    figures: dict[str, int] = seen.stats()
    metrics: dxh.Metrics = dxh.read_metrics(seen)
    shape: tuple[int, ...] = seen.shape
    print(seen.fileno(), seen.info.uuid, seen.dtype.names, shape, figures["lost"], metrics.latency)
    with seen.view(timeout) as looked:
        view: dxh.View = looked.data
        view.check()
        mean: float = float(view.mean())
    seen.close()
    return int(mean)


def write_in_all_ways(made: dxh.Producer, socket: socket_module.socket) -> None:
    writing: dxh.Writing = made.write(checked=True)
    with writing as frame:
        frame[...] = 0
        writing.shorten(2)
        print(writing.ticket, made.shape, made.dtype, made.info.epoch, made.stats()["items"])
    made.publish(np.zeros(3), timeout=1)
    made.progress()
    made.send(socket, 1.0, uid=1000)
    made.close()
    dxh.receive(socket, 1.0, slot=Telemetry).close()


def zones_of(made: dxh.Producer) -> float:
    zone: dxh.Zone = made.zones["telemetry"]
    frames: dxh.Atomic = zone.frames
    before = frames.exchange(1), frames.add(2), frames.and_(3), frames.or_(4), frames.load()
    done, value = frames.compare_exchange(4, 5)
    frames.store(before[0])
    zone.gain = 2.5
    zone["gain"] += 1
    cell: dxh.Atomic = zone.atomic("cells", 3)
    zone.set_digest()
    latch: dxh.LatchZone = made.zones.pose
    latch.store((1.0,))
    with latch.write() as pose:
        pose["x"] = 2
    facts: dxh.FieldFacts = dxh.field_facts(zone.dtype["gain"])
    print(done, value, cell, zone.array.sum(), zone.verified(), latch.dtype, facts.unit, list(made.zones))
    return float(latch.load()["x"])


def pace() -> int:
    pacer = dxh.Pacer(50, catch_up=True)
    for tick in pacer:
        print(tick.late_ns, pacer.wait(1).due_ns)
        break
    return pacer.missed


async def in_a_loop(service: dxh.Service, notes: dxh.Subscription, watcher: dxh.Watcher,
                    seen: dxh.Consumer, pacer: dxh.Pacer) -> list[object]:
    serving = asyncio.ensure_future(service.run_async())
    got = [await notes.receive_async(), await watcher.receive_async(), await seen.read_async(),
           await pacer.wait_async(), (await service.receive_async()).body]
    async for note in notes:
        got.append(note.sequence)
    async for request in service:
        got.append(request.subject)
    async for event in watcher:
        got.append(event.number)
    await serving
    return got
