# SPDX-License-Identifier: MIT
"""fork, multiprocessing, and an interpreter that is killed inside of a with."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import unittest

import numpy as np

import dxh
import support
from support import LONG

WORDS = np.dtype(("u8", (64,)))


def in_child(check):
    """Run it in a child of fork(); what it raised, as text, or ""."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        said = ""
        try:
            check()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return said if status == 0 else f"died of {status}"


class ForkTest(support.HubTest):
    def test_every_object_of_the_parent_says_so(self):
        name = support.name()
        made = self.enterContext(dxh.produce(name, slot=WORDS, slots=4, unlink_on_close=True,
                                             zones={"z": np.dtype([("a", "u8")])}))
        seen = self.enterContext(dxh.consume(name))
        zone = made.zones.z
        sent = self.peer.request("echo", b"x", timeout=LONG)
        notes = self.peer.subscribe()
        with made.write() as frame:

            def check():
                uses = {
                    "request": lambda: self.peer.request("echo"),
                    "call": lambda: self.peer.call("echo"),
                    "notify": lambda: self.peer.notify("echo"),
                    "connect": lambda: self.hub.connect("ipc://@x"),
                    "serve": lambda: self.hub.serve("ipc://@x"),
                    "receive": lambda: self.service.receive(0),
                    "publish a note": lambda: self.service.publish("x"),
                    "notes": lambda: notes.receive(0),
                    "result": sent.result,
                    "publish": lambda: made.publish(np.zeros(64)),
                    "read": lambda: seen.read(0),
                    "view": lambda: frame[0],
                    "zone": lambda: zone.a,
                    "stats": self.hub.stats,
                }
                for what, use in uses.items():
                    try:
                        use()
                    except dxh.ForkedError:
                        continue
                    raise AssertionError(f"{what} was possible in a child")
                self.hub.close()
                made.close()
                seen.close()

            self.assertEqual(in_child(check), "")
            frame[:] = 5  # the child harmed nobody
        self.assertEqual(int(seen.read(0).data.sum()), 320)
        self.assertEqual(sent.result(), b"x")
        self.assertEqual(self.peer.call("echo", b"on", timeout=LONG), b"on")

    def test_a_child_opens_its_own(self):
        name = support.name()
        with dxh.produce(name, slot=WORDS, slots=4, unlink_on_close=True) as made:
            made.publish(np.arange(64))

            def check():
                with dxh.Hub() as hub:
                    peer = hub.connect(self.service.endpoint)
                    assert peer.call("echo", b"child", timeout=LONG) == b"child"
                    sent = [peer.request("echo", timeout=LONG) for _ in range(5)]
                    assert len(dxh.wait(sent, LONG).done) == 5
                with dxh.consume(name) as seen:
                    assert int(seen.read(0).data[63]) == 63

            self.assertEqual(in_child(check), "")

    def test_the_control_a_child_that_fails_is_noticed(self):
        self.assertEqual(in_child(lambda: 1 // 0)[:17], "ZeroDivisionError")
        self.assertEqual(in_child(lambda: os.kill(os.getpid(), 9)), "died of 9")


def consume_all(name, count, queue):
    """In another process: the sum of what comes."""
    with dxh.consume(name, discipline=dxh.Discipline.LOSSLESS) as seen:
        queue.put("ready")
        queue.put(sum(int(seen.read(LONG).data[0]) for _ in range(count)))


def ask(address, queue):
    with dxh.Hub() as hub:
        queue.put(hub.connect(address).call("echo", b"from afar", timeout=LONG))


class MultiprocessingTest(support.HubTest):
    def processes(self, method):
        context = multiprocessing.get_context(method)
        name = support.name()
        queue = context.Queue()
        with dxh.produce(name, slot=WORDS, slots=8, readers_max=2, unlink_on_close=True) as made:
            process = context.Process(target=consume_all, args=(name, 50, queue))
            process.start()
            self.assertEqual(queue.get(timeout=LONG), "ready")
            for i in range(50):
                made.publish(np.full(64, i), timeout=LONG)
            self.assertEqual(queue.get(timeout=LONG), 1225)
            process.join(LONG)
            self.assertEqual(process.exitcode, 0)
        process = context.Process(target=ask, args=(self.service.endpoint, queue))
        process.start()
        self.assertEqual(queue.get(timeout=LONG), b"from afar")
        process.join(LONG)
        queue.close()
        queue.join_thread()

    def test_spawn(self):
        self.processes("spawn")

    def test_fork(self):
        self.processes("fork")


class SubInterpreterTest(unittest.TestCase):
    def test_it_is_refused_plainly(self):
        program = (
            "import sys, _xxsubinterpreters as sub\n"
            "import dxh\n"
            "try:\n"
            "    sub.run_string(sub.create(), 'import sys; sys.path[:] = %r; import dxh' % sys.path)\n"
            "except sub.RunFailedError as error:\n"
            "    assert 'sub-interpreter' in str(error), error\n"
            "    with dxh.Hub() as hub:\n"  # the main one goes on
            "        print('refused')\n"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                             timeout=LONG)
        self.assertEqual((ran.stdout, ran.stderr), ("refused\n", ""))


KILLED = """
import os, sys, time
import numpy as np
import dxh

made = dxh.produce(sys.argv[1], slot=np.dtype(("u8", (64,))), slots=4,
                   zones={"pose": dxh.Latch(np.dtype([("x", "f8"), ("y", "f8")]))})
made.publish(np.full(64, 1))
made.zones.pose.store((1, 1))
with made.write() as frame:
    frame[:32] = 99
    with made.zones.pose.write() as pose:
        pose["x"] = 2
        print("inside", flush=True)
        time.sleep(1000)
"""

READER = """
import sys, time
import dxh

seen = dxh.consume(sys.argv[1], discipline=dxh.Discipline.LOSSLESS)
with seen.view(10) as item:
    print("inside", flush=True)
    time.sleep(1000)
"""


@contextlib.contextmanager
def killed(program, name):
    """The program, once it is inside; killed at the end of the with."""
    with subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE) as ran:
        assert ran.stdout.readline() == b"inside\n"
        try:
            yield ran
        finally:
            ran.kill()
            ran.wait()


class KilledTest(unittest.TestCase):
    def test_a_producer_inside_of_its_with(self):
        name = support.name()
        with killed(KILLED, name):
            seen = dxh.consume(name)
            self.assertEqual(seen.read(0).ticket, 0)
        with self.assertRaises(dxh.ProducerDeadError):
            seen.read(LONG)
        self.assertIs(seen.info.producer, dxh.Liveness.DEAD)
        self.assertEqual(seen.zones.pose.load().item(), (1, 1))  # whole, and the old one
        with dxh.produce(
            name, slot=WORDS, slots=4, unlink_on_close=True, owner_wait=LONG,
            zones={"pose": dxh.Latch(np.dtype([("x", "f8"), ("y", "f8")]))},
        ) as again:
            self.assertEqual(again.info.epoch, 1)
            with again.write() as frame:
                frame[:] = 2
            item = seen.read(LONG)
            self.assertEqual((item.ticket, item.lost, int(item.data.sum())), (1, 0, 128))
            again.zones.pose.store((3, 3))
            self.assertEqual(seen.zones.pose.load().item(), (3, 3))
        seen.close()

    def test_a_lossless_reader_inside_of_its_with(self):
        name = support.name()
        with dxh.produce(name, slot=WORDS, slots=4, readers_max=1, unlink_on_close=True) as made:
            made.publish(np.zeros(64))
            with self.assertRaises(dxh.WaitTimeoutError):
                with killed(READER, name):
                    for i in range(1, 5):
                        made.publish(np.full(64, i), timeout=0.02)
            for i in range(20):  # who is dead holds nobody back
                made.publish(np.full(64, i), timeout=LONG)

    def test_an_interpreter_that_ends_without_a_close(self):
        """Its hub is closed all the same, and its last answer arrives."""
        program = (
            "import sys, dxh\n"
            "hub = dxh.Hub()\n"
            "service = hub.serve(sys.argv[1])\n"
            "print('ready', flush=True)\n"
            "request = service.receive(60)\n"
            "request.reply(b'last words')\n"
        )
        address = support.endpoint()
        with subprocess.Popen(
            [sys.executable, "-c", program, address], stdout=subprocess.PIPE
        ) as ran, dxh.Hub() as hub:
            self.assertEqual(ran.stdout.readline(), b"ready\n")
            self.assertEqual(hub.connect(address).call("x", timeout=LONG), b"last words")
            self.assertEqual(ran.wait(LONG), 0)

    def test_an_interpreter_that_ends_with_blocks_that_threads_hold(self):
        """Such a thread never ends, and what it holds is never freed: they are closed all the same."""
        program = (
            "import sys, threading, dxh\n"
            "made = dxh.produce(sys.argv[1], slot=8, slots=4, readers_max=1)\n"
            "seen = dxh.consume(sys.argv[1], discipline=dxh.Discipline.LOSSLESS)\n"
            "def hold(*ends):\n"
            "    with made.write() as frame:\n"
            "        print('held', flush=True)\n"
            "        threading.Event().wait()\n"
            "threading.Thread(target=hold, args=(made, seen), daemon=True).start()\n"
            "sys.stdin.readline()\n"
        )
        name = support.name()
        with subprocess.Popen([sys.executable, "-c", program, name], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as ran:
            self.assertEqual(ran.stdout.readline(), b"held\n")
            with dxh.consume(name) as reader:
                self.assertEqual([each.pid for each in dxh.block_facts(name).readers], [ran.pid])
                ran.stdin.write(b"end\n")
                ran.stdin.flush()
                with self.assertRaises(dxh.ClosedError):
                    reader.read(LONG)
            self.assertEqual(ran.wait(LONG), 0)
        self.assertIs(dxh.stat(name).producer, dxh.Liveness.CLOSED)
        self.assertEqual(dxh.block_facts(name).readers, [])
        dxh.unlink(name)

    def test_ctrl_c_ends_a_question_that_nobody_answers(self):
        """The thread that asked it holds nobody up."""
        program = (
            "import sys, dxh\n"
            "hub = dxh.Hub(broker=sys.argv[1])\n"
            "print('ready', flush=True)\n"
            "hub.%s\n"
        )
        name = support.name()
        for question in ("discover('x')", "channels()", "describe('x')", "watch()",
                         f"produce({name!r}, slot=8, slots=2, unlink_on_close=True, timeout=None)"):
            with self.subTest(question), subprocess.Popen(
                [sys.executable, "-c", program % question, support.endpoint()],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            ) as ran:
                self.assertEqual(ran.stdout.readline(), b"ready\n")
                time.sleep(0.02)  # so that it is mostly in the question
                ran.send_signal(signal.SIGINT)
                _, said = ran.communicate(timeout=LONG)
                self.assertIn(b"KeyboardInterrupt", said)
        with self.assertRaises(dxh.NotFoundError):
            dxh.stat(name)

    def test_ctrl_c_ends_an_interpreter_with_a_traceback(self):
        program = (
            "import sys, dxh\n"
            "with dxh.Hub() as hub:\n"
            "    service = hub.serve(sys.argv[1])\n"
            "    print('ready', flush=True)\n"
            "    service.receive()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, support.endpoint()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as ran:
            self.assertEqual(ran.stdout.readline(), b"ready\n")
            ran.send_signal(signal.SIGINT)
            _, said = ran.communicate(timeout=LONG)
            self.assertIn(b"KeyboardInterrupt", said)
            self.assertEqual(ran.returncode, -signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
