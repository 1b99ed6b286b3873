# SPDX-License-Identifier: MIT
"""What the tests share: names of their own, a hub with a service, alarms."""

import contextlib
import itertools
import os
import signal
import socket
import threading
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


def patiently(call):
    """What a call with a timeout returns or raises, where the timeout is to be short, but
    not too short for a machine that is busy: longer and longer until it is no ExpiredError."""
    timeout = 0.05
    while True:
        try:
            return call(timeout)
        except dxh.ExpiredError:
            if timeout > LONG:
                raise
            timeout *= 4


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


class Relay:
    """Stands between a peer and a service on tcp, and can cut what goes through it."""

    def __init__(self, to):
        host, port = to.removeprefix("tcp://").split(":")
        self._to = host, int(port)
        self._cut = threading.Lock()
        self._pairs = []
        self._is_closed = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _keep(self, end):
        """Until it is cut; of a relay that is closed nobody would."""
        with self._cut:
            if not self._is_closed:
                self._pairs.append(end)
                return end
        end.close()
        raise OSError("closed")

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                here = self._keep(self._listening.accept()[0])
                there = self._keep(socket.create_connection(self._to))
                for pair in (here, there), (there, here):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):
            while some := source.recv(65536):
                sink.sendall(some)
            sink.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """End the connections that there are."""
        with self._cut:
            pairs, self._pairs = self._pairs, []
        for each in pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self):
        with self._cut:
            self._is_closed = True
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
