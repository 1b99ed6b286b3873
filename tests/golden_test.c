/* SPDX-License-Identifier: MIT */
/* What format 1 has written once is read by every later build: a block, and a frame with
 * a record of each kind. The files in tests/golden are never made anew; a new format gets
 * files of its own beside them. */
#include "runtime/wire.h"
#include "tests/support/support.h"

#include <dxh/block.h>
#include <dxh/inspect.h>
#include <dxh/zone.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct state {
	uint64_t value;
	double third;
};
DXH_SCHEMA(state, DXH_FIELD(value), DXH_FIELD(third));

struct sample {
	uint64_t ticket;
	int32_t minus;
	float half;
	char text[8];
};
DXH_SCHEMA(sample, DXH_FIELD(ticket), DXH_FIELD(minus), DXH_FIELD(half, "of it", "V"),
           DXH_FIELD(text));

/* Tickets 0..8 were published, of which 6 was aborted; 4 are kept. */
Test(golden, a_block_of_format_1_is_read, .timeout = 30)
{
	static const uint64_t wanted[] = {5, 7, 8};
	dxh_consumer_config config = {.file = "tests/golden/block-1.dxh",
	                              .slot = DXH_SLOT(sample),
	                              .zones = (dxh_zone_spec[]){DXH_LATCH(state), {0}}};
	dxh_consumer *consumer;
	struct sample sample;
	struct state state;
	dxh_item item;

	must(dxh_consumer_open(NULL, &config, &consumer));
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		must(dxh_read_next(consumer, &sample, sizeof sample, DXH_NOW, &item));
		cr_expect_eq(item.ticket, wanted[i]);
		cr_expect_eq(sample.ticket, wanted[i]);
		cr_expect_eq(sample.minus, -(int32_t)wanted[i]);
		cr_expect_eq(sample.half, (float)wanted[i] / 2);
		cr_expect_eq(sample.text[1], (char)('0' + wanted[i]));
	}
	must_be(dxh_read_next(consumer, &sample, sizeof sample, DXH_NOW, &item), DXH_ECLOSED, NULL);
	must(dxh_zone_snapshot(consumer, state, &state));
	cr_expect_eq(state.value, 7);
	cr_expect_eq(state.third, 7.0 / 3);
	must(dxh_consumer_close(&consumer));
}

Test(golden, a_block_of_format_1_is_in_order, .timeout = 30)
{
	dxh_inspect_config config = {.file = "tests/golden/block-1.dxh"};
	dxh_report *report;

	must(dxh_block_check(NULL, &config, &report));
	cr_expect_eq(report->finding_count, 0);
	dxh_report_free(&report);
}

/* Each record says its kind in numbers: see expect_record(). */
static void expect_record(const dxi_record *record, uint8_t kind)
{
	char text[16];

	cr_expect_eq(record->kind, kind);
	cr_expect_eq(record->id, UINT64_C(0x1122334455660000) + kind);
	cr_expect_eq(record->budget_us, 1000u + kind);
	cr_expect_eq(record->status, -kind);
	cr_expect_eq(record->attempt, 2 * kind);
	snprintf(text, sizeof text, "subject.%u", kind);
	if (kind != DXI_REQUEST && kind != DXI_NOTIFY && kind != DXI_SUBSCRIBE)
		text[0] = '\0';
	cr_expect_eq(record->subject_bytes, strlen(text));
	cr_expect_eq(memcmp(record->subject, text, strlen(text)), 0);
	if (kind == DXI_HELLO || kind == DXI_WELCOME)
		return; /* their bodies are maps */
	cr_expect_eq(record->body_bytes, (size_t)kind);
	for (size_t i = 0; i < record->body_bytes; i++)
		cr_expect_eq(((const unsigned char *)record->body)[i], kind + i);
}

Test(golden, a_frame_of_format_1_is_read, .timeout = 30)
{
	static unsigned char bytes[4096];
	FILE *file = fopen("tests/golden/frame-1.bin", "re");
	size_t count = fread(bytes, 1, sizeof bytes, file);
	dxi_frame_reader reader;
	dxi_record record;
	dxi_hello hello;
	uint8_t kind = 0;

	fclose(file);
	must(dxi_frame_open(&reader, bytes, count));
	while (dxi_frame_next(&reader, &record) == DXH_OK) {
		expect_record(&record, ++kind);
		if (kind > DXI_WELCOME)
			continue;
		must(dxi_hello_read(record.body, record.body_bytes, &hello));
		cr_expect_eq(hello.incarnation, UINT64_C(0xfedcba9876543210));
		cr_expect_str_eq(hello.name, "golden");
		cr_expect_eq(hello.frame_bytes, 16384);
	}
	cr_expect_eq(kind, 15);
	cr_expect_eq(reader.skipped, 0);
}
