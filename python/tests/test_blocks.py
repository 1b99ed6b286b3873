# SPDX-License-Identifier: MIT
"""Producing and consuming: views, losses, readers that hold back, zones, the end."""

import copy
import gc
import os
import pickle
import signal
import socket
import threading
import unittest

import numpy as np

import dxh
import support
from support import LONG


class Telemetry(dxh.Struct):
    frames = dxh.field("u8", "frames since start", atomic=True)
    level = dxh.field("i4", atomic=True)
    ratio = dxh.field("f8", atomic=True)
    ready = dxh.field("?", atomic=True)
    cells = dxh.field("u4", atomic=True, shape=3)
    gain = dxh.field("f8", "amplifier gain", "dB")
    tags = dxh.field("u2", shape=4)
    name = dxh.field("S8")


class Pose(dxh.Struct):
    x = dxh.field("f8")
    y = dxh.field("f8")


FRAME = np.dtype(("u2", (4, 6)))


def frame(value):
    return np.full((4, 6), value, "u2")


class BlockTest(unittest.TestCase):
    """A block with both tables, its producer and a consumer."""

    options: dict = {}

    def setUp(self):
        self.name = support.name("block")
        self.producer = self.enterContext(
            dxh.produce(
                self.name,
                slot=FRAME,
                slots=4,
                zones={"telemetry": Telemetry, "pose": dxh.Latch(Pose), "raw": 100},
                unlink_on_close=True,
                **self.options,
            )
        )
        self.consumer = self.enterContext(dxh.consume(self.name))

    def publish(self, *values):
        for value in values:
            self.producer.publish(frame(value))


class WriteTest(BlockTest):
    def test_a_with_publishes_what_was_filled_in(self):
        with self.producer.write() as view:
            self.assertEqual((view.shape, view.dtype), ((4, 6), np.dtype("u2")))
            view[:] = 3
            view[1] += 1
        item = self.consumer.read(0)
        self.assertEqual(item.data.tolist(), [[3] * 6, [4] * 6, [3] * 6, [3] * 6])
        self.assertEqual((item.ticket, item.bytes, item.lost), (0, 48, 0))

    def test_an_exception_aborts(self):
        with self.assertRaises(RuntimeError), self.producer.write() as view:
            view[:] = 1
            raise RuntimeError("not this one")
        self.publish(2)
        item = self.consumer.read(0)
        self.assertEqual((item.ticket, item.lost, int(item.data[0, 0])), (1, 0, 2))
        self.assertEqual(self.producer.stats()["aborted"], 1)

    def test_the_view_ends_with_its_with(self):
        with self.producer.write() as view:
            row, turned, field = view[1], view.T, view.reshape(-1)
            plain = np.asarray(view)
            self.assertEqual((str(view), repr(view)), (str(plain), repr(plain)))
        uses = (
            lambda v: v[0],
            lambda v: v.__setitem__(0, 1),
            lambda v: v.sum(),
            lambda v: v + 1,
            lambda v: np.add(1, 1, out=v),
            lambda v: np.concatenate([v, v]),
            lambda v: list(v),
            lambda v: v.copy(),
            lambda v: v.tobytes(),
            lambda v: v.fill(0),
            lambda v: copy.deepcopy(v),
            lambda v: pickle.dumps(v),
            lambda v: v.check(),
            lambda v: 1 in v,
        )
        for each in (view, row, turned, field):
            for i, use in enumerate(uses):
                with self.subTest(use=i), self.assertRaises(dxh.StateError):
                    use(each)
            self.assertEqual(np.asarray(each).size, 0)
            self.assertFalse(each.flags.writeable)
            self.assertIn("ended", repr(each))
            self.assertIn("ended", str(each))
        self.assertEqual(plain.shape, (4, 6))  # outside of the rule, and yet no crash

    def test_what_is_computed_is_a_plain_array_that_stays(self):
        with self.producer.write() as view:
            view[:] = 5
            kept = [view + 1, view.copy(), np.sqrt(view), view[view > 0], view.astype("f4"),
                    np.array(view), view.sum(axis=0), np.where(view > 3, view, 0)]
            self.assertIsInstance(view[1:], dxh.View)
        for each in kept:
            self.assertIs(type(each), np.ndarray)
            self.assertGreater(each.sum(), 0)

    def test_only_the_first_rows(self):
        writing = self.producer.write()
        with writing as view:
            view[:] = 9
            writing.shorten(2)
            self.assertEqual(writing.ticket, 0)
        item = self.consumer.read(0)
        self.assertEqual((item.data.shape, item.bytes), ((2, 6), 24))
        with self.assertRaises(ValueError), writing:
            writing.shorten(5)
        with self.assertRaises(dxh.StateError):
            writing.shorten(1)

    def test_publish_takes_what_numpy_takes_and_refuses_the_rest(self):
        self.producer.publish([[1] * 6] * 4)
        self.producer.publish(frame(2)[:3])
        self.assertEqual(self.producer.publish_many(frame(i) for i in (3, 4)), 2)
        seen = [int(each.data[0, 0]) for each in (self.consumer.read(0) for _ in range(4))]
        self.assertEqual(seen, [1, 2, 3, 4])
        for wrong in (np.zeros((4, 7)), np.zeros(24), 5, np.zeros((5, 6))):
            with self.assertRaises(ValueError):
                self.producer.publish(wrong)

    def test_a_write_at_a_time(self):
        with self.producer.write():
            with self.assertRaises(dxh.StateError), self.producer.write():
                self.fail("two writes were open")
        self.assertEqual(self.producer.stats()["items"], 1)

    def test_a_view_that_is_forgotten_aborts_its_write(self):
        self.producer.write().__enter__()
        gc.collect()
        with self.producer.write() as view:
            view[:] = 1
        self.assertEqual(self.consumer.read(0).ticket, 1)

    def test_closing_inside_of_a_write(self):
        with self.producer.write() as view:
            self.producer.close()
            with self.assertRaises(dxh.StateError):
                view[0]
        with self.assertRaises(dxh.ClosedError):
            self.producer.publish(frame(1))


class ReadTest(BlockTest):
    def test_losses_are_counted_exactly(self):
        self.publish(*range(10))
        self.assertEqual([each.lost for each in (self.consumer.read(0),)], [6])
        rest = [self.consumer.read(0) for _ in range(3)]
        self.assertEqual([(each.ticket, each.lost) for each in rest], [(7, 0), (8, 0), (9, 0)])
        stats = self.consumer.stats()
        self.assertEqual((stats["read"], stats["lost"]), (4, 6))

    def test_the_first_and_last_that_were_lost(self):
        self.publish(*range(10))
        item = self.consumer.read(0)
        self.assertEqual((item.lost, item.lost_first, item.lost_last), (6, 0, 5))

    def test_many_with_one_call(self):
        self.publish(*range(10))
        items = self.consumer.read_many(3, 0)
        self.assertEqual([(each.ticket, each.lost, int(each.data[0, 0])) for each in items],
                         [(6, 6, 6), (7, 0, 7), (8, 0, 8)])
        self.assertIs(items[0].data.base, items[2].data.base)
        self.assertEqual([each.ticket for each in self.consumer.read_many(100, LONG)], [9])
        with self.assertRaises(dxh.WaitTimeoutError):
            self.consumer.read_many(3, 0.01)
        with self.assertRaises(ValueError):
            self.consumer.read_many(0)

    def test_how_it_is_without_reading(self):
        self.consumer.check()
        self.producer.close()
        with self.assertRaises(dxh.UnlinkedError):
            self.consumer.check()

    def test_nothing_new_is_a_timeout(self):
        for timeout in (0, 0.02):
            with self.assertRaises(dxh.WaitTimeoutError):
                self.consumer.read(timeout)

    def test_a_reader_is_woken(self):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(self.consumer.read(LONG)))
        thread.start()
        self.publish(7)
        thread.join(LONG)
        self.assertEqual(int(seen[0].data[0, 0]), 7)

    def test_iteration_ends_when_the_producer_closes(self):
        self.publish(1, 2, 3)
        self.producer.close()
        self.assertEqual([int(each.data[0, 0]) for each in self.consumer], [1, 2, 3])
        with self.assertRaises(dxh.UnlinkedError):
            self.consumer.read(0)

    def test_a_copy_stays(self):
        self.publish(1)
        first = self.consumer.read(0)
        self.publish(*range(2, 9))
        self.consumer.close()
        self.assertEqual(first.data.tolist(), frame(1).tolist())
        self.assertTrue(first.data.flags.owndata)

    def test_the_latest_passes_over_the_others(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LATEST) as latest:
            self.publish(1, 2, 3)
            item = latest.read(0)
            self.assertEqual((item.ticket, item.lost), (2, 2))

    def test_seek(self):
        self.publish(1, 2, 3)
        self.consumer.seek(dxh.Start.NEWEST)
        self.assertEqual(self.consumer.read(0).ticket, 2)
        self.consumer.seek(dxh.Start.TICKET, 1)
        self.assertEqual(self.consumer.read(0).ticket, 1)
        with self.assertRaises(dxh.InvalidError):
            self.consumer.seek(9)

    def test_the_descriptor_is_readable_when_there_is_something(self):
        import select

        with self.assertRaises(dxh.WaitTimeoutError):
            self.consumer.read(0)
        poll = select.poll()
        poll.register(self.consumer.fileno(), select.POLLIN)
        while poll.poll(0):  # readable once for nothing, perhaps
            with self.assertRaises(dxh.WaitTimeoutError):
                self.consumer.read(0)
        self.publish(1)
        self.assertTrue(poll.poll(LONG * 1000))
        self.assertEqual(self.consumer.read(0).ticket, 0)


class LargeTest(unittest.TestCase):
    """Memory of large items is used again, but never under somebody's eyes."""

    def setUp(self):
        name = support.name("large")
        self.producer = self.enterContext(
            dxh.produce(name, slot=np.dtype(("u4", (32, 1024))), slots=4, unlink_on_close=True)
        )
        self.consumer = self.enterContext(dxh.consume(name))

    def read(self, value):
        self.producer.publish(np.full((32, 1024), value))
        return self.consumer.read(0).data

    def test_what_nobody_holds_is_used_again(self):
        data, places = None, set()
        for value in range(20):
            data = self.read(value)  # the one before is still held meanwhile
            places.add(data.ctypes.data)
        self.assertEqual(len(places), 2)

    def test_what_is_held_stays_however_it_is(self):
        held = []
        for value in range(0, 40, 4):
            held.append((value, self.read(value)))
            held.append((value + 1, memoryview(self.read(value + 1))))
            held.append((value + 2, self.read(value + 2)[3::2].T))
            held.append((value + 3, self.read(value + 3).base.view("u4")))
        for value, each in held:
            self.assertEqual(set(np.asarray(each).ravel().tolist()), {value})

    def test_what_was_done_to_an_array_is_not_done_to_the_next(self):
        for value in range(4):
            data = self.read(value)
            self.assertEqual((data.shape, data.dtype, data.flags.writeable), ((32, 1024), "u4", True))
            self.assertEqual(data[31, 1023], value)
            data.shape = (-1,)
            data.dtype = "u1"
            data.flags.writeable = False
            del data

    def test_a_read_that_finds_nothing_keeps_it(self):
        place = self.read(1).ctypes.data
        for _ in range(10):
            with self.assertRaises(dxh.WaitTimeoutError):
                self.consumer.read(0)
        self.assertEqual(self.read(2).ctypes.data, place)

    def test_shorter_ones(self):
        for rows in (32, 1, 7):
            self.producer.publish(np.full((rows, 1024), rows))
            data = self.consumer.read(0).data
            self.assertEqual((data.shape, set(data.ravel().tolist())), ((rows, 1024), {rows}))


class ViewTest(BlockTest):
    def test_an_item_where_it_lies(self):
        self.publish(4)
        with self.consumer.view(0) as item:
            self.assertIsInstance(item.data, dxh.View)
            self.assertFalse(item.data.flags.writeable)
            self.assertEqual(int(item.data[3, 5]), 4)
            self.assertEqual(int(item.data.sum()), 96)
            self.assertEqual(int(np.max(item.data)), 4)
        with self.assertRaises(dxh.StateError):
            item.data[0]

    def test_a_lapped_view_raises_instead_of_showing_other_bytes(self):
        self.publish(1)
        used = []
        with self.assertRaises(dxh.LappedError) as caught:
            with self.consumer.view(0) as item:
                row = item.data[2]
                self.publish(*range(2, 20))
                for use in (
                    lambda: item.data[0, 0],
                    lambda: item.data.sum(),
                    lambda: row + 1,
                    lambda: np.mean(row),
                    lambda: item.data.copy(),
                    lambda: np.array_equal(item.data, item.data),
                    lambda: item.data.tolist(),
                ):
                    with self.assertRaises(dxh.LappedError):
                        use()
                    used.append(use)
        self.assertEqual(len(used), 7)
        self.assertEqual(caught.exception.lost, 1)
        item = self.consumer.read(0)
        self.assertEqual((item.ticket, item.lost), (15, 14))
        self.assertEqual(self.consumer.stats()["lost"], 15)

    def test_what_is_raised_inside_goes_first(self):
        self.publish(1)
        with self.assertRaises(ZeroDivisionError):
            with self.consumer.view(0):
                self.publish(*range(2, 20))
                1 // 0
        self.assertEqual(self.consumer.read(0).lost, 14)

    def test_nothing_else_is_read_meanwhile(self):
        self.publish(1, 2)
        with self.consumer.view(0):
            with self.assertRaises(dxh.StateError):
                self.consumer.read(0)
        self.assertEqual(self.consumer.read(0).ticket, 1)

    def test_a_view_of_a_closed_consumer(self):
        self.publish(1)
        with self.consumer.view(0) as item:
            kept = np.asarray(item.data)
            self.consumer.close()
            with self.assertRaises(dxh.StateError):
                item.data[0]
        self.assertEqual(kept.tolist(), frame(1).tolist())  # mapped as long as it is held


class LosslessTest(BlockTest):
    options = {"readers_max": 2}

    def test_the_writer_waits_for_a_lossless_reader(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS) as reader:
            self.publish(0, 1, 2, 3)
            with self.assertRaises(dxh.WaitTimeoutError):
                self.producer.publish(frame(4), timeout=0.02)
            with self.assertRaises(dxh.WaitTimeoutError):
                self.producer.write(timeout=0).__enter__()
            self.assertEqual(self.producer.publish_many([frame(4)] * 3, 0) if reader.read(0) else 0, 1)
            self.assertEqual([each.ticket for each in (reader.read(0), reader.read(0))], [1, 2])

    def test_all_of_many_arrive(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS) as reader:
            thread = threading.Thread(target=lambda: self.publish(*range(200)))
            thread.start()
            seen = [reader.read(LONG) for _ in range(200)]
            thread.join()
        self.assertEqual([int(each.data[0, 0]) for each in seen], list(range(200)))
        self.assertEqual(sum(each.lost for each in seen), 0)

    def test_a_borrowed_item_stays(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS) as reader:
            self.publish(0, 1, 2, 3)
            with reader.view(0) as item:
                with self.assertRaises(dxh.WaitTimeoutError):
                    self.producer.publish(frame(4), timeout=0)
                self.assertEqual(int(item.data.sum()), 0)
            self.producer.publish(frame(4), timeout=0)

    def test_what_a_signal_raises_is_not_lost_in_the_midst_of_many(self):
        class Enough(Exception):
            pass

        def handler(*unused):
            raise Enough

        before = signal.signal(signal.SIGALRM, handler)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS) as reader:
            signal.setitimer(signal.ITIMER_REAL, 0.15)
            with self.assertRaises(Enough):
                self.producer.publish_many([frame(i) for i in range(10)], LONG)
            self.assertEqual([int(each.data[0, 0]) for each in reader.read_many(10, 0)], [0, 1, 2, 3])

    def test_interrupted_while_it_is_held_back(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS):
            self.publish(0, 1, 2, 3)
            with self.assertRaises(KeyboardInterrupt), support.alarm():
                self.producer.publish(frame(4))


class EvictTest(BlockTest):
    options = {"readers_max": 1, "evict": True}

    def test_an_evicted_reader_is_told_how_much_it_lost(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS) as reader:
            for i in range(6):
                self.producer.publish(frame(i), timeout=0)
            with self.assertRaises(dxh.EvictedError) as caught:
                reader.read(0)
            self.assertEqual(caught.exception.lost, 6)
            self.producer.publish(frame(6), timeout=0)
            self.assertEqual(reader.read(0).ticket, 6)

    def test_a_view_knows_that_its_reader_was_evicted(self):
        with dxh.consume(self.name, discipline=dxh.Discipline.LOSSLESS) as reader:
            self.producer.publish(frame(0), timeout=0)
            with self.assertRaises(dxh.EvictedError), reader.view(0) as item:
                for i in range(1, 8):
                    self.producer.publish(frame(i), timeout=0)
                with self.assertRaises(dxh.LappedError):
                    item.data.sum()

    def test_eviction_needs_to_know_when(self):
        with self.assertRaisesRegex(ValueError, "timeout"):
            self.producer.publish(frame(1))


class FollowNameTest(BlockTest):
    def test_it_goes_on_in_the_block_that_has_the_name_now(self):
        name = support.name()
        first = dxh.produce(name, slot=8, slots=4, unlink_on_close=True)
        with dxh.consume(name, follow_name=True) as seen:
            first.publish(b"the old")
            first.close()
            self.assertEqual(bytes(seen.read(LONG).data), b"the old")
            with dxh.produce(name, slot=8, slots=4, unlink_on_close=True) as second:
                second.publish(b"the new")
                while True:
                    try:
                        item = seen.read(LONG)
                        break
                    except (dxh.MovedError, dxh.UnlinkedError):
                        continue
            self.assertEqual((item.ticket, bytes(item.data)), (0, b"the new"))


class UnstampedTest(BlockTest):
    options = {"timestamps": False}

    def test_items_do_not_say_when(self):
        self.producer.publish(frame(1))
        self.assertEqual(self.consumer.read(0).timestamp_ns, 0)


class ZoneTest(BlockTest):
    options = {"zones_writable": True}

    def test_plain_members_by_attribute_and_key(self):
        zone = self.producer.zones.telemetry
        zone.gain = 1.5
        zone["name"] = b"front"
        zone.tags[2] = 9
        zone.tags = [1, 2, 3, 4]
        seen = self.consumer.zones["telemetry"]
        self.assertEqual((seen.gain, seen.name, seen.tags.tolist()), (1.5, b"front", [1, 2, 3, 4]))
        self.assertIsInstance(seen.gain, float)
        with self.assertRaises(ValueError):
            seen.gain = 2
        with self.assertRaisesRegex(AttributeError, "no 'gian', but frames"):
            zone.gian = 1

    def test_atomics_are_explicit(self):
        zone, seen = self.producer.zones.telemetry, self.consumer.zones.telemetry
        with self.assertRaisesRegex(dxh.StateError, "store"):
            zone.frames = 5
        zone.frames.store(5)
        self.assertEqual(seen.frames.load(), 5)
        self.assertEqual((zone.frames.add(3), zone.frames.exchange(1)), (5, 8))
        self.assertEqual(zone.frames.compare_exchange(1, 2), (True, 1))
        self.assertEqual(zone.frames.compare_exchange(1, 3), (False, 2))
        self.assertEqual((zone.frames.or_(5), zone.frames.and_(6)), (2, 7))
        self.assertEqual(seen.frames.load(), 6)
        self.assertEqual(zone.frames.add(-7), 6)
        self.assertEqual(zone.frames.load(), 2**64 - 1)
        zone.level.store(-4)
        self.assertEqual((zone.level.add(-1), seen.level.load()), (-4, -5))
        zone.ratio.store(0.5)
        self.assertEqual((zone.ratio.add(0.25), seen.ratio.load()), (0.5, 0.75))
        self.assertEqual((zone.ready.exchange(True), seen.ready.load()), (False, True))
        zone.atomic("cells", 2).add(4)
        self.assertEqual(seen.atomic("cells", 2).load(), 4)
        for wrong in (-1, 2**64):
            with self.assertRaises(OverflowError):
                zone.frames.store(wrong)
        with self.assertRaises(IndexError):
            zone.atomic("cells", 3)
        with self.assertRaises(dxh.StateError):
            seen.frames.add(1)

    def test_threads_and_readers_add_to_one_atomic(self):
        with dxh.consume(self.name, write_zones=True) as writer:
            zones = [self.producer.zones.telemetry, writer.zones.telemetry]

            def add(zone):
                for _ in range(2000):
                    zone.frames.add(1)

            threads = [threading.Thread(target=add, args=(each,)) for each in zones * 2]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(self.consumer.zones.telemetry.frames.load(), 8000)

    def test_latches_are_whole(self):
        latch, seen = self.producer.zones.pose, self.consumer.zones.pose
        with latch.write() as value:
            value["x"] = 1
            value["y"] = 2
            self.assertEqual(seen.load().item(), (0, 0))
        self.assertEqual(seen.load().item(), (1, 2))
        self.assertEqual(seen.load()["y"], 2)
        with self.assertRaises(RuntimeError), latch.write() as value:
            value["x"] = 9
            raise RuntimeError("no")
        latch.store((3, 4))
        self.assertEqual(latch.load().item(), (3, 4))
        with self.assertRaises(dxh.StateError):
            seen.store((0, 0))

    def test_raw_bytes(self):
        self.producer.zones.raw.array[10] = 7
        self.assertEqual(int(self.consumer.zones.raw.array[10]), 7)

    def test_names_that_are_not_there(self):
        self.assertEqual(list(self.consumer.zones), ["telemetry", "pose", "raw"])
        with self.assertRaisesRegex(dxh.ZoneError, "telemetry, pose, raw"):
            self.consumer.zones["none"]
        with self.assertRaises(AttributeError):
            self.consumer.zones.none

    def test_zones_end_with_their_block(self):
        zone = self.consumer.zones.telemetry
        frames, tags, whole, plain = zone.frames, zone.tags, zone.array, np.asarray(zone.array)
        self.consumer.close()
        for use in (lambda: zone.gain, frames.load, lambda: tags[0], lambda: whole["gain"],
                    lambda: zone.array):
            with self.assertRaises(dxh.ClosedError):
                use()
        self.assertEqual(plain["gain"], 0)
        self.assertEqual(np.asarray(whole)["gain"], 0)


class OpenTest(unittest.TestCase):
    def test_a_live_producer_is_not_displaced(self):
        name = support.name()
        with dxh.produce(name, slot=64, slots=1, unlink_on_close=True):
            with self.assertRaises(dxh.BusyError):
                dxh.produce(name, slot=64, slots=1)
            with self.assertRaises(dxh.BusyError):
                dxh.produce(name, slot=64, slots=1, owner_wait=0.02)
            with self.assertRaises(dxh.BusyError):
                dxh.unlink(name)
            with self.assertRaises(KeyboardInterrupt), support.alarm():
                dxh.produce(name, slot=64, slots=1, owner_wait=LONG)

    def test_a_block_outlives_its_producer_until_it_is_unlinked(self):
        name = support.name()
        dxh.produce(name, slot=FRAME, slots=4).close()
        info = dxh.stat(name)
        self.assertEqual((info.name, info.producer), (name, dxh.Liveness.CLOSED))
        with self.assertRaises(dxh.SchemaError):
            dxh.produce(name, slot=np.dtype(("f4", (4, 6))), slots=4)
        with dxh.produce(name, slot=FRAME, slots=4) as again:
            self.assertEqual(again.info.epoch, 1)
        dxh.unlink(name)
        for gone in (lambda: dxh.stat(name), lambda: dxh.unlink(name), lambda: dxh.consume(name)):
            with self.assertRaises(dxh.NotFoundError):
                gone()

    def test_raw_slots_of_any_length(self):
        name = support.name()
        with dxh.produce(name, slot=100, slots=4, unlink_on_close=True) as made:
            with dxh.consume(name) as seen:
                made.publish(b"hello")
                made.publish(b"")
                writing = made.write()
                with writing as view:
                    view[:3] = b"abc"[0]
                    writing.shorten(3)
                with self.assertRaises(dxh.SizeError):
                    made.publish(bytes(1000))
                self.assertEqual(seen.read(0).data.tobytes(), b"hello")
                self.assertEqual(seen.read(0).data.size, 0)
                with seen.view(0) as item:
                    self.assertEqual(item.data.tobytes(), b"aaa")

    def test_structs_in_slots(self):
        name = support.name()
        with dxh.produce(name, slot=Pose, slots=4, unlink_on_close=True) as made:
            with dxh.consume(name) as seen:
                with made.write() as value:
                    value["x"] = 1.5
                    value["y"] = 2
                made.publish(np.array((3, 4), Pose.dtype))
                self.assertEqual(seen.read(0).data.item(), (1.5, 2))
                with seen.view(0) as item:
                    self.assertEqual(item.data["y"], 4)

    def test_checksums(self):
        name = support.name()
        key = bytes(32)
        with dxh.produce(
            name, slot=64, slots=4, checksum=dxh.Checksum.BLAKE2B, checksum_key=key,
            unlink_on_close=True,
        ) as made:
            made.publish(b"proved")
            with dxh.consume(name, checksum_key=key) as seen:
                self.assertEqual(seen.read(0).data.tobytes(), b"proved")
            with self.assertRaises(dxh.AccessError):
                dxh.consume(name)
            with self.assertRaises(ValueError):
                dxh.consume(name, checksum_key=b"short")

    def test_a_block_without_a_name_is_handed_over(self):
        here, there = socket.socketpair()
        with here, there, dxh.produce("unnamed", slot=FRAME, slots=4, memfd=True) as made:
            made.send(here, LONG)
            with dxh.receive(there, LONG) as seen:
                made.publish(frame(6))
                self.assertEqual(int(seen.read(LONG).data[0, 0]), 6)
            with self.assertRaises(dxh.WaitTimeoutError):
                dxh.receive(there, 0.02)
            with self.assertRaises(KeyboardInterrupt), support.alarm():
                dxh.receive(there)

    def test_closing_from_another_thread_ends_a_wait(self):
        name = support.name()
        with dxh.produce(name, slot=64, slots=1, unlink_on_close=True):
            consumer = dxh.consume(name)
            outcome = []

            def read():
                try:
                    consumer.read()
                except dxh.Error as error:
                    outcome.append(error)

            thread = threading.Thread(target=read)
            thread.start()
            while not outcome:
                try:
                    consumer.stats()
                except dxh.BusyError as error:
                    outcome.append(error)  # it is inside
            consumer.close()
            thread.join(LONG)
            self.assertIsInstance(outcome[1], dxh.ClosedError)

    def test_reading_is_interrupted(self):
        name = support.name()
        with dxh.produce(name, slot=64, slots=1, unlink_on_close=True), dxh.consume(name) as seen:
            for wait in (seen.read, lambda: seen.view().__enter__(), lambda: list(seen)):
                with self.assertRaises(KeyboardInterrupt), support.alarm():
                    wait()

    def test_nothing_is_left_open(self):
        """Descriptors and mappings come back, also of blocks that are only dropped."""
        name = support.name()

        def use():
            made = dxh.produce(name, slot=FRAME, slots=4, zones={"pose": Pose}, unlink_on_close=True)
            seen = dxh.consume(name)
            made.publish(frame(1))
            with seen.view(0) as item:
                kept = np.asarray(item.data)
            seen.zones.pose.array
            return kept

        def held():
            with open("/proc/self/maps") as maps:
                return len(os.listdir("/proc/self/fd")), maps.read().count(name)

        use()
        gc.collect()
        before = held()
        for _ in range(20):
            use()
        gc.collect()
        self.assertEqual(held(), before)


if __name__ == "__main__":
    unittest.main()
