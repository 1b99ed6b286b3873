# SPDX-License-Identifier: MIT
"""asyncio: requests, services, items and notes in event loops."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import unittest

import numpy as np

import dxh
import support
from support import LONG


class LoopTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = LONG  # a loaded machine is no news
        self.hub = self.enterContext(dxh.Hub())
        self.service = self.hub.serve(support.endpoint())
        self.peer = self.hub.connect(self.service.endpoint)
        self.running = 0
        self.most = 0
        self.go = asyncio.Event()

        @self.service.on("echo")
        async def echo(request):
            await asyncio.sleep(0)
            return request.body

        @self.service.on("plain")
        def plain(request):
            return b"plain"

        @self.service.on("hold")
        async def hold(request):
            self.running += 1
            self.most = max(self.most, self.running)
            await self.go.wait()
            self.running -= 1
            return b"held"

        @self.service.on("busy")
        async def busy(request):
            raise dxh.OverloadedError("not now")

        self.serving = asyncio.ensure_future(self.service.run_async())

    async def asyncTearDown(self):
        self.service.stop()
        await asyncio.wait_for(self.serving, LONG)

    async def test_await_a_request(self):
        self.assertEqual(await self.peer.request("echo", b"hi", timeout=LONG), b"hi")
        self.assertEqual(await self.peer.request("plain", timeout=LONG), b"plain")
        with self.assertRaises(dxh.OverloadedError) as caught:
            await self.peer.request("busy", timeout=LONG)
        self.assertEqual(caught.exception.text, "not now")

    async def test_a_peer_that_nobody_holds(self):
        reply = await self.hub.connect(self.service.endpoint).request("echo", b"x", timeout=LONG)
        self.assertEqual(reply, b"x")

    async def test_many_at_once(self):
        sent = [self.peer.request("echo", b"%d" % i, timeout=LONG) for i in range(500)]
        replies = await asyncio.gather(*sent)
        self.assertEqual([int(each) for each in replies], list(range(500)))
        sent = self.peer.request_many([("echo", b"%d" % i) for i in range(100)], timeout=LONG)
        replies = await asyncio.gather(*sent)
        self.assertEqual([int(each) for each in replies], list(range(100)))

    async def test_handlers_run_side_by_side(self):
        sent = [self.peer.request("hold", timeout=LONG) for _ in range(20)]
        while self.running < 20:
            await asyncio.sleep(0.001)
        self.go.set()
        self.assertEqual(await asyncio.gather(*sent), [b"held"] * 20)
        self.assertEqual(self.most, 20)

    async def test_a_task_that_is_cancelled_cancels_its_request(self):
        sent = self.peer.request("hold", timeout=LONG)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(sent, 0.02)
        self.assertIsInstance(sent.exception(LONG), dxh.CanceledError)
        self.go.set()

    async def test_two_tasks_await_one_request(self):
        async def wait(sent):
            return await sent

        sent = self.peer.request("hold", timeout=LONG)
        tasks = [asyncio.ensure_future(wait(sent)) for _ in range(3)]
        await asyncio.sleep(0)
        self.go.set()
        self.assertEqual(await asyncio.gather(*tasks), [b"held"] * 3)
        self.assertEqual(await sent, b"held")

    async def test_one_that_was_posted_in_a_thread(self):
        box = []
        thread = threading.Thread(target=lambda: box.append(self.peer.request("echo", b"t")))
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        self.assertEqual(await box[0], b"t")

    async def test_one_of_the_loop_is_not_waited_for_with_wait(self):
        sent = self.peer.request("hold", timeout=LONG)
        with self.assertRaisesRegex(dxh.StateError, "await it"):
            dxh.wait([sent], 0)
        self.go.set()
        await sent

    async def test_a_request_that_nobody_awaits_frees_its_slot(self):
        for _ in range(50):
            self.peer.request("echo", timeout=LONG)
        await self.peer.request("echo", timeout=LONG)
        while self.hub.stats()["slots_now"] > 0:
            await asyncio.sleep(0.001)

    async def test_closing_the_hub_ends_what_is_awaited(self):
        other = dxh.Hub()
        silent = other.serve(support.endpoint())
        sent = other.connect(silent.endpoint).request("x")
        task = asyncio.ensure_future(silent.receive_async())
        request = await task
        task = asyncio.ensure_future(silent.receive_async())
        await asyncio.sleep(0)
        other.close()
        for ended in (sent, task):
            with self.assertRaises(dxh.Error):
                await ended
        del request

    async def test_notes(self):
        subscription = self.peer.subscribe("door.")
        await asyncio.get_running_loop().run_in_executor(None, subscription.confirm, LONG)
        seen = []

        async def follow():
            async for note in subscription:
                seen.append((note.topic, note.body, note.lost))

        tasks = [asyncio.ensure_future(follow()) for _ in range(2)]
        await asyncio.sleep(0)
        for i in range(10):
            self.service.publish("door.left", b"%d" % i)
            self.service.publish("window", b"")
        while len(seen) < 10:
            await asyncio.sleep(0.001)
        subscription.close()
        await asyncio.wait_for(asyncio.gather(*tasks), LONG)
        self.assertEqual(sorted(seen), [("door.left", b"%d" % i, 0) for i in range(10)])


class TurnsTest(unittest.IsolatedAsyncioTestCase):
    """Where there is always something to take the other tasks of the loop run as well."""

    COUNT = 200

    async def turns_while(self, taking):
        """Of another task, until `taking` has got so many."""
        turns = 0

        async def count():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.ensure_future(count())
        await asyncio.sleep(0)
        before = turns
        left = self.COUNT
        async for _ in taking:
            left -= 1
            if left == 0:
                break
        counting.cancel()
        return turns - before

    async def test_requests(self):
        with dxh.Hub() as hub:
            service = hub.serve(support.endpoint())
            peer = hub.connect(service.endpoint)
            for _ in range(self.COUNT):
                peer.notify("x")
            peer.flush(LONG, level=dxh.FlushLevel.REPLIED)
            self.assertGreaterEqual(await self.turns_while(service), 5)

    async def test_items(self):
        name = support.name()
        with dxh.produce(name, slot=8, slots=256, unlink_on_close=True) as made:
            made.publish_many([b"x"] * self.COUNT)
            with dxh.consume(name) as consumer:
                self.assertGreaterEqual(await self.turns_while(consumer), 5)

    async def test_notes(self):
        with dxh.Hub() as hub:
            service = hub.serve(support.endpoint())
            peer = hub.connect(service.endpoint)
            with peer.subscribe() as all_notes, peer.subscribe("last") as last:
                all_notes.confirm(LONG)
                last.confirm(LONG)
                for _ in range(self.COUNT):
                    service.publish("some")
                service.publish("last")
                last.receive(LONG)
                self.assertGreaterEqual(await self.turns_while(all_notes), 5)


class ItemsTest(unittest.IsolatedAsyncioTestCase):
    async def test_items_until_the_producer_closes(self):
        name = support.name()
        made = dxh.produce(name, slot=np.dtype("u8"), slots=64)
        with dxh.consume(name) as consumer:
            seen = []

            async def follow():
                async for item in consumer:
                    seen.append((int(item.data), item.lost))

            task = asyncio.ensure_future(follow())
            for i in range(20):
                made.publish(i)
                await asyncio.sleep(0)
            while len(seen) < 20:
                await asyncio.sleep(0.001)
            made.close()
            await asyncio.wait_for(task, LONG)
            self.assertEqual(seen, [(i, 0) for i in range(20)])
            with dxh.produce(name, slot=np.dtype("u8"), slots=64, unlink_on_close=True) as again:
                task = asyncio.ensure_future(consumer.read_async())  # waits for the successor
                await asyncio.sleep(0)
                again.publish(99)
                self.assertEqual(int((await asyncio.wait_for(task, LONG)).data), 99)

    async def test_a_read_is_cancelled_and_goes_on(self):
        name = support.name()
        with dxh.produce(name, slot=8, slots=4, unlink_on_close=True) as made:
            with dxh.consume(name) as consumer:
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(consumer.read_async(), 0.02)
                made.publish(b"x")
                item = await asyncio.wait_for(consumer.read_async(), LONG)
                self.assertEqual((item.ticket, item.lost), (0, 0))

    async def test_closing_ends_a_read(self):
        name = support.name()
        with dxh.produce(name, slot=8, slots=4, unlink_on_close=True):
            consumer = dxh.consume(name)
            task = asyncio.ensure_future(consumer.read_async())
            await asyncio.sleep(0.01)
            consumer.close()
            with self.assertRaises(dxh.ClosedError):
                await asyncio.wait_for(task, LONG)


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


class LeftBehindTest(support.HubTest):
    """Loops that end while requests are under way."""

    def add_handlers(self, service):
        self.held = []
        service.on("hold")(lambda request: self.held.append(request) or dxh.LATER)
        service.on("echo")(lambda request: request.body)

    async def ask(self, subject):
        return await self.peer.request(subject, b"x", timeout=LONG)

    async def leave(self, count=3):
        tasks = [asyncio.ensure_future(self.ask("hold")) for _ in range(count)]
        await asyncio.sleep(0)
        return tasks

    def test_cancelled_as_run_does_it(self):
        async def main():
            await self.leave()

        asyncio.run(self.ask("echo"))
        before = descriptors()
        for _ in range(10):
            asyncio.run(main())
        asyncio.run(self.ask("echo"))
        self.assertEqual(descriptors(), before)
        while self.hub.stats()["slots_now"] > 0:
            self.peer.call("echo", timeout=LONG)

    def test_closed_and_nothing_cancelled(self):
        asyncio.run(self.ask("echo"))
        before = descriptors()
        for _ in range(10):
            loop = asyncio.new_event_loop()
            for task in loop.run_until_complete(self.leave()):
                task._log_destroy_pending = False
            loop.close()
        del task, loop
        while len(self.held) < 30:
            self.peer.call("echo", timeout=LONG)
        self.held.clear()  # rejects them
        while self.hub.stats()["open_now"] > 0:
            self.peer.call("echo", timeout=LONG)
        asyncio.run(self.ask("echo"))
        self.assertEqual(descriptors(), before)

    def test_one_of_another_thread_waits_behind_nobody(self):
        posted = [self.peer.request("hold", timeout=LONG) for _ in range(50)]
        last = self.peer.request("echo", b"last", timeout=LONG)
        last.exception(LONG)
        posted.append(self.peer.request("hold", timeout=LONG))

        async def wait(sent):
            return await sent

        async def main():
            tasks = [asyncio.ensure_future(wait(each)) for each in posted]
            await asyncio.sleep(0)
            while len(self.held) < 51:
                await asyncio.sleep(0.001)
            self.held.pop().reply(b"held")
            done, _ = await asyncio.wait(tasks, timeout=LONG, return_when=asyncio.FIRST_COMPLETED)
            self.assertEqual([each.result() for each in done], [b"held"])

        asyncio.run(main())

    def test_threads_wait_for_one_of_a_loop(self):
        async def main():
            sent = self.peer.request("hold", timeout=LONG)
            loop = asyncio.get_running_loop()
            waits = [loop.run_in_executor(None, sent.result, LONG) for _ in range(4)]
            while not self.held:
                await asyncio.sleep(0.001)
            self.held.pop().reply(b"held")
            return await asyncio.gather(*waits)

        self.assertEqual(asyncio.run(main()), [b"held"] * 4)

    def test_a_thread_that_takes_the_result_first(self):
        """The task that waits for it, too, is told although nothing comes home any more."""

        async def main():
            sent = self.peer.request("hold", timeout=LONG)
            tasks = [asyncio.ensure_future(wait_for(sent)) for _ in range(2)]
            while not self.held:
                await asyncio.sleep(0.001)
            thread = threading.Thread(target=sent.result, args=(LONG,))
            thread.start()
            self.held.pop().reply(b"held")
            thread.join(LONG)  # in the loop, which does not run meanwhile
            self.assertTrue(sent.done())
            return await asyncio.wait_for(asyncio.gather(*tasks), LONG / 4)

        async def wait_for(sent):
            return await sent

        self.assertEqual(asyncio.run(main()), [b"held"] * 2)

    def test_an_interpreter_ends_all_the_same(self):
        program = (
            "import asyncio, dxh, sys\n"
            "hub = dxh.Hub()\n"
            "service = hub.serve(sys.argv[1])\n"
            "sent = hub.connect(sys.argv[1]).request('x')\n"
            "async def wait():\n"
            "    await sent\n"
            "loop = asyncio.new_event_loop()\n"
            "task = loop.create_task(wait())\n"
            "task._log_destroy_pending = False\n"
            "loop.run_until_complete(asyncio.sleep(0.01))\n"
            "loop.close()\n"
        )
        subprocess.run([sys.executable, "-c", program, support.endpoint()], check=True, timeout=LONG)


class ManyLoopsTest(unittest.TestCase):
    def test_loops_come_and_go(self):
        with dxh.Hub() as hub:
            service = hub.serve(support.endpoint())
            service.on("echo")(lambda request: request.body)
            service.start()
            peer = hub.connect(service.endpoint)

            async def ask(body):
                return await peer.request("echo", body, timeout=LONG)

            self.assertEqual(asyncio.run(ask(b"first")), b"first")
            before = descriptors()
            for i in range(10):
                self.assertEqual(asyncio.run(ask(b"%d" % i)), b"%d" % i)
            self.assertEqual(descriptors(), before)


if __name__ == "__main__":
    unittest.main()
