# SPDX-License-Identifier: MIT
"""What the library logs comes to the logger "dxh", also at the end of an interpreter."""

import logging
import os
import subprocess
import sys
import threading
import unittest

import numpy as np

import dxh
import support
from support import LONG

WORDS = np.dtype(("u8", (64,)))


class Kept(logging.Handler):
    """Records, and the threads that they came in."""

    def __init__(self):
        super().__init__()
        self.records, self.threads = [], []
        self.came = threading.Event()

    def emit(self, record):
        self.records.append(record)
        self.threads.append(threading.get_ident())
        self.came.set()


def evict():
    """Something that the library warns of: a reader that held the writer back is left behind."""
    name = support.name()
    with dxh.produce(name, slot=WORDS, slots=4, readers_max=1, evict=True,
                     unlink_on_close=True) as made:
        with dxh.consume(name, discipline=dxh.Discipline.LOSSLESS):
            for _ in range(5):
                made.publish(np.zeros(64), timeout=0.01)
    return name


class LogTest(unittest.TestCase):
    def setUp(self):
        self.kept = Kept()
        self.logger = logging.getLogger("dxh")
        self.logger.addHandler(self.kept)
        self.logger.propagate = False
        self.addCleanup(setattr, self.logger, "propagate", True)
        self.addCleanup(self.logger.removeHandler, self.kept)

    def test_a_warning_is_a_record(self):
        name = evict()
        self.assertTrue(self.kept.came.wait(LONG))
        self.assertEqual(self.kept.records[0].levelno, logging.WARNING)
        self.assertIn(name, self.kept.records[0].getMessage())

    def test_handlers_run_in_a_thread_that_may_wait(self):
        """Of its own: one that holds the library up would be the I/O thread."""
        evict()
        self.assertTrue(self.kept.came.wait(LONG))
        self.assertNotEqual(self.kept.threads[0], threading.get_ident())

    def test_in_a_child_of_fork(self):
        evict()
        self.assertTrue(self.kept.came.wait(LONG))
        pid = os.fork()
        if pid == 0:
            self.kept.came.clear()
            evict()
            os._exit(0 if self.kept.came.wait(LONG) else 1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def run_program(self, program):
        here = os.path.dirname(os.path.abspath(__file__))
        ran = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True,
                             text=True, timeout=LONG)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stderr

    def test_the_last_lines_of_an_interpreter_are_not_lost(self):
        said = self.run_program("import test_log\nname = test_log.evict()\n")
        self.assertIn("went on without the reader", said)

    def test_the_control_a_level_silences_it(self):
        said = self.run_program("import logging, test_log\n"
                                "logging.getLogger('dxh').setLevel(logging.ERROR)\n"
                                "test_log.evict()\n")
        self.assertEqual(said, "")


if __name__ == "__main__":
    unittest.main()
