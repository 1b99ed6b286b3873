/* SPDX-License-Identifier: MIT */
/* Describe a struct once and share it: a zone of atomics beside a ring of frames,
 * as one process writes them and another one reads. */
#include <dxh.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAME_BYTES = 640 * 480, FRAMES = 10 };

struct telemetry {
	_Atomic uint64_t frames;
	_Atomic uint64_t dropped;
	double gain;
};

DXH_SCHEMA(telemetry, DXH_FIELD(frames, "frames since start"), DXH_FIELD(dropped),
           DXH_FIELD(gain, "amplifier gain", "dB"));

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

int main(void)
{
	static unsigned char copy[FRAME_BYTES];
	char name[DXH_BLOCK_NAME_MAX + 1];
	dxh_producer *producer;
	dxh_consumer *consumer;
	struct telemetry *telemetry;
	const struct telemetry *seen;
	dxh_write_slot slot;
	dxh_item item;

	snprintf(name, sizeof name, "camera/front-%d", (int)getpid());
	check(dxh_producer_open(name,
	                        &(dxh_block_config){.zones = {DXH_ZONE(telemetry)},
	                                            .slot = DXH_SLOT_BYTES(FRAME_BYTES),
	                                            .slot_count = 16,
	                                            .unlink_on_close = 1},
	                        &producer));
	/* Wrong name, size or layout: three different codes. */
	check(dxh_zone(producer, telemetry, &telemetry));
	telemetry->gain = 1.5;

	/* Usually in another process; it maps the block read-only. */
	check(dxh_consumer_open(name, NULL, &consumer));
	check(dxh_zone_view(consumer, telemetry, &seen));

	for (int i = 0; i < FRAMES; i++) {
		check(dxh_write_begin(producer, dxh_in_ms(5), &slot));
		memset(slot.data, i, FRAME_BYTES); /* straight into shared memory */
		check(dxh_write_commit(&slot, FRAME_BYTES));
		atomic_fetch_add_explicit(&telemetry->frames, 1, memory_order_relaxed);
	}

	check(dxh_read_next(consumer, copy, sizeof copy, dxh_in_ms(1000), &item));
	printf("%" PRIu64 " frames at a gain of %.1f dB\n",
	       atomic_load_explicit(&seen->frames, memory_order_relaxed), seen->gain);
	printf("ticket %" PRIu64 ": %zu bytes of value %d\n", item.ticket, item.bytes,
	       copy[item.bytes - 1]);

	check(dxh_consumer_close(&consumer));
	check(dxh_producer_close(&producer));
	return 0;
}
