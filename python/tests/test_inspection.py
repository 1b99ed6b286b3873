# SPDX-License-Identifier: MIT
"""Looking at blocks, putting in order what a crash left, garbage; digests; what a hub counts."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import dxh
import support
from support import LONG

WORDS = np.dtype(("u8", (64,)))

KILLED = """
import sys, time
import numpy as np, dxh
made = dxh.produce(sys.argv[1], slot=np.dtype(("u8", (64,))), slots=4, directory=sys.argv[2],
                   checksum=dxh.Checksum.XXH3, readers_max=2)
made.publish(np.ones(64))
seen = dxh.consume(sys.argv[1], directory=sys.argv[2], discipline=dxh.Discipline.LOSSLESS)
with made.write() as frame:
    print("inside", flush=True)
    time.sleep(1000)
"""


class FolderTest(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm"))
        self.name = support.name()

    def kill_a_producer(self):
        with subprocess.Popen([sys.executable, "-c", KILLED, self.name, self.folder],
                              stdout=subprocess.PIPE) as ran:
            self.assertEqual(ran.stdout.readline(), b"inside\n")
            ran.send_signal(signal.SIGKILL)
            ran.wait()

    def rules(self, report):
        return {each.rule for each in report.findings}


class CheckTest(FolderTest):
    def test_a_block_in_order(self):
        with dxh.produce(self.name, slot=WORDS, slots=4, directory=self.folder,
                         checksum=dxh.Checksum.XXH3) as made:
            made.publish(np.ones(64))
            report = dxh.check(self.name, directory=self.folder)
            self.assertTrue(report.is_in_order and report.readable)
            self.assertEqual((report.findings, report.items_verified), ([], 1))
            self.assertEqual(report.block.head, 1)
            self.assertEqual(dxh.diagnose(self.name, directory=self.folder).items_verified, 0)

    def test_a_changed_byte_is_found_and_told(self):
        with dxh.produce(self.name, slot=WORDS, slots=4, directory=self.folder,
                         checksum=dxh.Checksum.XXH3) as made:
            with made.write() as frame:
                frame[:] = 0x1122334455667788
        copy = os.path.join(self.folder, "copy")
        with open(f"{self.folder}/{self.name}.dxh", "rb") as file:
            image = file.read()
        with open(copy, "wb") as file:
            file.write(image.replace(b"\x88\x77\x66", b"\x88\x77\x67", 1))
        found, = (each for each in dxh.validate(file=copy).findings
                  if each.severity is dxh.Severity.ERROR)
        self.assertEqual((found.rule, found.file), ("item-checksum", "data"))
        self.assertGreater(found.offset, 0)
        self.assertTrue(found.meaning and found.advice and found.detail)
        with self.assertRaises(ValueError):
            dxh.check(file=copy, checksum_key=b"short")

    def test_what_is_no_block(self):
        with open(f"{self.folder}/{self.name}.dxh", "wb") as file:
            file.write(b"x" * 8192)
        report = dxh.check(self.name, directory=self.folder)
        self.assertFalse(report.readable or report.is_in_order)
        self.assertEqual(self.rules(report), {"no-block"})
        with self.assertRaises(dxh.CorruptError):
            dxh.block_facts(self.name, directory=self.folder)
        with self.assertRaises(dxh.NotFoundError):
            dxh.check("nobody", directory=self.folder)

    def test_recover_tells_then_does(self):
        self.kill_a_producer()
        os.unlink(f"{self.folder}/{self.name}.ctl")
        told = dxh.recover(self.name, directory=self.folder)
        wanted = {each.rule for each in told.findings if each.repair is dxh.Repair.RECOVER}
        self.assertIn("control-missing", wanted)
        self.assertFalse(os.path.exists(f"{self.folder}/{self.name}.ctl"))
        done = dxh.recover(self.name, directory=self.folder, apply=True)
        self.assertEqual({each.rule for each in done.findings
                          if each.repair is dxh.Repair.DONE}, wanted)
        self.assertTrue(dxh.diagnose(self.name, directory=self.folder).is_in_order)
        self.assertGreater(dxh.block_facts(self.name, directory=self.folder).recoveries, 0)

    def test_a_live_producer_is_not_recovered(self):
        with dxh.produce(self.name, slot=WORDS, slots=4, directory=self.folder):
            with self.assertRaises(dxh.BusyError):
                dxh.recover(self.name, directory=self.folder, apply=True)


class GarbageTest(FolderTest):
    def test_it_is_told_then_removed(self):
        self.kill_a_producer()
        with dxh.produce(support.name(), slot=WORDS, slots=4, directory=self.folder) as lives:
            def verdicts(**how):
                return {each.name: each.verdict
                        for each in dxh.collect_garbage(directory=self.folder, **how)}

            found = {self.name: dxh.Verdict.REMOVABLE, lives.info.name: dxh.Verdict.KEPT}
            self.assertEqual(verdicts(), found)
            found[self.name] = dxh.Verdict.REMOVED
            self.assertEqual(verdicts(apply=True), found)
            del found[self.name]
            self.assertEqual(verdicts(), found)


class FactsTest(FolderTest):
    def test_all_that_a_block_says(self):
        zones = {"plan": dxh.Latch(np.dtype([("x", "f8")])), "raw": 16}
        with dxh.produce(self.name, slot=WORDS, slots=4, zones=zones, directory=self.folder,
                         checksum=dxh.Checksum.CRC32C, readers_max=3) as made:
            made.publish(np.ones(64))
            with dxh.consume(self.name, directory=self.folder,
                             discipline=dxh.Discipline.LOSSLESS):
                facts = dxh.block_facts(self.name, directory=self.folder)
        self.assertEqual(facts.path, f"{self.folder}/{self.name}.dxh")
        self.assertEqual([(each.name, each.bytes, each.latch) for each in facts.zones],
                         [("plan", 8, True), ("raw", 16, False)])
        self.assertIs(facts.policy, dxh.Policy.RING)
        self.assertIs(facts.checksum, dxh.Checksum.CRC32C)
        self.assertEqual((facts.items, facts.readers_max, facts.uid), (1, 3, os.getuid()))
        reader, = facts.readers
        self.assertEqual((reader.pid, reader.lag), (os.getpid(), 1))
        self.assertIs(reader.state, dxh.ReaderState.ACTIVE)
        self.assertTrue(facts.same_boot and facts.schema)

    def test_the_size_beforehand_is_the_size(self):
        for slots, zones, readers in ((4, None, 0), (16, {"z": 100}, 2)):
            how = dict(slot=WORDS, slots=slots, zones=zones, readers_max=readers)
            size = dxh.block_size(self.name, **how)
            with dxh.produce(self.name, directory=self.folder, unlink_on_close=True, **how) as made:
                self.assertEqual(size.data_bytes, made.info.block_bytes)
                self.assertEqual(size.control_bytes > 0, readers > 0)


class DigestTest(FolderTest):
    def produce(self, layout):
        return self.enterContext(dxh.produce(self.name, zones={"plan": layout},
                                             directory=self.folder))

    def test_a_zone_is_proved_until_it_changes(self):
        made = self.produce(dxh.Digested(np.dtype([("x", "f8"), ("n", "u4")])))
        seen = self.enterContext(dxh.consume(self.name, directory=self.folder))
        with self.assertRaises(dxh.EmptyError):
            seen.zones.plan.verified()
        made.zones.plan.x = 1.5
        made.zones.plan.set_digest()
        self.assertEqual(seen.zones.plan.verified()["x"], 1.5)
        self.assertEqual(made.zones.plan.verified()["x"], 1.5)
        made.zones.plan.n = 1
        with self.assertRaises(dxh.CorruptError):
            seen.zones.plan.verified()
        with self.assertRaises(dxh.StateError):
            seen.zones.plan.set_digest()
        self.assertIn("zone-digest", self.rules(dxh.check(self.name, directory=self.folder)))

    def test_of_a_latch_it_belongs_to_one_value(self):
        made = self.produce(dxh.Digested(dxh.Latch(np.dtype(("f8", (3,)))), dxh.Checksum.XXH3))
        made.zones.plan.store((1, 2, 3))
        made.zones.plan.set_digest()
        self.assertEqual(made.zones.plan.verified().tolist(), [1, 2, 3])
        made.zones.plan.store((4, 5, 6))
        with self.assertRaises(dxh.EmptyError):
            made.zones.plan.verified()

    def test_of_a_latch_that_its_producer_looks_at(self):
        made = self.produce(dxh.Digested(dxh.Latch(np.dtype(("f8", (3,))))))
        made.zones.plan.store([1, 2, 3])
        made.zones.plan.set_digest()
        self.assertEqual(made.zones.plan.load().tolist(), [1, 2, 3])
        with self.assertRaises(RuntimeError), made.zones.plan.write() as value:
            value[:] = 9
            raise RuntimeError
        self.assertEqual(made.zones.plan.verified().tolist(), [1, 2, 3])
        made.zones.plan.store([4, 5, 6])
        self.assertEqual(made.zones.plan.load().tolist(), [4, 5, 6])
        with self.assertRaises(dxh.EmptyError):
            made.zones.plan.verified()

    def test_one_that_was_not_declared(self):
        made = self.produce(np.dtype([("x", "f8")]))
        with self.assertRaises(dxh.StateError):
            made.zones.plan.set_digest()


class MetricsTest(support.HubTest):
    def test_another_process_reads_what_a_hub_counts(self):
        name = support.name()
        with dxh.Hub("measured", metrics_block=name, sample_one_in=1) as hub:
            peer = hub.connect(self.service.endpoint)
            for _ in range(10):
                peer.call("echo", timeout=LONG)
            with dxh.consume(name) as seen:
                told = dxh.read_metrics(seen)
                self.assertEqual((told.hub, told.pid), ("measured", os.getpid()))
                self.assertEqual(told.stats["posted"], 10)
                self.assertEqual(told.version, dxh.__version__)
                self.assertGreater(told.latency[dxh.Stage.SERVICE]["count"], 0)
        with self.assertRaises(dxh.NotFoundError):
            dxh.consume(name)

    def test_another_block_has_none(self):
        name = support.name()
        with dxh.produce(name, slot=WORDS, slots=4, unlink_on_close=True):
            with dxh.consume(name) as seen, self.assertRaises(dxh.ZoneError):
                dxh.read_metrics(seen)


if __name__ == "__main__":
    unittest.main()
