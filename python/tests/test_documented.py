# SPDX-License-Identifier: MIT
"""Every public name says what it is: functions, methods, properties and classes in a docstring,
attributes in a ``#:`` beside or above them; and of what type it is."""

import ast
import inspect
import os
import re
import textwrap
import unittest

import dxh

#: So many public names there are at least, with members.
FLOOR = 610

#: What the class of each error is for is said there, as ``of``; what each status is for, by its class.
SAID_ELSEWHERE = re.compile(r"\w+Error\.of|Status\.\w+")


def functions_of(owner, name):
    """(name, docstring, function) of a class, with what is behind properties."""
    for key, value in vars(owner).items():
        function = value.fget if isinstance(value, property) else value
        if not key.startswith("_") and inspect.isfunction(function):
            yield f"{name}.{key}", value.__doc__, function


def is_said(lines, first, last):
    """Beside the lines first to last, from 1, or in the comment above."""
    above = first - 2
    while lines[above].strip().startswith("#") and "#:" not in lines[above]:
        above -= 1
    return any("#:" in each for each in lines[first - 1 : last]) or lines[above].strip().startswith("#:")


def attributes_of(owner, name):
    """(name, is it documented) of what is assigned in a class and its __init__. Their types mypy
    finds."""
    lines = textwrap.dedent(inspect.getsource(owner)).splitlines()
    tree = ast.parse("\n".join(lines)).body[0]
    made = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    for each in [*tree.body, *(each for begin in made for each in begin.body)]:
        targets = getattr(each, "targets", [getattr(each, "target", None)])
        for target in targets[0].elts if isinstance(targets[0], ast.Tuple) else targets:
            key = getattr(target, "id", getattr(target, "attr", "_"))
            if key.startswith("_") or each not in tree.body and not isinstance(target, ast.Attribute):
                continue
            yield f"{name}.{key}", is_said(lines, target.lineno, target.end_lineno)


def undocumented(names, of):
    """What lacks a word or a type, and how many names were looked at."""
    lacking, count = [], 0

    def look(name, *facts):
        nonlocal count
        count += 1
        if not all(facts) and not SAID_ELSEWHERE.fullmatch(name):
            lacking.append(name)

    for name in names:
        found = getattr(of, name)
        functions = []
        if isinstance(found, type):
            look(name, vars(found).get("__doc__"))
            functions = list(functions_of(found, name))
            for each in attributes_of(found, name):
                look(*each)
        elif inspect.isfunction(found):
            functions = [(name, found.__doc__, found)]
        for called, said, function in functions:
            look(called, said, are_typed(function))
    return lacking, count


def is_numpys(function):
    return function.__qualname__.startswith(("_checked.", "_handed_out."))


def are_typed(function):
    """Its arguments, and what it returns; of what numpy has instead, numpy says it."""
    names = [each for each in inspect.signature(function).parameters if each != "self"]
    return is_numpys(function) or all(each in function.__annotations__ for each in [*names, "return"])


class Bare:
    """The control."""

    untold = 1

    told = 2  #: a number

    def method(self, x):
        pass

    def __init__(self) -> None:
        #: Said above,
        #: in two lines.
        self.above = 1
        self.inside = 2


class DocumentedTest(unittest.TestCase):
    def test_every_public_name(self):
        lacking, count = undocumented(dxh.__all__, dxh)
        self.assertEqual(lacking, [])
        self.assertGreaterEqual(count, FLOOR)

    def test_the_program_of_a_user_calls_each_function(self):
        """So mypy, which is shown it, has seen each called."""
        with open(os.path.join(os.path.dirname(__file__), "user_program.py"), encoding="utf-8") as file:
            used = {each.attr for each in ast.walk(ast.parse(file.read())) if isinstance(each, ast.Attribute)}
        called = {name for name in dxh.__all__ if inspect.isfunction(getattr(dxh, name))}
        for name in dxh.__all__:
            if isinstance(getattr(dxh, name), type):
                functions = functions_of(getattr(dxh, name), name)
                called |= {each.split(".")[1] for each, _, made in functions if not is_numpys(made)}
        self.assertEqual(called - used, set())
        self.assertGreater(len(called), 90)

    def test_the_control_what_says_nothing_is_named(self):
        class names:
            B = Bare

        self.assertEqual(undocumented(["B"], names)[0], ["B.untold", "B.inside", "B.method"])

    def test_every_public_name_is_named(self):
        """What a program sees of the package is in __all__, but for its modules."""
        seen = {each for each in dir(dxh) if not each.startswith("_")
                and not inspect.ismodule(getattr(dxh, each))}
        self.assertEqual(seen - set(dxh.__all__), {"version"})


if __name__ == "__main__":
    unittest.main()
