/* SPDX-License-Identifier: MIT */
/* One way through memory to another process: how soon, looking all the time or sleeping
 * in between; and how many, of 64 bytes, 4 KiB and 1 MiB. */
#include "bench/block.h"
#include "bench/peers/peers.h"

static void spinning_block(bench *found, size_t bytes, const char *size)
{
	const bench_load load = {.threads = 1, .bytes = bytes};
	int ours, ring, iceoryx;

	bench_block(found, BENCH_P50, "one way through memory, %s, both ends looking", size);
	ours = bench_side(found, "dxh", bench_block_latency, &load);
	ring = bench_side(found, "bare ring", bench_ring_latency, &load);
	iceoryx = bench_rival(found, "iceoryx", "polling", &load);
	if (bytes == 64) {
		bench_ratio(found, "shm.rtt.ring", ours, ring, BENCH_AT_MOST, 1.3, 1.1);
		bench_ratio(found, "shm.rtt.iceoryx", ours, iceoryx, BENCH_AT_MOST, 0.15, 0.1);
	}
	bench_note(found, "half of the time there and back");
	bench_block_run(found);
}

static void blocking_block(bench *found, size_t bytes, const char *size)
{
	const bench_load load = {.threads = 1, .bytes = bytes};
	int ours, ring, iceoryx;

	bench_block(found, BENCH_P50, "one way through memory, %s, both ends sleeping", size);
	ours = bench_side(found, "dxh", bench_block_latency_blocking, &load);
	ring = bench_side(found, "bare ring + futex", bench_ring_futex_latency, &load);
	iceoryx = bench_rival(found, "iceoryx", "WaitSet", &load);
	if (bytes <= 8192)
		bench_side(found, "POSIX mq", bench_mq_latency, &load);
	bench_side(found, "pipe", bench_pipe_latency, &load);
	bench_rival(found, "boost", "message_queue", &load);
	bench_side(found, "zmq PUSH-PULL, ipc", bench_zmq_latency, &load);
	if (bytes == 64) {
		bench_ratio(found, "shm.block.futex", ours, ring, BENCH_AT_MOST, 1.15, 1.0);
		bench_ratio(found, "shm.block.iceoryx", ours, iceoryx, BENCH_AT_MOST, 0.65, 0.5);
	}
	bench_note(found, "half of the time there and back");
	bench_block_run(found);
}

void bench_workload_shm_latency(bench *found)
{
	spinning_block(found, 64, "64 B");
	spinning_block(found, 4096, "4 KiB");
	spinning_block(found, 1 << 20, "1 MiB");
	blocking_block(found, 64, "64 B");
	blocking_block(found, 4096, "4 KiB");
	blocking_block(found, 1 << 20, "1 MiB");
}

/* ---- how many ------------------------------------------------------------------------------ */

static void rate_block(bench *found, size_t bytes, const char *size, double floor, double goal,
                       double iceoryx_floor, double iceoryx_goal)
{
	const bench_load load = {.threads = 1, .bytes = bytes};
	int ours, ring, iceoryx;

	bench_block(found, BENCH_RATE, "items of %s through memory, none lost", size);
	ours = bench_side(found, "dxh, lossless", bench_block_rate, &load);
	ring = bench_side(found, "bare ring", bench_ring_rate, &load);
	iceoryx = bench_rival(found, "iceoryx", "rate", &load);
	if (bytes <= 8192)
		bench_side(found, "POSIX mq", bench_mq_rate, &load);
	bench_side(found, "pipe", bench_pipe_rate, &load);
	bench_rival(found, "boost", "message_queue, rate", &load);
	bench_side(found, "zmq PUSH-PULL, ipc", bench_zmq_rate, &load);
	bench_ratio_at(found, "shm.rate.ring", bytes, ours, ring, BENCH_AT_LEAST, floor, goal);
	if (iceoryx_floor > 0)
		bench_ratio_at(found, "shm.rate.iceoryx", bytes, ours, iceoryx, BENCH_AT_LEAST,
		               iceoryx_floor, iceoryx_goal);
	bench_block_run(found);
}

void bench_workload_shm_rate(bench *found)
{
	rate_block(found, 64, "64 B", 0.6, 0.8, 20, 30);
	rate_block(found, 4096, "4 KiB", 0.8, 0.95, 4, 6);
	rate_block(found, 1 << 20, "1 MiB", 0.9, 1.0, 0, 0);
}
