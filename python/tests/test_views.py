# SPDX-License-Identifier: MIT
"""Views of structs: nothing that numpy makes of one shows bytes that are no longer its own."""

import unittest

import numpy as np

import dxh
import support

POINT = np.dtype([("n", "u1"), ("p", [("x", "f4"), ("y", "i2", (2, 3))]), ("text", "S4")])


class StructsTest(unittest.TestCase):
    def setUp(self):
        name = support.name("views")
        self.producer = self.enterContext(
            dxh.produce(name, slot=np.dtype((POINT, (4,))), slots=4, unlink_on_close=True,
                        zones={"all": np.dtype([("points", POINT, (3,))])})
        )
        self.consumer = self.enterContext(dxh.consume(name))

    def publish(self, number):
        points = np.zeros(4, POINT)
        points["n"] = number
        self.producer.publish(points)

    def test_an_element_that_is_written_to(self):
        with self.producer.write() as points:
            points["n"] = 1
            points[0]["n"] += 1
            points[1]["p"]["y"][0] = 7
            points[2][2] = b"two"
            for point in points:
                point["p"]["x"] = 0.5
            first = points[0]
            self.assertEqual((first["n"], len(first), first[2]), (2, 3, b""))
            self.assertEqual(tuple(first)[0], 2)
            self.assertIs(type(first["n"]), np.uint8)
        seen = self.consumer.read(0).data
        self.assertEqual(seen["n"].tolist(), [2, 1, 1, 1])
        self.assertEqual(seen["p"]["x"].tolist(), [0.5] * 4)
        self.assertEqual(seen["p"]["y"].sum(), 21)
        self.assertEqual(seen["text"].tolist(), [b"", b"", b"two", b""])

    def test_it_ends_with_its_with(self):
        with self.producer.write() as points:
            kept = [points[0], points[1:3][1], points[0]["p"], points[1]["p"]["y"], next(iter(points))]
        for each in kept:
            for use in (lambda: each["n"], lambda: each[0], lambda: each == each,
                        lambda: each.item(), lambda: each.__setitem__("n", 1)):
                with self.assertRaises(dxh.StateError):
                    use()

    def test_one_that_is_looked_at_is_a_copy(self):
        self.publish(1)
        with self.consumer.view(0) as item:
            kept = item.data[1]
            apart = item.data.tolist()[0], item.data.item(0)
        for number in range(2, 12):
            self.publish(number)
        self.assertEqual((kept["n"], kept["p"]["y"].sum()), (1, 0))
        self.assertEqual([each[0] for each in apart], [1, 1])

    def test_what_comes_apart_is_no_alias(self):
        with self.producer.write() as points:
            points["p"]["y"] = 3
            arrays = [each[1][1] for each in (points.item(0), points.tolist()[0])]
            points["p"]["y"] = 4
        self.assertEqual([each.tolist() for each in arrays], [[[3] * 3] * 2] * 2)

    def test_the_elements_of_a_zone(self):
        points = self.producer.zones.all.points
        points[2]["p"]["x"] = 1.5
        self.assertEqual(self.consumer.zones.all.points[2]["p"]["x"], 1.5)
        kept = points[2]
        self.producer.close()
        with self.assertRaises(dxh.ClosedError):
            kept["n"]

    def test_comparing_what_was_overwritten_is_no_answer(self):
        self.publish(1)
        other = np.zeros(4, POINT)
        with self.assertRaises(dxh.LappedError):
            with self.consumer.view(0) as item:
                points, numbers = item.data, item.data["n"]
                self.assertEqual((numbers == 1).tolist(), [True] * 4)
                self.assertEqual((other == points).tolist(), [False] * 4)
                for number in range(2, 12):
                    self.publish(number)
                for use in (lambda: points == points, lambda: points != other,
                            lambda: other == points, lambda: numbers == 1, lambda: numbers < 3):
                    with self.assertRaises(dxh.LappedError):
                        use()
                self.assertIn("overwritten", repr(points))
                self.assertIn("overwritten", str(numbers))
        self.assertEqual(repr(points), "<a view that has ended>")

    def test_what_is_derived_of_an_ended_one_has_ended_too(self):
        """Zeros lie in the place of a struct, which are not what was written."""
        name = support.name("views")
        with dxh.produce(name, slot=POINT, slots=4, unlink_on_close=True) as made:
            with made.write() as point:
                point["n"] = 1
        derive = {
            "T": lambda: point.T, "reshape": lambda: point.reshape(1), "view": point.view,
            "ravel": point.ravel, "flatten": point.flatten, "imag": lambda: point.imag,
            "field": lambda: point.getfield("u1"), "dtype": point.newbyteorder,
        }
        for what, use in derive.items():
            with self.subTest(what), self.assertRaises(dxh.StateError):
                use()[...]

    def test_nothing_hands_out_an_ended_one(self):
        with self.producer.write() as points:
            numbers = points["n"]
        for each in points, numbers:
            for what in ("flat", "data", "ctypes", "__array_interface__", "__array_struct__"):
                with self.subTest(what), self.assertRaises(dxh.StateError):
                    getattr(each, what)
            for use in (lambda: len(each), lambda: list(each), each.__array__, each.tostring,
                        lambda: setattr(each, "flat", 1), lambda: f"{each:>9}"):
                with self.assertRaises(dxh.StateError):
                    use()
            self.assertEqual(f"{each}", "<a view that has ended>")

    def test_pieces_in_a_list_are_views(self):
        with self.producer.write() as points:
            other = np.zeros(4, "u1")
            pieces = [*np.array_split(points, 2), *np.broadcast_arrays(other, points["n"])[1:],
                      *np.atleast_1d(points["n"], points["text"])]
            pieces[0]["n"] = 9
            self.assertEqual(points["n"].tolist()[:2], [9, 9])
            self.assertNotIsInstance(np.broadcast_arrays(other, points["n"])[0], dxh.View)
        self.assertEqual(len(pieces), 5)
        for each in pieces:
            with self.assertRaises(dxh.StateError):
                each[0]


if __name__ == "__main__":
    unittest.main()
