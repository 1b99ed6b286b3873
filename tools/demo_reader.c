/* SPDX-License-Identifier: MIT */
/* Counts for itself what becomes of each ticket, and takes the library's word only
 * for what it cannot see: which tickets were lost, how many were aborted. */
#include "demo_reader.h"

#include <string.h>

static dxh_status attach(struct demo_watch *watch)
{
	bool latest = watch->reader == DEMO_READER_LATEST;
	dxh_consumer_config config = {.discipline = latest ? DXH_LATEST : DXH_FOLLOW,
	                              .start = latest ? DXH_START_NEWEST : DXH_START_TICKET,
	                              .start_ticket = watch->ledger.next,
	                              .slot = DXH_SLOT(sample)};
	dxh_hub *hub = NULL;
	dxh_peer *broker = NULL;
	dxh_status status;

	status = dxh_hub_open(&(dxh_hub_config){.name = demo_reader_name(watch->reader)}, &hub);
	if (status != DXH_OK)
		return status;
	status = dxh_peer_connect(hub, watch->facts->config.broker, NULL, &broker);
	if (status == DXH_OK)
		status = dxh_consume(broker, DEMO_CHANNEL, &config, dxh_in_ms(15000),
		                     &watch->consumer);
	dxh_hub_close(&hub);
	return status;
}

dxh_status
demo_watch_open(struct demo_watch *watch, struct demo_facts *facts, enum demo_reader reader)
{
	dxh_consumer_stats stats;
	dxh_status status;

	memset(watch, 0, sizeof *watch);
	watch->facts = facts;
	watch->own = &facts->reader[reader];
	watch->reader = reader;
	demo_ledger_read(&watch->own->ledger, &watch->ledger);
	watch->skipped_before = watch->ledger.skipped;
	status = attach(watch);
	if (status != DXH_OK)
		return status;
	status = dxh_consumer_stats_get(watch->consumer, &stats);
	if (status != DXH_OK)
		return status;
	if (reader == DEMO_READER_LATEST) {
		watch->ledger.start = stats.next_ticket;
		watch->ledger.next = stats.next_ticket;
		demo_ledger_publish(&watch->own->ledger, &watch->ledger);
	}
	atomic_store(&watch->own->ready, 1);
	return DXH_OK;
}

/* Tickets up to `ticket`, not included, were passed; `lost` of them with a word.
 * The rest must be the aborted ones that the library says it stepped over. */
static void pass(struct demo_watch *watch, uint64_t ticket, uint64_t lost)
{
	struct demo_ledger *ledger = &watch->ledger;
	dxh_consumer_stats stats = {0};
	uint64_t passed;
	uint64_t skipped;

	if (ticket < ledger->next) {
		ledger->disordered++;
		return;
	}
	dxh_consumer_stats_get(watch->consumer, &stats);
	skipped = watch->skipped_before + stats.skipped - ledger->skipped;
	passed = ticket - ledger->next;
	if (lost + skipped > passed) { /* more than there were */
		ledger->disordered++;
		lost = lost < passed ? lost : passed;
		skipped = passed - lost;
	}
	ledger->lost += lost;
	ledger->skipped += skipped;
	ledger->unexplained += passed - lost - skipped;
	ledger->next = ticket;
	ledger->lag = stats.lag;
}

static void note_loss(struct demo_watch *watch, const dxh_item *item)
{
	struct demo_ledger *ledger = &watch->ledger;

	/* Written before the account that counts it, so a successor of a reader
	 * killed in between writes the same place again. */
	if (ledger->laps < DEMO_LOSSES_MAX) {
		demo_set(&watch->own->losses[ledger->laps].first, item->lost_first);
		demo_set(&watch->own->losses[ledger->laps].last, item->lost_last);
	}
	ledger->laps++;
	pass(watch, item->lost_last + 1, item->lost);
}

static void check(struct demo_ledger *ledger, const struct sample *sample, const dxh_item *item)
{
	if (item->bytes != sizeof *sample || sample->checksum != demo_sample_checksum(sample))
		ledger->bad_checksum++;
	if (sample->ticket != item->ticket ||
	    item->ticket % DEMO_ABORT_EVERY == DEMO_ABORT_EVERY - 1)
		ledger->misplaced++;
	ledger->epoch = item->epoch;
	ledger->time_ns = (uint64_t)item->timestamp_ns;
}

/* The fault that the report must find: one sample is read and not counted. */
static bool forget(struct demo_watch *watch, const dxh_item *item)
{
	if (watch->facts->config.fault != DEMO_FAULT_LOSE_ONE ||
	    watch->reader != DEMO_READER_FOLLOWER || item->ticket < 100)
		return false;
	return atomic_exchange(&watch->own->lost_one, 1) == 0;
}

dxh_status demo_watch_next(struct demo_watch *watch, int64_t deadline_ns, dxh_item *item)
{
	struct demo_ledger *ledger = &watch->ledger;
	dxh_status status = dxh_read_next(watch->consumer, &watch->sample, sizeof watch->sample,
	                                  deadline_ns, item);

	switch (status) {
	case DXH_OK:
		watch->dead = 0;
		if (forget(watch, item))
			return DXH_OK;
		pass(watch, item->ticket, item->lost);
		check(ledger, &watch->sample, item);
		if (item->ticket == ledger->next) {
			ledger->read++;
			ledger->next++;
		}
		break;
	case DXH_ELAPPED:
		note_loss(watch, item);
		break;
	case DXH_ECORRUPT:
		ledger->corrupt++;
		break;
	case DXH_EDEAD:
		if (watch->dead)
			return status;
		watch->dead = 1;
		ledger->deaths++;
		break;
	default:
		return status;
	}
	demo_ledger_publish(&watch->own->ledger, ledger);
	return status;
}

void demo_watch_finish(struct demo_watch *watch)
{
	dxh_consumer_stats stats;

	/* Aborted tickets at the very end were stepped over without an item. */
	if (dxh_consumer_stats_get(watch->consumer, &stats) == DXH_OK)
		pass(watch, stats.next_ticket, 0);
	watch->ledger.lag = 0;
	demo_ledger_publish(&watch->own->ledger, &watch->ledger);
	dxh_consumer_close(&watch->consumer);
	atomic_store(&watch->own->finished, 1);
}
