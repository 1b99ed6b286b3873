#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What Python pays: requests and frames of this binding beside those of pyzmq.

Client and server are two processes; the two libraries take turns in short rounds, so that noise
meets both. Printed are medians and their ratio, by where the processes run: the client on a CPU and
the servers on another, as in all of bench/; all on one CPU; where the kernel puts them, which may be
the one for one library and the other for the other. Each reply is looked at.

Usage: PYTHONPATH=build/python python/bench/cost.py [ROUNDS]
"""

import multiprocessing
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import zmq

import dxh

BODY = b"x" * 32
REQUESTS = 200  # of a round
FRAMES = 20
FRAME = np.dtype(("u1", (1 << 20,)))


# ---- the other process -----------------------------------------------------------------------


def serve_dxh(endpoint):
    with dxh.Hub() as hub:
        for request in hub.serve(endpoint):
            request.reply(request.body)


def serve_zmq(endpoint):
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        client, body = socket.recv_multipart()
        socket.send_multipart([client, body])


def produce_dxh(name, endpoint):
    """A frame for each request, so that one is under way at a time."""
    frame = np.arange(FRAME.itemsize, dtype="u8").astype("u1")
    with dxh.Hub() as hub, dxh.produce(name, slot=FRAME, slots=4, unlink_on_close=True) as made:
        for request in hub.serve(endpoint):
            request.reply()
            made.publish(frame)


def produce_zmq(endpoint):
    frame = np.arange(FRAME.itemsize, dtype="u8").astype("u1")
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        client, _ = socket.recv_multipart()
        socket.send_multipart([client, frame], copy=False)


# ---- this one -----------------------------------------------------------------------------------


def timed(call, count):
    times = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begun)
    return times


class Row:
    """Two calls that do the same. What else the machine does falls on both of a round, so that
    the ratio of each round counts, and the median of these."""

    def __init__(self, what, ours, theirs, count):
        self.what, self.calls, self.count = what, (ours, theirs), count
        self.rounds = []

    def round(self, number):
        medians = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            medians[which] = statistics.median(timed(self.calls[which], self.count)) / 1e3
        self.rounds.append(medians)

    def show(self):
        ours, theirs = (statistics.median(each) for each in zip(*self.rounds))
        ratios = sorted(each[0] / each[1] for each in self.rounds)
        ratio = statistics.median(ratios)
        print(f"{self.what:34} {ours:9.1f} {theirs:9.1f} {ratio:7.2f} "
              f"[{ratios[len(ratios) // 10]:.2f}..{ratios[-1 - len(ratios) // 10]:.2f}]")


def connect_zmq(endpoint):
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(endpoint)
    return socket


def asker(ask):
    """A request whose reply is what was sent."""

    def checked():
        if ask() != BODY:
            sys.exit("another reply came")

    return checked


def ask_of_zmq(socket):
    def ask():
        socket.send(BODY)
        return socket.recv()

    return ask


def frame_of_zmq(socket):
    def take():
        socket.send(b"")
        array = np.frombuffer(socket.recv(copy=False), "u1")
        return int(array[0]) + int(array[-1])

    return take


def frame_of_dxh(peer, consumer):
    def take():
        peer.call("frame")
        with consumer.view() as item:
            return int(item.data[0]) + int(item.data[-1])

    return take


def frame_copied(peer, consumer):
    def take():
        peer.call("frame")
        data = consumer.read().data
        return int(data[0]) + int(data[-1])

    return take


def place(processes, client, servers):
    """All threads that they have: those to come inherit it."""
    for pid in [os.getpid(), *(each.pid for each in processes)]:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), client if pid == os.getpid() else servers)


def measure(title, rows, rounds):
    for row in rows:
        row.round(0)  # to warm up
        row.rounds.clear()
    for number in range(rounds):
        for row in rows:
            row.round(number)
    print(f"{title:34} {'dxh us':>9} {'pyzmq us':>9} {'ratio':>7} [10 %..90 %]")
    for row in rows:
        row.show()


def attach(name):
    while True:
        try:
            return dxh.consume(name, start=dxh.Start.NEXT)
        except dxh.NotFoundError:
            time.sleep(0.01)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    folder = tempfile.mkdtemp(prefix="dxh-cost-")
    address = [f"ipc://{folder}/{i}" for i in range(4)]
    name = f"cost-{os.getpid()}"
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=target, args=arguments, daemon=True)
        for target, arguments in (
            (serve_dxh, (address[0],)),
            (serve_zmq, (address[1],)),
            (produce_dxh, (name, address[2])),
            (produce_zmq, (address[3],)),
        )
    ]
    for other in others:
        other.start()
    try:
        with dxh.Hub() as hub:
            peer, camera = hub.connect(address[0]), hub.connect(address[2])
            requests, frames = connect_zmq(address[1]), connect_zmq(address[3])
            ask = asker(ask_of_zmq(requests))
            consumer = attach(name)
            rows = [
                Row("request of 32 bytes, call()", asker(lambda: peer.call("echo", BODY)), ask,
                    REQUESTS),
                Row("request of 32 bytes, request()",
                    asker(lambda: peer.request("echo", BODY).result()), ask, REQUESTS),
                Row("1 MiB frame to numpy, view()", frame_of_dxh(camera, consumer),
                    frame_of_zmq(frames), FRAMES),
                Row("1 MiB frame to numpy, read()", frame_copied(camera, consumer),
                    frame_of_zmq(frames), FRAMES),
            ]
            cpus = sorted(os.sched_getaffinity(0))
            ask()  # they have their threads
            if len(cpus) > 1:
                place(others, {cpus[0]}, {cpus[1]})
                measure("client and servers on a CPU each", rows, rounds)
                place(others, {cpus[0]}, {cpus[0]})
                measure("all on one CPU", rows, rounds)
                place(others, set(cpus), set(cpus))
            measure("left to the kernel", rows, rounds)
            consumer.close()
    finally:
        for other in others:
            other.terminate()
            other.join()
        try:
            dxh.unlink(name)
        except dxh.NotFoundError:
            pass
        for each in os.listdir(folder):
            os.unlink(os.path.join(folder, each))
        os.rmdir(folder)


if __name__ == "__main__":
    main()
