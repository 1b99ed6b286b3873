/* SPDX-License-Identifier: MIT */
/* Publishing to a ring that nobody reads, and reading it: against memcpy into and
 * out of memory of the same size. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING_BYTES = 32 << 20, SLOTS_MAX = 4096, BYTES_MAX = 1 << 20 };

static unsigned char item[BYTES_MAX];

static uint32_t slots_for(size_t bytes)
{
	size_t slots = RING_BYTES / bytes;

	return slots > SLOTS_MAX ? SLOTS_MAX : (uint32_t)slots;
}

/* Nanoseconds of one call of `step`, in batches so that the clock costs little. */
static double ns_a_step(double seconds, void (*step)(void *context, uint64_t i), void *context)
{
	int64_t start_ns = dxh_now_ns(), end_ns = start_ns + (int64_t)(seconds * 1e9);
	uint64_t count = 0;

	do
		for (int i = 0; i < 16; i++)
			step(context, count++);
	while (dxh_now_ns() < end_ns);
	return (double)(dxh_now_ns() - start_ns) / (double)count;
}

typedef struct ring {
	size_t bytes;
	dxh_producer *producer;
	dxh_consumer *consumer;
	unsigned char *plain;
} ring;

static void open_block(ring *own)
{
	const dxh_block_config config = {.slot = {.bytes = own->bytes},
	                                 .slot_count = slots_for(own->bytes),
	                                 .no_wait = 1,
	                                 .unlink_on_close = 1};
	char name[40];

	snprintf(name, sizeof name, "bench-%d", (int)getpid());
	bench_must(dxh_producer_open(name, &config, &own->producer), "block");
	bench_must(dxh_consumer_open(name, NULL, &own->consumer), "attach");
}

static void close_block(ring *own)
{
	bench_must(dxh_consumer_close(&own->consumer), "close");
	bench_must(dxh_producer_close(&own->producer), "close");
}

static void publish_one(void *context, uint64_t i)
{
	ring *own = context;

	(void)i;
	bench_must(dxh_publish(own->producer, item, own->bytes, DXH_NOW), "publish");
}

static double publish(double seconds, void *context)
{
	ring own = {.bytes = *(const size_t *)context};
	double ns;

	open_block(&own);
	ns = ns_a_step(seconds, publish_one, &own);
	close_block(&own);
	return ns;
}

static void publish_and_read_one(void *context, uint64_t i)
{
	ring *own = context;
	dxh_item got;

	publish_one(context, i);
	bench_must(dxh_read_next(own->consumer, item, own->bytes, DXH_NOW, &got), "read");
}

static double publish_and_read(double seconds, void *context)
{
	ring own = {.bytes = *(const size_t *)context};
	double ns;

	open_block(&own);
	ns = ns_a_step(seconds, publish_and_read_one, &own);
	close_block(&own);
	return ns;
}

static unsigned char *plain_at(const ring *own, uint64_t i)
{
	return own->plain + i % slots_for(own->bytes) * own->bytes;
}

static void copy_in(void *context, uint64_t i)
{
	const ring *own = context;

	memcpy(plain_at(own, i), item, own->bytes);
	__asm__ volatile("" ::: "memory"); /* the copy is wanted */
}

static void copy_in_and_out(void *context, uint64_t i)
{
	const ring *own = context;

	copy_in(context, i);
	memcpy(item, plain_at(own, i), own->bytes);
	__asm__ volatile("" ::: "memory");
}

static double copies(double seconds, void *context, void (*step)(void *context, uint64_t i))
{
	ring own = {.bytes = *(const size_t *)context};
	double ns;

	own.plain = malloc(slots_for(own.bytes) * own.bytes);
	memset(own.plain, 1, slots_for(own.bytes) * own.bytes);
	ns = ns_a_step(seconds, step, &own);
	free(own.plain);
	return ns;
}

static double plain_in(double seconds, void *context)
{
	return copies(seconds, context, copy_in);
}

static double plain_in_and_out(double seconds, void *context)
{
	return copies(seconds, context, copy_in_and_out);
}

void bench_publish(const bench_options *options)
{
	const size_t sizes[] = {64, 4096, BYTES_MAX};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t bytes = sizes[i];
		char name[40];

		snprintf(name, sizeof name, "publish %zu B", bytes);
		bench_compare(options, name, "ns", publish, "memcpy", plain_in, &bytes);
		snprintf(name, sizeof name, "publish + read %zu B", bytes);
		bench_compare(options, name, "ns", publish_and_read, "memcpy in and out",
		              plain_in_and_out, &bytes);
	}
}
