/* SPDX-License-Identifier: MIT */
/* Notifications of 64 bytes over ipc from many threads, until the other end has
 * them all: against packing under a mutex, the best simple thing to write. */
#include "bench/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { BYTES = 64, FRAME_BYTES = 16384, THREADS_MAX = 16 };

typedef struct sender {
	void *to;
	int64_t end_ns;
	uint64_t sent;
} sender;

/* Run one sender a thread; returns how many were sent. */
static uint64_t run_senders(size_t threads, void *(*send)(void *sender), void *to, double seconds)
{
	pthread_t thread[THREADS_MAX];
	sender senders[THREADS_MAX];
	uint64_t sent = 0;

	for (size_t i = 0; i < threads; i++) {
		senders[i] = (sender){.to = to, .end_ns = dxh_in_ns((int64_t)(seconds * 1e9))};
		pthread_create(&thread[i], NULL, send, &senders[i]);
	}
	for (size_t i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		sent += senders[i].sent;
	}
	return sent;
}

static void *notify(void *context)
{
	sender *own = context;
	bench_pair *pair = own->to;
	char body[BYTES] = "";

	while ((own->sent & 63) != 0 || dxh_now_ns() < own->end_ns) {
		bench_must(dxh_notify(pair->peer, "n", body, sizeof body), "notify");
		own->sent++;
	}
	bench_must(dxh_flush(pair->peer, DXH_FLUSH_REPLIED, DXH_FOREVER), "flush");
	return NULL;
}

static double hub(double seconds, void *context)
{
	dxh_hub_stats stats;
	int64_t start_ns;
	uint64_t sent;
	bench_pair pair;

	bench_pair_open(&pair);
	start_ns = dxh_now_ns();
	sent = run_senders(*(const size_t *)context, notify, &pair, seconds);
	bench_must(dxh_hub_stats_get(pair.server, &stats), "stats");
	/* What the service had no room for was sent, but did not arrive. */
	while (atomic_load(&pair.notified) + stats.notifications_refused < sent)
		bench_must(dxh_hub_stats_get(pair.server, &stats), "stats");
	seconds = (double)(dxh_now_ns() - start_ns) / 1e9;
	sent -= stats.notifications_refused;
	bench_pair_close(&pair);
	return (double)sent / seconds / 1e6;
}

/* ---- the rival: one frame, one mutex, sent when it is full ---- */

typedef struct packed {
	bench_raw raw;
	pthread_mutex_t lock;
	size_t used;
	char frame[FRAME_BYTES];
	_Atomic uint64_t arrived;
} packed;

static void *unpack(void *context)
{
	packed *own = context;
	char id[64];
	static char frame[FRAME_BYTES];

	for (;;) {
		int bytes;

		zmq_recv(own->raw.server, id, sizeof id, 0);
		bytes = zmq_recv(own->raw.server, frame, sizeof frame, 0);
		if (bytes <= 0)
			return NULL;
		for (int at = 0; at < bytes; at += BYTES)
			atomic_fetch_add_explicit(&own->arrived, 1, memory_order_relaxed);
	}
}

static void flush(packed *own)
{
	if (own->used > 0)
		zmq_send(own->raw.client, own->frame, own->used, 0);
	own->used = 0;
}

static void *notify_packed(void *context)
{
	sender *own = context;
	packed *to = own->to;
	char body[BYTES] = "";

	while ((own->sent & 63) != 0 || dxh_now_ns() < own->end_ns) {
		pthread_mutex_lock(&to->lock);
		memcpy(to->frame + to->used, body, sizeof body);
		to->used += sizeof body;
		if (to->used == FRAME_BYTES)
			flush(to);
		pthread_mutex_unlock(&to->lock);
		own->sent++;
	}
	return NULL;
}

static double mutex(double seconds, void *context)
{
	packed *own = calloc(1, sizeof *own);
	int64_t start_ns;
	uint64_t sent;

	pthread_mutex_init(&own->lock, NULL);
	bench_raw_open(&own->raw, 0);
	/* Its own server takes frames apart. */
	zmq_send(own->raw.client, "", 0, 0);
	pthread_join(own->raw.thread, NULL);
	pthread_create(&own->raw.thread, NULL, unpack, own);
	start_ns = dxh_now_ns();
	sent = run_senders(*(const size_t *)context, notify_packed, own, seconds);
	flush(own);
	while (atomic_load(&own->arrived) < sent)
		;
	seconds = (double)(dxh_now_ns() - start_ns) / 1e9;
	bench_raw_close(&own->raw);
	pthread_mutex_destroy(&own->lock);
	free(own);
	return (double)sent / seconds / 1e6;
}

void bench_notify(const bench_options *options)
{
	const size_t threads[] = {1, 4, 16};

	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		size_t count = threads[i];
		char name[40];

		snprintf(name, sizeof name, "notifications, %zu threads", count);
		bench_compare(options, name, "M/s", hub, "packed under a mutex", mutex, &count);
	}
}
