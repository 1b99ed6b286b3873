/* SPDX-License-Identifier: MIT */
/* Requests of 64 bytes: how many go through with a window of 1000, from 1 to 64 threads;
 * and how many callers get that wait for each. */
#include "bench/hub.h"
#include "bench/peers/peers.h"

enum { WINDOW = 1000 };

static void window_block(bench *found, size_t threads)
{
	bench_load load = {.threads = threads, .window = WINDOW, .bytes = 64};
	int ours, here, ceiling, per_thread, packed;
	bool crowd = threads == 64;

	bench_block(found, BENCH_RATE, "window of 1000 requests, 64 B, %zu threads", threads);
	ours = bench_side(found, "dxh", bench_hub_window, &load);
	load.variant = BENCH_INLINE;
	here = bench_side(found, "dxh, inline handler", bench_hub_window, &load);
	load.variant = 0;
	ceiling = bench_side(found, "zmq packed, one thread", bench_zmq_packed, &load);
	per_thread = bench_side(found, "zmq socket per thread", bench_per_thread, &load);
	load.variant = 64;
	packed = bench_side(found, "mutex queue, packed by 64", bench_naive, &load);
	load.variant = 1;
	bench_side(found, "mutex queue", bench_naive, &load);
	bench_side(found, "zmq inproc funnel", bench_zmq_funnel, &load);
	if (threads == 1)
		bench_rival(found, "nng", "contexts + aio, window", &load);
	if (!crowd) {
		bench_ratio_at(found, "req.ceiling", threads, ours, ceiling, BENCH_AT_LEAST, 0.5,
		               0.85);
		bench_ratio_at(found, "req.ceiling.inline", threads, here, ceiling, BENCH_AT_LEAST,
		               0.5, 0.85);
	}
	bench_ratio_at(found, "req.per_thread", threads, ours, per_thread, BENCH_AT_LEAST,
	               crowd ? 3 : 3.5, crowd ? 8 : 6);
	bench_ratio_at(found, "req.naive_packed", threads, ours, packed, BENCH_AT_LEAST,
	               crowd ? 1.5 : 1.1, crowd ? 4 : 1.6);
	bench_block_run(found);
}

void bench_workload_requests(bench *found)
{
	static const size_t threads[] = {1, 4, 16, 64};

	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
		window_block(found, threads[i]);
}

/* ---- one at a time, from each thread ---------------------------------------------------- */

static void sync_block(bench *found, size_t threads, const double *a, const double *b)
{
	bench_load load = {.threads = threads, .window = threads, .bytes = 64};
	int ours, option_a, per_thread;

	bench_block(found, BENCH_RATE, "%zu synchronous callers, 64 B", threads);
	ours = bench_side(found, "dxh", bench_hub_sync, &load);
	option_a = bench_side(found, "mutex over the round trip", bench_option_a, &load);
	per_thread = bench_side(found, "zmq socket per thread", bench_per_thread, &load);
	load.variant = 1;
	bench_side(found, "mutex, with care", bench_option_a, &load);
	bench_side(found, "mutex queue", bench_naive, &load);
	load.variant = 64;
	bench_side(found, "mutex queue, packed by 64", bench_naive, &load);
	bench_ratio_at(found, "sync.option_a", threads, ours, option_a, BENCH_AT_LEAST, a[0], a[1]);
	bench_ratio_at(found, "sync.per_thread", threads, ours, per_thread, BENCH_AT_LEAST, b[0],
	               b[1]);
	bench_block_run(found);
}

void bench_workload_sync(bench *found)
{
	sync_block(found, 4, (const double[]){1.5, 2}, (const double[]){0.9, 1.2});
	sync_block(found, 16, (const double[]){3.5, 5}, (const double[]){1.0, 1.5});
	sync_block(found, 64, (const double[]){7, 12}, (const double[]){3, 5});
}
