/* SPDX-License-Identifier: MIT */
/* There and back, and as fast as it goes. */
#include "bench/way.h"

#include <stdio.h>
#include <stdlib.h>

/* The server learns by the round what to do: it is forked with it. */
static const bench_transport *transport_used;
static bench_way ways[2];

enum { JOINED = 8 }; /* counters: readers that are there */

const char *bench_way_name(const bench_way *way)
{
	static char text[64];

	snprintf(text, sizeof text, "%s-%d", way->round->name, way->number);
	return text;
}

static void *new_payload(bench_round *round)
{
	void *payload = aligned_alloc(64, (round->load.bytes + 63) / 64 * 64);

	bench_check(round, payload != NULL, "memory");
	bench_payload_init(payload, round->load.bytes);
	return payload;
}

static void make(bench_round *round, const bench_transport *transport, int count, bool blocking)
{
	transport_used = transport;
	for (int i = 0; i < count; i++) {
		ways[i] = (bench_way){
			.round = round, .number = i, .blocking = blocking, .lossless = count == 1};
		if (transport->make)
			transport->make(&ways[i]);
	}
}

static bench_way *open_way(int number, bool writes)
{
	bench_way *way = &ways[number];

	way->writes = writes;
	transport_used->open(way);
	return way;
}

static void close_way(bench_way *way)
{
	if (transport_used->close)
		transport_used->close(way);
}

static void await_reader(bench_round *round)
{
	int64_t deadline_ns = dxh_in_ms(10000);

	while (atomic_load(&round->counters[JOINED]) == 0)
		if (dxh_now_ns() > deadline_ns)
			bench_fail(round, "its reader did not come");
}

/* ---- there and back ---------------------------------------------------------------------- */

/* The end is a payload with this id, so that both sides can close. */
#define LAST UINT64_MAX

static void send_back(bench_round *round)
{
	void *payload = new_payload(round);
	bench_way *back, *there;

	bench_ready(round);
	back = open_way(1, true);
	there = open_way(0, false);
	atomic_store(&round->counters[JOINED], 1);
	do {
		transport_used->receive(there, payload);
		transport_used->send(back, payload);
	} while (bench_payload_id(payload) != LAST);
	close_way(there);
	close_way(back);
	free(payload);
}

typedef struct ball {
	bench_way *there, *back;
	void *payload;
	uint64_t next;
} ball;

static void throw_as(bench_round *round, ball *own, uint64_t id)
{
	bench_payload_mark(own->payload, round->load.bytes, id);
	transport_used->send(own->there, own->payload);
	transport_used->receive(own->back, own->payload);
	if (!bench_payload_is(own->payload, round->load.bytes, id))
		bench_fail(round, "payload %llu came back as %llu, or broken",
		           (unsigned long long)id,
		           (unsigned long long)bench_payload_id(own->payload));
}

void bench_way_latency(bench_round *round, const bench_transport *transport, bool blocking)
{
	ball own = {.payload = new_payload(round)};
	int64_t before_ns, now_ns;

	make(round, transport, 2, blocking);
	bench_server(round, send_back);
	own.there = open_way(0, true);
	own.back = open_way(1, false);
	await_reader(round);
	for (int i = 0; i < 50; i++)
		throw_as(round, &own, own.next++);
	bench_start(round);
	before_ns = dxh_now_ns();
	do {
		throw_as(round, &own, own.next++);
		now_ns = dxh_now_ns();
		bench_histogram_add(&round->latency, (now_ns - before_ns) / 2);
		before_ns = now_ns;
	} while (now_ns < round->end_ns);
	bench_stop(round, (own.next - 50) * 2);
	throw_as(round, &own, LAST);
	close_way(own.back);
	close_way(own.there);
	bench_servers_end(round);
	free(own.payload);
}

/* ---- as fast as it goes ----------------------------------------------------------------------- */

static void take_all(bench_round *round)
{
	void *payload = new_payload(round);
	uint64_t next = 0;
	bench_way *way;

	bench_ready(round);
	way = open_way(0, false);
	atomic_store(&round->counters[JOINED], 1);
	for (;;) {
		transport_used->receive(way, payload);
		if (bench_payload_id(payload) == LAST)
			break;
		if (!bench_payload_is(payload, round->load.bytes, next++))
			atomic_fetch_add(&round->wrong, 1);
		/* relaxed: a count, on the strength of which nothing is read. */
		atomic_store_explicit(&round->arrived, next, memory_order_relaxed);
	}
	close_way(way);
	free(payload);
}

static void send_as(bench_round *round, bench_way *way, void *payload, uint64_t id)
{
	bench_payload_mark(payload, round->load.bytes, id);
	transport_used->send(way, payload);
}

void bench_way_rate(bench_round *round, const bench_transport *transport, bool blocking)
{
	uint64_t batch = round->load.bytes > 65536 ? 1 : 32, sent = 0;
	void *payload = new_payload(round);
	bench_way *way;

	make(round, transport, 1, blocking);
	bench_server(round, take_all);
	way = open_way(0, true);
	await_reader(round);
	bench_start(round);
	while (sent % batch != 0 || bench_goes_on(round, sent))
		send_as(round, way, payload, sent++);
	bench_wait_arrived(round, sent);
	bench_stop(round, sent);
	send_as(round, way, payload, LAST);
	bench_servers_end(round);
	close_way(way);
	free(payload);
}
