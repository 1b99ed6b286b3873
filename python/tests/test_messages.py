# SPDX-License-Identifier: MIT
"""Requests, replies, notifications, many at once."""

import gc
import os
import pickle
import sys
import tempfile
import threading
import time
import traceback
import unittest
import unittest.mock
import weakref

import numpy as np

import dxh
import support
from support import LONG


class RequestTest(support.HubTest):
    def add_handlers(self, service):
        super().add_handlers(service)
        self.gate = threading.Event()
        self.kept = []

        @service.on("busy")
        def busy(request):
            raise dxh.OverloadedError("busy for 40 ms")

        @service.on("broken")
        def broken(request):
            return {}["missing"]

        @service.on("refuse")
        def refuse(request):
            raise dxh.RejectedError(request.body.decode())

        @service.on("keep")
        def keep(request):
            self.kept.append(request)
            self.gate.set()
            return dxh.LATER

        @service.on("budget")
        def budget(request):
            return repr(request.budget).encode()

    def test_a_call_returns_the_bytes_of_the_reply(self):
        self.assertEqual(self.peer.call("echo", b"hello", timeout=LONG), b"hello")
        self.assertEqual(self.peer.call("echo", timeout=LONG), b"")

    def test_bodies_are_anything_contiguous(self):
        for body in (bytearray(b"ab"), memoryview(b"ab"), np.array([24930], "<u2")):
            with self.subTest(type(body)):
                reply = self.peer.call("echo", body, timeout=LONG)
                self.assertEqual(len(reply), 2)
        with self.assertRaises(ValueError):
            self.peer.call("echo", np.zeros((4, 4))[:, 1], timeout=LONG)
        with self.assertRaises(TypeError):
            self.peer.call("echo", "text", timeout=LONG)

    def test_a_large_body_comes_back_whole(self):
        body = np.arange(50000, dtype="u8").tobytes()
        self.assertEqual(self.peer.call("echo", body, timeout=LONG), body)

    def test_an_error_of_the_handler_is_the_clients(self):
        with self.assertRaises(dxh.OverloadedError) as caught:
            self.peer.call("busy", timeout=LONG)
        self.assertEqual(caught.exception.text, "busy for 40 ms")
        self.assertIs(caught.exception.certainty, dxh.Certainty.REPLIED)

    def test_a_long_text_may_be_cut_off_within_a_letter(self):
        for count in range(90, 110):  # wherever that is
            with self.assertRaises(dxh.RejectedError) as caught:
                self.peer.call("refuse", ("a" * (count % 2) + "\u00e4" * count).encode(), timeout=LONG)
            self.assertIn("\u00e4" * 50, str(caught.exception))

    def test_a_handler_that_breaks_rejects_and_goes_on(self):
        with self.assertLogs("dxh", "ERROR"), self.assertRaises(dxh.RejectedError) as caught:
            self.peer.call("broken", timeout=LONG)
        self.assertEqual(caught.exception.text, "KeyError: 'missing'")
        self.assertEqual(self.peer.call("echo", b"on", timeout=LONG), b"on")

    def test_a_subject_without_handler_is_unknown(self):
        with self.assertRaises(dxh.UnknownSubjectError):
            self.peer.call("nobody", timeout=LONG)

    def test_the_timeout_travels_as_budget(self):
        self.assertEqual(self.peer.call("budget"), b"None")
        self.assertTrue(0 < float(self.peer.call("budget", timeout=LONG)) <= LONG)

    def test_a_request_expires_by_its_own_timeout(self):
        timeout, said = 0.05, dxh.Certainty.NOT_SENT
        while said is dxh.Certainty.NOT_SENT:  # of a machine that is busy
            with self.assertRaises(dxh.ExpiredError) as caught:
                self.peer.call("keep", timeout=timeout)
            said = caught.exception.certainty
            timeout *= 4
        self.assertIs(said, dxh.Certainty.MAYBE_EXECUTED)

    def test_a_wait_that_is_over_leaves_the_request_alive(self):
        completion = self.peer.request("keep", timeout=LONG)
        with self.assertRaises(dxh.WaitTimeoutError):
            completion.result(timeout=0.02)
        self.assertFalse(completion.done())
        self.assertTrue(self.gate.wait(LONG))
        self.kept[0].reply(b"late")
        self.assertEqual(completion.result(timeout=LONG), b"late")
        self.assertEqual(completion.result(), b"late")
        self.assertIsNone(completion.exception())

    def test_an_answer_is_given_once(self):
        completion = self.peer.request("keep", timeout=LONG)
        self.assertTrue(self.gate.wait(LONG))
        request = self.kept[0]
        request.reply(b"first")
        with self.assertRaises(dxh.StateError):
            request.reply(b"second")
        self.assertEqual(request.body, b"")
        self.assertFalse(request.is_open)
        self.assertEqual(completion.result(timeout=LONG), b"first")

    def test_a_request_that_is_dropped_is_rejected(self):
        completion = self.peer.request("keep", timeout=LONG)
        self.assertTrue(self.gate.wait(LONG))
        self.kept.clear()
        self.assertIsInstance(completion.exception(timeout=LONG), dxh.RejectedError)

    def test_cancel_ends_it(self):
        completion = self.peer.request("keep", timeout=LONG)
        self.assertTrue(self.gate.wait(LONG))
        self.assertTrue(completion.cancel())
        self.assertIsInstance(completion.exception(timeout=LONG), dxh.CanceledError)
        self.assertFalse(completion.cancel())

    def test_an_error_that_was_raised_frees_its_completion(self):
        def ended():
            sent = self.peer.request("refuse", timeout=LONG)
            with self.assertRaises(dxh.Error):
                sent.result(LONG)
            self.assertIsNone(sent.exception().__traceback__)
            frames = []
            for _ in range(3):
                with self.assertRaises(dxh.Error) as caught:
                    sent.result()
                frames.append(len(traceback.extract_tb(caught.exception.__traceback__)))
            self.assertEqual(len(set(frames)), 1, frames)
            return weakref.ref(sent)

        references = [ended() for _ in range(10)]
        gc.collect()
        self.assertEqual([each() for each in references], [None] * 10)

    def test_two_threads_wait_for_one_completion(self):
        completion = self.peer.request("keep", timeout=LONG)
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(completion.result(timeout=LONG)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        self.assertTrue(self.gate.wait(LONG))
        self.kept[0].reply(b"x" * 100000)
        for thread in threads:
            thread.join()
        self.assertEqual(results, [b"x" * 100000] * 3)

    def test_too_many_in_flight_are_refused(self):
        peer = self.hub.connect(self.service.endpoint, requests_max=2)
        held = [peer.request("keep", timeout=LONG) for _ in range(2)]
        with self.assertRaises(dxh.FullError) as caught:
            peer.request("keep", timeout=LONG)
        self.assertIn("2 of 2", str(caught.exception))
        del held

    def test_full_wait_waits_for_credit(self):
        peer = self.hub.connect(self.service.endpoint, requests_max=1, full_wait=LONG)
        self.assertEqual([peer.request("echo", b"%d" % i) is None for i in range(50)], [False] * 50)
        with self.assertRaises(dxh.FullError):
            peer = self.hub.connect(self.service.endpoint, requests_max=1, full_wait=0.15)
            first = peer.request("keep", timeout=LONG)
            peer.request("keep", timeout=LONG)
        del first

    def test_many_wait_for_credit_too(self):
        peer = self.hub.connect(self.service.endpoint, requests_max=2, full_wait=LONG)
        pair = [("echo", b"a"), ("echo", b"b")]
        sent = [each for _ in range(25) for each in peer.request_many(pair, timeout=LONG)]
        self.assertEqual([each.result(LONG) for each in sent], [b"a", b"b"] * 25)
        peer = self.hub.connect(self.service.endpoint, requests_max=2, full_wait=0.15)
        held = peer.request("keep", timeout=LONG)
        with self.assertRaisesRegex(dxh.FullError, "1 of 2"):
            peer.request_many(pair, timeout=LONG)
        del held

    def test_bad_arguments_are_told(self):
        with self.assertRaises(dxh.InvalidError):
            self.peer.call("", timeout=LONG)
        with self.assertRaises(ValueError):
            self.peer.call("a\0b", timeout=LONG)
        with self.assertRaises(ValueError):
            self.peer.call("echo", timeout=float("nan"))
        with self.assertRaises(TypeError):
            self.peer.call("echo", timeout="soon")
        with self.assertRaises(TypeError):
            self.peer.call(b"echo", timeout=LONG)

    def test_nothing_can_be_pickled(self):
        for each in (self.hub, self.peer, self.service, self.peer.request("echo")):
            with self.assertRaisesRegex(TypeError, "belongs to its process"):
                pickle.dumps(each)


class ManyTest(support.HubTest):
    def test_as_completed_yields_each_once(self):
        sent = [self.peer.request("echo", b"%d" % i, timeout=LONG) for i in range(300)]
        seen = [int(each.result()) for each in dxh.as_completed(sent, timeout=LONG)]
        self.assertEqual(sorted(seen), list(range(300)))

    def test_wait_for_all_for_the_first_and_for_an_error(self):
        sent = [self.peer.request("echo", timeout=LONG) for _ in range(20)]
        done, rest = dxh.wait(sent, timeout=LONG)
        self.assertEqual((len(done), rest), (20, set()))

        hub, quiet = support.silent()
        with hub:
            never = self.hub.connect(quiet.endpoint).request("x", timeout=LONG)
            done, rest = dxh.wait(
                [never, self.peer.request("echo")], LONG, dxh.FIRST_COMPLETED
            )
            self.assertEqual((len(done), rest), (1, {never}))
            done, rest = dxh.wait(
                [never, self.peer.request("none")], LONG, dxh.FIRST_EXCEPTION
            )
            self.assertEqual((len(done), rest), (1, {never}))
            done, rest = dxh.wait([never], timeout=0.02)
            self.assertEqual((done, rest), (set(), {never}))
            with self.assertRaises(TimeoutError):
                list(dxh.as_completed([never], timeout=0.02))
        with self.assertRaises(ValueError):
            dxh.wait(sent, return_when="SOMETIMES")
        for wait in dxh.wait, dxh.as_completed:
            with self.assertRaisesRegex(ValueError, "NaN"):
                wait(sent, float("nan"))

    def test_many_threads_post_to_one_peer(self):
        wrong = []

        def post(number):
            for i in range(50):
                body = b"%d.%d" % (number, i)
                if self.peer.call("echo", body, timeout=LONG) != body:
                    wrong.append(body)

        threads = [threading.Thread(target=post, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.hub.stats()["done"], 400)


class LifeTest(support.HubTest):
    def test_a_completion_keeps_a_peer_that_nobody_holds(self):
        completion = self.hub.connect(self.service.endpoint).request("echo", b"on", timeout=LONG)
        self.assertEqual(completion.result(), b"on")

    def test_a_closed_peer_says_so(self):
        peer = self.hub.connect(self.service.endpoint)
        self.assertEqual(peer.call("echo", b"1", timeout=LONG), b"1")
        self.assertIs(peer.state, dxh.PeerState.READY)
        peer.close()
        with self.assertRaises(dxh.ClosedError):
            peer.state


class NotifyTest(unittest.TestCase):
    def setUp(self):
        self.hub = self.enterContext(dxh.Hub())
        self.service = self.hub.serve(support.endpoint())
        self.peer = self.hub.connect(self.service.endpoint)

    def test_notifications_arrive_in_order(self):
        for i in range(200):
            self.peer.notify("edge", b"%d" % i)
        self.peer.flush(LONG, level=dxh.FlushLevel.REPLIED)
        seen = [self.service.receive(0) for _ in range(200)]
        self.assertEqual([int(each.body) for each in seen], list(range(200)))
        self.assertTrue(all(each.is_notification for each in seen))
        with self.assertRaises(dxh.StateError):
            seen[0].reply(b"")

    def test_a_flush_expires(self):
        hub, quiet = support.silent()
        address = quiet.endpoint
        hub.close()
        peer = self.hub.connect(address)
        peer.notify("x")
        with self.assertRaises(dxh.ExpiredError):
            peer.flush(0.05)

    def test_receive_by_hand(self):
        with self.assertRaises(dxh.WaitTimeoutError):
            self.service.receive(0)
        completion = self.peer.request("ask", b"me")
        request = self.service.receive(LONG)
        self.assertEqual(
            (request.subject, request.body, request.attempt, request.canceled, request.budget),
            ("ask", b"me", 0, False, None),
        )
        request.reject("not today", dxh.Status.BUSY)
        error = completion.exception(LONG)
        self.assertIsInstance(error, dxh.BusyError)
        self.assertEqual(error.text, "not today")

    def test_a_loop_over_a_service_ends_when_it_is_stopped(self):
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(r.subject for r in self.service))
        thread.start()
        self.peer.notify("one")
        self.peer.flush(LONG, level=dxh.FlushLevel.REPLIED)
        self.service.stop()
        thread.join(LONG)
        self.assertFalse(thread.is_alive())
        self.assertLessEqual(len(seen), 1)


class EndTest(unittest.TestCase):
    def test_closing_ends_what_is_open_and_wakes_who_waits(self):
        hub = dxh.Hub()
        service = hub.serve(support.endpoint())
        peer = hub.connect(service.endpoint)
        completion = peer.request("x")
        outcome = []

        def receive():
            try:
                while True:
                    service.receive()
            except dxh.ClosedError as error:
                outcome.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        hub.close()
        thread.join(LONG)
        self.assertEqual(len(outcome), 1)
        self.assertIsNotNone(completion.exception(LONG))
        for call in (lambda: peer.request("x"), lambda: service.receive(0), hub.stats):
            with self.assertRaises(dxh.ClosedError):
                call()
        hub.close()
        peer.close()
        service.close()

    def test_what_is_stopped_or_closed_does_not_begin_again(self):
        hub = dxh.Hub()
        stopped, closed = hub.serve(support.endpoint()), hub.serve(support.endpoint())
        stopped.stop()
        closed.close()
        for service in stopped, closed:
            with self.assertRaisesRegex(dxh.ClosedError, "bind again"):
                service.start()
        hub.close()
        name = support.name()
        for call in (lambda: hub.produce(name, slot=8, slots=4), lambda: hub.consume(name)):
            with self.assertRaisesRegex(dxh.ClosedError, "open a new one"):
                call()

    def test_more_threads_than_the_system_has_room_for(self):
        """Those that began serve, and end with it."""
        hub = self.enterContext(dxh.Hub())
        service = hub.serve(support.endpoint())
        service.on("echo")(lambda request: request.body)
        start, begun = threading.Thread.start, []

        def refuse(thread):
            if len(begun) == 2:
                raise RuntimeError("can't start new thread")
            begun.append(thread)
            start(thread)

        with unittest.mock.patch("threading.Thread.start", refuse):
            with self.assertRaisesRegex(RuntimeError, "new thread"):
                service.start(3)
        peer = hub.connect(service.endpoint)
        self.assertEqual(peer.call("echo", b"on", timeout=LONG), b"on")
        service.close()
        self.assertEqual([each.is_alive() for each in begun], [False] * 2)

    def test_a_start_that_is_interrupted(self):
        """Before a thread began, and after: the service ends all the same."""
        start = threading.Thread.start

        def before(thread):
            raise KeyboardInterrupt

        def after(thread):
            start(thread)
            raise KeyboardInterrupt

        hub = self.enterContext(dxh.Hub())
        for interrupted in before, after, before:
            endpoint = support.endpoint()
            with self.assertRaises(KeyboardInterrupt), hub.serve(endpoint) as service:
                with unittest.mock.patch("threading.Thread.start", interrupted):
                    service.start(1)
            hub.serve(endpoint).close()  # which is free again

    def test_handlers_may_stop_their_service(self):
        """Also two at once, who would wait for each other."""
        hub = dxh.Hub()
        service = hub.serve(support.endpoint())
        both = threading.Barrier(2)

        @service.on("stop")
        def stop(request):
            both.wait(LONG)
            service.stop()
            return b"stopped"

        service.start(2)
        peer = hub.connect(service.endpoint)
        sent = [peer.request("stop", timeout=LONG) for _ in range(2)]
        self.assertEqual([each.result(LONG) for each in sent], [b"stopped"] * 2)
        threads = list(service._threads)
        hub.close()  # waits for them
        self.assertEqual([each.is_alive() for each in threads], [False] * 2)

    def test_a_handler_that_ends_its_thread_is_told_of(self):
        with dxh.Hub() as hub:
            service = hub.serve(support.endpoint())
            service.on("leave")(lambda request: sys.exit(3))
            service.start(1)
            with self.assertLogs("dxh", "ERROR") as logged:
                with self.assertRaises(dxh.RejectedError):
                    hub.connect(service.endpoint).call("leave", timeout=LONG)
                service.stop()  # waits for the thread
            self.assertIn("SystemExit: 3", logged.output[0])

    def test_a_request_outlives_its_hub_without_harm(self):
        hub = dxh.Hub()
        service = hub.serve(support.endpoint())
        peer = hub.connect(service.endpoint)
        completion = peer.request("x")
        request = service.receive(LONG)
        hub.close()
        with self.assertRaises(dxh.ClosedError):
            request.reply(b"")
        self.assertIsNotNone(completion.exception(LONG))

    def test_a_drain_tells_what_it_left(self):
        other, quiet = support.silent()
        with other, dxh.Hub() as hub:
            peer = hub.connect(quiet.endpoint)
            completion = peer.request("x")
            unanswered = quiet.receive(LONG)
            report = hub.drain(0.02)
            self.assertEqual((report.abandoned, report.is_clean), (1, False))
            self.assertEqual([(row.endpoint, row.lane, row.unanswered) for row in report.rows],
                             [(quiet.endpoint, "request", 1)])
            self.assertIsInstance(completion.exception(LONG), dxh.ClosedError)
            with self.assertRaises(dxh.ClosedError):
                peer.request("x")
            del unanswered

    def test_keys_encrypt_and_let_in(self):
        with tempfile.TemporaryDirectory() as folder, dxh.Hub() as hub:
            secret, own = os.path.join(folder, "service"), os.path.join(folder, "client")
            key, client_key = dxh.make_key(secret), dxh.make_key(own)
            self.assertEqual(dxh.public_key(secret), key)
            with self.assertRaises(dxh.ExistsError):
                dxh.make_key(secret)
            allowed = os.path.join(folder, "allowed")
            with open(allowed, "w") as file:
                file.write(client_key + "\n")
            service = hub.serve("tcp://127.0.0.1:*", key_file=secret, allow_file=allowed)
            service.on("echo")(lambda request: request.body)
            service.start()
            peer = hub.connect(service.endpoint, server_key=key, key_file=own)
            self.assertEqual(peer.call("echo", b"secret", timeout=LONG), b"secret")
            stranger = hub.connect(service.endpoint, server_key=key)
            with self.assertRaises(dxh.AccessError):
                stranger.call("echo", timeout=LONG)

    def test_latencies(self):
        with dxh.Hub(sample_one_in=1) as hub:
            service = hub.serve(support.endpoint())
            service.on("x")(lambda request: None)
            service.start()
            hub.connect(service.endpoint).call("x", timeout=LONG)
            told = hub.latency(dxh.Stage.SERVICE)
            self.assertEqual(told["count"], 1)
            self.assertGreater(told["max_ns"], 0)

    def test_names_in_use_and_networks_without_keys_are_refused(self):
        with dxh.Hub() as hub:
            service = hub.serve("tcp://127.0.0.1:*")
            with self.assertRaises(dxh.BusyError):
                hub.serve(service.endpoint)
            with self.assertRaises(dxh.InsecureError):
                hub.serve("tcp://*:0")


class LossTest(unittest.TestCase):
    """A connection that ends while its request is in work."""

    def setUp(self):
        self.hub = self.enterContext(dxh.Hub("loss", reconnect_min=0.001, reconnect_max=0.005))
        self.states, self.executed = [], []
        self.connected_again = threading.Event()

    def serve(self, **config):
        service = self.hub.serve("tcp://127.0.0.1:*", **config)
        self.relay = support.Relay(service.endpoint)
        self.addCleanup(self.relay.close)
        self.peer = self.hub.connect(self.relay.endpoint, on_state=self.note)
        self.in_work, self.go_on = threading.Event(), threading.Event()

        @service.on("work")
        def work(request):
            self.executed.append(request.attempt)
            self.in_work.set()
            self.go_on.wait(LONG)
            return b"done"

        service.start()
        self.addCleanup(self.go_on.set)

    def note(self, state, reason):
        self.states.append((state, reason))
        if [each for each, _ in self.states].count(dxh.PeerState.READY) == 2:
            self.connected_again.set()

    def cut_in_work(self, **how):
        sent = self.peer.request("work", timeout=LONG, **how)
        self.assertTrue(self.in_work.wait(LONG))
        self.relay.cut()
        self.assertTrue(self.connected_again.wait(LONG))
        self.go_on.set()
        return sent

    def test_held_it_is_answered_on_the_next_one_and_executed_once(self):
        self.serve()
        self.assertEqual(self.cut_in_work(hold=True).result(LONG), b"done")
        self.assertEqual(self.executed, [0])
        self.assertEqual(self.hub.stats()["held"], 1)

    def test_the_control_without_it_is_lost(self):
        self.serve()
        with self.assertRaises(dxh.LostError) as caught:
            self.cut_in_work().result(LONG)
        self.assertIs(caught.exception.certainty, dxh.Certainty.MAYBE_EXECUTED)

    def test_held_at_a_service_that_keeps_nothing_it_is_lost(self):
        self.serve(repeats=dxh.Repeats.EXECUTE)
        with self.assertRaises(dxh.LostError):
            self.cut_in_work(hold=True).result(LONG)

    def test_held_and_many_in_a_call(self):
        self.serve()
        sent, = self.peer.request_many([("work", b"")], timeout=LONG, hold=True)
        self.assertTrue(self.in_work.wait(LONG))
        self.relay.cut()
        self.go_on.set()
        self.assertEqual(sent.result(LONG), b"done")

    def test_twice_harmless_and_never_twice_is_a_contradiction(self):
        self.serve()
        with self.assertRaises(dxh.InvalidError):
            self.peer.request("work", hold=True, idempotent=True)
        with self.assertRaises(dxh.InvalidError):
            self.peer.call("work", hold=True, idempotent=True)

    def test_states_are_told_in_order(self):
        self.serve()
        self.cut_in_work()
        told = [state for state, _ in self.states]
        ready = told.index(dxh.PeerState.READY)
        self.assertIn(dxh.PeerState.WAITING, told[ready:])
        self.assertTrue(all(reason for state, reason in self.states
                            if state is dxh.PeerState.WAITING))
        self.peer.close()

    def test_what_is_told_of_states_may_raise(self):
        told = threading.Event()

        def fail(state, reason):
            told.set()
            raise ValueError("seen")

        hook, seen = sys.unraisablehook, []
        sys.unraisablehook = seen.append
        try:
            service = self.hub.serve(support.endpoint())
            peer = self.hub.connect(service.endpoint, on_state=fail)
            self.assertTrue(told.wait(LONG))
            while not seen:
                time.sleep(0.001)
            peer.close()
        finally:
            sys.unraisablehook = hook
        self.assertEqual(str(seen[0].exc_value), "seen")


class DumpTest(support.HubTest):
    def test_it_tells_of_peers_and_services(self):
        self.peer.call("echo", timeout=LONG)
        told = self.hub.dump()
        self.assertIn(self.service.endpoint, told)


if __name__ == "__main__":
    unittest.main()
