/* SPDX-License-Identifier: MIT */
/* publisher NAME SLOTS BYTES: a producer that does what standard input says, a line each,
 * and answers "done":
 *
 *	publish N   items whose bytes follow from their tickets, of up to BYTES bytes
 *	abort N     tickets
 *	latch N     set the zone `state`
 *	close       and be gone, and the block with it
 *	leave       the block stays
 */
#include <dxh.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static dxh_producer *producer;
static size_t slot_bytes;

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "publisher: %s\n", dxh_last_error());
	exit(1);
}

/* With raw slots (BYTES > 0), of varying length: see tests/record_test.py. */
static dxh_status fill(void *context, void *data, size_t capacity, size_t *bytes)
{
	uint64_t ticket = *(uint64_t *)context;
	unsigned char *at = data;

	*bytes = capacity - (size_t)(ticket % 7);
	for (size_t i = 0; i < *bytes; i++)
		at[i] = (unsigned char)((ticket * 31 + i / 16) & 0xff);
	return DXH_OK;
}

static void publish(uint64_t count)
{
	dxh_producer_stats stats;

	for (; count > 0; count--) {
		check(dxh_producer_stats_get(producer, &stats));
		if (slot_bytes > 0) {
			check(dxh_with_write(producer, dxh_in_ms(20000), fill, &stats.next_ticket));
		} else {
			struct sample sample = {.ticket = stats.next_ticket,
			                        .minus = -(int32_t)stats.next_ticket,
			                        .half = (float)stats.next_ticket / 2};

			snprintf(sample.text, sizeof sample.text, "\"%" PRIu64,
			         stats.next_ticket % 1000);
			check(dxh_publish(producer, &sample, sizeof sample, dxh_in_ms(20000)));
		}
	}
}

static void abort_some(uint64_t count)
{
	dxh_write_slot slot;

	for (; count > 0; count--) {
		check(dxh_write_begin(producer, dxh_in_ms(20000), &slot));
		check(dxh_write_abort(&slot));
	}
}

static void set_state(uint64_t value)
{
	struct state *state;

	check(dxh_latch_begin(producer, "state", sizeof *state, (void **)&state));
	*state = (struct state){value, (double)value / 3};
	check(dxh_latch_commit(producer, "state"));
}

int main(int argc, char **argv)
{
	dxh_block_config config = {.zones = {DXH_LATCH(state)}, .slot = DXH_SLOT(sample)};
	char line[64];

	if (argc != 4)
		return 2;
	config.slot_count = (uint32_t)strtoul(argv[2], NULL, 10);
	slot_bytes = strtoul(argv[3], NULL, 10);
	if (slot_bytes > 0)
		config.slot = (dxh_slot_spec){NULL, slot_bytes};
	check(dxh_producer_open(argv[1], &config, &producer));
	puts("done");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		uint64_t number = strchr(line, ' ') ? strtoull(strchr(line, ' '), NULL, 10) : 0;

		if (strncmp(line, "publish", 7) == 0)
			publish(number);
		else if (strncmp(line, "abort", 5) == 0)
			abort_some(number);
		else if (strncmp(line, "latch", 5) == 0)
			set_state(number);
		else
			break;
		puts("done");
		fflush(stdout);
	}
	check(dxh_producer_close(&producer));
	if (strncmp(line, "close", 5) == 0)
		check(dxh_block_unlink(NULL, argv[1]));
	return 0;
}
