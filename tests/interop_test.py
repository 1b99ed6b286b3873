#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client and a service in another language, written from docs/wire-format.md alone, talk
with this library: the client with `dxh broker`, the service with `dxh ls`.

Usage: interop_test.py BUILD
"""

import os
import re
import subprocess
import sys
import tempfile

import msgpack
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "interop"))
import wire  # noqa: E402

DXH = os.path.join(sys.argv[1], "dxh")
CONTEXT = zmq.Context()
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("FAIL " + what)


class Client:
    def __init__(self, endpoint, **changed):
        self.socket = CONTEXT.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 20000)
        self.socket.connect(endpoint)
        self.waiting = []
        self.send(wire.record(wire.HELLO, body=wire.hello(**changed)))
        self.first = self.receive()

    def send(self, *records):
        self.socket.send(wire.frame(*records))

    def receive(self):
        while not self.waiting:
            self.waiting = list(wire.parse(self.socket.recv()))
        return self.waiting.pop(0)

    def ask(self, subject, body, ident=1, budget=0):
        self.send(wire.record(wire.REQUEST, ident, subject, body, budget))
        return self.receive()


def client_against_the_library(endpoint):
    client = Client(endpoint, features=3)
    welcome = msgpack.unpackb(client.first["body"])
    check(client.first["kind"] == wire.WELCOME, "HELLO is answered with WELCOME")
    check(welcome["major"] == 1 and welcome["features"] & 3 == 3, "its features are told")
    check(welcome["window_records"] > 0, "a window is granted")

    reply = client.ask(b"channel.list", msgpack.packb({"after": "", "max": 10}), 77)
    check(reply["kind"] == wire.REPLY and reply["id"] == 77, "a request is answered by its id")
    check(msgpack.unpackb(reply["body"])["total"] == 0, "no channel is known")
    reply = client.ask(b"channel.discover", msgpack.packb({"channel": "nothing"}), 2**64 - 1)
    check((reply["kind"], reply["id"]) == (wire.REPLY, 2**64 - 1) and
          msgpack.unpackb(reply["body"])["state"] == 0, "an unknown channel is state 0")
    check(client.ask(b"no.such.subject", b"")["status"] == 39, "an unknown subject is status 39")
    reply = client.ask(b"channel.discover", b"\xdd\xff\xff\xff\xff\x00")
    check(reply["status"] == 1, "a body that announces too much is status 1")

    many = [wire.record(wire.REQUEST, ident, b"no.such.subject") for ident in range(100, 400)]
    client.send(*many)
    idents = sorted(client.receive()["id"] for _ in many)
    check(idents == list(range(100, 400)), "of a packed frame every request is answered once")

    client.send(wire.record(wire.BEAT))
    check(client.receive()["kind"] == wire.BEAT, "a BEAT is answered")
    client.send(wire.record(wire.NOTIFY, subject=b"presence.heartbeat", body=b"?"),
                wire.record(wire.CANCEL, 12345), wire.record(wire.FLUSH, 9))
    check((lambda r: (r["kind"], r["id"]))(client.receive()) == (wire.FLUSHED, 9),
          "FLUSH behind notifications and a cancel of nothing is answered")
    client.send(wire.record(wire.SUBSCRIBE, subject=b"x", budget=5))
    reply = client.receive()
    check((reply["kind"], reply["budget"], reply["status"]) == (wire.SUBSCRIBE, 5, 0),
          "SUBSCRIBE is confirmed by its number")
    client.send(wire.record(wire.UNSUBSCRIBE, budget=5))

    newer = wire.record(200, 1, b"from a newer minor", b"whatever")
    client.send(newer, wire.record(wire.REQUEST, 5, b"no.such.subject"))
    check(client.receive()["id"] == 5, "a kind of a newer minor is stepped over")
    good = wire.frame(wire.record(wire.REQUEST, 6, b"no.such.subject"))
    for at in range(0, len(good)):
        client.socket.send(good[:at])
    for at, value in ((0, 0), (4, 1), (6, 0), (6, 2), (8, 9), (12, 1), (16, 0xff), (20, 0),
                      (21, 1), (22, 0xff), (42, 1)):
        bad = bytearray(good)
        bad[at] = value
        client.socket.send(bytes(bad))
    client.send(wire.record(wire.REQUEST, 7, b"no.such.subject"))
    check(client.receive()["id"] == 7, "bad frames are dropped and harm nobody")
    late = client.ask(b"no.such.subject", b"", 8, budget=1)
    check(late["status"] in (5, 39), "a budget of 1 us is an answer all the same")
    client.send(wire.record(wire.GOODBYE))

    for changed, status, what in (({"major": 2}, 19, "another major"), ({"name": None}, 28, "a key"),
                                  ({"minor": 99, "more": 1}, None, "a higher minor and a new key")):
        first = Client(endpoint, **changed).first
        if status:
            check((first["kind"], first["status"]) == (wire.ERROR, status), what + " is refused")
        else:
            check(first["kind"] == wire.WELCOME, what + " are not refused")


def example_of_the_page(endpoint):
    page = open("docs/wire-format.md").read()
    program = re.search(r"```python\n(.*?)```", page, re.S).group(1)
    ran = subprocess.run([sys.executable, "-c", program, endpoint, "camera/front"],
                         capture_output=True, text=True, timeout=60)
    check(ran.returncode == 0 and "'state': 0" in ran.stdout,
          "the client of the page runs: %s%s" % (ran.stdout, ran.stderr))
    example = re.search(r"```\n( 0  44 58 48 31.*?)```", page, re.S).group(1)
    shown = bytes.fromhex("".join(re.sub(r"   .*", "", line[4:]) for line in example.splitlines()))
    built = wire.frame(
        wire.record(wire.REQUEST, 0x0102030405060708, b"trigger.arm", b"xyz", 250000, 0, 1),
        wire.record(wire.CANCEL, 7))
    check(shown == built, "the worked example is what its words say")


def service_against_the_library():
    """Plays a broker without channels to `dxh ls`."""
    router = CONTEXT.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 1000)
    router.setsockopt(zmq.RCVTIMEO, 20000)
    endpoint = "tcp://127.0.0.1:%d" % router.bind_to_random_port("tcp://127.0.0.1")
    lister = subprocess.Popen([DXH, "ls", "--broker", endpoint, "--json"],
                              stdout=subprocess.PIPE, text=True)
    subjects = []
    greeted = False
    while True:
        client, data = router.recv_multipart()
        for record in wire.parse(data):
            if record["kind"] == wire.HELLO:
                check(not subjects, "HELLO comes first")
                told = msgpack.unpackb(record["body"])
                check(told["major"] == 1 and told["name"], "HELLO says who asks")
                greeted = True
                answer = wire.record(wire.WELCOME, body=wire.hello(window_records=16))
            elif record["kind"] == wire.REQUEST:
                check(greeted and record["budget"] > 0, "a request carries its budget")
                subjects.append(record["subject"])
                answer = wire.record(wire.REPLY, record["id"], body=msgpack.packb(
                    {"channels": [], "more": False, "total": 0}))
            else:
                continue
            router.send_multipart([client, wire.frame(answer)])
        if subjects:
            break
    out, _ = lister.communicate(timeout=60)
    check(lister.returncode == 0 and subjects == [b"channel.list"], "dxh ls asked and was told")
    check(out.strip() == '[]', "dxh ls understood: " + out)


def main():
    folder = tempfile.mkdtemp(prefix="dxh-check-interop-")
    endpoint = "ipc://%s/broker" % folder
    broker = subprocess.Popen([DXH, "broker", "--endpoint", endpoint], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        check("listening" in broker.stdout.readline(), "the broker listens")
        client_against_the_library(endpoint)
        example_of_the_page(endpoint)
        service_against_the_library()
    finally:
        broker.terminate()
        broker.wait()
        os.rmdir(folder)
    print("%d checks" % checks)
    if checks < 26:
        sys.exit("FAIL only %d checks were made" % checks)


main()
