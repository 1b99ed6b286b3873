/* SPDX-License-Identifier: MIT */
/* A producer in C, for a consumer in Python: camera NAME COUNT. */
#include <dxh.h>

#include <stdio.h>
#include <stdlib.h>

struct point {
	uint64_t number;
	double x;
	float y[3];
};
DXH_SCHEMA(point, DXH_FIELD(number), DXH_FIELD(x, "position", "mm"), DXH_FIELD(y));

struct telemetry {
	_Atomic uint64_t frames;
	double gain;
};
DXH_SCHEMA(telemetry, DXH_FIELD(frames, "frames since start"),
           DXH_FIELD(gain, "amplifier gain", "dB"));

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "camera: %s\n", dxh_last_error());
	exit(1);
}

int main(int count, char **arguments)
{
	uint64_t points = strtoull(arguments[2], NULL, 10);
	struct telemetry *telemetry;
	dxh_producer *producer;
	dxh_write_slot slot;

	(void)count;
	check(dxh_producer_open(arguments[1],
	                        &(dxh_block_config){.zones = {DXH_ZONE(telemetry)},
	                                            .slot = DXH_SLOT(point),
	                                            .slot_count = 16,
	                                            .readers_max = 2,
	                                            .unlink_on_close = 1},
	                        &producer));
	check(dxh_zone(producer, telemetry, &telemetry));
	telemetry->gain = 1.5;
	puts("ready");
	fflush(stdout);
	getchar(); /* until the reader has its row */
	for (uint64_t i = 0; i < points; i++) {
		struct point *point;

		check(dxh_write_begin(producer, dxh_in_ms(10000), &slot));
		point = slot.data;
		*point = (struct point){.number = i, .x = (double)i / 2, .y = {1, 2, (float)i}};
		check(dxh_write_commit(&slot, sizeof *point));
		telemetry->frames++;
	}
	check(dxh_producer_close(&producer));
	return 0;
}
