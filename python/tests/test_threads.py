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
