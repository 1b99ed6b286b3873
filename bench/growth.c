/* SPDX-License-Identifier: MIT */
/* How cost grows with what there is many of: flat where it should be flat, linear in
 * bytes where it must be. */
#include "bench/block.h"
#include "bench/hub.h"
#include "bench/peers/peers.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const size_t posters[] = {1, 2, 4, 8, 16, 32, 64};

static void request_posters(bench *found)
{
	bench_load load = {.window = 1000, .bytes = 64};

	bench_block(found, BENCH_RATE, "requests by posting threads, window 1000");
	bench_axis(found, "posting threads");
	for (size_t i = 0; i < COUNT(posters); i++) {
		load.threads = posters[i];
		load.variant = 64;
		bench_point(found, "dxh", (double)posters[i], bench_hub_window, &load);
		bench_point(found, "mutex queue, packed by 64", (double)posters[i], bench_naive,
		            &load);
		bench_point(found, "zmq socket per thread", (double)posters[i], bench_per_thread,
		            &load);
	}
	bench_block_run(found);
}

static void notify_posters(bench *found)
{
	bench_load load = {.bytes = 64};

	bench_block(found, BENCH_RATE, "notifications by posting threads");
	bench_axis(found, "posting threads");
	for (size_t i = 0; i < COUNT(posters); i++) {
		load.threads = load.window = posters[i];
		bench_point(found, "dxh", (double)posters[i], bench_hub_notify, &load);
		bench_point(found, "packed under the mutex", (double)posters[i],
		            bench_notify_packed, &load);
	}
	bench_block_run(found);
}

void bench_workload_growth_posters(bench *found)
{
	request_posters(found);
	notify_posters(found);
}

void bench_workload_growth_outstanding(bench *found)
{
	static const size_t windows[] = {1, 10, 100, 1000, 10000, 100000};
	bench_load load = {.threads = 1, .bytes = 64};

	bench_block(found, BENCH_RATE, "requests by requests outstanding, one thread");
	bench_axis(found, "requests outstanding");
	for (size_t i = 0; i < COUNT(windows); i++) {
		load.window = windows[i];
		bench_point(found, "dxh", (double)windows[i], bench_hub_window, &load);
		bench_point(found, "zmq DEALER-ROUTER", (double)windows[i], bench_per_thread,
		            &load);
	}
	bench_block_run(found);
}

void bench_workload_growth_peers(bench *found)
{
	static const size_t peers[] = {1, 4, 16, 64, 256};
	bench_load load = {.threads = 1, .window = 1024, .bytes = 64};

	bench_block(found, BENCH_RATE, "requests by peers of one hub, window 1024");
	bench_axis(found, "peers");
	for (size_t i = 0; i < COUNT(peers); i++) {
		load.count = peers[i];
		bench_point(found, "dxh", (double)peers[i], bench_hub_peers, &load);
	}
	bench_block_run(found);
}

void bench_workload_growth_deadlines(bench *found)
{
	static const size_t armed[] = {1, 10, 100, 1000, 10000, 100000};
	bench_load load = {.threads = 1, .window = 100, .bytes = 64};

	bench_block(found, BENCH_RATE, "requests by deadlines armed, window 100");
	bench_axis(found, "deadlines armed for requests that wait");
	for (size_t i = 0; i < COUNT(armed); i++) {
		load.count = armed[i];
		bench_point(found, "dxh", (double)armed[i], bench_hub_deadlines, &load);
	}
	bench_block_run(found);
}

/* ---- memory ------------------------------------------------------------------------------- */

void bench_workload_growth_readers(bench *found)
{
	static const size_t readers[] = {1, 2, 4, 8, 16};
	bench_load load = {.threads = 1, .bytes = 64};

	bench_block(found, BENCH_MEAN, "publish 64 B by readers that look");
	bench_axis(found, "reader processes, all on one CPU");
	for (size_t i = 0; i < COUNT(readers); i++) {
		load.count = readers[i];
		load.variant = 0;
		bench_point(found, "dxh, lossy", (double)readers[i], bench_publish_readers, &load);
		load.variant = 1;
		bench_point(found, "dxh, lossless, in bursts", (double)readers[i],
		            bench_publish_bursts, &load);
	}
	bench_block_run(found);
}

void bench_workload_growth_slots(bench *found)
{
	static const size_t slots[] = {4, 16, 64, 256, 1024, 4096, 16384, 65536};
	bench_load load = {.threads = 1, .bytes = 64};

	bench_block(found, BENCH_MEAN, "publish 64 B by slots of the ring");
	bench_axis(found, "slots");
	for (size_t i = 0; i < COUNT(slots); i++) {
		load.count = slots[i];
		bench_point(found, "dxh, no stamps, no waiting", (double)slots[i],
		            bench_publish_plain, &load);
		bench_point(found, "memcpy into the same ring", (double)slots[i], bench_memcpy,
		            &load);
	}
	bench_block_run(found);
}

static const size_t sizes[] = {16,    64,      256,     1024,    4096,   16384,
                               65536, 1 << 18, 1 << 20, 1 << 22, 1 << 24};

static void publish_payload(bench *found)
{
	bench_load load = {.threads = 1};

	bench_block(found, BENCH_MEAN, "publish by bytes");
	bench_axis(found, "bytes of an item");
	for (size_t i = 0; i < COUNT(sizes); i++) {
		load.bytes = sizes[i];
		bench_point(found, "dxh, no stamps, no waiting", (double)sizes[i],
		            bench_publish_plain, &load);
		bench_point(found, "memcpy into the same ring", (double)sizes[i], bench_memcpy,
		            &load);
	}
	bench_block_run(found);
}

static void request_payload(bench *found)
{
	bench_load load = {.threads = 1, .window = 1};

	bench_block(found, BENCH_P50, "round trip by bytes, there and back, ipc");
	bench_axis(found, "bytes of request and reply");
	for (size_t i = 0; i < COUNT(sizes); i++) {
		load.bytes = sizes[i];
		bench_point(found, "dxh", (double)sizes[i], bench_hub_rtt, &load);
		bench_point(found, "zmq DEALER-ROUTER", (double)sizes[i], bench_zmq_rtt, &load);
	}
	bench_block_run(found);
}

void bench_workload_growth_payload(bench *found)
{
	publish_payload(found);
	request_payload(found);
}
