# SPDX-License-Identifier: MIT
"""A program of a user who lets mypy --strict look at it; it is checked, and never run."""

from __future__ import annotations

import asyncio
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
