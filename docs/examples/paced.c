/* SPDX-License-Identifier: MIT */
/* Publish at a fixed rate: 500 samples a second on an absolute schedule. A sample that
 * came too late for its turn is left out and counted, not sent in a burst. */
#include <dxh.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RATE_HZ = 500, TICKS = 50 };

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

int main(void)
{
	dxh_pacer pacer = {.period_ns = 1000000000, .ticks_per_period = RATE_HZ};
	dxh_producer_stats stats;
	dxh_producer *producer;
	uint64_t missed = 0;
	dxh_pace pace;
	char name[64];

	snprintf(name, sizeof name, "paced/adc-%d", (int)getpid());
	check(dxh_producer_open(name,
	                        &(dxh_block_config){.slot = DXH_SLOT_BYTES(sizeof pace),
	                                            .slot_count = 64,
	                                            .unlink_on_close = 1},
	                        &producer));
	do {
		check(dxh_pacer_wait(&pacer, DXH_FOREVER, &pace));
		missed += pace.missed;
		check(dxh_publish(producer, &pace, sizeof pace, DXH_NOW));
	} while (pace.tick + 1 < TICKS);

	check(dxh_producer_stats_get(producer, &stats));
	if (stats.items + missed == pace.tick + 1)
		printf("every tick was published or counted as missed\n");
	check(dxh_producer_close(&producer));
	return 0;
}
