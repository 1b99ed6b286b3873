/* SPDX-License-Identifier: MIT */
/* What a post costs its caller; and what else requests cost. */
#include "bench/hub.h"
#include "bench/peers/peers.h"

static void median_block(bench *found, size_t threads)
{
	const bench_load load = {
		.threads = threads, .window = 64 * threads, .bytes = 64, .place = BENCH_APART};
	int ours, mutex;

	bench_block(found, BENCH_P50, "a post of 64 B, %zu posters, I/O on the other CPU", threads);
	ours = bench_side(found, "dxh", bench_hub_post, &load);
	mutex = bench_side(found, "mutex + zmq send", bench_post_mutex, &load);
	if (threads == 1)
		bench_ratio(found, "post.mutex", ours, mutex, BENCH_AT_MOST, 0.35, 0.25);
	bench_block_run(found);
}

static void calls_block(bench *found)
{
	bench_load load = {.threads = 1, .window = 1, .bytes = 64};
	int ours;

	bench_block(found, BENCH_COUNT, "system calls of a post, I/O thread awake");
	ours = bench_side(found, "dxh", bench_hub_post_calls, &load);
	load.variant = 1;
	bench_side(found, "dxh, 3 planted in 3000", bench_hub_post_calls, &load);
	bench_ratio(found, "post.awake.syscalls", ours, BENCH_NO_RIVAL, BENCH_AT_MOST, 0, 0);
	bench_block_run(found);
}

static void collapse_block(bench *found)
{
	bench_load load = {.threads = 16, .window = 1024, .bytes = 64, .place = BENCH_ANYWHERE};
	int crowd, alone;

	bench_block(found, BENCH_MEAN, "a post beside others, a million of them, not pinned");
	crowd = bench_side(found, "dxh, 16 posters", bench_hub_posters, &load);
	load.threads = 1;
	alone = bench_side(found, "dxh, 1 poster", bench_hub_posters, &load);
	bench_ratio(found, "post.collapse", crowd, alone, BENCH_AT_MOST, 4, 1.5);
	bench_note(found, "CPU time of the posts alone, by threads in batches of 64");
	bench_block_run(found);
}

void bench_workload_post(bench *found)
{
	median_block(found, 1);
	median_block(found, 4);
	median_block(found, 16);
	calls_block(found);
	collapse_block(found);
}

void bench_workload_alloc(bench *found)
{
	bench_load load = {.threads = 1, .window = 256, .bytes = 64};
	int ours;

	bench_block(found, BENCH_COUNT, "allocations of a request of 64 B, both sides");
	ours = bench_side(found, "dxh", bench_hub_allocations, &load);
	bench_ratio(found, "alloc.request", ours, BENCH_NO_RIVAL, BENCH_AT_MOST, 0, 0);
	load.bytes = 200;
	bench_side(found, "dxh, 200 B, not inline", bench_hub_allocations, &load);
	bench_note(found, "by this library; libzmq's own are not counted");
	bench_block_run(found);
}

void bench_workload_large(bench *found)
{
	bench_load load = {.threads = 1, .window = 8, .bytes = 1 << 20, .variant = DXH_TRANSFER};
	int transfer, copy;

	bench_block(found, BENCH_RATE, "requests of 1 MiB, 8 under way");
	transfer = bench_side(found, "dxh, handed over", bench_hub_large, &load);
	load.variant = 0;
	copy = bench_side(found, "dxh, copied", bench_hub_large, &load);
	bench_ratio(found, "large.copy", transfer, copy, BENCH_AT_LEAST, 1.5, 2);
	bench_block_run(found);
}

void bench_workload_metrics(bench *found)
{
	bench_load load = {.threads = 4, .window = 1000, .bytes = 64};
	int with, without, in_block;

	bench_block(found, BENCH_RATE, "window of 1000 requests, 4 threads, timed and not");
	with = bench_side(found, "dxh, one in 64 timed", bench_hub_metrics, &load);
	load.variant = BENCH_UNTIMED;
	without = bench_side(found, "dxh, none timed", bench_hub_metrics, &load);
	load.variant = BENCH_IN_BLOCK;
	in_block = bench_side(found, "dxh, timed, in a block", bench_hub_metrics, &load);
	bench_ratio(found, "metrics.cost", with, without, BENCH_AT_LEAST, 0.98, 0.99);
	bench_ratio(found, "metrics.block", in_block, without, BENCH_AT_LEAST, 0.98, 0.99);
	bench_note(found, "counters are always on: bench/cost/metrics.sh tells what they cost");
	bench_block_run(found);
}
