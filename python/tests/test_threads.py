# SPDX-License-Identifier: MIT
"""Closing at any moment, beside threads that use everything: an error, never a crash or a hang."""

import random
import sys
import threading
import unittest

import numpy as np

import dxh
import support
from support import LONG

ROUNDS = 12


class BusyTest(unittest.TestCase):
    """What is there already is had without giving up the interpreter's lock, which a thread that
    computes would take."""

    COUNT = 500

    def setUp(self):
        before = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, before)
        self.hub = self.enterContext(dxh.Hub())
        self.service = self.hub.serve(support.endpoint())
        self.peer = self.hub.connect(self.service.endpoint)

    def turns_while(self, take):
        """Of a thread that wants the lock all the time, which is not made to give it up."""
        begin = threading.Lock()
        begin.acquire()
        turns = [0]

        def compute():
            begin.acquire()
            for _ in range(1_000_000):
                turns[0] += 1

        thread = threading.Thread(target=compute)
        thread.start()
        sys.setswitchinterval(1000)
        begin.release()
        for _ in range(self.COUNT):
            take()
        seen = turns[0]
        sys.setswitchinterval(1e-3)
        thread.join(LONG)
        self.assertEqual(turns[0], 1_000_000)
        return seen

    def test_requests(self):
        for _ in range(self.COUNT):
            self.peer.notify("x", b"y")
        self.peer.flush(LONG, level=dxh.FlushLevel.REPLIED)
        self.assertEqual(self.turns_while(lambda: self.service.receive(LONG)), 0)

    def test_notes(self):
        with self.peer.subscribe() as notes, self.peer.subscribe("last") as last:
            notes.confirm(LONG)
            last.confirm(LONG)
            for _ in range(self.COUNT):
                self.service.publish("some")
            self.service.publish("last")
            last.receive(LONG)
            self.assertEqual(self.turns_while(lambda: notes.receive(LONG)), 0)

    def test_items(self):
        name = support.name()
        with dxh.produce(name, slot=64, slots=512, unlink_on_close=True) as made:
            made.publish_many([b"x" * 64] * self.COUNT)
            with dxh.consume(name) as reader, dxh.consume(name) as viewer:

                def view():
                    with viewer.view(LONG):
                        pass

                self.assertEqual(self.turns_while(lambda: reader.read(LONG)), 0)
                self.assertEqual(self.turns_while(view), 0)

    def test_the_control_a_large_item_is_copied_without_it(self):
        name = support.name()
        with dxh.produce(name, slot=1 << 20, slots=4, unlink_on_close=True) as made:
            with dxh.consume(name) as reader:

                def take():
                    made.publish(bytes(1 << 20))
                    reader.read(LONG)

                self.assertGreater(self.turns_while(take), 0)


class ManyWaitTest(support.HubTest):
    """Threads that wait for one completion, which another one takes before all are told of it: the
    I/O thread tells them after the last reply of a frame."""

    def waits(self, wait):
        """Whether it ends once the first of many is taken."""
        sent = self.peer.request_many([("echo", b"x")] * 200, timeout=LONG)
        first = sent[0]
        threads = [threading.Thread(target=wait, args=(first,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not first.done():
            pass
        first.result()
        for thread in threads:
            thread.join(LONG / 4)
        return not any(thread.is_alive() for thread in threads)

    def test_for_its_result(self):
        for _ in range(ROUNDS * 4):
            self.assertTrue(self.waits(lambda first: first.result(LONG)))

    def test_for_any(self):
        for _ in range(ROUNDS * 4):
            self.assertTrue(self.waits(lambda first: dxh.wait([first], LONG)))


class CloseTest(unittest.TestCase):
    def setUp(self):
        before = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, before)
        sys.setswitchinterval(1e-5)
        self.did = 0
        self.unexpected = []

    def until_closed(self, use):
        """A thread that does it until that is refused."""

        def run():
            try:
                while True:
                    use()
                    self.did += 1
            except dxh.Error as error:
                self.errors.append(error)
            except BaseException as error:
                self.unexpected.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def finish(self, threads):
        for thread in threads:
            thread.join(LONG)
            self.assertFalse(thread.is_alive(), "a thread was left behind")
        self.assertEqual(self.unexpected, [])

    def test_a_hub_is_closed_beside_everything(self):
        for _ in range(ROUNDS):
            self.errors = []
            hub = dxh.Hub()
            service = hub.serve(support.endpoint())
            service.on("echo")(lambda request: request.body)
            service.start(2)
            peer = hub.connect(service.endpoint)
            notes = peer.subscribe()
            body = bytes(40000)
            threads = [
                self.until_closed(use)
                for use in (
                    lambda: peer.call("echo", body),
                    lambda: peer.request("echo").result(),
                    lambda: dxh.wait([peer.request("echo") for _ in range(5)]),
                    lambda: peer.request_many([("echo", None)] * 5)[4].exception(LONG),
                    lambda: notes.receive(0.001) if random.random() < 0.5 else notes.receive(),
                    lambda: service.publish("topic", body),
                    hub.stats,
                )
            ]
            threading.Event().wait(random.random() / 50)
            random.choice((hub.close, hub.close, peer.close, service.close))()
            hub.close()
            self.finish(threads)
        self.assertGreater(self.did, ROUNDS)

    def test_peers_are_freed_while_their_hub_closes(self):
        """It still tells their states then, to nobody."""
        other, silent = support.silent()
        self.addCleanup(other.close)
        told = []
        for _ in range(ROUNDS):
            hub = dxh.Hub()
            endpoints = silent.endpoint, support.endpoint()
            peers = [
                hub.connect(endpoints[i % 2], on_state=lambda state, reason: told.append(state))
                for i in range(100)
            ]
            thread = threading.Thread(target=hub._native.close)
            thread.start()
            while True:
                try:
                    hub.stats()
                except dxh.ClosedError:
                    break
            peers.clear()
            thread.join(LONG)
            self.assertFalse(thread.is_alive())
        self.assertIn(dxh.PeerState.READY, told)

    def test_blocks_are_closed_beside_views_and_reads(self):
        for _ in range(ROUNDS):
            self.errors = []
            name = support.name()
            made = dxh.produce(
                name, slot=np.dtype(("u8", (9000,))), slots=4, unlink_on_close=True,
                zones={"z": np.dtype([("n", dxh.field("u8", atomic=True)), ("a", "u8", (100,))])},
            )
            seen, viewer = dxh.consume(name), dxh.consume(name)
            zone, read_zone = made.zones.z, seen.zones.z
            frame = np.ones(9000, "u8")
            kept = []

            def view():
                try:
                    with viewer.view(0.001) as item:
                        kept.append(np.asarray(item.data))
                        del kept[:-3]
                        item.data.sum()
                except (dxh.LappedError, dxh.WaitTimeoutError):
                    pass

            def read():
                try:
                    seen.read(0.001)
                except dxh.WaitTimeoutError:
                    pass

            def write():
                with made.write() as slot:
                    slot[:] = frame
                    kept.append(np.asarray(slot))

            def count():
                zone.n.add(1)
                read_zone.a.sum()
                read_zone.n.load()

            threads = [self.until_closed(each) for each in (view, read, write, count)]
            threading.Event().wait(random.random() / 50)
            for each in random.sample((made, seen, viewer), 3):
                each.close()
            self.finish(threads)
            self.assertTrue(all(each.sum() >= 0 for each in kept))  # mapped, or empty
        self.assertGreater(self.did, ROUNDS)


if __name__ == "__main__":
    unittest.main()
