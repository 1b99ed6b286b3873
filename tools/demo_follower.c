/* SPDX-License-Identifier: MIT */
/* The two followers: one that keeps up and must see every sample, one so slow that
 * the ring laps it again and again. */
#include "demo_reader.h"

#include <inttypes.h>
#include <time.h>

/* Report of a loss: which tickets, exactly. */
static void tell_loss(const dxh_item *item)
{
	demo_say("lapped: lost %" PRIu64 " samples, tickets %" PRIu64 "..%" PRIu64, item->lost,
	         item->lost_first, item->lost_last);
}

static void tell_death(const struct demo_watch *watch, bool *told)
{
	if (watch->dead && !*told)
		demo_say("the producer died after ticket %" PRIu64 "; waiting for a successor",
		         watch->ledger.next - 1);
	if (!watch->dead && *told)
		demo_say("reading on, epoch %" PRIu64, watch->ledger.epoch);
	*told = watch->dead;
}

/* DXH_ECLOSED is the good end; the only other way out is a failure. */
static int end(struct demo_watch *watch, dxh_status status)
{
	if (status != DXH_ECLOSED) {
		demo_say("cannot read on: %s", dxh_last_error());
		return 1;
	}
	demo_watch_finish(watch);
	return 0;
}

static bool goes_on(dxh_status status)
{
	return status == DXH_OK || status == DXH_ELAPPED || status == DXH_EWAIT ||
	       status == DXH_EDEAD || status == DXH_ECORRUPT;
}

int demo_role_follower(struct demo_facts *facts)
{
	static struct demo_watch watch;
	dxh_status status = demo_watch_open(&watch, facts, DEMO_READER_FOLLOWER);
	bool told = false;
	dxh_item item;

	if (status != DXH_OK)
		return end(&watch, status);
	demo_say("attached at ticket %" PRIu64, watch.ledger.next);
	do {
		status = demo_watch_next(&watch, dxh_in_ms(500), &item);
		if (status == DXH_ELAPPED)
			tell_loss(&item);
		tell_death(&watch, &told);
	} while (goes_on(status));
	return end(&watch, status);
}

/* Sleep until the writer has surely overwritten what comes next, or the demo ends. */
static void dawdle(struct demo_watch *watch)
{
	const struct timespec step = {.tv_nsec = 20000000};
	uint64_t enough = watch->facts->config.slot_count * (uint64_t)5 / 4;
	dxh_consumer_stats stats;

	while (!atomic_load_explicit(&watch->facts->stop_reading, memory_order_relaxed) &&
	       dxh_consumer_stats_get(watch->consumer, &stats) == DXH_OK && stats.lag < enough) {
		watch->ledger.lag = stats.lag;
		demo_ledger_publish(&watch->own->ledger, &watch->ledger);
		nanosleep(&step, NULL);
	}
}

int demo_role_slow(struct demo_facts *facts)
{
	static struct demo_watch watch;
	dxh_status status = demo_watch_open(&watch, facts, DEMO_READER_SLOW);
	uint32_t burst = facts->config.slot_count / 4 * 3;
	dxh_item item;

	if (status != DXH_OK)
		return end(&watch, status);
	do {
		dawdle(&watch);
		for (uint32_t i = 0; i < burst; i++) {
			status = demo_watch_next(&watch, dxh_in_ms(100), &item);
			if (status == DXH_ELAPPED)
				tell_loss(&item);
			if (!goes_on(status))
				break;
		}
	} while (goes_on(status));
	return end(&watch, status);
}
