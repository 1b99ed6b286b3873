# SPDX-License-Identifier: MIT
"""KeyboardInterrupt ends every wait."""

import socket
import unittest

import dxh
import support
from support import LONG


class InterruptTest(unittest.TestCase):
    def setUp(self):
        self.other, self.quiet = support.silent()
        self.addCleanup(self.other.close)
        self.hub = self.enterContext(dxh.Hub())
        self.peer = self.hub.connect(self.quiet.endpoint)

    def interrupts(self, wait):
        with self.assertRaises(KeyboardInterrupt), support.alarm():
            wait()

    def test_the_control_is_a_timeout(self):
        with self.assertRaises(dxh.WaitTimeoutError), support.alarm(LONG):
            self.quiet.receive(0.25)

    def test_call(self):
        self.interrupts(lambda: self.peer.call("x", timeout=LONG))

    def test_result(self):
        completion = self.peer.request("x", timeout=LONG)
        self.interrupts(completion.result)
        self.assertFalse(completion.done())

    def test_wait(self):
        sent = [self.peer.request("x", timeout=LONG)]
        self.interrupts(lambda: dxh.wait(sent, LONG))

    def test_receive(self):
        self.interrupts(self.quiet.receive)

    def test_flush(self):
        self.quiet.close()
        self.peer.notify("x")
        self.interrupts(lambda: self.peer.flush(LONG))

    def test_waiting_for_credit(self):
        peer = self.hub.connect(self.quiet.endpoint, requests_max=1, full_wait=LONG)
        held = peer.request("x", timeout=LONG)
        self.interrupts(lambda: peer.request("x", timeout=LONG))
        self.interrupts(lambda: peer.request_many([("x", None)], timeout=LONG))
        self.interrupts(lambda: peer.call("x", timeout=LONG))
        del held

    def test_drain(self):
        held = self.peer.request("x", timeout=LONG)
        self.interrupts(lambda: self.hub.drain(0.5))
        del held

    def test_serving(self):
        self.interrupts(self.quiet.run)


class OtherWaitsTest(unittest.TestCase):
    """The waits of subscriptions, blocks, rates and sockets, one after the other."""

    def setUp(self):
        self.other, self.quiet = support.silent()
        self.addCleanup(self.other.close)
        self.hub = self.enterContext(dxh.Hub())
        self.name = support.name("interrupted")
        self.made = self.enterContext(
            dxh.produce(self.name, slot=8, slots=2, readers_max=1, unlink_on_close=True))
        self.held = self.enterContext(dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS))
        self.made.publish_many([b"x"] * 2)

    def interrupts(self, **waits):
        for what, wait in waits.items():
            with self.subTest(what), self.assertRaises(KeyboardInterrupt), support.alarm(0.02):
                wait()

    def test_many_requests(self):
        peer = self.hub.connect(self.quiet.endpoint)
        sent = peer.request("x", timeout=LONG)
        self.interrupts(exception=sent.exception, as_completed=lambda: next(dxh.as_completed([sent])),
                        call=lambda: peer.call("x"))

    def test_what_comes(self):
        service = self.hub.serve(support.endpoint())
        self.interrupts(receive=service.receive, all=lambda: next(iter(service)))

    def test_notes(self):
        nobody = self.hub.connect(support.endpoint())
        notes = nobody.subscribe()
        self.interrupts(confirm=notes.confirm, receive=notes.receive, all=lambda: next(iter(notes)))

    def test_reading(self):
        with dxh.consume(self.name, start=dxh.Start.NEXT) as seen:
            self.interrupts(read=seen.read, many=lambda: seen.read_many(2), all=lambda: next(iter(seen)),
                            view=lambda: seen.view().__enter__())

    def test_writing(self):
        made = self.made
        self.interrupts(publish=lambda: made.publish(b"y"), write=lambda: made.write().__enter__(),
                        many=lambda: made.publish_many([b"y"] * 3),
                        owner=lambda: dxh.produce(self.name, slot=8, slots=2, readers_max=1,
                                                  owner_wait=LONG))
        self.assertEqual(self.held.read(LONG).ticket, 0)
        made.publish(b"on", timeout=LONG)  # nothing was left begun

    def test_a_rate(self):
        pacer = dxh.Pacer(1 / LONG)
        pacer.wait(LONG)
        self.interrupts(wait=pacer.wait, all=lambda: next(iter(pacer)))

    def test_a_socket(self):
        here, there = socket.socketpair()
        with here, there, dxh.produce("sent", slot=8, slots=4, memfd=True) as made:

            def send_until_it_is_full():
                while True:
                    made.send(here)

            self.interrupts(receive=lambda: dxh.receive(here), send=send_until_it_is_full)


if __name__ == "__main__":
    unittest.main()
