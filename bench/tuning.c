/* SPDX-License-Identifier: MIT */
/* What each knob of docs/tuning.md costs and gives, ours beside ours. */
#include "bench/block.h"
#include "bench/hub.h"
#include "bench/peers/notes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- notifications that come a few at a time --------------------------------------------- */

enum { BURST = 4, BURSTS_PER_SECOND = 5000, LINGER_NONE = 0, BATCH_ONE = -1 };

typedef struct steady {
	bench_hub hub;
	unsigned char *payload;
} steady;

/* variant: linger in us, or BATCH_ONE for a frame each. */
static void reconnect_with(bench_round *round, bench_hub *hub)
{
	dxh_peer_config config = bench_peer_config(round);
	int variant = round->load.variant;

	config.linger_us = variant > 0 ? (uint32_t)variant : 0;
	config.batch_records = variant == BATCH_ONE;
	bench_must(round, dxh_peer_close(&hub->peer), "close");
	bench_must(round, dxh_peer_connect(hub->hub, round->endpoint, &config, &hub->peer),
	           "connect");
	bench_must(round, dxh_request_sync(hub->peer, "echo", "", 0, DXH_FOREVER, NULL, 0, NULL),
	           "ask");
}

/* Four notifications, 5000 times a second, so that they are far from filling a frame. */
static void steady_notify(bench_round *round)
{
	dxh_pacer pacer = {.period_ns = 1000000000, .ticks_per_period = BURSTS_PER_SECOND};
	size_t bytes = round->load.bytes;
	dxh_hub_stats before, after;
	uint64_t sent = 0;
	dxh_pace pace;
	steady own;

	own.payload = malloc(bytes);
	bench_check(round, own.payload != NULL, "memory");
	bench_payload_init(own.payload, bytes);
	bench_hub_open(round, &own.hub, NULL);
	reconnect_with(round, &own.hub);
	bench_must(round, dxh_hub_stats_get(own.hub.hub, &before), "stats");
	bench_start(round);
	while (bench_goes_on(round, sent)) {
		bench_must(round, dxh_pacer_wait(&pacer, DXH_FOREVER, &pace), "pace");
		for (int i = 0; i < BURST; i++) {
			bench_payload_mark(own.payload, bytes, bench_note_id(0, sent++));
			bench_must(round, dxh_notify(own.hub.peer, "n", own.payload, bytes),
			           "notify");
		}
	}
	bench_must(round, dxh_flush(own.hub.peer, DXH_FLUSH_REPLIED, DXH_FOREVER), "flush");
	bench_wait_arrived(round, sent);
	bench_stop(round, sent);
	bench_must(round, dxh_hub_stats_get(own.hub.hub, &after), "stats");
	round->counted = after.frames_sent - before.frames_sent;
	bench_hub_close(round, &own.hub);
	free(own.payload);
}

static void linger_block(bench *found)
{
	bench_load load = {.threads = 1, .bytes = 32, .variant = BATCH_ONE};

	bench_block(found, BENCH_COUNT,
	            "frames for a notification, 4 at a time, 5000 times a second");
	bench_side(found, "batch_records 1", steady_notify, &load);
	load.variant = LINGER_NONE;
	bench_side(found, "adaptive, the default", steady_notify, &load);
	load.variant = 1000;
	bench_side(found, "linger_us 1000", steady_notify, &load);
	load.variant = 5000;
	bench_side(found, "linger_us 5000", steady_notify, &load);
	bench_block_run(found);
}

/* ---- the window of a peer ----------------------------------------------------------------- */

static void window_block(bench *found)
{
	static const size_t windows[] = {1, 8, 64, 512, 4096};
	static const char *const names[] = {"1", "8", "64", "512", "4096"};
	bench_load load = {.threads = 1, .bytes = 32};

	bench_block(found, BENCH_RATE, "requests by how many are in flight, one thread");
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
		load.window = windows[i];
		bench_side(found, names[i], bench_hub_window, &load);
	}
	bench_block_run(found);
}

/* ---- waking readers ------------------------------------------------------------------------- */

static void wake_block(bench *found)
{
	bench_load load = {.threads = 1, .bytes = 64};

	bench_block(found, BENCH_MEAN, "publish 64 B, nobody waits");
	bench_side(found, "the default", bench_publish_tuned, &load);
	load.variant = BENCH_NO_WAIT;
	bench_side(found, "no_wait", bench_publish_tuned, &load);
	load.variant = BENCH_NO_TIMESTAMPS;
	bench_side(found, "no_timestamps", bench_publish_tuned, &load);
	load.variant = 0;
	bench_side(found, "neither", bench_publish_plain, &load);
	bench_block_run(found);
	bench_block(found, BENCH_P50, "64 B from writer to reader");
	bench_side(found, "no_wait, the reader looks all the time", bench_block_latency, &load);
	bench_side(found, "the reader waits", bench_block_latency_blocking, &load);
	bench_block_run(found);
}

/* ---- where memory lies ------------------------------------------------------------------------ */

static void residence_block(bench *found, size_t bytes, const char *size)
{
	bench_load load = {.threads = 1, .bytes = bytes, .count = 64};

	bench_block(found, BENCH_MEAN, "publish %s into a ring of 64", size);
	bench_side(found, "the default", bench_publish_tuned, &load);
	load.variant = BENCH_HUGE_PAGES;
	bench_side(found, "huge_pages", bench_publish_tuned, &load);
	load.variant = BENCH_LOCKED;
	bench_side(found, "lock_memory", bench_publish_tuned, &load);
	bench_note(found, "what the system grants of both is logged, and in the statistics");
	bench_block_run(found);
}

void bench_workload_tuning(bench *found)
{
	linger_block(found);
	window_block(found);
	wake_block(found);
	residence_block(found, 4096, "4 KiB");
	residence_block(found, 1 << 20, "1 MiB");
}
