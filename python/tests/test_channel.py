# SPDX-License-Identifier: MIT
"""Channels: produced and found by a broker; subscriptions of services."""

import os
import asyncio
import gc
import threading
import time
import unittest

import numpy as np

import dxh
import support
from dxh.blocks import find_channel
from support import LONG


class ChannelTest(unittest.TestCase):
    def setUp(self):
        self.home = self.enterContext(dxh.Hub("home"))
        self.broker = self.home.start_broker(support.endpoint(), beat=0.05)
        self.hub = self.enterContext(dxh.Hub("user", broker=self.broker.endpoint))
        self.name = support.name("channel")

    def produce(self, **options):
        options.setdefault("slot", np.dtype(("u1", (4, 4))))
        options.setdefault("slots", 4)
        return self.hub.produce(self.name, unlink_on_close=True, **options)

    def test_produced_found_and_gone(self):
        self.assertIs(self.hub.discover(self.name, LONG).state, dxh.ChannelState.NOT_FOUND)
        with self.produce(endpoint="ipc://@somewhere", timeout=LONG) as made:
            info = self.hub.discover(self.name, LONG)
            self.assertIs(info.state, dxh.ChannelState.FOUND)
            self.assertEqual((info.endpoint, info.slot_bytes), ("ipc://@somewhere", 64))
            self.assertEqual([each.name for each in self.hub.channels(LONG)], [self.name])
            with self.hub.consume(self.name, timeout=LONG) as seen:
                made.publish(np.full((4, 4), 3, "u1"))
                self.assertEqual(int(seen.read(LONG).data.sum()), 48)
            with dxh.Hub(broker=self.broker.endpoint) as other:
                with self.assertRaises((dxh.ConflictError, dxh.BusyError)):
                    other.produce(self.name, slot=16, slots=4, timeout=LONG)
        self.assertIs(self.hub.discover(self.name, LONG).state, dxh.ChannelState.NOT_FOUND)
        with self.assertRaises(dxh.NotFoundError):
            support.patiently(lambda timeout: self.hub.consume(self.name, timeout=timeout))

    def test_a_consumer_waits_for_its_channel(self):
        found = []
        thread = threading.Thread(
            target=lambda: found.append(self.hub.consume(self.name, timeout=LONG))
        )
        thread.start()
        made = self.produce(timeout=LONG)
        thread.join(LONG)
        self.assertEqual(found[0].shape, (4, 4))
        found[0].close()
        made.close()

    def test_looking_for_a_channel_is_interrupted(self):
        with self.assertRaises(KeyboardInterrupt), support.alarm():
            self.hub.consume(self.name, timeout=LONG)

    def test_the_hub_closes_what_was_made_by_it(self):
        made = self.produce(timeout=LONG)
        seen = self.hub.consume(self.name, timeout=LONG)
        self.hub.close()
        for each in (made, seen):
            with self.assertRaises(dxh.ClosedError):
                each.info

    def test_the_data_path_survives_its_broker(self):
        with self.produce(timeout=LONG) as made, self.hub.consume(self.name, timeout=LONG) as seen:
            self.broker.stop()
            made.publish(np.zeros((4, 4)))
            self.assertEqual(seen.read(LONG).ticket, 0)
            with self.assertRaises(dxh.Error):
                self.hub.discover(self.name, 0.05)
        with self.assertRaises(dxh.ClosedError):
            self.broker.endpoint

    def test_a_search_goes_on_when_the_broker_goes_or_has_no_room(self):
        passing = [dxh.LostError("lost"), dxh.OverloadedError("no room"), dxh.FullError("no credit")]

        def open_it(patience):
            if passing:
                raise passing.pop()
            return "found"

        self.assertEqual(find_channel(open_it, LONG), "found")

    def test_a_block_that_is_made_anew_is_followed(self):
        zone = np.dtype([("gain", "f8")])
        made = self.produce(zones={"state": zone}, timeout=LONG)
        made.zones.state.gain = 1.5
        seen = self.hub.consume(self.name, timeout=LONG)
        before = seen.zones.state
        self.assertEqual(before.gain, 1.5)
        made.close()
        with self.assertRaises(dxh.UnlinkedError):
            seen.read(LONG)
        made = self.produce(slot=np.dtype(("u2", (8,))), zones={"state": zone}, timeout=LONG)
        made.zones.state.gain = 2.5
        made.publish(np.arange(8))
        while True:
            try:
                seen.read(0.02)
            except dxh.UnlinkedError:
                continue
            except dxh.MovedError:
                break
        self.assertEqual(seen.shape, (8,))
        self.assertEqual(int(seen.read(LONG).data.sum()), 28)
        self.assertEqual((before.gain, seen.zones.state.gain), (1.5, 2.5))
        made.close()
        self.assertEqual([item for item in seen], [])
        seen.close()

    def test_without_a_broker_it_is_a_block(self):
        with dxh.Hub() as alone:
            with self.assertRaises(dxh.StateError):
                alone.channels()
            with alone.produce(self.name, slot=8, slots=1, unlink_on_close=True):
                alone.consume(self.name).close()


class SubscriptionTest(support.HubTest):
    def test_notes_by_prefix_with_exact_losses(self):
        with self.peer.subscribe("door.", inbox_max=4) as doors:
            doors.confirm(LONG)
            self.assertEqual(self.hub.stats()["notes_published"], 0)
            self.service.publish("door.left", b"open")
            self.service.publish("window", b"open")
            note = doors.receive(LONG)
            self.assertEqual(note, ("door.left", b"open", 1, 0, False))
            with self.assertRaises(dxh.WaitTimeoutError):
                doors.receive(0)
            self.assertEqual(doors.stats()["received"], 1)

    def test_a_loop_ends_when_it_is_closed(self):
        notes = self.peer.subscribe()
        notes.confirm(LONG)
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(each.topic for each in notes))
        thread.start()
        self.service.publish("a")
        while not seen and notes.stats()["waiting"]:
            pass
        notes.close()
        thread.join(LONG)
        self.assertFalse(thread.is_alive())
        with self.assertRaises(dxh.ClosedError):
            notes.receive(0)

    def test_one_that_is_made_while_its_peer_is_being_closed(self):
        peer = self.hub.connect(self.service.endpoint)
        subscription = peer.subscribe("door.")
        peer._native.close()  # what Peer.close() does when it has closed those that it saw
        self.hub.close()
        with self.assertRaises(dxh.ClosedError):
            subscription.receive(0)

    def test_closing_its_peer_ends_it(self):
        notes = self.peer.subscribe()
        outcome = []

        def receive():
            try:
                notes.receive()
            except dxh.ClosedError as error:
                outcome.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        self.peer.close()
        thread.join(LONG)
        self.assertEqual(len(outcome), 1)

    def test_interrupted(self):
        notes = self.peer.subscribe()
        with self.assertRaises(KeyboardInterrupt), support.alarm():
            notes.receive()

    def test_many_with_one_hand_over(self):
        sent = self.peer.request_many([("echo", b"%d" % i) for i in range(64)], timeout=LONG)
        self.assertEqual([int(each.result()) for each in sent], list(range(64)))
        self.assertEqual(self.peer.request_many([]), [])
        with self.assertRaises(dxh.InvalidError):
            self.peer.request_many([("echo", None), ("", None)])
        with self.assertRaises(TypeError):
            self.peer.request_many([("echo",)])


class RequestTest(unittest.TestCase):
    """Requests to whoever produces a channel."""

    def setUp(self):
        hub = self.enterContext(dxh.Hub("broker"))
        broker = hub.start_broker(support.endpoint(), beat=0.02)
        self.lab = self.enterContext(dxh.Hub("lab", broker=broker.endpoint))
        self.user = self.enterContext(dxh.Hub("user", broker=broker.endpoint))
        self.name = support.name("channel")

    def produce(self, answer, **config):
        made = self.lab.produce(self.name, slot=8, slots=4, serve=True, timeout=LONG,
                                unlink_on_close=True, **config)
        made.service.on("who")(lambda request: answer)
        made.service.start(2)
        return made

    def test_they_go_to_who_produces_it_now(self):
        first = self.produce(b"first")
        peer = self.user.connect(channel=self.name, timeout=LONG)
        self.assertEqual(peer.call("who", timeout=LONG), b"first")
        first.close()
        waits = peer.request("who", timeout=LONG)  # until there is one again
        second = self.produce(b"second")
        self.assertEqual(waits.result(LONG), b"second")
        second.close()

    def test_a_channel_that_is_not_there(self):
        with self.assertRaises(dxh.NotFoundError):
            support.patiently(lambda timeout: self.user.connect(channel=self.name, timeout=timeout))
        with support.alarm(), self.assertRaises(KeyboardInterrupt):
            self.user.connect(channel=self.name)

    def test_one_that_serves_nothing(self):
        with self.lab.produce(self.name, slot=8, slots=4, timeout=LONG, unlink_on_close=True) as made:
            self.assertIsNone(made.service)
            with self.assertRaises(dxh.UnsupportedError):
                self.user.connect(channel=self.name, timeout=LONG)

    def test_either_an_endpoint_or_a_channel(self):
        for how in ({}, {"endpoint": "ipc://@x", "channel": "x"}):
            with self.assertRaises(TypeError):
                self.user.connect(**how)
        with dxh.Hub() as alone, self.assertRaises(dxh.StateError):
            alone.connect(channel="x")

    def test_the_service_ends_with_its_producer(self):
        made = self.produce(b"x")
        service = made.service
        self.lab.close()
        with self.assertRaises(dxh.ClosedError):
            service.receive(0)
        with self.assertRaises(dxh.ClosedError):
            made.publish(b"x")

    def test_a_service_that_is_received_from_while_its_producer_closes(self):
        made = self.lab.produce(self.name, slot=8, slots=4, serve=True, timeout=LONG,
                                unlink_on_close=True)
        ended = []

        def receive():
            try:
                made.service.receive()
            except dxh.ClosedError:
                ended.append(True)

        threads = [threading.Thread(target=receive) for _ in range(3)]
        for each in threads:
            each.start()
        made.close()
        for each in threads:
            each.join(LONG)
        self.assertEqual(ended, [True] * 3)

    def test_a_producer_without_progress_counts_as_hung(self):
        made = self.produce(b"x", stall=0.1)
        while self.user.discover(self.name, LONG).state is not dxh.ChannelState.PENDING:
            time.sleep(0.005)
        while self.user.discover(self.name, LONG).state is not dxh.ChannelState.FOUND:
            made.progress()
            time.sleep(0.005)
        made.close()


class BrokersPeerTest(unittest.TestCase):
    """What a broker's peer led to needs it to the end."""

    def setUp(self):
        home = self.enterContext(dxh.Hub("broker"))
        self.broker = home.start_broker(support.endpoint())
        self.lab = self.enterContext(dxh.Hub("lab", broker=self.broker.endpoint))
        self.name = support.name("channel")

    def test_closed_it_closes_what_it_led_to(self):
        made = self.lab.produce(self.name, slot=8, slots=4, timeout=LONG)
        seen = self.lab.consume(self.name, timeout=LONG)
        self.lab.broker.close()
        for use in (lambda: made.publish(b"x"), lambda: seen.read(0)):
            with self.assertRaises(dxh.ClosedError):
                use()
        self.assertIs(dxh.stat(self.name).producer, dxh.Liveness.CLOSED)
        dxh.unlink(self.name)

    def test_nobody_else_need_hold_it(self):
        with dxh.Hub() as hub:
            made = dxh.produce(self.name, slot=8, slots=4, unlink_on_close=True, timeout=LONG,
                               broker=hub.connect(self.broker.endpoint))
            gc.collect()
            made.publish(b"x")
            self.assertIs(self.lab.discover(self.name, LONG).state, dxh.ChannelState.FOUND)
            made.close()
            self.assertIs(self.lab.discover(self.name, LONG).state, dxh.ChannelState.NOT_FOUND)


class WatchTest(unittest.TestCase):
    """What a broker tells of channels."""

    def setUp(self):
        home = self.enterContext(dxh.Hub("broker"))
        self.broker = home.start_broker(support.endpoint(), beat=10)  # none is missed
        self.lab = self.enterContext(dxh.Hub("lab", broker=self.broker.endpoint))
        self.user = self.enterContext(dxh.Hub("user", broker=self.broker.endpoint))
        self.name = support.name("watched")

    def produce(self):
        zones = {"plan": np.dtype([("x", "f8")])}
        return self.lab.produce(self.name, slot=8, slots=4, zones=zones, timeout=LONG,
                                unlink_on_close=True)

    def test_a_channel_comes_and_goes(self):
        with self.user.watch(self.name, timeout=LONG) as watcher:
            with self.assertRaises(dxh.WaitTimeoutError):
                watcher.receive(0)
            self.produce().close()
            opened, closing = (watcher.receive(LONG) for _ in range(2))
        self.assertEqual((opened.kind, opened.channel, opened.pid),
                         (dxh.WatchKind.OPENED, self.name, os.getpid()))
        self.assertIs(closing.kind, dxh.WatchKind.CLOSING)
        self.assertGreater(closing.number, opened.number)
        with self.assertRaises(dxh.ClosedError):
            watcher.receive(0)

    def test_in_an_event_loop_until_it_is_closed(self):
        watcher = self.user.watch(self.name, timeout=LONG)

        async def watch():
            kinds = []
            async for event in watcher:
                kinds.append(event.kind)
                if len(kinds) == 2:
                    watcher.close()
            return kinds

        async def both():
            watching = asyncio.ensure_future(watch())
            await asyncio.get_running_loop().run_in_executor(None, lambda: self.produce().close())
            return await asyncio.wait_for(watching, LONG)

        self.assertEqual(asyncio.run(both()), [dxh.WatchKind.OPENED, dxh.WatchKind.CLOSING])

    def test_the_end_of_its_hub_ends_it(self):
        watcher = self.user.watch(timeout=LONG)
        ended = threading.Event()

        def watch():
            for _ in watcher:
                pass
            ended.set()

        thread = threading.Thread(target=watch)
        thread.start()
        self.user.close()
        self.assertTrue(ended.wait(LONG))
        thread.join(LONG)

    def test_interrupted(self):
        watcher = self.user.watch(timeout=LONG)
        with support.alarm(), self.assertRaises(KeyboardInterrupt):
            watcher.receive()

    def test_without_its_broker_a_gap_is_told(self):
        watcher = self.user.watch(timeout=LONG)
        endpoint = self.broker.endpoint
        self.broker.stop()
        again = self.enterContext(dxh.Hub("again"))
        again.start_broker(endpoint)
        self.assertIs(watcher.receive(LONG).kind, dxh.WatchKind.GAP)

    def test_all_that_it_knows_of_a_channel(self):
        made = self.produce()
        seen = self.user.consume(self.name, timeout=LONG)
        while not (facts := self.user.describe(self.name, LONG)).consumers:
            time.sleep(0.005)
        self.assertIs(facts.channel.state, dxh.ChannelState.FOUND)
        self.assertEqual([(each.name, each.bytes) for each in facts.zones], [("plan", 8)])
        self.assertEqual((facts.consumers[0].pid, facts.consumers[0].name), (os.getpid(), "user"))
        self.assertIs(facts.consumers[0].discipline, dxh.Discipline.FOLLOW)
        self.assertIs(self.user.describe("nobody", LONG).channel.state,
                      dxh.ChannelState.NOT_FOUND)
        seen.close()
        made.close()

    def test_what_it_counts(self):
        before = self.user.broker_stats(LONG)
        made = self.produce()
        after = self.user.broker_stats(LONG)
        self.assertEqual(after["registrations"] - before["registrations"], 1)
        self.assertEqual(after["channels_now"], 1)
        made.close()


class ClientTest(support.HubTest):
    def test_who_sent_it(self):
        clients = []
        self.service.on("who")(lambda request: clients.append(request.client))
        self.peer.call("who", timeout=LONG)
        self.assertEqual((clients[0].name, clients[0].key), ("test", ""))
        self.assertIn(str(os.getpid()), clients[0].address)


if __name__ == "__main__":
    unittest.main()
