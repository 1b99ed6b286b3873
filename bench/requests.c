/* SPDX-License-Identifier: MIT */
/* Requests of 64 bytes over ipc: the round trip of one at a time, and how many go
 * through with a window, against a bare DEALER and ROUTER. */
#include "bench/peers.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { BYTES = 64, WINDOW = 1000, SAMPLES_MAX = 1 << 20, THREADS_MAX = 64 };

static double samples[SAMPLES_MAX];

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* The median of one call after the other, in µs. */
static double median_us(double seconds, void (*call)(void *context), void *context)
{
	int64_t end_ns = dxh_in_ns((int64_t)(seconds * 1e9)), before_ns = dxh_now_ns();
	size_t count = 0;

	do {
		int64_t now_ns;

		call(context);
		now_ns = dxh_now_ns();
		samples[count++] = (double)(now_ns - before_ns) / 1e3;
		before_ns = now_ns;
	} while (before_ns < end_ns && count < SAMPLES_MAX);
	qsort(samples, count, sizeof *samples, by_value);
	return samples[count / 2];
}

static void ask(void *context)
{
	bench_pair *pair = context;
	char body[BYTES] = "", reply[BYTES];
	size_t bytes;

	bench_must(dxh_request_sync(pair->peer, "echo", body, sizeof body, DXH_FOREVER, reply,
	                            sizeof reply, &bytes),
	           "request");
}

static double round_trip(double seconds, void *unused)
{
	bench_pair pair;
	double median;

	(void)unused;
	bench_pair_open(&pair);
	median = median_us(seconds, ask, &pair);
	bench_pair_close(&pair);
	return median;
}

static void ask_raw(void *context)
{
	bench_raw *raw = context;
	char body[BYTES] = "";

	zmq_send(raw->client, body, sizeof body, 0);
	if (zmq_recv(raw->client, body, sizeof body, 0) != BYTES)
		exit(1);
}

static double round_trip_raw(double seconds, void *unused)
{
	bench_raw raw;
	double median;

	(void)unused;
	bench_raw_open(&raw, 1);
	median = median_us(seconds, ask_raw, &raw);
	bench_raw_close(&raw);
	return median;
}

/* ---- a window ---- */

typedef struct load {
	bench_pair *pair;
	int64_t end_ns;
	size_t window; /* of this thread */
	uint64_t answered;
} load;

static void *keep_window_full(void *context)
{
	load *own = context;
	dxh_completion *done = calloc(own->window, sizeof *done);
	char body[BYTES] = "";
	bool posting = true;

	for (size_t i = 0; posting || done[i] != DXH_NO_COMPLETION; i = (i + 1) % own->window) {
		if (done[i] != DXH_NO_COMPLETION) {
			bench_must(dxh_await(done[i], DXH_FOREVER, NULL), "await");
			bench_must(dxh_release(done[i]), "release");
			done[i] = DXH_NO_COMPLETION;
			own->answered++;
		}
		if (posting && (i & 63) == 0)
			posting = dxh_now_ns() < own->end_ns;
		if (posting)
			bench_must(dxh_post(own->pair->peer, "echo", body, sizeof body, DXH_FOREVER,
			                    &done[i]),
			           "post");
	}
	free(done);
	return NULL;
}

static double many(double seconds, void *context)
{
	size_t threads = *(const size_t *)context;
	pthread_t thread[THREADS_MAX];
	load loads[THREADS_MAX];
	int64_t start_ns;
	uint64_t answered = 0;
	bench_pair pair;

	bench_pair_open(&pair);
	start_ns = dxh_now_ns();
	for (size_t i = 0; i < threads; i++) {
		loads[i] = (load){.pair = &pair,
		                  .end_ns = start_ns + (int64_t)(seconds * 1e9),
		                  .window = WINDOW / threads};
		pthread_create(&thread[i], NULL, keep_window_full, &loads[i]);
	}
	for (size_t i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		answered += loads[i].answered;
	}
	seconds = (double)(dxh_now_ns() - start_ns) / 1e9;
	bench_pair_close(&pair);
	return (double)answered / seconds / 1e3;
}

/* One thread, one request a frame: what a bare socket gives. */
static double many_raw(double seconds, void *unused)
{
	char body[BYTES] = "";
	uint64_t sent = 0, answered = 0;
	int64_t start_ns, end_ns;
	bench_raw raw;

	(void)unused;
	bench_raw_open(&raw, 1);
	start_ns = dxh_now_ns();
	end_ns = start_ns + (int64_t)(seconds * 1e9);
	while (dxh_now_ns() < end_ns || answered < sent) {
		while (dxh_now_ns() < end_ns && sent - answered < WINDOW) {
			zmq_send(raw.client, body, sizeof body, 0);
			sent++;
		}
		while (answered < sent && zmq_recv(raw.client, body, sizeof body, ZMQ_DONTWAIT) > 0)
			answered++;
	}
	seconds = (double)(dxh_now_ns() - start_ns) / 1e9;
	bench_raw_close(&raw);
	return (double)answered / seconds / 1e3;
}

void bench_requests(const bench_options *options)
{
	const size_t threads[] = {1, 4, 16, 64};

	bench_compare(options, "round trip p50", "us", round_trip, "bare DEALER-ROUTER",
	              round_trip_raw, NULL);
	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		size_t count = threads[i];
		char name[40];

		snprintf(name, sizeof name, "requests, %zu threads", count);
		bench_compare(options, name, "k/s", many, "bare DEALER-ROUTER, 1 thread", many_raw,
		              &count);
	}
}
