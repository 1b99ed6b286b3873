# SPDX-License-Identifier: MIT
"""Codes and exceptions are those of the library, all of them."""

import unittest

import dxh
from dxh import _native, errors


class StatusTest(unittest.TestCase):
    def test_the_enum_is_that_of_the_library(self):
        told = {name: code for name, code, _, _ in _native.statuses()}
        ours = {"DXH_OK" if each == 0 else "DXH_E" + each.name: int(each) for each in dxh.Status}
        self.assertEqual(ours, told)

    def test_each_status_has_a_class_of_its_own(self):
        for status in dxh.Status:
            if status is not dxh.Status.OK:
                self.assertIs(errors.BY_STATUS[status].of, status)
        self.assertEqual(len(set(errors.BY_STATUS.values())), len(dxh.Status))

    def test_all_classes_are_public(self):
        classes = {each.__name__ for each in errors.BY_STATUS.values()}
        self.assertEqual(set(errors.__all__), classes)
        self.assertLessEqual(classes, set(dxh.__all__))

    def test_siblings_among_pythons_own(self):
        self.assertTrue(issubclass(dxh.WaitTimeoutError, TimeoutError))
        self.assertTrue(issubclass(dxh.ExpiredError, TimeoutError))
        self.assertTrue(issubclass(dxh.NotFoundError, LookupError))
        self.assertTrue(issubclass(dxh.InvalidError, ValueError))

    def test_an_error_says_what_the_library_said(self):
        with dxh.Hub() as hub, self.assertRaises(dxh.InvalidError) as caught:
            hub.connect("carrier-pigeon://roof")
        self.assertIn("carrier-pigeon", str(caught.exception))
        self.assertIs(caught.exception.status, dxh.Status.INVAL)
        self.assertIsNone(caught.exception.certainty)


if __name__ == "__main__":
    unittest.main()
