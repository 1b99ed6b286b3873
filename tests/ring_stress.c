/* SPDX-License-Identifier: MIT */
/* A slot ring and a latch whose writer laps its readers on purpose: whatever is delivered
 * is whole, and what was delivered and what was told as lost is all that was written.
 *
 * All sides look at one mapping, because ThreadSanitizer tells places by their addresses.
 * Under it everything is written by copy: a payload that is filled in place is formally a
 * race, which validation makes harmless.
 *
 * Planted: "naive" has a reader look at an item in place and never ask whether it
 * held; "count" forgets a loss; "plain" fills payloads in place, which is a data race.
 */
#include "tests/support/stress.h"

#include <dxh/block.h>

#include "shm/consumer.h"
#include "shm/producer.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { WORDS = 256, SLOTS = 4, GATE = 32 };

#ifdef __SANITIZE_THREAD__
enum { UNDER_TSAN = 1 };
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
enum { UNDER_TSAN = 1 };
#else
enum { UNDER_TSAN = 0 };
#endif
#else
enum { UNDER_TSAN = 0 };
#endif

typedef struct item {
	uint64_t words[WORDS];
} item;

/* The words of a latch are atomics, as in every zone that somebody else reads. */
typedef struct state {
	_Atomic uint64_t words[8];
} state;

typedef struct reader {
	dxh_discipline discipline;
	dxh_consumer *consumer;
	dxi_block own; /* its own mapping, for the time of the close */
	uint64_t read, lost, torn, broken, snapshots, torn_snapshots;
} reader;

static char block[64];
static dxh_producer *producer;
static reader readers[] = {{.discipline = DXH_FOLLOW},
                           {.discipline = DXH_FOLLOW},
                           {.discipline = DXH_LATEST},
                           {.discipline = DXH_LOSSLESS}};
enum { READERS = sizeof readers / sizeof *readers };
static _Atomic bool written;
static _Atomic uint64_t delivered; /* relaxed throughout: it orders nothing */

/* ---- payloads that tell what they are ---- */

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

/* ---- the writer ---- */

static void write_in_place(uint64_t ticket)
{
	dxh_write_slot slot;

	stress_must(dxh_write_begin(producer, DXH_NOW, &slot));
	fill(slot.data, ticket);
	stress_must(dxh_write_commit(&slot, sizeof(item)));
}

static void write_by_copy(uint64_t ticket)
{
	item filled;

	fill(&filled, ticket);
	stress_must(dxh_publish(producer, &filled, sizeof filled, DXH_NOW));
}

static void write_latch(uint64_t version)
{
	void *data;
	state *filled;

	stress_must(dxh_latch_begin(producer, "state", sizeof(state), &data));
	filled = data;
	/* relaxed: begin and commit order them. */
	for (uint64_t i = 0; i < 8; i++)
		atomic_store_explicit(&filled->words[i], word_of(version, i), memory_order_relaxed);
	stress_must(dxh_latch_commit(producer, "state"));
}

/* However busy the machine is: one item is read for each GATE that are written. */
static void wait_for_readers(uint64_t ticket)
{
	while (atomic_load_explicit(&delivered, memory_order_relaxed) < ticket / GATE)
		sched_yield();
}

static void write_all(void)
{
	bool in_place = UNDER_TSAN ? stress_planted("plain") : true;

	for (uint64_t ticket = 0; ticket < stress_operations; ticket++) {
		if (in_place && ticket % 2 == 0)
			write_in_place(ticket);
		else
			write_by_copy(ticket);
		write_latch(ticket);
		if (ticket % GATE == 0)
			wait_for_readers(ticket);
	}
	written = true;
}

/* ---- readers ---- */

/* Read in place, and believe it. */
static dxh_status read_naively(reader *self)
{
	dxh_peek peek;
	dxh_status status = dxh_peek_begin(self->consumer, DXH_NOW, &peek);

	if (status != DXH_OK)
		return status == DXH_EWAIT ? DXH_OK : status;
	for (int i = 0; i < 8; i++) /* time enough to be lapped in */
		sched_yield();
	self->torn += !is_whole(peek.data, peek.item.ticket);
	(void)!dxh_peek_end(&peek);
	return DXH_OK;
}

static dxh_status read_one(reader *self, dxh_item *told)
{
	item seen;
	dxh_status status = dxh_read_next(self->consumer, &seen, sizeof seen, DXH_NOW, told);

	if (status == DXH_OK)
		self->torn += !is_whole(&seen, told->ticket);
	if (status != DXH_OK || !stress_planted("naive"))
		return status;
	return read_naively(self);
}

static void read_latch(reader *self)
{
	uint64_t seen[8];
	dxh_status status = dxh_latch_read(self->consumer, "state", seen, sizeof seen);

	if (status == DXH_EBUSY)
		return;
	stress_must(status);
	if (seen[0] == 0)
		return; /* as it was made */
	self->snapshots++;
	for (uint64_t i = 0; i < 8; i++)
		if (seen[i] != seen[0] + i) {
			self->torn_snapshots++;
			return;
		}
}

/* What nobody damaged cannot be broken; counted, so that a weaker seqlock can show all that
 * it does. A lossless reader that was there from the first item on loses only by eviction. */
static bool is_told_loss(reader *self, dxh_status status)
{
	self->broken += status == DXH_ECORRUPT;
	if (status == DXH_ECORRUPT)
		return true;
	return status == (self->discipline == DXH_LOSSLESS ? DXH_EEVICTED : DXH_ELAPPED);
}

static void *read_all(void *context)
{
	reader *self = context;
	dxh_item told;
	bool last = false;

	for (;;) {
		dxh_status status = read_one(self, &told);

		if (status == DXH_OK || is_told_loss(self, status)) {
			self->read += status == DXH_OK;
			self->lost += told.lost;
			atomic_fetch_add_explicit(&delivered, status == DXH_OK,
			                          memory_order_relaxed);
			read_latch(self);
			continue;
		}
		if (status != DXH_EWAIT)
			stress_fail("read: %s", dxh_last_error());
		if (last)
			return NULL;
		last = written; /* once more behind the last item */
	}
}

/* ---- all of it ---- */

static void open_reader(reader *self)
{
	const dxh_consumer_config config = {.discipline = self->discipline};
	dxi_block *mine;

	stress_must(dxh_consumer_open(block, &config, &self->consumer));
	mine = &self->consumer->block;
	self->own = *mine;
	mine->base = producer->block.base;
	mine->ring.slots = producer->block.ring.slots;
	mine->marks = producer->block.marks;
}

static void close_reader(reader *self)
{
	self->consumer->block = self->own;
	stress_must(dxh_consumer_close(&self->consumer));
}

static void check(void)
{
	uint64_t read = 0, lost = 0, torn = 0, broken = 0, snapshots = 0, torn_snapshots = 0;

	for (int i = 0; i < READERS; i++) {
		read += readers[i].read;
		lost += readers[i].lost;
		torn += readers[i].torn;
		broken += readers[i].broken;
		snapshots += readers[i].snapshots;
		torn_snapshots += readers[i].torn_snapshots;
	}
	printf("ring_stress: %" PRIu64 " items, %d readers: %" PRIu64 " read, %" PRIu64
	       " lost, %" PRIu64 " torn; %" PRIu64 " snapshots, %" PRIu64 " torn\n",
	       stress_operations, (int)READERS, read, lost, torn, snapshots, torn_snapshots);
	fflush(stdout);
	stress_equal(torn, 0);
	stress_equal(broken, 0);
	stress_equal(torn_snapshots, 0);
	for (int i = 0; i < READERS && !stress_planted("naive"); i++)
		stress_equal(readers[i].read + readers[i].lost + (uint64_t)stress_planted("count"),
		             stress_operations);
	if (lost == 0)
		stress_fail("no reader was ever lapped");
	if (read < stress_operations / GATE || snapshots < stress_operations / GATE)
		stress_fail("too little was read to tell");
}

int main(int argc, char **argv)
{
	const dxh_block_config config = {
		.zones = {{.name = "state", .bytes = sizeof(state), .latch = 1}},
		.slot = DXH_SLOT_BYTES(sizeof(item)),
		.slot_count = SLOTS,
		.readers_max = READERS,
		.evict = 1,
		.unlink_on_close = 1};
	pthread_t threads[READERS];

	stress_begin(argc, argv, 100000);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	snprintf(block, sizeof block, "ring-%d", (int)getpid());
	stress_must(dxh_producer_open(block, &config, &producer));
	for (int i = 0; i < READERS; i++) {
		open_reader(&readers[i]);
		pthread_create(&threads[i], NULL, read_all, &readers[i]);
	}
	write_all();
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		close_reader(&readers[i]);
	}
	stress_must(dxh_producer_close(&producer));
	check();
	return 0;
}
