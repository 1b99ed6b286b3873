/* SPDX-License-Identifier: MIT */
/* A broker under threads that produce, consume, ask and watch at the same time, each with
 * channels of its own, while consumers read and the I/O thread looks at their figures. At the
 * end nobody is registered, and a watcher has seen as many channels close as open.
 *
 * Planted: "books" forgets to close one producer before the end.
 */
#include "tests/support/stress.h"

#include <dxh/watch.h>

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, OPERATIONS_OF_A_ROUND = 250, ITEMS = 20 };

static dxh_hub *hub, *broker_hub;
static dxh_broker *broker;
static dxh_peer *peers[THREADS];
static _Atomic uint64_t opened, closed, gaps;
static uint64_t rounds;

static int64_t soon(void)
{
	return dxh_in_ms(60000);
}

static void *watch(void *watcher)
{
	dxh_watch_event event;

	while (dxh_watcher_next(watcher, DXH_FOREVER, &event) == DXH_OK) {
		opened += event.kind == DXH_WATCH_OPENED;
		closed += event.kind == DXH_WATCH_CLOSING;
		gaps += event.kind == DXH_WATCH_GAP;
	}
	return NULL;
}

typedef struct pair {
	dxh_producer *producer;
	dxh_consumer *consumer;
} pair;

static pair open_pair(uint64_t thread, const char *what)
{
	dxh_block_config block = {
		.slot = DXH_SLOT_BYTES(8), .slot_count = 4 * ITEMS, .unlink_on_close = 1};
	dxh_channel_config config = {.block = block};
	char name[48];
	pair made;

	snprintf(name, sizeof name, "s%d.%" PRIu64 ".%s", (int)getpid(), thread, what);
	stress_must(dxh_produce(peers[thread], name, &config, soon(), &made.producer));
	stress_must(dxh_consume(peers[thread], name, NULL, soon(), &made.consumer));
	return made;
}

static void read_all(const pair *of)
{
	dxh_producer *producer = of->producer;
	dxh_consumer *consumer = of->consumer;
	uint64_t number, read;
	dxh_item item;

	for (number = 0; number < ITEMS; number++) {
		stress_must(dxh_publish(producer, &number, sizeof number, DXH_NOW));
		stress_must(dxh_read_next(consumer, &read, sizeof read, soon(), &item));
		stress_equal(read, number);
	}
}

/* A producer that the broker did not answer in time opens all the same, and goes on trying. */
static void await_registered(dxh_peer *peer, const char *name)
{
	int64_t deadline_ns = soon();
	dxh_channel_state state = DXH_CHANNEL_NOT_FOUND;
	dxh_channel_facts *facts;

	while (state != DXH_CHANNEL_FOUND && dxh_now_ns() < deadline_ns) {
		stress_must(dxh_describe(peer, name, deadline_ns, &facts));
		state = facts->channel.state;
		dxh_channel_facts_free(&facts);
	}
	stress_equal(state, DXH_CHANNEL_FOUND);
}

static void ask(dxh_peer *peer, const char *name)
{
	dxh_broker_stats stats;
	dxh_channel_info info;
	size_t count;

	await_registered(peer, name);
	stress_must(dxh_list(peer, NULL, soon(), &info, 1, &count, NULL));
	stress_must(dxh_broker_stats_get(peer, soon(), &stats));
}

/* What is left open of a planted fault goes with the process. */
static void one_round(uint64_t thread, uint64_t round, const pair *steady)
{
	pair now = open_pair(thread, "now");
	dxh_block_info info;

	read_all(&now);
	read_all(steady);
	stress_must(dxh_producer_info(now.producer, &info));
	ask(peers[thread], info.name);
	stress_must(dxh_consumer_close(&now.consumer));
	if (round + 1 == rounds && thread == 0 && stress_planted("books"))
		return;
	stress_must(dxh_producer_close(&now.producer));
}

/* One pair lives all the time, long enough to beat while it is read. */
static void *work(void *number)
{
	uint64_t thread = (uint64_t)(uintptr_t)number;
	pair steady = open_pair(thread, "steady");

	for (uint64_t round = 0; round < rounds; round++)
		one_round(thread, round, &steady);
	stress_must(dxh_consumer_close(&steady.consumer));
	stress_must(dxh_producer_close(&steady.producer));
	return NULL;
}

static void check(dxh_peer *peer)
{
	int64_t deadline_ns = soon();
	dxh_broker_stats stats;

	/* A close waits for 250 ms at the most; the broker may hear it later. */
	do
		stress_must(dxh_broker_stats_get(peer, deadline_ns, &stats));
	while (stats.channels_now + stats.consumers_now > 0 && dxh_now_ns() < deadline_ns &&
	       !stress_planted("books"));
	stress_equal(stats.channels_now, 0);
	stress_equal(stats.consumers_now, 0);
	stress_equal(stats.registrations >= rounds * THREADS, 1);
	stress_equal(stats.refused, 0);
	for (int64_t until_ns = soon(); closed < opened || opened < rounds * THREADS;)
		if (dxh_now_ns() > until_ns)
			stress_fail("%" PRIu64 " channels opened, %" PRIu64 " closed", opened,
			            closed);
	stress_equal(gaps, 0);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS], watching;
	dxh_watcher *watcher;
	char endpoint[64];

	stress_begin(argc, argv, 100000);
	rounds = stress_operations / OPERATIONS_OF_A_ROUND + 1;
	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-broker-stress-%d", (int)getpid());
	stress_must(dxh_hub_open(NULL, &broker_hub));
	stress_must(dxh_broker_start(broker_hub, endpoint,
	                             &(dxh_broker_config){.beat_ms = 5, .beats_missed = 1000},
	                             &broker));
	stress_must(dxh_hub_open(NULL, &hub));
	for (uint64_t i = 0; i < THREADS; i++)
		stress_must(dxh_peer_connect(hub, endpoint, NULL, &peers[i]));
	stress_must(dxh_watch(peers[0], "", &(dxh_watch_config){.events_max = 100000}, soon(),
	                      &watcher));
	if (pthread_create(&watching, NULL, watch, watcher) != 0)
		stress_fail("no thread");
	for (uint64_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0)
			stress_fail("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check(peers[0]);
	stress_must(dxh_watcher_stop(watcher));
	pthread_join(watching, NULL);
	stress_must(dxh_watcher_close(&watcher));
	stress_must(dxh_hub_close(&hub));
	stress_must(dxh_broker_stop(&broker));
	stress_must(dxh_hub_close(&broker_hub));
	printf("broker_stress: %" PRIu64 " channels came and went\n", opened);
	return 0;
}
