# SPDX-License-Identifier: MIT
"""Each argument of each public call is replaced by what it cannot be: what is raised is typed, and
nothing crashes, hangs, or comes out half done."""

import contextlib
import inspect
import logging
import os
import tempfile
import unittest

import numpy as np

import dxh
import support


class Evil:
    """Fails at whatever it is asked for."""

    def fail(self, *unused):
        raise EvilError

    __index__ = __str__ = __bool__ = __float__ = __len__ = __iter__ = __fspath__ = __array__ = fail


class EvilError(Exception):
    """Raised by an argument itself."""


#: Arguments for which a large number is a long time, and nothing wrong.
TIMES = {"timeout", "owner_wait"}


def is_long(value):
    return isinstance(value, int) and value > 0


WRONG = (-1, 1 << 64, 1 << 200, -(1 << 63), -1.0, float("nan"), -float("inf"), "", "x" * 10000, "a\0b",
         "\ud800", "../x", "%s%n", b"", b"a\0", [], {}, [[]], (1, 2), set(), object(), Evil(), 1j,
         np.zeros(2), np.array("x"), np.dtype("O"), memoryview(b"abc")[::2], len, Ellipsis)

#: What a wrong argument may raise; a BufferError is of a body that is not contiguous, and numpy warns
#: of what a later version of it refuses.
TYPED = (dxh.Error, TypeError, ValueError, OverflowError, AttributeError, LookupError, BufferError,
         MemoryError, EvilError, Warning)


class WrongTest(unittest.TestCase):
    def setUp(self):
        logging.disable()  # what is refused the library may log
        self.addCleanup(logging.disable, logging.NOTSET)
        self.hub = self.enterContext(dxh.Hub())
        self.service = self.hub.serve(support.endpoint())
        self.service.on("echo")(lambda request: request.body)
        self.service.start()
        self.quiet = self.hub.serve(support.endpoint())
        self.peer = self.hub.connect(self.service.endpoint)
        self.name = support.name("wrong")
        atomics = [("n", dxh.field("u4", atomic=True)), ("f", dxh.field("f4", atomic=True)),
                   ("four", dxh.field("u2", atomic=True, shape=4))]
        self.made = self.enterContext(dxh.produce(
            self.name, slot=np.dtype([("a", "f8"), ("b", "i4", (3,))]), slots=4, unlink_on_close=True,
            zones={"z": np.dtype([("n", "u4"), ("t", "S5")]), "at": np.dtype(atomics),
                   "latch": dxh.Latch(np.dtype("f8"))}))
        self.raw = self.enterContext(
            dxh.produce(support.name("raw"), slot=9, slots=4, unlink_on_close=True))
        self.seen = self.enterContext(dxh.consume(self.name))
        self.tried = 0

    def attempt(self, call, *arguments, **options):
        self.tried += 1
        try:
            made = call(*arguments, **options)
        except TYPED:
            return
        if isinstance(made, (dxh.Looking, dxh.Writing)):
            self.attempt(self.use, made)
        if isinstance(made, (dxh.Hub, dxh.Peer, dxh.Service, dxh.Producer, dxh.Consumer, dxh.Subscription)):
            made.close()
        if isinstance(made, dxh.Broker):
            made.stop()

    @staticmethod
    def use(made):
        with made:
            pass

    def sweep(self, call, *good, **options):
        """Each of the good arguments and of all others that the call has."""
        named = list(inspect.signature(call).parameters)
        for wrong in WRONG:
            for at in range(len(good)):
                if TIMES.intersection(named[at : at + 1]) and is_long(wrong):
                    continue
                with self.subTest(call=call, at=at, wrong=wrong):
                    self.attempt(call, *good[:at], wrong, *good[at + 1 :], **options)
            for name in named[len(good) :]:
                if name in TIMES and is_long(wrong):
                    continue
                with self.subTest(call=call, name=name, wrong=wrong):
                    self.attempt(call, *good, **{**options, name: wrong})
        with self.assertRaises(TypeError):
            call(*good, **options, nonsense=1)

    def test_what_is_opened(self):
        name, endpoint = support.name("wrong"), support.endpoint()
        self.sweep(dxh.Hub, "name")
        self.sweep(self.hub.connect, support.endpoint())
        self.sweep(self.hub.serve, endpoint)
        self.sweep(self.hub.start_broker, endpoint)
        self.sweep(dxh.produce, name, slot=8, slots=4, unlink_on_close=True)
        self.sweep(dxh.consume, self.name)
        self.sweep(dxh.receive, self, 0)
        self.sweep(dxh.Pacer, 60)
        self.assertGreater(self.tried, 3000)

    def test_what_is_looked_at(self):
        for call in (dxh.stat, dxh.diagnose, dxh.check, dxh.validate, dxh.recover, dxh.block_facts):
            self.sweep(call, self.name)
        self.sweep(dxh.unlink, support.name("none"))
        self.sweep(dxh.block_size, "x", slot=8, slots=4)
        self.sweep(dxh.collect_garbage, directory="/nonexistent")
        self.sweep(dxh.read_metrics, self.seen)
        with tempfile.TemporaryDirectory() as folder:  # some of what is wrong are names of files
            os.mkdir(folder + "/in")
            with contextlib.chdir(folder + "/in"):
                self.sweep(dxh.make_key, "key")
        self.sweep(dxh.public_key, "/nonexistent/key")
        self.sweep(dxh.field, "u8")
        self.sweep(dxh.field_facts, np.dtype("u1"))
        self.assertGreater(self.tried, 900)

    def test_messages(self):
        peer = self.peer
        for call in (peer.request, peer.call):
            self.sweep(call, "echo", b"x", timeout=1)
        self.sweep(peer.request_many, [("echo", b"x")], timeout=1)
        self.sweep(lambda subject, body: peer.request_many([(subject, body)], timeout=1), "echo", b"")
        self.sweep(peer.notify, "echo", b"x")
        self.sweep(peer.flush, 1)
        self.sweep(peer.subscribe, "x")
        with peer.subscribe() as notes:
            self.sweep(notes.confirm, 1)
            self.sweep(notes.receive, 0)
        self.sweep(self.quiet.receive, 0)
        self.sweep(self.quiet.start, 1)
        self.sweep(self.service.publish, "x", b"y")
        for how in ("result", "exception"):
            self.sweep(lambda timeout: getattr(peer.request("echo", timeout=1), how)(timeout), 1)
        self.sweep(dxh.wait, [], 0)
        self.sweep(lambda sent, timeout: list(dxh.as_completed(sent, timeout)), [], 0)
        self.sweep(self.hub.latency, dxh.Stage.LANE)
        self.assertEqual(peer.call("echo", b"on", timeout=support.LONG), b"on")
        self.assertGreater(self.tried, 900)

    def test_answers(self):
        def answer(how):
            def one(*arguments):
                sent = self.hub.connect(self.quiet.endpoint).request("x", timeout=support.LONG)
                how(self.quiet.receive(support.LONG), *arguments)
                sent.exception(support.LONG)

            return one

        self.sweep(answer(lambda request, body: request.reply(body)), b"x")
        self.sweep(answer(lambda request, text, status: request.reject(text, status)), "x",
                   dxh.Status.REJECTED)

    def test_blocks(self):
        made, raw, seen = self.made, self.raw, self.seen
        self.sweep(made.publish, (1.0, [1, 2, 3]), timeout=0)
        self.sweep(made.publish_many, [(1.0, [1, 2, 3])], timeout=0)
        self.sweep(raw.publish, b"x", timeout=0)
        self.sweep(raw.publish_many, [b"x"], timeout=0)
        self.sweep(made.write, 0)
        self.sweep(made.send, self, 0)
        self.sweep(seen.read, 0)
        self.sweep(seen.read_many, 2, 0)
        self.sweep(seen.view, 0)
        self.sweep(seen.seek, dxh.Start.TICKET, 0)
        made.publish((2.0, [4, 5, 6]))
        seen.seek(dxh.Start.NEWEST)
        self.assertEqual(seen.read(support.LONG).data["b"].tolist(), [4, 5, 6])
        self.assertGreater(self.tried, 500)

    def test_zones_and_views(self):
        zones = self.made.zones
        for call in (zones.__getitem__, zones.z.__getitem__):
            with self.assertRaises(TYPED):
                call("none")
            for wrong in WRONG:
                self.attempt(call, wrong)
        for wrong in WRONG:
            for name in ("n", "t", wrong):
                self.attempt(zones.z.__setitem__, name, wrong)
            self.attempt(setattr, zones.z, "n", wrong)
        self.sweep(zones.at.atomic, "four", 0)
        for member in zones.at.n, zones.at.f:
            for what in "store", "exchange", "add", "and_", "or_":
                self.sweep(getattr(member, what), 1)
            self.sweep(member.compare_exchange, 1, 2)
        self.sweep(zones.latch.store, 1.0)
        with self.raw.write() as frame:
            for wrong in WRONG:
                self.attempt(frame.__getitem__, wrong)
                self.attempt(frame.__setitem__, wrong, 1)
                self.attempt(frame.__setitem__, 0, wrong)
            frame[:] = 3
        self.assertGreater(self.tried, 700)


if __name__ == "__main__":
    unittest.main()
