# SPDX-License-Identifier: MIT
"""Whatever C can do, Python can: each function of the headers is called by the binding, and each
member of a config is set by it, or stands here with the reason why not."""

import glob
import os
import re
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

#: What has no place in Python, and what is there instead.
NOT_CALLED = {
    "dxh_certainty_text": "Certainty",
    "dxh_consumer_open_fds": "receive(), which takes a socket",
    "dxh_consumer_slot_entry": "Consumer.dtype",
    "dxh_consumer_zone_at": "zones have names, Zones[...]",
    "dxh_consumer_zone_entry": "Zones, Zone.dtype",
    "dxh_description_apply": "dtypes: pass those of a consumer to produce()",
    "dxh_description_free": "dtypes",
    "dxh_description_read": "dtypes",
    "dxh_flush": "dxh_flush_post(), which can be interrupted",
    "dxh_group_dispatch": "event loops call what is theirs",
    "dxh_group_next": "wait_any()",
    "dxh_in_ms": "seconds",
    "dxh_in_us": "seconds",
    "dxh_pacer_next": "Pacer.wait_async()",
    "dxh_post": "dxh_post_batch()",
    "dxh_post_to": "dxh_post_batch()",
    "dxh_producer_fds": "Producer.send(), which takes a socket",
    "dxh_producer_readers": "block_facts()",
    "dxh_producer_slot_entry": "Producer.dtype",
    "dxh_producer_zone_at": "zones have names",
    "dxh_producer_zone_entry": "Zones, Zone.dtype",
    "dxh_block_readers": "block_facts()",
    "dxh_request_reply_owned": "replies of Python are copied: their memory is the interpreter's",
    "dxh_request_sync": "Peer.call(), which can be interrupted",
    "dxh_schema_walk": "dtypes",
    "dxh_service_dispatch": "Service.run()",
    "dxh_service_handle": "Service.on()",
    "dxh_service_handle_inline": "the I/O thread must not wait for the interpreter's lock",
    "dxh_service_receive_many": "each request is an object of its own: Service.receive()",
    "dxh_status_advice": "Status, docstrings of the exceptions",
    "dxh_status_name": "Status",
    "dxh_status_text": "str() of an exception",
    "dxh_type_bytes": "dtypes",
    "dxh_type_name": "dtypes",
    "dxh_watcher_dispatch": "for event in watcher",
    "dxh_with_read": "with consumer.view()",
    "dxh_with_write": "with producer.write()",
    "dxh_write_commit": "dxh_write_commit_checked()",
    "dxh_zone_copy": "Zone.array, LatchZone.load()",
    "dxh_zone_copy_at": "Zone.array, LatchZone.load()",
}

NOT_SET = {
    "reserved": "not used",
    "reserved_int": "not used",
    "context": "of callbacks, which the binding has for itself",
}


def text_of(pattern):
    found = []
    for path in sorted(glob.glob(os.path.join(TOP, pattern))):
        with open(path, encoding="utf-8") as file:
            found.append(file.read())
    return "\n".join(found)


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def functions(headers):
    declared = re.findall(r"DXH_API[^;]*?\b(dxh_\w+)\(", without_comments(headers))
    return {name.removesuffix("_sized") for name in declared}


def config_members(headers):
    """(struct, member) of all configs."""
    for body, name in re.findall(r"typedef struct \w+ \{([^{}]*)\} (dxh_\w*config);",
                                 without_comments(headers)):
        for declaration in body.split(";"):
            pointer = re.search(r"\(\*(\w+)\)", declaration)
            plain = re.search(r"(\w+)(\[\w+\])?\s*$", declaration)
            if pointer or plain:
                yield name, (pointer or plain).group(1)


def missing(headers, native):
    called = {name.removesuffix("_sized") for name in re.findall(r"\bdxh_\w+", native)}
    used = set(re.findall(r"(?:\.|->)(\w+)", native))
    return (functions(headers) - called - set(NOT_CALLED),
            {(struct, member) for struct, member in config_members(headers)
             if member not in used and member not in NOT_SET})


class CompleteTest(unittest.TestCase):
    def setUp(self):
        self.headers = text_of("include/dxh/*.h")
        self.native = without_comments(text_of("python/native/*.[ch]"))

    def test_nothing_is_missing(self):
        self.assertGreater(len(functions(self.headers)), 100)
        self.assertGreater(len(list(config_members(self.headers))), 80)
        self.assertEqual(missing(self.headers, self.native), (set(), set()),
                         "bind it, or say here why not")

    def test_the_control_what_is_missing_is_found(self):
        headers = ("DXH_API DXH_NODISCARD dxh_status\ndxh_fly_sized(int);\n"
                   "typedef struct dxh_fly_config {\n int wings; /* two */\n} dxh_fly_config;\n")
        self.assertEqual(missing(headers, self.native),
                         ({"dxh_fly"}, {("dxh_fly_config", "wings")}))

    def test_no_reason_is_out_of_date(self):
        known = functions(self.headers)
        self.assertEqual({name for name in NOT_CALLED if name not in known}, set())


if __name__ == "__main__":
    unittest.main()
