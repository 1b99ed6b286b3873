/* SPDX-License-Identifier: MIT */
/* A slot ring whose writer laps its readers on purpose: whatever is delivered is whole,
 * and what was delivered and what was told as lost is all that was written.
 *
 * Planted: "naive" has a reader look at an item in place and never ask whether it
 * held; "count" forgets a loss.
 */
#include "tests/support/stress.h"

#include <dxh/block.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { WORDS = 64, SLOTS = 4, READERS = 2 };

typedef struct item {
	uint64_t words[WORDS];
} item;

typedef struct reader {
	dxh_consumer *consumer;
	uint64_t read, lost, torn;
} reader;

static char block[64];
static dxh_producer *producer;
static reader readers[READERS];
static _Atomic bool written;

static uint64_t word_of(uint64_t ticket, uint64_t i)
{
	return (ticket + 1) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

static bool is_whole(const item *seen, uint64_t ticket)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (seen->words[i] != word_of(ticket, i))
			return false;
	return true;
}

static void fill(item *filled, uint64_t ticket)
{
	for (uint64_t i = 0; i < WORDS; i++)
		filled->words[i] = word_of(ticket, i);
}

/* In turn by copy and in place, so that readers are slow enough to be lapped. */
static void write_all(void)
{
	for (uint64_t ticket = 0; ticket < stress_operations; ticket++) {
		dxh_write_slot slot;
		item filled;

		if (ticket % 2) {
			fill(&filled, ticket);
			stress_must(dxh_publish(producer, &filled, sizeof filled, DXH_NOW));
			continue;
		}
		stress_must(dxh_write_begin(producer, DXH_NOW, &slot));
		fill(slot.data, ticket);
		stress_must(dxh_write_commit(&slot, sizeof filled));
	}
	written = true;
}

static dxh_status read_one(reader *self, dxh_item *told)
{
	dxh_peek peek;
	item seen;
	dxh_status status = dxh_read_next(self->consumer, &seen, sizeof seen, DXH_NOW, told);

	if (status == DXH_OK)
		self->torn += !is_whole(&seen, told->ticket);
	if (status != DXH_OK || !stress_planted("naive"))
		return status;
	status = dxh_peek_begin(self->consumer, DXH_NOW, &peek);
	if (status != DXH_OK)
		return status == DXH_EWAIT ? DXH_OK : status;
	for (int i = 0; i < 8; i++) /* time enough to be lapped in */
		sched_yield();
	self->torn += !is_whole(peek.data, peek.item.ticket);
	(void)!dxh_peek_end(&peek);
	return DXH_OK;
}

static void *read_all(void *context)
{
	reader *self = context;
	dxh_item told;
	bool last = false;

	for (;;) {
		dxh_status status = read_one(self, &told);

		if (status == DXH_OK || status == DXH_ELAPPED) {
			self->read += status == DXH_OK;
			self->lost += told.lost;
			continue;
		}
		if (status != DXH_EWAIT)
			stress_fail("read: %s", dxh_last_error());
		if (last)
			return NULL;
		last = written; /* once more behind the last item */
	}
}

int main(int argc, char **argv)
{
	const dxh_block_config config = {
		.slot = DXH_SLOT_BYTES(sizeof(item)), .slot_count = SLOTS, .unlink_on_close = 1};
	uint64_t read = 0, lost = 0, torn = 0;
	pthread_t threads[READERS];

	stress_begin(argc, argv, 100000);
	snprintf(block, sizeof block, "ring-%d", (int)getpid());
	stress_must(dxh_producer_open(block, &config, &producer));
	for (int i = 0; i < READERS; i++) {
		stress_must(dxh_consumer_open(block, NULL, &readers[i].consumer));
		pthread_create(&threads[i], NULL, read_all, &readers[i]);
	}
	write_all();
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		stress_must(dxh_consumer_close(&readers[i].consumer));
		read += readers[i].read;
		lost += readers[i].lost;
		torn += readers[i].torn;
		if (!stress_planted("naive"))
			stress_equal(readers[i].read + readers[i].lost +
			                     (uint64_t)stress_planted("count"),
			             stress_operations);
	}
	stress_must(dxh_producer_close(&producer));
	printf("ring_stress: %" PRIu64 " items, %d readers: %" PRIu64 " read, %" PRIu64
	       " lost, %" PRIu64 " torn\n",
	       stress_operations, (int)READERS, read, lost, torn);
	stress_equal(torn, 0);
	if (lost == 0)
		stress_fail("no reader was ever lapped");
	return 0;
}
