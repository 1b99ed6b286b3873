/* SPDX-License-Identifier: MIT */
/* Attaching a reader: to a name, a file or descriptors; and again, when its block has another
 * one behind its name.
 */
#include "shm/consumer.h"

#include "shm/kept.h"
#include "shm/readers.h"
#include "shm/retired.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const dxh_consumer_config DEFAULTS;

dxh_status dxi_consumer_check_start(dxh_start start, uint64_t ticket)
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
	return dxi_consumer_check_start(config->start, config->start_ticket);
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

dxh_status dxi_consumer_check_schema(const dxh_consumer_config *config, const void *schema,
                                     size_t schema_bytes, uint64_t slot_bytes)
{
	dxi_block *told = calloc(1, sizeof *told);
	dxh_status status;

	if (!told)
		return dxi_fail(DXH_ENOMEM, "no memory for a schema");
	status = dxi_schema_parse(schema, schema_bytes, 0, &told->schema);
	told->ring.physical = told->schema.has_slot;
	told->ring.slot_bytes = slot_bytes;
	if (status == DXH_OK)
		status = check_expected(config, told);
	dxi_schema_fini(&told->schema);
	free(told);
	return status;
}

dxh_status dxi_consumer_choose(dxh_consumer *consumer, dxh_start start, uint64_t ticket)
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
	dxh_status status = dxi_consumer_choose(consumer, config->start, config->start_ticket);

	if (status != DXH_OK || config->discipline == DXH_FOLLOW)
		return status;
	if (consumer->block.ring.physical == 0)
		return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots to read, only zones",
		                consumer->block.paths.name);
	if (config->discipline != DXH_LOSSLESS)
		return DXH_OK;
	status = dxi_row_claim(&consumer->block, consumer->next, &consumer->row);
	return status == DXH_OK ? dxi_consumer_choose(consumer, config->start, config->start_ticket)
	                        : status;
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
	opened->serial = dxi_new_serial() << 32;
	opened->row = DXI_ROW_NONE;
	status = open_consumer(from, &own, opened);
	if (status == DXH_OK && own.follow_name) {
		status = dxi_follow_new(from->name, &own, &opened->follow);
		if (status != DXH_OK)
			detach(opened, NULL);
	}
	if (status != DXH_OK) {
		free(opened);
		return status;
	}
	snprintf(opened->nothing_text, sizeof opened->nothing_text, "%s: nothing new in \"%s\"",
	         dxh_status_name(DXH_EWAIT), opened->block.paths.name);
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
	if (closed->follow)
		dxi_kept_take_left(memory, closed->follow);
	dxi_follow_free(closed->follow);
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
