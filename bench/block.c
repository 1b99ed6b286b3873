/* SPDX-License-Identifier: MIT */
/* Our blocks: one way to another process, by looking all the time or by waiting. */
#include "bench/block.h"

#include <stdlib.h>

/* As much memory for each size, as far as rings have from 4 to 4096 slots. */
enum { RING_BYTES = 32 << 20, SLOTS_MAX = 4096, SLOTS_MIN = 4 };

uint32_t bench_slots_for(size_t bytes)
{
	size_t slots = RING_BYTES / bytes;

	return (uint32_t)(slots > SLOTS_MAX ? SLOTS_MAX : slots < SLOTS_MIN ? SLOTS_MIN : slots);
}

dxh_consumer *bench_attach(bench_round *round, const char *name, const dxh_consumer_config *config)
{
	int64_t deadline_ns = dxh_in_ms(10000);
	dxh_consumer *consumer;
	dxh_status status;

	while ((status = dxh_consumer_open(name, config, &consumer)) == DXH_ENOTFOUND &&
	       dxh_now_ns() < deadline_ns)
		;
	bench_must(round, status, "attach");
	return consumer;
}

/* ---- one way ---------------------------------------------------------------------------- */

static void open_way(bench_way *way)
{
	const dxh_block_config block = {.slot = {.bytes = way->round->load.bytes},
	                                .slot_count = bench_slots_for(way->round->load.bytes),
	                                .no_wait = !way->blocking,
	                                .readers_max = way->lossless,
	                                .unlink_on_close = 1};
	const dxh_consumer_config reader = {.discipline =
	                                            way->lossless ? DXH_LOSSLESS : DXH_FOLLOW};
	dxh_producer *producer;

	if (!way->writes) {
		way->own = bench_attach(way->round, bench_way_name(way), &reader);
		return;
	}
	bench_must(way->round, dxh_producer_open(bench_way_name(way), &block, &producer), "block");
	way->own = producer;
}

static void send(bench_way *way, const void *payload)
{
	bench_must(way->round, dxh_publish(way->own, payload, way->round->load.bytes, DXH_FOREVER),
	           "publish");
}

static void receive(bench_way *way, void *payload)
{
	int64_t deadline_ns = way->blocking ? DXH_FOREVER : DXH_NOW;
	dxh_status status;
	dxh_item item;

	do
		status = dxh_read_next(way->own, payload, way->round->load.bytes, deadline_ns,
		                       &item);
	while (status == DXH_EWAIT);
	bench_must(way->round, status, "read");
	bench_check(way->round, item.bytes == way->round->load.bytes && item.lost == 0, "item");
}

static void close_way(bench_way *way)
{
	dxh_producer *producer = way->own;
	dxh_consumer *consumer = way->own;

	if (way->writes)
		dxh_producer_close(&producer);
	else
		dxh_consumer_close(&consumer);
}

static const bench_transport transport = {
	.open = open_way, .send = send, .receive = receive, .close = close_way};

void bench_block_latency(bench_round *round)
{
	bench_way_latency(round, &transport, false);
}

void bench_block_latency_blocking(bench_round *round)
{
	bench_way_latency(round, &transport, true);
}

void bench_block_rate(bench_round *round)
{
	bench_way_rate(round, &transport, false);
}
