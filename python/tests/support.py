# SPDX-License-Identifier: MIT
"""What the tests share: names of their own, a hub with a service, alarms."""

import contextlib
import itertools
import os
import signal
import unittest

import dxh

_count = itertools.count()

#: Seconds that nothing takes: who waits so long hangs.
LONG = 60.0


def name(what="t"):
    """A name that no other test has, also in a child of fork()."""
    return f"py-{what}-{os.getpid()}-{next(_count)}"


def endpoint():
    return f"ipc://@dxh-{name()}"


class HubTest(unittest.TestCase):
    """A hub, a service that echoes in two threads, and a peer of it."""

    def setUp(self):
        self.hub = self.enterContext(dxh.Hub("test"))
        self.service = self.hub.serve(endpoint())
        self.add_handlers(self.service)
        self.service.start(2)
        self.peer = self.hub.connect(self.service.endpoint)

    def add_handlers(self, service):
        @service.on("echo")
        def echo(request):
            return request.body


@contextlib.contextmanager
def alarm(seconds=0.15):
    """KeyboardInterrupt after so many seconds, as from the keyboard."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def silent():
    """An endpoint where a service listens that receives nothing; its hub."""
    hub = dxh.Hub("silent")
    return hub, hub.serve(endpoint())
