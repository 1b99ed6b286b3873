# SPDX-License-Identifier: MIT
"""dtypes become schemas and come back; C and Python see the same structs."""

import os
import subprocess
import unittest

import numpy as np

import dxh
import support


class Axis(dxh.Struct):
    gain = dxh.field("f4", "per volt", "V")
    steps = dxh.field("i2")


class Stage(dxh.Struct):
    moves = dxh.field("u8", "since start", atomic=True)
    matrix = dxh.field("f8", shape=(2, 3))
    axes = dxh.field(Axis, "x, y and z", shape=3)
    name = dxh.field("S16")
    homed = dxh.field("?")


class Pose(dxh.Struct):
    x = dxh.field("f8")
    y = dxh.field("f8")


class Sample(dxh.Struct):
    number = dxh.field("u4")
    values = dxh.field("f4", "measured", "V", shape=4)


def there_and_back(dtype):
    """What a consumer sees of a slot of this dtype."""
    name = support.name()
    with dxh.produce(name, slot=dtype, slots=1, unlink_on_close=True), dxh.consume(name) as seen:
        whole = seen.dtype if seen.shape == () else np.dtype((seen.dtype, seen.shape))
        return whole


class RoundTripTest(unittest.TestCase):
    def test_every_kind_comes_back(self):
        for kind in "u1 i1 u2 i2 u4 i4 u8 i8 f4 f8 ? S7 V9 c8 c16".split():
            for shape in ((), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5)):
                dtype = np.dtype((kind, shape))
                with self.subTest(kind=kind, shape=shape):
                    self.assertEqual(there_and_back(dtype), dtype)

    def test_structs_in_structs_come_back(self):
        inner = np.dtype([("a", "u1"), ("b", "<f8")])
        packed = np.dtype([("kind", "S3"), ("in", inner, (2, 2)), ("one", inner), ("z", "c8", 3)])
        for dtype in (packed, np.dtype(Stage), np.dtype((np.dtype(Stage), (4,)))):
            self.assertEqual(there_and_back(dtype), dtype)

    def test_a_struct_is_laid_out_as_in_c(self):
        dtype = np.dtype(Stage)
        self.assertEqual([dtype.fields[each][1] for each in dtype.names], [0, 8, 56, 80, 96])
        self.assertEqual(dtype.itemsize, 104)

    def test_one_element_is_an_array_of_one(self):
        self.assertEqual(dxh.field("u8", "one", shape=1).shape, (1,))

    def test_members_may_be_types(self):
        class Whole(dxh.Struct):
            class Inner(dxh.Struct):  # only written here
                flag = np.bool_

            pose = Pose
            level = np.float32
            inner = dxh.field(Inner, shape=2)
            UNIT = "V"

        self.assertEqual(Whole.dtype.names, ("pose", "level", "inner"))
        self.assertEqual(there_and_back(Whole.dtype), Whole.dtype)
        self.assertEqual((Whole.dtype["pose"], Whole.UNIT), (Pose.dtype, "V"))

    def test_a_derived_struct_goes_on(self):
        class More(Axis):
            """With a member that comes after those of an axis."""

            limit = dxh.field("f8")

        class Same(Axis):
            pass

        self.assertEqual(More.dtype.names, ("gain", "steps", "limit"))
        self.assertEqual(dxh.field_facts(More.dtype["gain"]).unit, "V")
        self.assertIs(Same.dtype, Axis.dtype)
        name = support.name()
        with dxh.produce(name, slot=More, slots=1, unlink_on_close=True):
            with self.assertRaises(dxh.SchemaError):
                dxh.consume(name, slot=Axis)
        with self.assertRaisesRegex(TypeError, "gain is there twice"):

            class Twice(Axis):
                gain = dxh.field("f8")

    def test_doc_unit_and_atomic_come_back(self):
        seen = there_and_back(np.dtype(Stage))
        self.assertEqual(dxh.field_facts(seen["moves"]), ("since start", None, True))
        axes = seen["axes"].subdtype[0]
        self.assertEqual(dxh.field_facts(axes["gain"]), ("per volt", "V", False))
        self.assertEqual(dxh.field_facts(seen["homed"]), (None, None, False))

    def test_what_has_no_type_is_named(self):
        for dtype, why in (
            (np.dtype([("when", "M8[s]")]), "slot.when"),
            (np.dtype([("half", "f2")]), "float16"),
            (np.dtype([("big", ">u4")]), "big-endian"),
            (np.dtype("O"), "no bytes of its own"),
            (np.dtype([("none", "u1", (0,))]), "slot.none"),
            (np.dtype([("in", [("where", "U4")])]), "slot.in.where"),
            (np.dtype([("a", "u1"), ("n", dxh.field("u4", atomic=True))]), "slot.n: .*align=True"),
        ):
            with self.subTest(why), self.assertRaisesRegex(TypeError, why):
                dxh.produce(support.name(), slot=dtype, slots=1)

    def test_rules_of_the_library_are_told_by_it(self):
        too_many = np.dtype([(f"m{i}", "u1") for i in range(40)])
        with self.assertRaisesRegex(dxh.InvalidError, "32 members"):
            dxh.produce(support.name(), slot=too_many, slots=1)

    def test_what_is_expected_and_not_there_is_named(self):
        name = support.name()
        other = np.dtype([("number", "<u4"), ("values", "<f8", (4,))])
        with dxh.produce(name, slot=Sample, slots=1, zones={"pose": Pose}, unlink_on_close=True):
            with self.assertRaisesRegex(dxh.SchemaError, "number|values"):
                dxh.consume(name, slot=other)
            with self.assertRaisesRegex(dxh.SchemaError, "zone"):
                dxh.consume(name, zones={"pose": Axis})
            dxh.consume(name, slot=Sample, zones={"pose": Pose}).close()


class AsWantedTest(unittest.TestCase):
    """numpy assigns structs member by member in order, whatever their names and places."""

    #: With a member that lies before the one it follows, characters that are no text, and twice.
    INNER = np.dtype({"names": ["high", "low"], "formats": ["<u4", "<u2"], "offsets": [4, 0],
                      "itemsize": 8})
    MINE = np.dtype({"names": ["last", "chars", "raw", "in"],
                     "formats": ["<f8", ("S1", (4,)), ("V1", (2,)), (INNER, (2,))],
                     "offsets": [24, 0, 4, 8], "itemsize": 32})

    def value(self):
        made = np.zeros((), self.MINE)
        made["last"] = 2.5
        made["chars"] = [b"a", b"b", b"c", b"d"]
        made["raw"] = [b"x", b"y"]
        made["in"]["high"] = [7, 8]
        made["in"]["low"] = [9, 10]
        return made

    @staticmethod
    def members(value):
        return [np.asarray(value[each]).tolist() for each in ("last", "chars", "raw", "in")]

    def test_a_slot(self):
        mine, name = self.value(), support.name()
        with dxh.produce(name, slot=self.MINE, slots=4, unlink_on_close=True) as made:
            with dxh.consume(name, slot=self.MINE) as wanted, dxh.consume(name) as found:
                made.publish(mine)
                with made.write() as frame:
                    frame[...] = mine
                for _ in range(2):
                    seen = np.zeros((), self.MINE)
                    seen[...] = wanted.read(0).data
                    self.assertEqual(self.members(seen), self.members(mine))
                    data = found.read(0).data
                    self.assertEqual((float(data["last"]), bytes(data["chars"])), (2.5, b"abcd"))
                    self.assertEqual(data["in"]["high"].tolist(), [7, 8])

    def test_a_zone_and_a_latch(self):
        mine, name = self.value(), support.name()
        zones = {"plain": self.MINE, "latch": dxh.Latch(self.MINE)}
        with dxh.produce(name, zones=zones, unlink_on_close=True) as made:
            with dxh.consume(name, zones=zones) as seen:
                made.zones.plain.array[...] = mine
                made.zones.latch.store(mine)
                for value in (seen.zones.plain.array, seen.zones.latch.load()):
                    self.assertEqual(self.members(value), self.members(mine))

    def test_what_the_producer_said_stays(self):
        name = support.name()
        plain = np.dtype([("number", "<u4"), ("values", dxh.field("f4", unit="V", shape=4))])
        with dxh.produce(name, slot=Sample, slots=1, unlink_on_close=True):
            with dxh.consume(name, slot=plain) as seen:
                self.assertEqual(dxh.field_facts(seen.dtype["values"]), ("measured", "V", False))

    def test_members_that_were_appended_come_last(self):
        name = support.name()
        first = np.dtype({"names": ["b", "a"], "formats": ["<u4", "<u4"], "offsets": [4, 0]})
        more = np.dtype([("a", "<u4"), ("b", "<u4"), ("c", "<u4")])
        with dxh.produce(name, slot=more, slots=1, unlink_on_close=True) as made:
            with dxh.consume(name, slot=first, accept_appended=True) as seen:
                made.publish((1, 2, 3))
                self.assertEqual(seen.read(0).data.tolist(), (2, 1, 3))

    def test_an_array_of_arrays(self):
        pairs = np.dtype(("<u2", (2,)))
        flat = np.dtype(("<u2", (3, 2)))
        self.assertEqual(there_and_back(np.dtype((pairs, (3,)))), flat)
        told = np.dtype([("pairs", dxh.field(pairs, "of both", "V", shape=3))])
        seen = there_and_back(told)
        self.assertEqual((seen["pairs"], dxh.field_facts(seen["pairs"])), (flat, ("of both", "V", False)))


class OtherLanguageTest(unittest.TestCase):
    program = os.path.join(os.environ["DXH_BUILD"], "python", "c_side")

    def test_what_c_produces(self):
        name = support.name("c")
        with subprocess.Popen(
            [self.program, "produce", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as made:
            self.assertEqual(made.stdout.readline(), b"published\n")
            with dxh.consume(
                name, slot=Sample, zones={"stage": Stage, "pose": dxh.Latch(Pose)}
            ) as consumer:
                self.assertEqual(consumer.dtype, Sample.dtype)
                stage = consumer.zones.stage
                self.assertEqual(stage.dtype, Stage.dtype)
                self.assertEqual(stage.moves.load(), 7)
                self.assertEqual(stage.matrix[1, 2], 2.5)
                self.assertEqual(stage.axes[2].item(), (0.5, -3))
                self.assertEqual((stage.name, bool(stage.homed)), (b"table", True))
                self.assertEqual(consumer.zones.pose.load().item(), (1.0, -1.0))
                items = [consumer.read(0) for _ in range(4)]
                self.assertEqual([int(each.data["number"]) for each in items], [0, 1, 2, 3])
                self.assertEqual(items[3].data["values"].tolist(), [3, 0, 0, 0.25])
            made.stdin.close()
            self.assertEqual(made.wait(support.LONG), 0)

    def test_letters_that_are_no_utf8(self):
        name, endpoint = support.name("c"), support.endpoint()
        hub = self.enterContext(dxh.Hub())
        service = hub.serve(endpoint)
        other = self.enterContext(subprocess.Popen([self.program, "letters", name, endpoint],
                                                   stdin=subprocess.PIPE))
        self.addCleanup(other.kill)
        request = service.receive(support.LONG)
        self.assertEqual((request.subject, request.client.name), ("wei\ufffd", "gr\ufffdn"))
        with dxh.consume(name) as seen:
            facts = dxh.field_facts(seen.zones.latin.dtype["gain"])
            self.assertEqual(facts, ("verst\ufffdrkt", "\ufffdV", False))
        peer = hub.connect(endpoint + "-c")
        subscription = peer.subscribe()
        subscription.confirm(support.LONG)
        peer.call("go", timeout=support.LONG)
        self.assertEqual(subscription.receive(support.LONG).topic, "t\ufffdn")
        other.stdin.close()
        self.assertEqual(other.wait(support.LONG), 0)

    def test_what_c_consumes(self):
        name = support.name("c")
        zones = {"stage": Stage, "pose": dxh.Latch(Pose)}
        with dxh.produce(name, slot=Sample, slots=8, zones=zones, unlink_on_close=True) as made:
            stage = made.zones.stage
            stage.moves.store(7)
            stage.matrix[1, 2] = 2.5
            stage.axes[2] = (0.5, -3)
            stage.name = b"table"
            stage.homed = True
            made.zones.pose.store((1.0, -1.0))
            for i in range(4):
                made.publish(np.array((i, [i, 0, 0, 0.25]), Sample.dtype))
            ran = subprocess.run([self.program, "consume", name], capture_output=True, text=True)
            self.assertEqual((ran.returncode, ran.stdout), (0, "as it should be\n"), ran.stderr)
            stage.moves.add(1)  # the control: it does look
            ran = subprocess.run([self.program, "consume", name], capture_output=True, text=True)
            self.assertIn("moves == 7", ran.stderr)


if __name__ == "__main__":
    unittest.main()
