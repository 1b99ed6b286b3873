#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client and a service in another language, written from docs/wire-format.md alone, talk
with this library: the client with `dxh broker`, the service with `dxh ls` and with a peer.

Usage: interop_test.py BUILD
"""

import ctypes
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time

import msgpack
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "interop"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
import sanitized  # noqa: E402
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
    def __init__(self, endpoint, server_key=None, **changed):
        self.socket = CONTEXT.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 20000)
        if server_key:
            self.socket.curve_serverkey = server_key.encode()
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()
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

    def ask(self, subject, body, ident=1, budget=0, attempt=0, flags=0):
        self.send(wire.record(wire.REQUEST, ident, subject, body, budget, 0, attempt, flags))
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


def keys_of_the_library(folder):
    """Who has another key cannot say that it is somebody else."""
    key, endpoint = folder + "/key", "ipc://%s/keyed" % folder
    server = subprocess.run([DXH, "keygen", key], capture_output=True, text=True,
                            check=True).stdout.split()[-1]
    broker = subprocess.Popen([DXH, "broker", "--endpoint", endpoint, "--key", key, "--allow-any"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    broker.stdout.readline()
    question = msgpack.packb({"after": "", "max": 1})
    try:
        victim = Client(endpoint, server_key=server, incarnation=4242)
        thief = Client(endpoint, server_key=server, incarnation=4242)
        for client in (victim, thief):
            check(client.first["kind"] == wire.WELCOME, "a client with a key is welcome")
        check(thief.ask(b"channel.list", question)["kind"] == wire.REPLY, "and is served")
        check(victim.ask(b"channel.list", question)["kind"] == wire.REPLY,
              "whoever else has its incarnation")
    finally:
        broker.terminate()
        broker.wait(20)
        os.unlink(key)


def claim(channel):
    schema = msgpack.packb({"name": "interop", "zones": []})
    return msgpack.packb({
        "channel": channel, "directory": "/dev/shm", "endpoint": "", "epoch": 0,
        "pid": os.getpid(), "producer": 1, "schema": schema,
        "schema_hash": hashlib.blake2b(schema, digest_size=32).digest(),
        "slot_bytes": 64, "slot_count": 4, "stall_ms": 0, "uuid": os.urandom(16)})


def repetitions_to_the_library(endpoint):
    """What a list told before a channel was registered can only come out of the cache."""
    me = int.from_bytes(os.urandom(8), "little")
    nothing = msgpack.packb({"after": "", "max": 10})

    def listed(client, ident, attempt, flags):
        reply = client.ask(b"channel.list", nothing, ident, 0, attempt, flags)
        check(reply["kind"] == wire.REPLY and reply["id"] == ident, "a list is answered")
        return msgpack.unpackb(reply["body"])["total"]

    client = Client(endpoint, features=16, incarnation=me)
    welcome = msgpack.unpackb(client.first["body"])
    check(welcome["minor"] >= 3 and welcome["features"] & 16, "answers are kept, says WELCOME")
    memory = welcome["memory"]
    check(memory != 0, "what is known of a client has a number")
    for ident, flags in ((1, wire.KEEP | wire.ONCE), (2, wire.KEEP), (3, 0)):
        check(listed(client, ident, 0, flags) == 0, "no channel is known")
    check(client.ask(b"channel.register", claim("interop"), 4)["kind"] == wire.REPLY,
          "a channel is registered")
    check(listed(client, 5, 0, 0) == 1, "and listed")
    check(listed(client, 1, 1, wire.KEEP | wire.ONCE) == 0, "a repetition gets the old answer")
    client.socket.close()

    client = Client(endpoint, features=16, incarnation=me)
    welcome = msgpack.unpackb(client.first["body"])
    check(welcome["memory"] == memory, "nothing was forgotten over the reconnect")
    check(listed(client, 1, 2, wire.KEEP | wire.ONCE) == 0, "also on another connection")
    check(listed(client, 2, 1, wire.KEEP) == 0, "also if it may be executed twice")
    check(listed(client, 3, 1, 0) == 1, "what was not kept is executed again")
    check(listed(client, 6, 1, wire.KEEP | wire.ONCE) == 1, "what never arrived is executed")
    check(listed(client, 6, 2, wire.KEEP | wire.ONCE) == 1, "and kept")
    client.send(wire.ack(1, 2, 12345))
    check(listed(client, 1, 3, wire.KEEP) == 1, "what was acknowledged is not kept")
    check(listed(client, 1, 0, wire.KEEP) == 1, "attempt 0 is a new request")
    client.socket.close()

    # A client of an older minor, under the same incarnation: nothing is kept for it.
    client = Client(endpoint, features=3, minor=2, incarnation=me)
    welcome = msgpack.unpackb(client.first["body"])
    check(not welcome["features"] & 16 and welcome["memory"] == 0, "nothing is promised to it")
    check(listed(client, 2, 2, wire.KEEP) == 1, "and what it repeats is executed")
    client.send(wire.record(wire.GOODBYE))
    client.socket.close()

    client = Client(endpoint, features=16, incarnation=me)
    check(client.ask(b"channel.deregister", msgpack.packb(
        {"channel": "interop", "pid": os.getpid(), "producer": 1}), 9)["kind"] == wire.REPLY,
        "the channel is gone again")
    client.send(wire.record(wire.GOODBYE))
    client.socket.close()
    client = Client(endpoint, features=16, incarnation=me)
    check(msgpack.unpackb(client.first["body"])["memory"] != memory, "GOODBYE: all is forgotten")
    client.send(wire.record(wire.GOODBYE))


def blake(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def tables(channel, **changed):
    """A claim with both tables: one zone, a ring."""
    zone = msgpack.packb({"name": "pose", "size": 48})
    schema = b"\x82\xa4name\xa7interop\xa5zones\x91" + zone
    told = {"boot": bytes(16), "channel": channel, "directory": "/dev/shm", "epoch": 1,
            "pid": os.getpid(), "producer": 7, "schema": schema, "schema_hash": blake(schema),
            "slot_bytes": 64, "slot_count": 4, "start": 3, "uuid": b"u" * 16,
            "zones": [{"hash": blake(zone), "name": "pose", "size": 48}]}
    told.update(changed)
    return told


def reader(channel, **changed):
    told = {"channel": channel, "consumer": 11, "discipline": 1, "name": "interop",
            "pid": os.getpid(), "schema_hash": tables(channel)["schema_hash"], "start": 4,
            "uuid": b"u" * 16}
    told.update(changed)
    return told


def channels_of_the_page(endpoint):
    """Registers, describes, lists, beats; and watches all of it."""
    watcher, client = Client(endpoint, features=1), Client(endpoint)
    watcher.send(wire.record(wire.SUBSCRIBE, subject=b"channel/page/", budget=5))
    check(watcher.receive()["status"] == 0, "who wants to watch may")
    ids = []

    def event():
        record = watcher.receive()
        ids.append(record["id"])
        check(record["kind"] == wire.NOTIFY and record["budget"] == 5 and
              record["subject"] == b"channel/page/cam", "events come under the channel's name")
        return msgpack.unpackb(record["body"])

    def ask(subject, body):
        reply = client.ask(subject, msgpack.packb(body))
        check(reply["kind"] == wire.REPLY, "%s: %s" % (subject, reply["body"]))
        return msgpack.unpackb(reply["body"])

    terms = ask(b"channel.register", tables("page/cam"))
    check((terms["beat_ms"], terms["beats_missed"], terms["beats_kept"]) == (500, 10, 10),
          "terms are dictated")
    opened = event()
    check(opened["event"] == "channel.opened" and opened["producer"] == 7, "opened is told")
    ask(b"consumer.register", reader("page/cam"))
    beat = {"channel": "page/cam", "consumer": 11, "lag": 5, "lost": 2, "next_ticket": 9,
            "progress": 9, "read": 7}
    client.send(wire.record(wire.NOTIFY, subject=b"presence.heartbeat", body=msgpack.packb(beat)),
                wire.record(wire.NOTIFY, subject=b"channel.checksum_error", body=msgpack.packb(
                    {"channel": "page/cam", "consumer": 11, "corrupt": 3})))
    broken = event()
    check(broken["event"] == "channel.error" and broken["checksum_errors"] == 3 and
          broken["number"] == opened["number"] + 1, "broken items are told")
    facts = ask(b"channel.describe", {"channel": "page/cam"})
    check(facts["zones"] == tables("page/cam")["zones"] and
          blake(facts["schema"]) == facts["channel"]["schema_hash"], "both tables are described")
    known, = facts["consumers"]
    check((known["lag"], known["lost"], known["read"], known["corrupt"], known["name"]) ==
          (5, 2, 7, 3, "interop"), "and who reads, with its figures")
    listed, = [each for each in ask(b"channel.list", {"after": "page", "max": 9})["channels"]
               if each["channel"] == "page/cam"]
    check((listed["consumers"], listed["checksum_errors"], listed["state"]) == (1, 3, 2), "listed")
    ask(b"channel.register", tables("page/cam", producer=8, epoch=2))
    check((lambda e: (e["event"], e["producer"]))(event()) == ("producer.changed", 8), "taken over")
    ask(b"consumer.deregister", {"channel": "page/cam", "consumer": 11, "pid": os.getpid()})
    ask(b"channel.deregister", {"channel": "page/cam", "pid": os.getpid(), "producer": 8})
    check(event()["event"] == "channel.closing" and ids == [1, 2, 3, 4], "nothing is missing")
    figures = ask(b"broker.metrics", {})
    check(figures["consumers_now"] == 0 and figures["events"] >= 4 and
          figures["watchers_now"] >= 1, "figures")
    for each in (watcher, client):
        each.send(wire.record(wire.GOODBYE))


def lies_to_the_library(endpoint):
    client = Client(endpoint)
    true = tables("lies")

    def refused(subject, body, status, text):
        reply = client.ask(subject, msgpack.packb(body))
        check(reply["kind"] == wire.ERROR and reply["status"] == status and
              text in reply["body"].decode(), "%s %s: %s" % (subject, text, reply))

    zone = dict(true["zones"][0])
    for changed, status, text in (
            ({"schema_hash": bytes(32)}, 24, "schema_hash"),
            ({"zones": [dict(zone, hash=bytes(32))]}, 24, "pose"),
            ({"zones": [dict(zone, size=49)]}, 1, "zones"), ({"zones": []}, 1, "zones"),
            ({"channel": "n" * 64}, 1, "channel"), ({"channel": "n" * 60000}, 1, "channel"),
            ({"channel": "\x1b[2J"}, 1, "channel"), ({"directory": "d" * 256}, 1, "directory"),
            ({"schema": b"\xdf\xff\xff\xff\xff", "schema_hash": blake(b"\xdf\xff\xff\xff\xff")},
             1, "schema"), ({"pid": 2**40}, 1, "pid")):
        refused(b"channel.register", dict(true, **changed), status, text)
    check(client.ask(b"channel.register", msgpack.packb(true))["kind"] == wire.REPLY, "the truth")
    refused(b"channel.register", dict(true, producer=9), 22, "live producer")
    refused(b"channel.register", dict(true, producer=9, epoch=9, uuid=b"v" * 16), 22, "live")
    refused(b"channel.deregister", {"channel": "lies", "pid": 1, "producer": 7}, 23, "belongs")
    refused(b"consumer.register", reader("lies", schema_hash=bytes(32)), 24, "schema_hash")
    refused(b"consumer.register", reader("lies", consumer=0), 1, "consumer")
    refused(b"consumer.register", reader("lies", discipline=3), 1, "discipline")
    refused(b"consumer.deregister", {"channel": "lies", "consumer": 5, "pid": 1}, 20, "no consumer")
    refused(b"channel.describe", {"channel": ""}, 1, "channel")
    stranger = Client(endpoint)
    for subject, body, status in (
            (b"channel.register", dict(true, directory="/tmp"), 22),
            (b"channel.deregister", {"channel": "lies", "pid": os.getpid(), "producer": 7}, 23)):
        reply = stranger.ask(subject, msgpack.packb(body))
        check(reply["status"] == status and b"another client" in reply["body"], subject.decode() +
              " of a channel that another client has: %s" % reply)
    stranger.send(wire.record(wire.NOTIFY, subject=b"presence.heartbeat", body=msgpack.packb(
        {"channel": "lies", "producer": 7, "progress": 77})))
    seen = msgpack.unpackb(stranger.ask(b"channel.describe", msgpack.packb({"channel": "lies"}))["body"])
    check(seen["channel"]["directory"] == "/dev/shm" and seen["progress"] == 0, "nobody believed it")
    stranger.send(wire.record(wire.GOODBYE))
    check(client.ask(b"channel.deregister", msgpack.packb(
        {"channel": "lies", "pid": os.getpid(), "producer": 7}))["kind"] == wire.REPLY, "gone")
    client.send(wire.record(wire.GOODBYE))


def floods_of_the_library(endpoint, log):
    """Beats of nobody, and connections without end: others are served, and the log says who."""
    flood, honest = Client(endpoint, name="flooding"), Client(endpoint)
    beat = wire.record(wire.NOTIFY, subject=b"presence.heartbeat", body=msgpack.packb(
        {"channel": "nobody", "producer": 1, "progress": 1}))
    frame = wire.frame(*[beat] * 500)
    question = msgpack.packb({"after": "", "max": 1})
    for _ in range(20):
        for _ in range(10):
            flood.socket.send(frame)
        check(honest.ask(b"channel.list", question)["kind"] == wire.REPLY, "others are served")
    deadline = time.monotonic() + 120
    while "within ten seconds" not in open(log).read():
        check(time.monotonic() < deadline, "who connects without end is named")
        for _ in range(50):
            Client(endpoint, name="restless").socket.close()
    check(honest.ask(b"channel.list", question)["kind"] == wire.REPLY, "others still are")
    greedy = Client(endpoint, name="greedy")
    while "beyond its window" not in open(log).read():
        check(time.monotonic() < deadline, "who sends beyond its window is named")
        greedy.send(*[wire.record(wire.REQUEST, ident, b"channel.list", question)
                      for ident in range(500)])
    greedy.socket.close()
    idle = Client(endpoint, name="idle-talk")
    while "bring no work" not in open(log).read():
        check(time.monotonic() < deadline, "who sends without end what brings no work is named")
        for kind in (wire.CANCEL, wire.UNSUBSCRIBE, wire.BEAT, 99):
            idle.send(*[wire.record(kind, 1)] * 1000)
    idle.socket.close()
    check(honest.ask(b"channel.list", question)["kind"] == wire.REPLY, "and are still")
    honest.send(wire.record(wire.GOODBYE))
    flood.socket.close()
    lines = open(log).read()
    check("'flooding'" in lines and "floods" in lines, "the log names who floods")
    check("'restless' at localhost:" in lines, "and who connects without end")
    check("'greedy' at localhost:" in lines, "and who keeps to no window")
    check("'idle-talk' at localhost:" in lines, "and who says much that brings no work")
    check("schema_hash" in lines, "and who lies")


class Item(ctypes.Structure):
    """dxh_request_item."""
    _fields_ = [("subject", ctypes.c_char_p), ("body", ctypes.c_char_p),
                ("body_bytes", ctypes.c_size_t), ("deadline_ns", ctypes.c_int64),
                ("user", ctypes.c_void_p), ("flags", ctypes.c_uint32),
                ("free_fn", ctypes.c_void_p), ("free_context", ctypes.c_void_p)]


class Reply(ctypes.Structure):
    """dxh_reply."""
    _fields_ = [("body", ctypes.c_void_p), ("body_bytes", ctypes.c_size_t),
                ("status", ctypes.c_int), ("certainty", ctypes.c_int)]


class Peer:
    """A peer of the library that posts requests to be held."""
    HOLD = 8

    def __init__(self, endpoint):
        self.dxh = ctypes.CDLL(os.path.join(sys.argv[1], "libdxh.so"))
        self.dxh.dxh_in_ms.restype = ctypes.c_int64
        self.hub, self.peer = ctypes.c_void_p(), ctypes.c_void_p()
        check(self.dxh.dxh_hub_open_sized(ctypes.c_size_t(0), None, ctypes.byref(self.hub)) == 0,
              "a hub opens")
        check(self.dxh.dxh_peer_connect_sized(ctypes.c_size_t(0), self.hub, endpoint.encode(), None,
                                              ctypes.byref(self.peer)) == 0, "a peer connects")

    def post(self):
        done = ctypes.c_uint64()
        item = Item(b"work", b"x", 1, self.dxh.dxh_in_ms(ctypes.c_int64(20000)), None, self.HOLD)
        check(self.dxh.dxh_post_batch(self.peer, ctypes.byref(item), ctypes.c_size_t(1), None,
                                      ctypes.byref(done)) == 0, "a request to be held is posted")
        return done

    def result(self, done):
        """(status, certainty) of its end."""
        reply = Reply()
        status = self.dxh.dxh_await(done, ctypes.c_int64(2**63 - 1), ctypes.byref(reply))
        self.dxh.dxh_release(done)
        return status, reply.certainty

    def close(self):
        self.dxh.dxh_hub_close(ctypes.byref(self.hub))


class Service:
    """A service of its own, as old or as forgetful as it is made."""

    def __init__(self, port=0, **welcome):
        self.router = CONTEXT.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.setsockopt(zmq.RCVTIMEO, 20000)
        self.welcome = welcome
        deadline = time.monotonic() + 20
        while True:
            try:
                self.router.bind("tcp://127.0.0.1:%s" % (port or "*"))
                break
            except zmq.ZMQError:  # the one before it is closed by another thread
                if time.monotonic() > deadline:
                    sys.exit("FAIL the port is never free again")
        self.endpoint = self.router.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
        self.port = self.endpoint.rpartition(":")[2]

    def receive(self, kind):
        """The next record of this kind. Greets on the way."""
        while True:
            client, data = self.router.recv_multipart()
            for record in wire.parse(data):
                if record["kind"] == wire.HELLO:
                    check(msgpack.unpackb(record["body"])["features"] & 16, "it would acknowledge")
                    self.router.send_multipart([client, wire.frame(wire.record(
                        wire.WELCOME, body=wire.hello(window_records=16, **self.welcome)))])
                if record["kind"] == kind:
                    return client, record

    def reply(self, client, record):
        self.router.send_multipart([client, wire.frame(wire.record(wire.REPLY, record["id"]))])

    def again(self, **welcome):
        """The connection ends; this service, or another one, comes to the same port."""
        self.router.close()
        return Service(self.port, **welcome)


def repetitions_of_the_library():
    lost, maybe_executed, replied = 7, 1, 2
    service = Service(features=0)
    peer = Peer(service.endpoint)
    done = peer.post()
    record = service.receive(wire.REQUEST)[1]
    check(record["flags"] == 0, "who does not keep answers sees no flags")
    service = service.again(features=16, memory=77)
    check(peer.result(done) == (lost, maybe_executed), "and is not asked again")

    done = peer.post()
    first = service.receive(wire.REQUEST)[1]
    check(first["flags"] == wire.KEEP | wire.ONCE and first["attempt"] == 0, "hold is ONCE")
    service = service.again(features=16, memory=77)
    client, second = service.receive(wire.REQUEST)
    check((second["id"], second["attempt"], second["flags"], second["body"]) ==
          (first["id"], 1, first["flags"], first["body"]), "the same again, as attempt 1")
    service.reply(client, second)
    check(peer.result(done) == (0, replied), "and answered")
    check(first["id"] in wire.ids(service.receive(wire.ACK)[1]["body"]), "it is acknowledged")

    for changed, what in (({"features": 16, "memory": 78}, "has forgotten"),
                          ({"features": 0}, "keeps nothing any more")):
        done = peer.post()
        service.receive(wire.REQUEST)
        service = service.again(**changed)
        service.receive(wire.HELLO)
        check(peer.result(done) == (lost, maybe_executed), "not asked again: it " + what)
        marker = peer.post()
        client, record = service.receive(wire.REQUEST)
        check(record["attempt"] == 0, "only what is new is sent")
        service.reply(client, record)
        check(peer.result(marker) == (0, replied), "and answered")
    peer.close()
    service.router.close()


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


def answered(answers, *options):
    """What `dxh ls --json` makes of a broker that says so: code, text and what it was asked."""
    router = CONTEXT.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 1000)
    router.setsockopt(zmq.RCVTIMEO, 20000)
    endpoint = "tcp://127.0.0.1:%d" % router.bind_to_random_port("tcp://127.0.0.1")
    lister = subprocess.Popen([DXH, "ls", "--broker", endpoint, "--json", *options],
                              stdout=subprocess.PIPE, text=True)
    subjects = []
    greeted = False
    while len(subjects) < len(answers):
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
                said = answers[len(subjects)]
                subjects.append(record["subject"])
                answer = (wire.record(wire.ERROR, record["id"], body=b"no", status=said)
                          if isinstance(said, int) else
                          wire.record(wire.REPLY, record["id"], body=msgpack.packb(said)))
            else:
                continue
            router.send_multipart([client, wire.frame(answer)])
    out, _ = lister.communicate(timeout=60)
    return lister.returncode, out, subjects


def service_against_the_library():
    """Plays a broker without channels to `dxh ls`, and one that tells only of half."""
    code, out, subjects = answered([{"channels": [], "more": False, "total": 0}])
    check(code == 0 and subjects == [b"channel.list"], "dxh ls asked and was told")
    check(out.strip() == '[]', "dxh ls understood: " + out)
    channel = {"channel": "half", "checksum_errors": 0, "consumers": 0, "directory": "/dev/shm",
               "endpoint": "", "epoch": 0, "pid": 1, "producer": 1, "reason": "",
               "schema_hash": bytes(32), "slot_bytes": 0, "slot_count": 0, "state": 2,
               "uuid": bytes(16), "zone_count": 0}
    page = {"channels": [channel, dict(channel, channel="none")], "more": False, "total": 2}
    code, out, subjects = answered([page, 29], "--consumers")
    check((code, out, subjects[1:]) == (1, "", [b"channel.describe"]), "no half a list: " + out)
    code, out, subjects = answered([page])
    check(code == 0 and out.count('"name"') == 2, "the whole one: " + out)


def main():
    changed = sanitized.environment(sys.argv[1])
    if changed and "LD_PRELOAD" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], dict(os.environ, **changed))
    folder = tempfile.mkdtemp(prefix="dxh-check-interop-")
    endpoint = "ipc://%s/broker" % folder
    log = folder + "/log"
    broker = subprocess.Popen([DXH, "broker", "--endpoint", endpoint], stdout=subprocess.PIPE,
                              stderr=open(log, "w"), text=True)
    try:
        check("listening" in broker.stdout.readline(), "the broker listens")
        client_against_the_library(endpoint)
        repetitions_to_the_library(endpoint)
        channels_of_the_page(endpoint)
        lies_to_the_library(endpoint)
        keys_of_the_library(folder)
        floods_of_the_library(endpoint, log)
        repetitions_of_the_library()
        example_of_the_page(endpoint)
        service_against_the_library()
    finally:
        broker.terminate()
        broker.wait()
        os.unlink(log)
        os.rmdir(folder)
    print("%d checks" % checks)
    if checks < 150:
        sys.exit("FAIL only %d checks were made" % checks)


main()
