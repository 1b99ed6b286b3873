#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`dxh broker` as a service manager runs it: options from a file, mistakes named by their
line, readiness told, an end in good order.

Usage: broker_tool_test.py BUILD
"""

import ctypes
import errno
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import msgpack
import zmq

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "interop"))
import wire  # noqa: E402

DXH = os.path.join(sys.argv[1], "dxh")
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}.get(platform.machine())
checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("FAIL " + what)


def write(path, text):
    with open(path, "w") as out:
        out.write(text)
    return path


def refused(*arguments):
    ran = subprocess.run([DXH, "broker", *arguments], capture_output=True, text=True, timeout=60)
    check(ran.returncode != 0, "%s is refused" % (arguments,))
    return ran.stderr


def mistakes(folder):
    config = folder + "/config"
    for text, says in (("clients = 0\n", "config:1: clients"), ("\n# x\nnonsense\n", "config:3: "),
                       ("colour = red\n", "config:1: colour: there is no such option"),
                       ("insecure = perhaps\n", "config:1: insecure is yes or no"),
                       ("endpoint = %s\n" % ("x" * 300), "config:1: endpoint takes at most")):
        error = refused("--config", write(config, text))
        check(says in error, "%r: %s" % (text, error))
    check("cannot read" in refused("--config", folder + "/none"), "a file that is not there")
    check("cannot read" in refused("--config", folder), "a file that cannot be read")
    check("--clients" in refused("--clients", "none"), "the command line says its own name")
    key = folder + "/key"
    subprocess.run([DXH, "keygen", key], check=True, capture_output=True)
    rights = write(folder + "/rights", "* produce camera/\n* look camera/\n")
    endpoint = "ipc://%s/broker" % folder
    error = refused("--endpoint", endpoint, "--key", key, "--allow-any", "--rights", rights)
    check("rights:2: " in error, "a mistake among rights: " + error)
    error = refused("--endpoint", "tcp://*:*")
    check("DXH_EINSECURE" in error and "next: --key FILE with --allow FILE" in error,
          "open to other machines: " + error)
    check("set key_file too" in refused("--endpoint", endpoint, "--rights", rights), "no key")


def ask(socket, ident, subject, body):
    socket.send(wire.frame(wire.record(wire.REQUEST, ident, subject, msgpack.packb(body))))
    answer, = wire.parse(socket.recv())
    check(answer["kind"] == wire.REPLY, "%s is answered: %s" % (subject, answer["body"]))


def watched(endpoint):
    """What others do shows as it happens."""
    watcher = subprocess.Popen([DXH, "ls", "--broker", endpoint, "--watch", "--events", "2",
                                "--json"], stdout=subprocess.PIPE, text=True)
    client = zmq.Context.instance().socket(zmq.DEALER)
    client.setsockopt(zmq.LINGER, 0)
    client.setsockopt(zmq.RCVTIMEO, 20000)
    client.connect(endpoint)
    client.send(wire.frame(wire.record(wire.HELLO, body=wire.hello())))
    client.recv()
    deadline = time.monotonic() + 30
    while True:  # until it watches
        client.send(wire.frame(wire.record(wire.REQUEST, 1, b"broker.metrics", b"\x80")))
        answer, = wire.parse(client.recv())
        if msgpack.unpackb(answer["body"])["watchers_now"] == 1:
            break
        check(time.monotonic() < deadline, "it never watches")
    schema = msgpack.packb({"name": "x", "zones": []})
    ask(client, 2, b"channel.register", {
        "channel": "seen", "directory": "/", "epoch": 0, "pid": 5, "producer": 6, "schema": schema,
        "schema_hash": hashlib.blake2b(schema, digest_size=32).digest(), "slot_bytes": 0,
        "slot_count": 0, "uuid": bytes(16)})
    ask(client, 3, b"channel.deregister", {"channel": "seen", "pid": 5, "producer": 6})
    lines = [json.loads(line) for line in watcher.communicate(timeout=60)[0].splitlines()]
    check(watcher.returncode == 0 and [(line["event"], line["channel"], line["pid"])
                                       for line in lines] ==
          [("opened", "seen", 5), ("closing", "seen", 5)], "events: %s" % lines)
    client.close()


def service(folder, address, ends=signal.SIGTERM):
    """Ready is told when it listens, and not before; SIGTERM ends it well, and so does a terminal
    that is closed."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(60)
    manager.bind(address)
    shown = address if isinstance(address, str) else "@" + address[1:].decode()
    endpoint = "ipc://%s/broker" % folder
    config = write(folder + "/config", "# a broker\nendpoint = ipc:///nowhere/at/all\n"
                   "channels=50\n  beat-ms =  100  \nallow-any = no\n")
    broker = subprocess.Popen([DXH, "broker", "--endpoint", endpoint, "--config", config],
                              stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, NOTIFY_SOCKET=shown))
    try:
        check(manager.recv(100) == b"READY=1", "it says that it is ready")
        listed = subprocess.run([DXH, "ls", "--broker", endpoint], capture_output=True, text=True,
                                timeout=60)
        check(listed.returncode == 0, "and it is; the command line counts more: " + listed.stderr)
        figures = subprocess.run([DXH, "ls", "--broker", endpoint, "--figures", "--json"],
                                 capture_output=True, text=True, timeout=60)
        check(json.loads(figures.stdout)["lists"] == 1, "its figures: " + figures.stdout)
        watched(endpoint)
        broker.send_signal(ends)
        check(manager.recv(100) == b"STOPPING=1", "it says that it ends")
        check(broker.wait(60) == 0, "and does, as if nothing were wrong")
    finally:
        if broker.poll() is None:
            broker.kill()
            broker.wait()
        manager.close()
    check(not os.path.exists(folder + "/broker"), "nothing is left of its socket")


def families_only(allowed):
    """In a child before it becomes another program: no socket of other families, as
    RestrictAddressFamilies= does it."""
    load, equal, end = 0x20, 0x15, 0x06
    steps = [(load, 0, 0, 0), (equal, 0, len(allowed) + 2, SYS_SOCKET), (load, 0, 0, 16)]
    steps += [(equal, len(allowed) - i, 0, family) for i, family in enumerate(allowed)]
    steps += [(end, 0, 0, 0x50000 | errno.EAFNOSUPPORT), (end, 0, 0, 0x7fff0000)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    text = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps),
                                                      ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp = 38, 22
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def unit():
    """The systemd unit is one, and leaves the broker what it needs."""
    with open(os.path.join(HERE, "../tools/install/dxh-broker.service")) as file:
        text = file.read().replace("@BINDIR@", os.path.dirname(os.path.abspath(DXH)))
    if shutil.which("systemd-analyze"):
        with tempfile.TemporaryDirectory(prefix="dxh-check-unit-") as folder:
            # The manual need not be installed here.
            path = write(folder + "/dxh-broker.service", text.replace("Documentation=", "#"))
            ran = subprocess.run(["systemd-analyze", "--man=no", "verify", path],
                                 capture_output=True, text=True, timeout=60)
            check("dxh-broker.service" not in ran.stdout + ran.stderr,
                  "systemd understands it: " + ran.stderr)
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    allowed = [getattr(socket, family) for family in lines["RestrictAddressFamilies"].split()]
    check(lines["Environment"] == '"OPTIONS=--endpoint tcp://127.0.0.1:5599"', "its endpoint")
    check(lines["ExecStart"].endswith("/dxh broker $OPTIONS"), "what it starts")

    def first_line(families):
        broker = subprocess.Popen([DXH, "broker", "--endpoint", "tcp://127.0.0.1:*"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  preexec_fn=lambda: families_only(families))
        line = broker.stdout.readline()
        broker.terminate()
        broker.communicate(timeout=60)
        return line

    if SYS_SOCKET is not None:
        check("listening on tcp://127.0.0.1:" in first_line(allowed), "it listens in there")
        check(first_line([socket.AF_UNIX]) == "", "the control: the sandbox is one")


def encrypted(folder):
    """A broker with keys and a list is reached with both keys, and no other way."""
    def key(name):
        ran = subprocess.run([DXH, "keygen", folder + "/" + name], capture_output=True, text=True)
        check(ran.returncode == 0, "keygen: " + ran.stderr)
        return ran.stdout.strip()

    public, allowed = key("broker.key"), key("known.key")
    key("stranger.key")
    endpoint = "ipc://%s/encrypted" % folder
    broker = subprocess.Popen([DXH, "broker", "--endpoint", endpoint, "--key",
                               folder + "/broker.key", "--allow",
                               write(folder + "/allow", allowed + "\n")],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    check("listening" in broker.stdout.readline(), "it listens")

    def asked(*command, **keys):
        return subprocess.run([DXH, *command, "--broker", endpoint], capture_output=True,
                              text=True, timeout=60, env=dict(os.environ, **keys))
    try:
        known = dict(DXH_BROKER_KEY=public, DXH_KEY_FILE=folder + "/known.key")
        ran = asked("ls", **known)
        check(ran.returncode == 0 and "knows no channel" in ran.stdout, "ls: " + ran.stderr)
        ran = asked("tail", "none", **known)
        check("knows no channel 'none'" in ran.stderr, "tail: " + ran.stderr)
        ran = asked("ls", **dict(known, DXH_KEY_FILE=folder + "/stranger.key"))
        check(ran.returncode == 1 and "refused our key" in ran.stderr and
              "next: DXH_BROKER_KEY" in ran.stderr, "a stranger: " + ran.stderr)
        ran = asked("ls")
        check(ran.returncode == 1 and "wants CURVE" in ran.stderr, "without keys: " + ran.stderr)
        ran = asked("ls", DXH_BROKER_KEY="short")
        check(ran.returncode == 1 and "no public key" in ran.stderr, "no key: " + ran.stderr)
    finally:
        broker.terminate()
        broker.communicate(timeout=60)


def main():
    unit()
    with tempfile.TemporaryDirectory(prefix="dxh-check-broker-") as folder:
        mistakes(folder)
        encrypted(folder)
        service(folder, folder + "/manager")
        service(folder, b"\0dxh-check-manager-%d" % os.getpid(), signal.SIGHUP)
    print("%d checks" % checks)
    if checks < 20:
        sys.exit("FAIL only %d checks were made" % checks)


main()
