/* SPDX-License-Identifier: MIT */
/* Our blocks written and read: what a publish costs in all its kinds, and a read. Each
 * round ends by looking at what lies in the ring. */
#include "bench/block.h"

#include <stdlib.h>
#include <string.h>

enum { BULK = 32, UP = 9, READ = 10 }; /* the last two: counters */

typedef struct writer {
	dxh_producer *producer;
	unsigned char *payload;
	uint64_t published;
	dxh_publish_item items[BULK];
} writer;

static unsigned char *new_payload(bench_round *round, size_t count)
{
	unsigned char *payload = malloc(count * round->load.bytes);

	bench_check(round, payload != NULL, "memory");
	for (size_t i = 0; i < count; i++)
		bench_payload_init(payload + i * round->load.bytes, round->load.bytes);
	return payload;
}

static void open_writer(bench_round *round, writer *own, dxh_block_config config)
{
	size_t bytes = round->load.bytes;

	config.slot.bytes = bytes;
	if (config.slot_count == 0)
		config.slot_count = bench_slots_for(bytes);
	config.unlink_on_close = 1;
	own->published = 0;
	own->payload = new_payload(round, BULK);
	for (size_t i = 0; i < BULK; i++)
		own->items[i] =
			(dxh_publish_item){.data = own->payload + i * bytes, .bytes = bytes};
	bench_must(round, dxh_producer_open(round->name, &config, &own->producer), "block");
}

static void close_writer(writer *own)
{
	dxh_producer_close(&own->producer);
	free(own->payload);
}

static void publish_one(bench_round *round, void *context, uint64_t i)
{
	writer *own = context;

	(void)i;
	bench_payload_mark(own->payload, round->load.bytes, own->published);
	bench_must(round, dxh_publish(own->producer, own->payload, round->load.bytes, DXH_FOREVER),
	           "publish");
	own->published++;
}

/* All that is kept is what was published, in order up to the last. */
static void verify_kept(bench_round *round, const writer *own, uint64_t kept)
{
	unsigned char *copy = new_payload(round, 1);
	dxh_consumer *consumer = bench_attach(round, round->name, NULL);
	dxh_item item = {0};
	uint64_t items = 0;

	while (dxh_read_next(consumer, copy, round->load.bytes, DXH_NOW, &item) == DXH_OK) {
		bench_check(round, bench_payload_is(copy, round->load.bytes, item.ticket), "item");
		items++;
	}
	bench_check(round, item.ticket + 1 == own->published, "last item");
	bench_check(round, items == (own->published < kept ? own->published : kept), "items");
	dxh_consumer_close(&consumer);
	free(copy);
}

/* ---- publishing for nobody ----------------------------------------------------------------- */

static void publish_with(bench_round *round, dxh_block_config config)
{
	uint32_t slots = round->load.count ? (uint32_t)round->load.count
	                                   : bench_slots_for(round->load.bytes);
	writer own;

	config.slot_count = slots;
	open_writer(round, &own, config);
	/* Once around: the pages are there. */
	for (uint32_t i = 0; i < slots; i++)
		publish_one(round, &own, i);
	bench_mean(round, 16, publish_one, &own);
	verify_kept(round, &own, slots);
	close_writer(&own);
}

void bench_publish_plain(bench_round *round)
{
	publish_with(round, (dxh_block_config){.no_wait = 1, .no_timestamps = 1});
}

void bench_publish_full(bench_round *round)
{
	publish_with(round, (dxh_block_config){0});
}

void bench_publish_checked(bench_round *round)
{
	publish_with(round,
	             (dxh_block_config){.no_wait = 1, .checksum = (uint32_t)round->load.variant});
}

void bench_publish_tuned(bench_round *round)
{
	int variant = round->load.variant;

	publish_with(round, (dxh_block_config){.no_wait = variant == BENCH_NO_WAIT,
	                                       .no_timestamps = variant == BENCH_NO_TIMESTAMPS,
	                                       .huge_pages = variant == BENCH_HUGE_PAGES,
	                                       .lock_memory = variant == BENCH_LOCKED});
}

static void publish_bulk(bench_round *round, void *context, uint64_t i)
{
	writer *own = context;
	size_t published;

	(void)i;
	for (size_t k = 0; k < BULK; k++)
		bench_payload_mark(own->payload + k * round->load.bytes, round->load.bytes,
		                   own->published + k);
	bench_must(round, dxh_publish_n(own->producer, own->items, BULK, DXH_FOREVER, &published),
	           "publish");
	bench_check(round, published == BULK, "publish");
	own->published += BULK;
}

/* Operations are items, not calls. */
void bench_publish_bulk(bench_round *round)
{
	writer own;

	open_writer(round, &own, (dxh_block_config){0});
	bench_mean(round, 4, publish_bulk, &own);
	round->operations *= BULK;
	verify_kept(round, &own, bench_slots_for(round->load.bytes));
	close_writer(&own);
}

/* ---- publishing for readers -------------------------------------------------------------------- */

/* A reader process: whole items, in order; what was lost is counted, and told. */
static void read_all(bench_round *round)
{
	const dxh_consumer_config config = {.discipline =
	                                            round->load.variant ? DXH_LOSSLESS : DXH_FOLLOW,
	                                    .start = DXH_START_NEXT};
	unsigned char *copy = new_payload(round, 1);
	dxh_consumer *consumer;
	dxh_item item;

	bench_ready(round);
	consumer = bench_attach(round, round->name, &config);
	atomic_fetch_add(&round->counters[UP], 1);
	while (!bench_stopping(round)) {
		dxh_status status =
			dxh_read_next(consumer, copy, round->load.bytes, DXH_NOW, &item);

		if (status == DXH_EWAIT || status == DXH_ELAPPED || status == DXH_ECLOSED)
			continue;
		bench_must(round, status, "read");
		bench_check(round, bench_payload_is(copy, round->load.bytes, item.ticket), "item");
		/* relaxed: a count. */
		atomic_fetch_add_explicit(&round->counters[READ], 1, memory_order_relaxed);
	}
	bench_must(round, dxh_consumer_close(&consumer), "close");
	free(copy);
}

static void open_with_readers(bench_round *round, writer *own)
{
	dxh_block_config config = {
		.no_wait = 1, .readers_max = round->load.variant ? 64 : 0, .slot_count = 1024};
	int64_t deadline_ns = dxh_in_ms(15000);

	for (size_t i = 0; i < round->load.count; i++)
		bench_server(round, read_all);
	open_writer(round, own, config);
	while (atomic_load(&round->counters[UP]) < round->load.count)
		bench_check(round, dxh_now_ns() < deadline_ns, "readers");
}

static void close_with_readers(bench_round *round, writer *own)
{
	int64_t deadline_ns = dxh_in_ms(10000);

	/* In a short round they may not have had the CPU yet. */
	while (round->load.count > 0 && atomic_load(&round->counters[READ]) == 0)
		bench_check(round, dxh_now_ns() < deadline_ns, "nobody read anything");
	bench_servers_end(round);
	verify_kept(round, own, 1024);
	close_writer(own);
}

void bench_publish_readers(bench_round *round)
{
	writer own;

	open_with_readers(round, &own);
	bench_mean(round, 16, publish_one, &own);
	close_with_readers(round, &own);
}

/* Half a ring at a time, timed; then readers catch up, untimed. So it is the price of
 * not losing that is measured, and not how fast so many readers on one CPU can be. */
void bench_publish_bursts(bench_round *round)
{
	enum { BURST = 512 };
	uint64_t timed = 0;
	int64_t spent_ns = 0;
	writer own;

	open_with_readers(round, &own);
	bench_start(round);
	while (timed == 0 || bench_time_left(round)) {
		int64_t begin_ns = bench_thread_cpu_ns(), limit_ns;

		for (int i = 0; i < BURST; i++)
			publish_one(round, &own, 0);
		spent_ns += bench_thread_cpu_ns() - begin_ns;
		timed += BURST;
		limit_ns = dxh_in_ms(10000);
		while (atomic_load(&round->counters[READ]) < timed * round->load.count)
			bench_check(round, dxh_now_ns() < limit_ns, "readers do not catch up");
	}
	bench_stop(round, timed);
	round->elapsed_ns = spent_ns;
	close_with_readers(round, &own);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static void look(bench_round *round, dxh_consumer *consumer, uint64_t ticket)
{
	dxh_peek peek;

	bench_must(round, dxh_peek_begin(consumer, DXH_NOW, &peek), "peek");
	bench_check(round, bench_payload_id(peek.data) == ticket, "item");
	bench_must(round, dxh_peek_end(&peek), "peek");
}

static void copy_out(bench_round *round, dxh_consumer *consumer, void *copy, uint64_t ticket)
{
	dxh_item item;

	bench_must(round, dxh_read_next(consumer, copy, round->load.bytes, DXH_NOW, &item), "read");
	bench_check(round, bench_payload_is(copy, round->load.bytes, ticket), "item");
}

/* All that is kept, again and again; variant 1: where it lies. */
void bench_read(bench_round *round)
{
	uint64_t slots = bench_slots_for(round->load.bytes), read = 0;
	int64_t begin_ns;
	unsigned char *copy = new_payload(round, 1);
	dxh_consumer *consumer;
	writer own;

	open_writer(round, &own, (dxh_block_config){.no_wait = 1});
	for (uint64_t i = 0; i < slots; i++)
		publish_one(round, &own, i);
	consumer = bench_attach(round, round->name, NULL);
	bench_start(round);
	begin_ns = bench_thread_cpu_ns();
	while (read == 0 || bench_time_left(round)) {
		bench_must(round, dxh_consumer_seek(consumer, DXH_START_OLDEST, 0), "seek");
		for (uint64_t i = 0; i < slots; i++, read++)
			if (round->load.variant)
				look(round, consumer, i);
			else
				copy_out(round, consumer, copy, i);
	}
	begin_ns = bench_thread_cpu_ns() - begin_ns;
	bench_stop(round, read);
	round->elapsed_ns = begin_ns;
	dxh_consumer_close(&consumer);
	verify_kept(round, &own, slots);
	close_writer(&own);
	free(copy);
}
