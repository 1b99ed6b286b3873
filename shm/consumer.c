/* SPDX-License-Identifier: MIT */
/* The waiting around a reader's looks: asleep on the wake word, awake ten times a second
 * to see whether the producer still lives.
 */
#include "shm/consumer.h"

#include "base/clock.h"
#include "shm/liveness.h"
#include "shm/readers.h"
#include "shm/wake.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- reading ---- */

bool dxi_consumer_is_told(dxh_consumer *consumer, dxh_status status)
{
	uint64_t epoch = atomic_load_explicit(&dxi_block_header(&consumer->block)->producer.epoch,
	                                      memory_order_acquire);
	bool told = consumer->told == status && consumer->told_epoch == epoch;

	consumer->told = status;
	consumer->told_epoch = epoch;
	return told;
}

dxh_status dxi_consumer_fail_for_nothing(const dxh_consumer *consumer, dxh_status why)
{
	const char *name = consumer->block.paths.name;
	uint32_t pid = atomic_load_explicit(&dxi_block_header(&consumer->block)->producer.pid,
	                                    memory_order_relaxed);

	switch (why) {
	case DXH_EDEAD:
		if (consumer->block.paths.is_memory)
			return dxi_fail(why,
			                "the producer of \"%s\", pid %" PRIu32
			                ", died, and its memory has no successor: ask for another",
			                name, pid);
		return dxi_fail(why,
		                "the producer of \"%s\", pid %" PRIu32
		                ", died: wait for a successor or start one",
		                name, pid);
	case DXH_ECLOSED:
		if (dxi_paths_are_of_file(&consumer->block.paths))
			return dxi_fail(why, "nobody writes to %s", consumer->block.paths.data);
		return dxi_fail(why, "the producer of \"%s\" closed it", name);
	case DXH_EUNLINKED:
		if (consumer->follow)
			return dxi_fail(why,
			                "\"%s\" was unlinked while in use: wait for the next block "
			                "of this name",
			                name);
		return dxi_fail(why,
		                "\"%s\" was unlinked while in use (by its producer, rm, or systemd "
		                "RemoveIPC): attach again by name",
		                name);
	default:
		dxi_fail_as(consumer->nothing_text);
		return why;
	}
}

/* Nobody will ever write here again. */
static bool is_final(const dxh_consumer *consumer, dxh_status why)
{
	return (why == DXH_EUNLINKED && !consumer->follow) ||
	       (why != DXH_EWAIT && consumer->block.paths.is_memory);
}

/* Nothing is there: may the call end, and how? */
static bool is_over(dxh_consumer *consumer, dxh_status why, int64_t deadline_ns)
{
	if (is_final(consumer, why))
		return true;
	if (why != DXH_EWAIT && !dxi_consumer_is_told(consumer, why))
		return true;
	return dxh_now_ns() >= deadline_ns;
}

static dxh_status fail_for_slots(const dxh_consumer *consumer)
{
	return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots to read, only zones",
	                consumer->block.paths.name);
}

dxh_status dxi_consumer_fail_ring(const dxh_consumer *consumer)
{
	dxh_status status = dxi_consumer_check(consumer);

	if (status == DXH_OK && consumer->block.ring.physical == 0)
		return fail_for_slots(consumer);
	if (status == DXH_OK && consumer->peeking)
		return dxi_fail(DXH_ESTATE, "an item is being looked at: dxh_peek_end() first");
	return status;
}

/* A loss behind items that were handed out waits for the next call. */
static void keep(dxh_consumer *consumer, dxh_status status, const dxh_item *item)
{
	consumer->kept = status;
	consumer->kept_item = *item;
	snprintf(consumer->kept_text, sizeof consumer->kept_text, "%s", dxh_last_error());
}

static dxh_status tell_kept(dxh_consumer *consumer, dxh_item *item)
{
	dxh_status status = consumer->kept;

	*item = consumer->kept_item;
	consumer->kept = DXH_OK;
	dxi_fail_as(consumer->kept_text);
	return status;
}

/* Where nobody produces: is there another block to go on in? Else *why is also why not. */
static bool is_moved(dxh_consumer *consumer, dxh_item *item, dxh_status *why)
{
	dxh_status status;

	if (*why == DXH_EWAIT) {
		/* relaxed: a hint for who asks a broker. */
		if (consumer->follow)
			atomic_store_explicit(&consumer->follow->waits, 0, memory_order_relaxed);
		return false;
	}
	if (consumer->told == DXH_OK)
		return false; /* the end comes first */
	status = dxi_consumer_follow(consumer);
	if (status == DXH_EMOVED)
		dxi_consumer_tell_loss(consumer, item);
	else if (status != DXH_OK)
		*why = status;
	return status == DXH_EMOVED;
}

/* How often the kernel is asked whether the producer lives by who finds nothing without
 * waiting. It costs more than all else that such a call does, and who looks all the time
 * makes millions; who looks now and then is told the truth each time. */
enum { ASKS_A_TICK = 16 };

static bool may_ask(dxh_consumer *consumer)
{
	const struct dxi_layout_producer *producer = &dxi_block_header(&consumer->block)->producer;
	int64_t tick_ns = dxi_clock_coarse_ns();

	if (tick_ns != consumer->asked_ns) {
		consumer->asked_ns = tick_ns;
		consumer->asks_left = ASKS_A_TICK;
	}
	/* One that closed in good order says so, without being asked. relaxed: a hint. */
	if (consumer->asks_left == 0)
		return atomic_load_explicit(&producer->state, memory_order_relaxed) !=
		       DXI_STATE_OPEN;
	consumer->asks_left--;
	return true;
}

/* Nobody wakes who waits for a producer that died. */
static void
sleep_a_step(dxh_consumer *consumer, uint32_t seen, int64_t deadline_ns, dxi_wake_steps *steps)
{
	int64_t step_ns = dxh_in_ns(DXI_LIVENESS_STEP_NS);

	dxi_wake_wait(&consumer->block, seen, step_ns < deadline_ns ? step_ns : deadline_ns, steps);
}

/* The first look found nothing. */
static dxh_status
wait_for_item(dxh_consumer *consumer, dxi_want *want, int64_t deadline_ns, dxh_item *item)
{
	dxh_status status = DXH_OK, live, why;
	dxi_wake_steps steps = {0};
	uint32_t seen;

	/* Bounded by the deadline; each turn but the last sleeps. */
	for (;;) {
		seen = dxi_wake_seen(&consumer->block);
		if (dxi_consumer_look(consumer, want, item, &status))
			return status;
		if (steps.made == 0 && dxh_now_ns() < deadline_ns) {
			/* Most waits are short: the producer is asked for after a first step. */
			sleep_a_step(consumer, seen, deadline_ns, &steps);
			continue;
		}
		live = why = dxi_liveness_explain(&consumer->block);
		/* Its last item may have come between the look and its end. */
		if (why != DXH_EWAIT && dxi_consumer_look(consumer, want, item, &status))
			return status;
		if (is_moved(consumer, item, &why))
			return DXH_EMOVED;
		if (is_over(consumer, why, deadline_ns)) {
			dxi_watch_arm(consumer->watch, seen, live);
			return why == live ? dxi_consumer_fail_for_nothing(consumer, why) : why;
		}
		sleep_a_step(consumer, seen, deadline_ns, &steps);
	}
}

dxh_status
dxi_consumer_wait_on(dxh_consumer *consumer, dxi_want *want, int64_t deadline_ns, dxh_item *item)
{
	if (consumer->kept != DXH_OK)
		return tell_kept(consumer, item);
	if (deadline_ns == DXH_NOW && !consumer->watch && !may_ask(consumer))
		return dxi_consumer_fail_for_nothing(consumer, DXH_EWAIT);
	return wait_for_item(consumer, want, deadline_ns, item);
}

dxh_status dxh_read_next(dxh_consumer *consumer, void *copy, size_t capacity_bytes,
                         int64_t deadline_ns, dxh_item *item)
{
	dxi_want want = {.copy = copy, .capacity_bytes = capacity_bytes};
	dxh_status status = dxi_consumer_check_ring(consumer);

	if (status != DXH_OK)
		return status;
	if (!item || (!copy && capacity_bytes > 0))
		return dxi_fail(DXH_EINVAL, "%s is NULL", item ? "copy" : "item");
	return dxi_consumer_wait(consumer, &want, deadline_ns, item);
}

dxh_status dxh_read_n(dxh_consumer *consumer, void *copies, size_t stride_bytes, size_t max,
                      int64_t deadline_ns, dxh_item *items, size_t *count)
{
	dxh_status status = dxi_consumer_check_ring(consumer);
	dxi_want want = {.copy = copies, .capacity_bytes = stride_bytes};

	if (status != DXH_OK)
		return status;
	if (!items || !count || max == 0 || (!copies && stride_bytes > 0))
		return dxi_fail(DXH_EINVAL, "dxh_read_n needs copies, items, count and max >= 1");
	*count = 0;
	status = dxi_consumer_wait(consumer, &want, deadline_ns, &items[0]);
	if (status != DXH_OK)
		return status;
	while (++*count < max) {
		dxh_item *item = &items[*count];

		want.copy = (unsigned char *)copies + *count * stride_bytes;
		if (!dxi_consumer_look(consumer, &want, item, &status))
			break;
		if (status != DXH_OK) {
			/* An item that does not fit is found again by the next call. */
			if (status != DXH_ESIZE)
				keep(consumer, status, item);
			break;
		}
	}
	return DXH_OK;
}

dxh_status dxh_consumer_seek(dxh_consumer *consumer, dxh_start start, uint64_t ticket)
{
	dxh_status status = dxi_consumer_check_ring(consumer);

	if (status == DXH_OK)
		status = dxi_consumer_check_start(start, ticket);
	if (status == DXH_OK)
		status = dxi_consumer_choose(consumer, start, ticket);
	/* An eviction was from the place that was left: hold, then choose behind that. */
	if (status == DXH_OK && consumer->row.fd != -1 &&
	    dxi_row_is_evicted(&consumer->row, &consumer->block)) {
		consumer->evicted++;
		dxi_row_rejoin(&consumer->row, consumer->next);
		status = dxi_consumer_choose(consumer, start, ticket);
	}
	if (status != DXH_OK)
		return status;
	consumer->kept = DXH_OK; /* it spoke of a place that was left */
	consumer->overtaken = 0;
	dxi_watch_signal(consumer->watch);
	return DXH_OK;
}

/* ---- in event loops ---- */

bool dxi_consumer_has_news(const dxh_consumer *consumer)
{
	uint64_t head = atomic_load_explicit(&dxi_block_header(&consumer->block)->head,
	                                     memory_order_acquire);

	return consumer->kept != DXH_OK || head > consumer->next ||
	       (consumer->row.fd != -1 && dxi_row_is_evicted(&consumer->row, &consumer->block));
}

dxh_status dxh_consumer_fd(dxh_consumer *consumer, int *fd)
{
	dxh_status status = dxi_consumer_check(consumer);
	uint32_t seen;

	if (status != DXH_OK)
		return status;
	if (!fd)
		return dxi_fail(DXH_EINVAL, "fd is NULL");
	if (consumer->block.ring.physical == 0)
		return fail_for_slots(consumer);
	if (!consumer->watch) {
		/* Before the look: what comes behind it is noticed. */
		seen = dxi_wake_seen(&consumer->block);
		status = dxi_watch_open(&consumer->block, consumer->follow, &consumer->watch);
		if (status != DXH_OK)
			return status;
		if (!dxi_consumer_has_news(consumer))
			dxi_watch_arm(consumer->watch, seen, DXH_EWAIT);
	}
	*fd = dxi_watch_fd(consumer->watch);
	return DXH_OK;
}

/* ---- looking ---- */

dxh_status dxh_consumer_stats_get(const dxh_consumer *consumer, dxh_consumer_stats *stats)
{
	dxh_status status = dxi_consumer_check(consumer);
	const struct dxi_layout_header *header;
	uint64_t head;

	if (status != DXH_OK)
		return status;
	if (!stats)
		return dxi_fail(DXH_EINVAL, "stats is NULL");
	header = dxi_block_header(&consumer->block);
	head = atomic_load_explicit(&header->head, memory_order_acquire);
	*stats = (dxh_consumer_stats){
		.read = consumer->read,
		.read_bytes = consumer->read_bytes,
		.lost = consumer->lost,
		.skipped = consumer->skipped,
		.retries = consumer->retries,
		.corrupt = consumer->corrupt,
		.lag = dxi_lag(&consumer->block, consumer->next),
		.next_ticket = consumer->next,
		.head = head,
		.epoch = atomic_load_explicit(&header->producer.epoch, memory_order_acquire),
		.evicted = consumer->evicted,
		.lag_ns = dxi_lag_ns(&consumer->block, consumer->next),
		.lost_first = consumer->lost_first,
		.lost_last = consumer->lost_last,
	};
	return DXH_OK;
}

dxh_status dxh_consumer_info(const dxh_consumer *consumer, dxh_block_info *info)
{
	dxh_status status = dxi_consumer_check(consumer);

	if (status != DXH_OK)
		return status;
	if (!info)
		return dxi_fail(DXH_EINVAL, "info is NULL");
	dxi_block_describe(&consumer->block, dxi_liveness(&consumer->block), info);
	return DXH_OK;
}

const void *dxh_consumer_schema(const dxh_consumer *consumer, size_t *bytes)
{
	if (dxi_consumer_check(consumer) != DXH_OK)
		return NULL;
	if (bytes)
		*bytes = consumer->block.fixed.schema_bytes;
	return consumer->block.schema_bytes;
}
