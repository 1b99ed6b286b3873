# SPDX-License-Identifier: MIT
"""KeyboardInterrupt ends every wait."""

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


if __name__ == "__main__":
    unittest.main()
