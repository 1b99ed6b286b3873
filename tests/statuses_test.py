#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each status that a header promises of a call is produced by a test.

Read from the headers: the `Returns:` of the comment above a call, with the statuses that
stand there, not those that it has "as" another call. Looked for in the tests: a statement
with the call and the status. Where a helper stands between the two, or the system has to
fail, the test is named in BY_HELPERS.

Usage: statuses_test.py BUILD
"""

import glob
import re
import sys

HEADERS = ("block", "consumer", "inspect", "pacer", "schema")
PAIRS_MIN = 115

# (call, statuses): the test that gets them, as Criterion names it.
BY_HELPERS = {
    ("dxh_block_check", "DXH_ENOMEM DXH_ESYSTEM"): "fault.a_block_is_inspected_or_not",
    ("dxh_block_diagnose", "DXH_ENOMEM DXH_ESYSTEM"): "fault.a_block_is_inspected_or_not",
    ("dxh_block_validate", "DXH_ENOMEM DXH_ESYSTEM"): "fault.a_block_is_inspected_or_not",
    ("dxh_block_size", "DXH_ENOMEM"): "fault.a_block_is_inspected_or_not",
    ("dxh_block_facts", "DXH_ECORRUPT DXH_EVERSION"):
        "facts.broken_blocks_are_refused_with_offset_and_rule",
    ("dxh_block_gc", "DXH_ENOMEM DXH_ESYSTEM"):
        "fault.garbage_is_collected_or_can_be_collected_again",
    ("dxh_block_recover", "DXH_ENOMEM DXH_ENOSPACE DXH_ESYSTEM"):
        "fault.a_block_is_recovered_or_can_be_recovered_again",
    ("dxh_consumer_close_keeping", "DXH_ENOMEM"): "fault.what_is_closed_is_kept_or_stays_open",
    ("dxh_producer_close_keeping", "DXH_ENOMEM"): "fault.what_is_closed_is_kept_or_stays_open",
    ("dxh_consumer_fd", "DXH_ENOMEM"): "fault.a_consumer_gets_a_descriptor_or_not",
    ("dxh_read_next", "DXH_EMOVED"): "follow.goes_on_in_the_next_block_once_all_is_read",
    ("dxh_read_next", "DXH_ESCHEMA"):
        "follow.another_schema_is_refused_until_there_is_a_better_block",
    ("dxh_consumer_open", "DXH_ESYSTEM"): "fault.a_consumer_attaches_and_reads_or_not",
    ("dxh_consumer_open", "DXH_EVERSION"): "hostile.refusals_name_the_place_and_the_rule",
    ("dxh_consumer_receive_fds", "DXH_ELIMIT"):
        "memfd.without_a_descriptor_to_be_had_it_is_a_limit",
    ("dxh_consumer_receive_fds", "DXH_EPROTO DXH_EVERSION"):
        "memfd.other_messages_are_told_and_leave_no_descriptor",
    ("dxh_read_next", "DXH_ELIMIT"):
        "control_file.without_a_row_in_the_new_control_file_a_reader_is_told_so_until_one_is_free",
    ("dxh_producer_open", "DXH_EEXIST DXH_ENOMEM"):
        "fault.a_block_is_created_whole_or_not_at_all",
    ("dxh_producer_send_fds", "DXH_ELIMIT DXH_ESYSTEM"): "fault.a_block_is_passed_or_not",
}

# Macros that are used instead of their calls.
ALSO_CALLED = {"dxh_consumer_zone_writable": "dxh_zone_writable"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def calls_below(rest):
    """Those that return a status, up to the next comment; they share what stands above."""
    found = re.findall(r"DXH_API\s+(?:DXH_NODISCARD\s+)?dxh_status\s+(dxh_\w+)\s*\(", rest)
    return [re.sub("_sized$", "", call) for call in found]


def promises_of(words, call):
    """What stands behind "begin:" is promised by calls of that ending alone."""
    pieces = re.split(r"\b([a-z]+): ", words)
    own = pieces[0]
    for label, piece in zip(pieces[1::2], pieces[2::2]):
        if label == call.rsplit("_", 1)[-1]:
            own += piece
        elif not LABELS & {label}:
            own += piece  # a word of a sentence
    return set(re.findall(r"(?<!but )\bDXH_E[A-Z]+\b", own))


LABELS = set()


def promised(header):
    pairs = set()
    for comment, rest in re.findall(
        r"/\*(.*?)\*/(.*?)(?=/\*|\Z)", read(f"include/dxh/{header}.h"), re.DOTALL
    ):
        calls = calls_below(rest)
        at = comment.find("Returns:")
        if at == -1:
            continue
        LABELS.clear()
        LABELS.update(call.rsplit("_", 1)[-1] for call in calls if len(calls) > 1)
        words = re.sub(r"\s*\n \*\s*", " ", comment[at + len("Returns:") :])
        for call in calls:
            pairs |= {(call, status) for status in promises_of(words, call)}
    return pairs


def statements():
    sources = sorted(glob.glob("tests/*.[ch]") + glob.glob("tests/*/*.[ch]"))
    return [text for path in sources for text in re.split(r"[;{}]\s*\n", read(path))]


def is_produced(call, status, everything):
    names = "|".join([call, call + "_sized", ALSO_CALLED.get(call, call)])
    return any(
        re.search(rf"\b({names})\(", text) and re.search(rf"\b{status}\b", text)
        for text in everything
    )


def named_tests():
    sources = " ".join(read(path) for path in glob.glob("tests/*_test.c"))
    return {f"{suite}.{name}" for suite, name in re.findall(r"\bTest\((\w+), (\w+)", sources)}


def main():
    everything = statements()
    pairs = set().union(*(promised(header) for header in HEADERS))
    by_helpers = {
        (call, status): test
        for (call, statuses), test in BY_HELPERS.items() for status in statuses.split()
    }
    wrong = []
    for call, status in sorted(pairs):
        if is_produced(call, status, everything):
            if (call, status) in by_helpers:
                wrong.append(f"{call}: {status} needs not be listed")
        elif (call, status) not in by_helpers:
            wrong.append(f"{call}: no test gets {status}")
    wrong += [f"{call}: {status} is not promised" for call, status in by_helpers if (call, status) not in pairs]
    wrong += [f"there is no test {test}" for test in set(by_helpers.values()) - named_tests()]
    # What looks must be able to miss something.
    if is_produced("dxh_block_check", "DXH_EPROTO", everything) or len(pairs) < PAIRS_MIN:
        wrong.append(f"the check is blind: {len(pairs)} promises found")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(pairs)} promises, {len(by_helpers)} through helpers")


main()
