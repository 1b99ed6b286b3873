#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a user does who has only the packages, an account and the README: both languages on one
block, a service in asyncio under load from C, multiprocessing used and abused, an interpreter that
is killed inside a with, the tutorial. Usage: stranger.py FOLDER, with the programs in it."""

import asyncio
import concurrent.futures
import logging
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import time

import numpy as np

import dxh

HERE = sys.argv[1]
TUTORIAL = "/usr/share/doc/python3-dxh/tutorial.md"
LONG = 60


class Point(dxh.Struct):
    number = dxh.field("u8")
    x = dxh.field("f8")
    y = dxh.field("f4", shape=3)


def program(*arguments):
    return subprocess.Popen([os.path.join(HERE, arguments[0]), *arguments[1:]], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def name(what):
    return f"stranger-{what}-{os.getpid()}"


# ---- one block, two languages -----------------------------------------------------------------


def python_reads_c():
    with program("camera", name("c"), "1000") as camera:
        assert camera.stdout.readline() == "ready\n"
        with dxh.consume(name("c"), discipline=dxh.Discipline.LOSSLESS) as seen:
            assert seen.dtype.names == ("number", "x", "y")
            assert dxh.field_facts(seen.dtype["x"]).unit == "mm"
            camera.stdin.write("\n")
            camera.stdin.flush()
            read = [(int(item.data["number"]), float(item.data["x"]), item.data["y"].tolist(),
                     item.lost) for item in seen.items(timeout=LONG)]
            assert read == [(i, i / 2, [1, 2, i], 0) for i in range(1000)], read[:3]
            assert seen.zones.telemetry.frames.load() == 1000
            assert seen.zones.telemetry.gain == 1.5
        assert camera.wait(LONG) == 0


def c_reads_python():
    with dxh.produce(name("py"), slot=Point, slots=16, readers_max=1,
                     unlink_on_close=True) as made:
        with program("viewer", name("py")) as viewer:
            assert viewer.stdout.readline() == "ready\n"
            for i in range(1000):
                made.publish((i, i / 2, (0, 0, i)), timeout=LONG)
            made.close()
            assert viewer.stdout.readline() == f"{499500 * 1.5:.1f} 0\n"
            assert viewer.wait(LONG) == 0


# ---- asyncio under load from C ----------------------------------------------------------------


async def served(endpoint, ran):
    """Serve squares while `ran` goes on in threads; what that returns."""
    with dxh.Hub("squares") as hub:
        service = hub.serve(endpoint)

        @service.on("square")
        async def square(request):
            number = int(request.body)
            if number % 64 == 0:
                await asyncio.sleep(0.001)
            return b"%d" % number**2

        serving = asyncio.ensure_future(service.run_async())
        loop = asyncio.get_running_loop()
        returned = await loop.run_in_executor(None, ran)
        service.stop()
        await serving
        return returned


def asyncio_under_load():
    endpoint = f"ipc://@{name('squares')}"

    def load():
        with program("load", endpoint, "4", "2500") as first, \
                program("load", endpoint, "4", "2500") as second:
            return first.communicate(timeout=LONG), second.communicate(timeout=LONG)

    for said, _ in asyncio.run(served(endpoint, load)):
        assert said == "10000 answers, all right\n", said


def a_program_in_cpp():
    endpoint = f"ipc://@{name('cpp')}"

    def client():
        with program("client", endpoint) as ran:
            return ran.communicate(timeout=LONG)[0]

    assert asyncio.run(served(endpoint, client)) == "144\n"


# ---- multiprocessing, abused ------------------------------------------------------------------

OPEN = {}  # what is open in the parent, where a child of fork() finds it


def use_what_is_the_parents(_):
    """Everything of the parent says whose it is, and nothing hangs."""
    said = []
    for what, use in (
        ("peer", lambda: OPEN["peer"].call("echo", b"x")),
        ("request", lambda: OPEN["peer"].request("echo", b"x").result()),
        ("producer", lambda: OPEN["made"].publish(np.zeros(8))),
        ("consumer", lambda: OPEN["seen"].read(0)),
        ("service", lambda: OPEN["service"].receive(0)),
        ("hub", lambda: OPEN["hub"].connect("ipc://@x")),
    ):
        try:
            use()
        except dxh.ForkedError:
            continue
        except KeyError:
            said.append("nothing inherited")
            break
        said.append(f"{what} worked")
    return said


def square_of(number):
    """With a hub of the process, opened when it is first needed."""
    if "own" not in OPEN:
        OPEN["own"] = dxh.Hub("worker").connect(os.environ["STRANGER_ENDPOINT"])
    return int(OPEN["own"].call("square", b"%d" % number, timeout=LONG))


def sum_of_slot(block):
    with dxh.consume(block) as seen, seen.view(0) as item:
        return float(item.data.sum())


def multiprocessing_abused(method):
    context = multiprocessing.get_context(method)
    endpoint = f"ipc://@{name('pool-' + method)}"
    os.environ["STRANGER_ENDPOINT"] = endpoint
    with dxh.Hub("parent") as hub:
        service = hub.serve(endpoint)
        service.on("square")(lambda request: b"%d" % int(request.body) ** 2)
        service.on("echo")(lambda request: request.body)
        service.start(2)
        made = hub.produce(name("pool"), slot=np.dtype(("f8", (8,))), slots=4,
                           unlink_on_close=True)
        made.publish(np.arange(8))
        OPEN.update(hub=hub, service=service, made=made, peer=hub.connect(endpoint),
                    seen=dxh.consume(name("pool")))
        for each in OPEN.values():
            try:
                pickle.dumps(each)
            except TypeError as error:
                assert "belongs to its process" in str(error), error
            else:
                raise AssertionError(f"{each} was pickled")
        with made.write() as frame, context.Pool(3) as pool:
            frame[:] = 1  # a write is open while the children come and go
            expected = [] if method == "fork" else ["nothing inherited"]
            assert pool.map(use_what_is_the_parents, range(6)) == [expected] * 6
            assert pool.map(square_of, range(200)) == [i * i for i in range(200)]
            assert pool.map(sum_of_slot, [name("pool")] * 6) == [28.0] * 6
            try:
                pool.apply(print, (OPEN["peer"],))
            except TypeError as error:
                assert "belongs to its process" in str(error), error
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(square_of, range(50))) == [i * i for i in range(50)]
        # The parent is as it was.
        assert OPEN["peer"].call("echo", b"on", timeout=LONG) == b"on"
        with OPEN["seen"].view(0):
            pass
        assert float(OPEN["seen"].read(0).data.sum()) == 8.0
        OPEN.pop("seen").close()
    OPEN.clear()


# ---- killed inside a with -------------------------------------------------------------------

KILLED = """
import sys, time
import numpy as np, dxh
hub = dxh.Hub("killed")
service = hub.serve(sys.argv[2])
with hub.produce(sys.argv[1], slot=np.dtype(("f8", (8,))), slots=4, readers_max=2) as made:
    made.publish(np.ones(8))
    with made.write() as frame:
        frame[:4] = 99
        print("inside", flush=True)
        service.receive().reply(b"alive")
        time.sleep(1000)
"""


def shared_files():
    return {each for each in os.listdir("/dev/shm") if name("") in each}


def killed_inside_a_with():
    block, endpoint = name("killed"), f"ipc://@{name('killed')}"
    with subprocess.Popen([sys.executable, "-c", KILLED, block, endpoint], text=True,
                          stdout=subprocess.PIPE) as ran, dxh.Hub() as hub:
        assert ran.stdout.readline() == "inside\n"
        peer = hub.connect(endpoint)
        assert peer.call("x", timeout=LONG) == b"alive"
        seen = dxh.consume(block, discipline=dxh.Discipline.LOSSLESS)
        asked = peer.request("x", timeout=LONG)
        assert seen.read(LONG).data.sum() == 8
        while hub.stats()["records_sent"] < 2:
            time.sleep(0.001)
        ran.kill()
        ran.wait()
        begun = time.monotonic()
        for wait, error in ((lambda: seen.read(LONG), dxh.ProducerDeadError),
                            (lambda: asked.result(LONG), dxh.LostError)):
            try:
                wait()
            except error:
                continue
            raise AssertionError(f"no {error.__name__}")
        assert time.monotonic() - begun < 10, "somebody waited for the dead"
        with dxh.produce(block, slot=np.dtype(("f8", (8,))), slots=4, readers_max=2,
                         owner_wait=LONG, unlink_on_close=True) as again:
            again.publish(np.full(8, 3.0), timeout=LONG)
            item = seen.read(LONG)
            assert (item.ticket, item.lost, float(item.data.sum())) == (1, 0, 24.0)
        seen.close()
    left = shared_files()
    assert not left, f"left behind: {left}"


def ctrl_c_ends_a_wait():
    waits = ("import dxh; hub = dxh.Hub(); s = hub.serve('ipc://@%s'); print('in', flush=True); "
             "s.receive()" % name("int"),
             "import dxh; p = dxh.Hub().connect('ipc://@%s'); print('in', flush=True); "
             "p.call('x')" % name("nobody"))
    for wait in waits:
        with subprocess.Popen([sys.executable, "-c", wait], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as ran:
            assert ran.stdout.readline() == "in\n"
            ran.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in ran.communicate(timeout=LONG)[1]


# ---- the tutorial, typed in ------------------------------------------------------------------


def the_tutorial():
    with open(TUTORIAL, encoding="utf-8") as page:
        text = page.read()
    blocks = re.findall(r"```python\n(.*?)```(?:\n```text\n(.*?)```)?", text, re.S)
    assert len(blocks) >= 15
    # As an interpreter gets it from a keyboard: each statement by itself, an empty line behind
    # what is indented.
    typed = "".join(typed_in(block) for block, _ in blocks)
    ran = subprocess.run([sys.executable, "-i", "-q"], input=typed, text=True, timeout=LONG,
                         capture_output=True)
    assert "Traceback" not in ran.stderr, ran.stderr
    wanted = "".join(prints for _, prints in blocks)
    at = 0
    for line in wanted.splitlines():  # what a call returns is echoed too
        at = ran.stdout.find(line + "\n", at)
        assert at >= 0, f"not printed: {line!r}\n{ran.stdout}"


def typed_in(block):
    import ast

    lines = block.splitlines()
    parts = []
    for statement in ast.parse(block).body:
        first = min([statement.lineno, *(each.lineno for each in
                                         getattr(statement, "decorator_list", ()))])
        part = [line for line in lines[first - 1 : statement.end_lineno] if line.strip()]
        parts.append("\n".join(part) + "\n" + ("\n" if len(part) > 1 else ""))
    return "".join(parts)


def main():
    logging.basicConfig(level=logging.ERROR)
    assert os.getuid() != 0, "a stranger is not root"
    assert dxh.__file__.startswith("/usr/lib/python3"), dxh.__file__
    for each in (python_reads_c, c_reads_python, asyncio_under_load, a_program_in_cpp,
                 lambda: multiprocessing_abused("fork"), lambda: multiprocessing_abused("spawn"),
                 lambda: multiprocessing_abused("forkserver"),
                 killed_inside_a_with, ctrl_c_ends_a_wait, the_tutorial):
        each()
        left = shared_files()
        assert not left, f"left behind: {left}"
    print("a stranger did all of it")


if __name__ == "__main__":
    main()
