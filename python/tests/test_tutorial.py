# SPDX-License-Identifier: MIT
"""The tutorial runs, and prints what it says that it prints."""

import contextlib
import io
import os
import re
import unittest

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tutorial.md")
BLOCK = re.compile(r"```python\n(.*?)```(?:\n```text\n(.*?)```)?", re.S)


class TutorialTest(unittest.TestCase):
    def test_every_block(self):
        with open(PAGE, encoding="utf-8") as page:
            blocks = BLOCK.findall(page.read())
        self.assertGreaterEqual(len(blocks), 15)
        names = {"__name__": "tutorial"}
        for number, (program, prints) in enumerate(blocks):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile(program, f"block {number} of tutorial.md", "exec"), names)
            self.assertEqual(said.getvalue(), prints, program)


if __name__ == "__main__":
    unittest.main()
