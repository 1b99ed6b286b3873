/* SPDX-License-Identifier: MIT */
/* A consumer in C of a producer in Python: viewer NAME. Prints the sum of what it read. */
#include <dxh.h>

#include <inttypes.h>
#include <stdio.h>

struct point {
	uint64_t number;
	double x;
	float y[3];
};
DXH_SCHEMA(point, DXH_FIELD(number), DXH_FIELD(x), DXH_FIELD(y));

int main(int count, char **arguments)
{
	double sum = 0;
	uint64_t lost = 0;
	struct point point;
	dxh_consumer *consumer;
	dxh_status status;
	dxh_item item;

	(void)count;
	if (dxh_consumer_open(
		    arguments[1],
		    &(dxh_consumer_config){.slot = DXH_SLOT(point), .discipline = DXH_LOSSLESS},
		    &consumer) != DXH_OK)
		return fprintf(stderr, "viewer: %s\n", dxh_last_error()), 1;
	puts("ready");
	fflush(stdout);
	while ((status = dxh_read_next(consumer, &point, sizeof point, dxh_in_ms(10000), &item)) ==
	       DXH_OK) {
		sum += point.x + point.y[2];
		lost += item.lost;
	}
	printf("%.1f %" PRIu64 "\n", sum, lost);
	dxh_consumer_close(&consumer);
	/* It is removed as it closes: whichever is seen first. */
	return status != DXH_ECLOSED && status != DXH_EUNLINKED;
}
