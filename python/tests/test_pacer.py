# SPDX-License-Identifier: MIT
"""A fixed rate: on time, told what was missed, interrupted."""

import asyncio
import threading
import time
import unittest
from fractions import Fraction

import dxh
import support
from support import LONG


class PacerTest(unittest.TestCase):
    def test_ticks_are_due_on_a_schedule_from_the_first(self):
        begun = time.monotonic_ns()
        paces = [pace for pace, _ in zip(dxh.Pacer(1000, first_ns=begun, catch_up=True), range(5))]
        self.assertEqual([pace.tick for pace in paces], [0, 1, 2, 3, 4])
        self.assertEqual([pace.due_ns - begun for pace in paces],
                         [0, 1000000, 2000000, 3000000, 4000000])
        self.assertGreaterEqual(time.monotonic_ns() - begun, 4000000)
        self.assertTrue(all(pace.late_ns >= 0 for pace in paces))

    def test_rates_are_exact(self):
        first = time.monotonic_ns() - 10**9 // 60
        for rate in 60, Fraction(60), 60.0:
            pacer = dxh.Pacer(rate, first_ns=first, catch_up=True)
            self.assertEqual([pacer.wait().due_ns - first for _ in range(2)], [0, 10**9 // 60])
        self.assertEqual(dxh.Pacer(0.1, first_ns=first).wait().due_ns, first)

    def test_who_is_late_is_told(self):
        pacer = dxh.Pacer(1000, first_ns=time.monotonic_ns() - 10_000_000)
        pace = pacer.wait()
        self.assertGreaterEqual(pace.missed, 10)
        self.assertEqual(pacer.missed, pace.missed)
        self.assertEqual(pace.tick, pace.missed)

    def test_a_wait_ends_before_the_tick(self):
        pacer = dxh.Pacer(0.001, first_ns=time.monotonic_ns() + 10**12)
        with self.assertRaises(dxh.WaitTimeoutError):
            pacer.wait(0.001)
        with support.alarm(), self.assertRaises(KeyboardInterrupt):
            pacer.wait()

    def test_one_thread_at_a_time(self):
        pacer = dxh.Pacer(0.001, first_ns=time.monotonic_ns() + 10**12)
        said = []

        def wait():
            try:
                pacer.wait(0.3)
            except dxh.Error as error:
                said.append(type(error))

        threads = [threading.Thread(target=wait) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(LONG)
        self.assertEqual(set(said), {dxh.BusyError, dxh.WaitTimeoutError})

    def test_what_is_no_rate(self):
        for rate in 0, -1:
            with self.assertRaises(ValueError):
                dxh.Pacer(rate)
        with self.assertRaises(dxh.InvalidError):
            dxh.Pacer(2 * 10**9).wait()

    def test_in_an_event_loop(self):
        async def ticks():
            found = []
            async for pace in dxh.Pacer(1000, catch_up=True):
                found.append(pace.tick)
                if len(found) == 3:
                    return found

        self.assertEqual(asyncio.run(ticks()), [0, 1, 2])


if __name__ == "__main__":
    unittest.main()
