/* SPDX-License-Identifier: MIT */
/* Notifications of 64 bytes: how many from many threads, until the other end has them
 * all; and how soon a lone one is there. */
#include "bench/hub.h"
#include "bench/peers/peers.h"

static void crowd_block(bench *found, size_t threads)
{
	const bench_load load = {.threads = threads, .window = threads, .bytes = 64};
	int ours, mutex, packed;

	bench_block(found, BENCH_RATE, "notifications of 64 B, %zu threads", threads);
	ours = bench_side(found, "dxh", bench_hub_notify, &load);
	mutex = bench_side(found, "mutex + zmq", bench_notify_mutex, &load);
	packed = bench_side(found, "packed under the mutex", bench_notify_packed, &load);
	bench_side(found, "mutex queue, packed", bench_notify_queue, &load);
	bench_rival(found, "nats", "publish, tcp", &load);
	bench_ratio_at(found, "notify.mutex", threads, ours, mutex, BENCH_AT_LEAST, 3.5, 6);
	bench_ratio_at(found, "notify.packed_mutex", threads, ours, packed, BENCH_AT_LEAST, 0.9,
	               1.5);
	bench_block_run(found);
}

void bench_workload_notify(bench *found)
{
	const bench_load lone = {.threads = 1, .window = 1, .bytes = 64};
	bench_load at_once = lone;
	int ours, here, raw;

	at_once.variant = BENCH_INLINE;
	crowd_block(found, 1);
	crowd_block(found, 4);
	crowd_block(found, 16);
	bench_block(found, BENCH_P50, "a lone notification of 64 B, one way");
	ours = bench_side(found, "dxh", bench_hub_lone, &lone);
	here = bench_side(found, "dxh, inline handler", bench_hub_lone, &at_once);
	raw = bench_side(found, "zmq PUSH-PULL", bench_notify_lone, &lone);
	bench_ratio(found, "notify.lone", ours, raw, BENCH_AT_MOST, 1.3, 1.1);
	bench_ratio(found, "notify.lone.inline", here, raw, BENCH_AT_MOST, 1.3, 1.1);
	bench_block_run(found);
}
