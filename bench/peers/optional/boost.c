/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess: its message queue as one way through memory. */
#include "bench/peers/optional/boost_queue.h"
#include "bench/peers/peers.h"
#include "bench/way.h"

#include <boost/version.hpp> /* macros only */

static void must(bench_way *way, const char *error)
{
	if (error)
		bench_fail(way->round, "boost: %s", error);
}

static void make(bench_way *way)
{
	size_t bytes = way->round->load.bytes;

	must(way,
	     boost_queue_make(bench_way_name(way), bytes > 100000 ? 8 : 1024, bytes, &way->own));
}

static void open_way(bench_way *way)
{
	(void)way;
}

static void send(bench_way *way, const void *payload)
{
	must(way, boost_queue_send(way->own, payload, way->round->load.bytes));
}

static void receive(bench_way *way, void *payload)
{
	must(way, boost_queue_receive(way->own, payload, way->round->load.bytes));
}

static const bench_transport transport = {
	.make = make, .open = open_way, .send = send, .receive = receive};

static void latency(bench_round *round)
{
	bench_way_latency(round, &transport, true);
}

static void rate(bench_round *round)
{
	bench_way_rate(round, &transport, true);
}

static const bench_peer_job jobs[] = {
	{"message_queue", latency}, {"message_queue, rate", rate}, {NULL, NULL}};

const bench_peer bench_peer_module = {.version = BOOST_LIB_VERSION, .jobs = jobs};
