/* SPDX-License-Identifier: MIT */
/* The client: finds the service through the broker, lets its threads loose on it,
 * and leaves the hub's own figures beside what the threads counted. */
#include "demo_client.h"

#include <time.h>

enum { DISCOVER_MS = 15000, FLUSH_MS = 10000, DRAIN_MS = 5000 };

static int fail(const char *what)
{
	demo_say("cannot %s: %s", what, dxh_last_error());
	return 1;
}

/* The channel may not be known yet: the producer registers when it likes. */
static dxh_status
find_service(dxh_hub *hub, const struct demo_facts *facts, dxh_channel_info *channel)
{
	int64_t deadline_ns = dxh_in_ms(DISCOVER_MS);
	const struct timespec pause = {.tv_nsec = 20000000};
	dxh_peer *broker = NULL;
	dxh_status status;

	status = dxh_peer_connect(hub, facts->config.broker, NULL, &broker);
	if (status != DXH_OK)
		return status;
	do {
		status = dxh_discover(broker, DEMO_CHANNEL, deadline_ns, channel);
		if (status != DXH_OK || channel->state == DXH_CHANNEL_FOUND)
			break;
		nanosleep(&pause, NULL);
	} while (dxh_now_ns() < deadline_ns);
	dxh_peer_close(&broker);
	return status;
}

/* What this thread notified must have reached the other side before it ends. */
static void flush(struct demo_worker *worker)
{
	dxh_status status = dxh_flush(worker->peer, DXH_FLUSH_REPLIED, dxh_in_ms(FLUSH_MS));

	/* Accepted, whatever became of it. */
	if (status == DXH_OK || status == DXH_EEXPIRED || status == DXH_ELOST ||
	    status == DXH_ECLOSED)
		demo_add(&worker->own->flushes, 1);
	if (status == DXH_OK)
		demo_add(&worker->own->flushes_done, 1);
	else if (!worker->facts->config.chaos)
		demo_say("a flush failed: %s", dxh_last_error());
}

static void *work(void *context)
{
	struct demo_worker *worker = context;

	switch (worker->number % 3) {
	case 0:
		demo_style_one_by_one(worker);
		break;
	case 1:
		demo_style_all(worker);
		break;
	default:
		demo_style_any(worker);
	}
	flush(worker);
	return NULL;
}

static int run_threads(struct demo_facts *facts, dxh_peer *peer)
{
	static struct demo_worker workers[DEMO_THREADS];
	int code = 0;
	unsigned count;

	for (count = 0; count < DEMO_THREADS; count++) {
		struct demo_worker *worker = &workers[count];

		worker->facts = facts;
		worker->own = &facts->client;
		worker->peer = peer;
		worker->number = count;
		if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
			demo_say("cannot start thread %u", count);
			code = 1;
			break;
		}
	}
	atomic_store(&facts->client.ready, 1);
	for (unsigned i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
	return code;
}

int demo_role_client(struct demo_facts *facts)
{
	struct demo_client *own = &facts->client;
	dxh_channel_info channel = {0};
	dxh_hub *hub = NULL;
	dxh_peer *peer = NULL;
	int code;

	if (dxh_hub_open(&(dxh_hub_config){.name = "client", .reconnect_max_ns = 100000000},
	                 &hub) != DXH_OK)
		return fail("open a hub");
	if (find_service(hub, facts, &channel) != DXH_OK)
		return fail("find the channel");
	if (channel.state != DXH_CHANNEL_FOUND) {
		demo_say("the broker does not know " DEMO_CHANNEL);
		return 1;
	}
	if (dxh_peer_connect(hub, channel.endpoint, NULL, &peer) != DXH_OK)
		return fail("connect to the service");
	dxh_hub_stats_get(hub, &own->before);
	code = run_threads(facts, peer);
	own->drain_status = (uint64_t)dxh_hub_drain(hub, dxh_in_ms(DRAIN_MS), &own->drain);
	dxh_hub_stats_get(hub, &own->after);
	if (dxh_hub_close(&hub) != DXH_OK)
		return fail("close the hub");
	atomic_store(&own->finished, 1);
	return code;
}
