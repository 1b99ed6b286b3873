/* SPDX-License-Identifier: MIT */
/* Attaching a reader, and the waiting around its looks: asleep on the wake word,
 * awake ten times a second to see whether the producer still lives.
 */
#include "shm/consumer.h"

#include "base/clock.h"
#include "shm/kept.h"
#include "shm/liveness.h"
#include "shm/readers.h"
#include "shm/retired.h"
#include "shm/wake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const dxh_consumer_config DEFAULTS;

/* ---- opening and closing ---- */

static dxh_status check_start(dxh_start start, uint64_t ticket)
{
	if ((unsigned)start > DXH_START_TICKET)
		return dxi_fail(DXH_EINVAL, "start %d is none", (int)start);
	if (start != DXH_START_TICKET && ticket != 0)
		return dxi_fail(DXH_EINVAL, "start_ticket is set, start is not DXH_START_TICKET");
	if (ticket >= DXI_TICKET_MAX)
		return dxi_fail(DXH_EINVAL, "start_ticket %" PRIu64 " is beyond any ticket",
		                ticket);
	return DXH_OK;
}

static dxh_status check_config(const dxh_consumer_config *config)
{
	if ((unsigned)config->discipline > DXH_LOSSLESS)
		return dxi_fail(DXH_EINVAL, "discipline %d is none", (int)config->discipline);
	if (config->file && config->discipline == DXH_LOSSLESS)
		return dxi_fail(DXH_EINVAL,
		                "a file by itself has no control file: its reader cannot "
		                "be DXH_LOSSLESS");
	return check_start(config->start, config->start_ticket);
}

/* Where the block comes from: a name, or the config's file, or descriptors. */
typedef struct source {
	const char *name;
	const int *fds; /* NULL: none */
	size_t fd_count;
	bool taken; /* the descriptors are no longer the caller's to close */
} source;

static dxh_status find_paths(const char *name, const dxh_consumer_config *config, dxi_paths *paths)
{
	if (!config->file)
		return dxi_paths_of(config->directory, name, paths);
	if (name || config->directory)
		return dxi_fail(
			DXH_EINVAL,
			"file is set: name and directory, which say the same, must be NULL");
	return dxi_paths_of_file(config->file, paths);
}

static dxh_status check_slot(const dxh_slot_spec *expected, const dxi_block *block)
{
	uint64_t slot_bytes = dxi_round_up(expected->bytes, DXI_LAYOUT_ALIGN);

	if (!expected->schema && expected->bytes == 0)
		return DXH_OK;
	if (block->ring.physical == 0)
		return dxi_fail(DXH_ESCHEMA, "a slot is expected, the block has only zones");
	if (expected->schema)
		return dxi_schema_compare("the slot", expected->schema, &block->schema.slot,
		                          block->match);
	if (slot_bytes != block->ring.slot_bytes)
		return dxi_fail(DXH_ESIZE, "slot capacity: here %" PRIu64 ", in the block %" PRIu64,
		                slot_bytes, block->ring.slot_bytes);
	return DXH_OK;
}

/* Is the block what the config expects? From here on it says what may be more. */
static dxh_status check_expected(const dxh_consumer_config *config, dxi_block *block)
{
	dxh_status status = DXH_OK;

	block->match = config->accept_appended ? DXI_MATCH_APPENDED : DXI_MATCH_SAME;
	if (config->zones)
		status = dxi_schema_compare_zones(config->zones, &block->schema, block->match);
	return status == DXH_OK ? check_slot(&config->slot, block) : status;
}

/* Go on at the place named. */
static dxh_status choose(dxh_consumer *consumer, dxh_start start, uint64_t ticket)
{
	/* Pairs with the release in write.c: the slots below are published. */
	uint64_t head = atomic_load_explicit(&dxi_block_header(&consumer->block)->head,
	                                     memory_order_acquire);
	uint64_t kept = consumer->block.ring.kept;

	if (head >= DXI_TICKET_MAX)
		return dxi_fail(DXH_ECORRUPT, "offset 384: head %" PRIu64 " is beyond any ticket",
		                head);
	switch (start) {
	case DXH_START_OLDEST:
		consumer->next = head > kept ? head - kept : 0;
		break;
	case DXH_START_NEWEST:
		consumer->next = head > 0 ? head - 1 : 0;
		break;
	case DXH_START_NEXT:
		consumer->next = head;
		break;
	case DXH_START_TICKET:
		consumer->next = ticket;
		break;
	}
	dxi_consumer_let_go(consumer);
	/* The account goes on as if it had always begun so far from here; unsigned,
	 * so that a place before the first is no harm. */
	consumer->start = consumer->next - consumer->read - consumer->lost - consumer->skipped;
	return DXH_OK;
}

/* Where to start is chosen twice: before the row is claimed, so that it holds back
 * nothing needlessly, and behind it, so that nothing is lost in between. */
static dxh_status start(dxh_consumer *consumer, const dxh_consumer_config *config)
{
	dxh_status status = choose(consumer, config->start, config->start_ticket);

	if (status != DXH_OK || config->discipline != DXH_LOSSLESS)
		return status;
	if (consumer->block.ring.physical == 0)
		return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots to read, only zones",
		                consumer->block.paths.name);
	status = dxi_row_claim(&consumer->block, consumer->next, &consumer->row);
	return status == DXH_OK ? choose(consumer, config->start, config->start_ticket) : status;
}

/* `memory` may be NULL: then it goes, too. */
static void detach(dxh_consumer *consumer, dxh_memory *memory)
{
	dxi_watch_close(consumer->watch);
	/* In a child of fork() the row is the parent's. */
	if (consumer->process != dxi_process_id())
		consumer->row.generation = 0;
	dxi_row_leave(&consumer->row, &consumer->block);
	dxi_kept_take(memory, &consumer->block);
	dxi_segment_detach(&consumer->block);
}

static dxi_access access_of(const dxh_consumer_config *config)
{
	return config->write_zones ? DXI_ACCESS_READ_WRITE_ZONES : DXI_ACCESS_READ;
}

static dxh_status attach_passed(source *from, const dxh_consumer_config *config, dxi_block *block)
{
	if (from->fd_count == 0 || from->fd_count > DXH_BLOCK_FDS)
		return dxi_fail(DXH_EINVAL, "%zu descriptors are not 1 to %d", from->fd_count,
		                DXH_BLOCK_FDS);
	if (config->directory || config->file)
		return dxi_fail(DXH_EINVAL,
		                "the block was passed: directory and file must be NULL");
	from->taken = true;
	return dxi_segment_attach_memory(from->fds, from->fd_count, access_of(config),
	                                 config->owner_uid_plus1, block);
}

static dxh_status attach(source *from, const dxh_consumer_config *config, dxi_block *block)
{
	dxi_paths paths;
	dxh_status status;

	if (from->fds)
		return attach_passed(from, config, block);
	status = find_paths(from->name, config, &paths);
	if (status != DXH_OK)
		return status;
	return dxi_segment_attach(&paths, access_of(config), config->owner_uid_plus1, block);
}

static dxh_status
open_consumer(source *from, const dxh_consumer_config *config, dxh_consumer *consumer)
{
	dxh_status status;

	if ((status = check_config(config)) != DXH_OK ||
	    (status = attach(from, config, &consumer->block)) != DXH_OK)
		return status;
	if (config->write_zones && !consumer->block.zones_are_writable)
		status = dxi_fail(DXH_ESTATE,
		                  "write_zones is set, but the zones of \"%s\" are the producer's "
		                  "(zones_writable)",
		                  consumer->block.paths.name);
	if (status != DXH_OK || (status = check_expected(config, &consumer->block)) != DXH_OK ||
	    (status = dxi_segment_take_key(&consumer->block, config->checksum_key)) != DXH_OK ||
	    (status = start(consumer, config)) != DXH_OK)
		detach(consumer, NULL);
	return status;
}

static dxh_status make_consumer(source *from, size_t config_bytes,
                                const dxh_consumer_config *config, dxh_consumer **consumer)
{
	dxh_consumer_config own = DEFAULTS;
	dxh_consumer *opened;
	dxh_status status;

	if (!consumer)
		return dxi_fail(DXH_EINVAL, "consumer is NULL");
	status = dxi_config_read(&own, sizeof own, config, config_bytes);
	if (status != DXH_OK)
		return status;
	opened = calloc(1, sizeof *opened);
	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for a consumer");
	opened->process = dxi_process_id();
	opened->discipline = own.discipline;
	opened->row = DXI_ROW_NONE;
	status = open_consumer(from, &own, opened);
	if (status != DXH_OK) {
		free(opened);
		return status;
	}
	*consumer = opened;
	return DXH_OK;
}

dxh_status dxh_consumer_open_sized(size_t config_bytes, const char *name,
                                   const dxh_consumer_config *config, dxh_consumer **consumer)
{
	source from = {.name = name};

	return make_consumer(&from, config_bytes, config, consumer);
}

dxh_status dxh_consumer_open_fds_sized(size_t config_bytes, const int *fds, size_t count,
                                       const dxh_consumer_config *config, dxh_consumer **consumer)
{
	source from = {.fds = fds, .fd_count = count};
	dxh_status status;

	if (!fds)
		return dxi_fail(DXH_EINVAL, "fds is NULL");
	status = make_consumer(&from, config_bytes, config, consumer);
	for (size_t i = 0; i < count && !from.taken; i++)
		close(fds[i]);
	return status;
}

void dxi_consumer_attach_owner(dxh_consumer *consumer, void (*closing)(void *context),
                               void *context)
{
	consumer->closing = closing;
	consumer->closing_context = context;
}

void dxi_consumer_observe(dxh_consumer *consumer, void (*leave)(void *context), void *context)
{
	pthread_mutex_init(&consumer->observer.lock, NULL);
	consumer->observer.leave = leave;
	consumer->observer.context = context;
	dxi_consumer_show(consumer);
}

void dxi_consumer_unobserve(dxh_consumer *consumer)
{
	consumer->observer.leave = NULL;
	pthread_mutex_destroy(&consumer->observer.lock);
}

static void close_consumer(dxh_consumer *closed, dxh_memory *memory)
{
	if (closed->observer.leave) {
		closed->observer.leave(closed->observer.context);
		dxi_consumer_unobserve(closed);
	}
	if (closed->closing)
		closed->closing(closed->closing_context);
	detach(closed, memory);
	dxi_retire(closed, sizeof *closed);
}

static dxh_status check_to_close(const dxh_consumer *closed)
{
	if (!closed)
		return dxi_fail(DXH_EINVAL, "there is no consumer to close");
	return closed->process == 0 ? dxi_fail(DXH_ESTALE, "this consumer was closed before")
	                            : DXH_OK;
}

dxh_status dxh_consumer_close(dxh_consumer **consumer)
{
	dxh_consumer *closed = consumer ? *consumer : NULL;
	dxh_status status = check_to_close(closed);

	if (consumer)
		*consumer = NULL;
	if (status != DXH_OK)
		return status;
	close_consumer(closed, NULL);
	return DXH_OK;
}

dxh_status dxh_consumer_close_keeping(dxh_consumer **consumer, dxh_memory **memory)
{
	dxh_consumer *closed = consumer ? *consumer : NULL;
	dxh_status status = check_to_close(closed);

	if (status == DXH_OK)
		status = dxi_kept_new(memory);
	if (status != DXH_OK)
		return status;
	*consumer = NULL;
	close_consumer(closed, *memory);
	return DXH_OK;
}

/* ---- reading ---- */

/* Has this been told, of this producer? From now on it has. */
static bool is_told(dxh_consumer *consumer, dxh_status status)
{
	uint64_t epoch = atomic_load_explicit(&dxi_block_header(&consumer->block)->producer.epoch,
	                                      memory_order_acquire);
	bool told = consumer->told == status && consumer->told_epoch == epoch;

	consumer->told = status;
	consumer->told_epoch = epoch;
	return told;
}

static dxh_status fail_for_nothing(const dxh_consumer *consumer, dxh_status why)
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
		return dxi_fail(why,
		                "\"%s\" was unlinked while in use (by its producer, rm, or systemd "
		                "RemoveIPC): attach again by name",
		                name);
	default:
		return dxi_fail(why, "nothing new in \"%s\"", name);
	}
}

/* Nobody will ever write here again. */
static bool is_final(const dxh_consumer *consumer, dxh_status why)
{
	return why == DXH_EUNLINKED || (why != DXH_EWAIT && consumer->block.paths.is_memory);
}

/* Nothing is there: may the call end, and how? */
static bool is_over(dxh_consumer *consumer, dxh_status why, int64_t deadline_ns)
{
	if (is_final(consumer, why))
		return true;
	if (why != DXH_EWAIT && !is_told(consumer, why))
		return true;
	return dxh_now_ns() >= deadline_ns;
}

static dxh_status fail_for_slots(const dxh_consumer *consumer)
{
	return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots to read, only zones",
	                consumer->block.paths.name);
}

dxh_status dxi_consumer_check_ring(const dxh_consumer *consumer)
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

dxh_status
dxi_consumer_wait(dxh_consumer *consumer, dxi_want *want, int64_t deadline_ns, dxh_item *item)
{
	dxh_status status = DXH_OK, why;
	dxi_wake_steps steps = {0};
	int64_t step_ns;
	uint32_t seen;

	if (consumer->kept != DXH_OK)
		return tell_kept(consumer, item);
	/* Bounded by the deadline; each turn but the last sleeps. */
	for (;;) {
		seen = dxi_wake_seen(&consumer->block);
		if (dxi_consumer_look(consumer, want, item, &status))
			return status;
		if (steps.made == 0 && dxh_now_ns() < deadline_ns) {
			/* Most waits are short: the producer is asked for after a first step. */
			dxi_wake_wait(&consumer->block, seen, deadline_ns, &steps);
			continue;
		}
		why = dxi_liveness_explain(&consumer->block);
		/* Its last item may have come between the look and its end. */
		if (why != DXH_EWAIT && dxi_consumer_look(consumer, want, item, &status))
			return status;
		if (is_over(consumer, why, deadline_ns)) {
			dxi_watch_arm(consumer->watch, seen, why);
			return fail_for_nothing(consumer, why);
		}
		step_ns = dxh_in_ns(DXI_LIVENESS_STEP_NS);
		dxi_wake_wait(&consumer->block, seen, step_ns < deadline_ns ? step_ns : deadline_ns,
		              &steps);
	}
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
		status = check_start(start, ticket);
	if (status == DXH_OK)
		status = choose(consumer, start, ticket);
	/* An eviction was from the place that was left: hold, then choose behind that. */
	if (status == DXH_OK && consumer->row.fd != -1 &&
	    dxi_row_is_evicted(&consumer->row, &consumer->block)) {
		consumer->evicted++;
		dxi_row_rejoin(&consumer->row, consumer->next);
		status = choose(consumer, start, ticket);
	}
	if (status != DXH_OK)
		return status;
	consumer->kept = DXH_OK; /* it spoke of a place that was left */
	consumer->overtaken = 0;
	dxi_watch_signal(consumer->watch);
	return DXH_OK;
}

/* ---- in event loops ---- */

/* Would a call find more to say than that nothing is there? */
static bool has_news(const dxh_consumer *consumer)
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
		status = dxi_watch_open(&consumer->block, &consumer->watch);
		if (status != DXH_OK)
			return status;
		if (!has_news(consumer))
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
