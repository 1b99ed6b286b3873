# SPDX-License-Identifier: MIT
"""What a function cannot take it says: no number is cut off on its way into C, and no argument
becomes the default by being wrong."""

import inspect
import math
import typing
import unittest

import dxh
import support

#: What no unsigned 32 bits hold, or is no number at all.
NO_COUNTS = (-1, 1 << 32, (1 << 32) + 4, 1 << 64, 1 << 70, -(1 << 31), -(1 << 70), 1.0, "4")
NO_SIZES = (-1, 1 << 64, (1 << 64) + 8, 1 << 70, -(1 << 63), 1.0, "4")

#: Counts of 64 bits.
SIZES = {"body_bytes_max", "requests_bytes", "inbox_bytes", "client_bytes", "notify_bytes",
         "publish_bytes", "replies_bytes", "start_ticket"}

#: Where less than zero says something.
SIGNED = {"sample_one_in"}


class Arguments(unittest.TestCase):
    def setUp(self):
        self.hub = self.enterContext(dxh.Hub())
        self.service = self.hub.serve(support.endpoint())
        self.peer = self.hub.connect(self.service.endpoint)
        self.name = support.name()
        self.made = self.enterContext(
            dxh.produce(self.name, slot=8, slots=4, zones={"atomics": ATOMICS}, zones_writable=True,
                        unlink_on_close=True)
        )

    def refuses(self, call, values):
        for value in values:
            with self.subTest(value=value), self.assertRaises((TypeError, ValueError)):
                call(value)


ATOMICS = {"half": dxh.field("f4", atomic=True), "count": dxh.field("u4", atomic=True)}
ATOMICS = [(name, dtype) for name, dtype in ATOMICS.items()]


class NumberTest(Arguments):
    def test_of_all_that_is_opened(self):
        swept = 0
        for call, given in (
            (dxh.Hub, {}),
            (self.hub.connect, {"endpoint": self.service.endpoint}),
            (self.hub.serve, {"endpoint": support.endpoint()}),
            (self.hub.start_broker, {"endpoint": support.endpoint()}),
            (self.peer.subscribe, {}),
            (dxh.produce, {"name": support.name(), "slot": 8, "slots": 4}),
            (dxh.consume, {"name": self.name}),
            (dxh.block_size, {"name": "x", "slot": 8, "slots": 4}),
        ):
            for name in counts_of(call):
                with self.subTest(call=call.__qualname__, argument=name):
                    self.refuses(lambda value: call(**{**given, name: value}),
                                 NO_SIZES if name in SIZES else NO_COUNTS)
                    swept += 1
        self.assertGreater(swept, 30)

    def test_of_methods(self):
        with dxh.consume(self.name) as consumer:
            self.refuses(self.hub.latency, NO_COUNTS)
            self.refuses(consumer.seek, NO_COUNTS)
            self.refuses(lambda ticket: consumer.seek(dxh.Start.TICKET, ticket), NO_SIZES)
        self.refuses(lambda level: self.peer.flush(0, level=level), NO_COUNTS)

    def test_of_users(self):
        for call in (dxh.consume, dxh.check, dxh.validate, dxh.diagnose, dxh.block_facts, dxh.recover):
            with self.subTest(call=call.__name__):
                self.refuses(lambda uid: call(self.name, owner_uid=uid), NO_COUNTS)

    def test_of_choices(self):
        for argument in ("discipline", "start"):
            self.refuses(lambda value: dxh.consume(self.name, **{argument: value}), NO_COUNTS)
        self.refuses(lambda value: self.hub.serve(support.endpoint(), repeats=value), NO_COUNTS)

    def test_of_atomics(self):
        zone = self.made.zones.atomics
        self.refuses(zone.half.store, ("", None, [], 1j, b"x"))
        for value in (1 << 32, -1):
            with self.assertRaises(OverflowError):
                zone.count.store(value)

    def test_the_largest_ones_fit(self):
        dxh.Hub(body_bytes_max=1 << 30).close()
        self.hub.connect(self.service.endpoint, requests_bytes=(1 << 64) - 1,
                         requests_max=(1 << 32) - 1).close()


def counts_of(call):
    """Arguments that are ints without a meaning below zero."""
    hints = typing.get_type_hints(call.__init__ if isinstance(call, type) else call,
                                  vars(inspect.getmodule(call)))
    return [name for name, hint in hints.items() if hint is int and name not in SIGNED]


class RequestsTest(Arguments):
    def test_what_is_no_subject_and_body(self):
        for wrong in (None, 1, "x", b"x", [], ("x",), ("x", b"", b""), ["x", b""]):
            with self.subTest(wrong=wrong), self.assertRaisesRegex(TypeError, "subject, body"):
                self.peer.request_many([("x", b""), wrong])
        self.assertEqual(self.hub.stats()["posted"], 0)

    def test_a_listener_that_cannot_be_called(self):
        with self.assertRaisesRegex(TypeError, "on_state"):
            self.hub.connect(self.service.endpoint, on_state=5)


class NoNumberTest(Arguments):
    def test_a_sum_with_what_is_no_number_ends(self):
        """Of a NaN there are many, and Python hands out but one of them."""
        zone = self.made.zones.atomics
        signaling = 0x7FA00001
        zone.array.view([("half", "u4"), ("count", "u4")])["half"] = signaling
        self.assertTrue(math.isnan(zone.half.add(1)))
        self.assertTrue(math.isnan(zone.half.load()))


if __name__ == "__main__":
    unittest.main()
