/* SPDX-License-Identifier: MIT */
/* Becoming the producer of a block, and ceasing to be it. */
#include "shm/producer.h"

#include "shm/config.h"
#include "shm/counter.h"
#include "shm/kept.h"
#include "shm/liveness.h"
#include "shm/retired.h"
#include "shm/takeover.h"
#include "shm/unlink.h"
#include "shm/wake.h"
#include "shm/zones_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The zones are the same. Are their digests, too? */
static dxh_status compare_digests(const dxh_block_config *config, const dxi_block *block)
{
	for (uint32_t i = 0; i < block->fixed.zone_count; i++) {
		uint32_t kind = dxi_digest_kind(config, &config->zones[i]);

		if (kind != block->zones[i].digest)
			return dxi_fail(DXH_ESCHEMA,
			                "zone \"%s\": digest: here kind %" PRIu32
			                ", in the block kind %" PRIu32,
			                block->zones[i].name, kind, block->zones[i].digest);
	}
	return DXH_OK;
}

/* Same tables, same capacities, same way of waking? */
static dxh_status compare(const dxh_block_config *config, const dxi_block *block)
{
	uint64_t slot_bytes = dxi_round_up(config->slot.bytes, DXI_LAYOUT_ALIGN);
	uint32_t wake_mode = config->no_wait ? DXI_WAKE_NONE : DXI_WAKE_ALWAYS;
	dxh_status status = dxi_schema_compare_config(config, &block->schema);

	if (status == DXH_OK)
		status = compare_digests(config, block);
	if (status != DXH_OK)
		return status;
	if (config->slot_count != block->ring.kept)
		return dxi_fail(DXH_ESIZE, "slot_count: here %" PRIu32 ", in the block %" PRIu32,
		                config->slot_count, block->ring.kept);
	if (config->readers_max != block->fixed.row_count)
		return dxi_fail(DXH_ESIZE, "readers_max: here %" PRIu32 ", in the block %" PRIu32,
		                config->readers_max, block->fixed.row_count);
	if (config->slot_count > 0 && slot_bytes != block->ring.slot_bytes)
		return dxi_fail(DXH_ESIZE, "slot capacity: here %" PRIu64 ", in the block %" PRIu64,
		                slot_bytes, block->ring.slot_bytes);
	if (dxi_checksum_kind(config) != block->fixed.checksum_kind ||
	    (config->checksum != DXH_CHECKSUM_NONE &&
	     (config->checksum_manual != 0) != block->ring.checksum.manual))
		return dxi_fail(DXH_ESCHEMA, "checksum: here kind %u%s, in the block kind %u%s",
		                dxi_checksum_kind(config), config->checksum_manual ? " manual" : "",
		                block->fixed.checksum_kind,
		                block->ring.checksum.manual ? " manual" : "");
	if ((config->zones_writable != 0) !=
	    ((block->fixed.features_required & DXI_FEATURE_ZONES_FILE) != 0))
		return dxi_fail(DXH_ESCHEMA, "zones_writable: here %s, in the block %s",
		                config->zones_writable ? "set" : "not set",
		                config->zones_writable ? "not set" : "set");
	if ((config->no_timestamps != 0) == dxi_block_has_timestamps(block))
		return dxi_fail(DXH_ESCHEMA, "no_timestamps: here %s, in the block %s",
		                config->no_timestamps ? "set" : "not set",
		                config->no_timestamps ? "not set" : "set");
	if (wake_mode != block->fixed.wake_mode)
		return dxi_fail(DXH_ESCHEMA, "no_wait: here %s, in the block %s",
		                config->no_wait ? "set" : "not set",
		                config->no_wait ? "not set" : "set");
	return DXH_OK;
}

/* Nobody lives who could need these bytes, so the way out can be said. */
static dxh_status advise_unlink(dxh_status status, const char *name)
{
	char why[256];

	snprintf(why, sizeof why, "%s", strchr(dxh_last_error(), ':') + 2);
	return dxi_fail(status, "%s. No producer lives: dxh_block_unlink() removes \"%s\"", why,
	                name);
}

static dxh_status take_over(dxh_producer *producer, const dxh_block_config *config)
{
	dxi_block *block = &producer->block;
	dxh_status status = compare(config, block);

	if (status == DXH_OK)
		status = dxi_segment_take_key(block, config->checksum_key);
	if (status == DXH_OK)
		status = dxi_hold_open(&producer->hold, block, -1);
	if (status != DXH_OK)
		return status;
	producer->beacon_is_lit = dxi_beacon_light(&producer->lease, block->fd);
	/* The lock was free, and still a producer lives: somebody removed the lock file
	 * under it. */
	if (!producer->beacon_is_lit && dxi_beacon_query(block->fd) == DXI_BEACON_LIT)
		return dxi_fail_busy(&block->paths, true);
	return dxi_takeover(block, producer->beacon_is_lit, &producer->next_ticket);
}

static dxh_status
create(dxh_producer *producer, const dxi_paths *paths, const dxh_block_config *config)
{
	dxi_block *block = &producer->block;
	dxh_status status = dxi_segment_create(paths, config, block);
	int control = -1;

	if (status == DXH_OK)
		status = dxi_segment_take_key(block, config->checksum_key);
	/* Before the data file has its name: who finds that finds these too. */
	if (status == DXH_OK)
		status = dxi_zones_create(block, config->mode, config->group);
	if (status == DXH_OK && block->fixed.row_count > 0)
		status = dxi_control_create(block, config->mode, config->group, &control);
	if (status == DXH_OK)
		status = dxi_hold_open(&producer->hold, block, control);
	if (status != DXH_OK)
		return status;
	producer->beacon_is_lit = dxi_beacon_light(&producer->lease, block->fd);
	dxi_producer_state_open(block, producer->beacon_is_lit);
	return dxi_segment_link(block);
}

static dxh_status
attach_or_create(dxh_producer *producer, const dxi_paths *paths, const dxh_block_config *config)
{
	dxh_status status = dxi_segment_attach(paths, DXI_ACCESS_WRITE, 0, &producer->block);

	if (status == DXH_OK)
		status = take_over(producer, config);
	else if (status == DXH_ENOTFOUND)
		status = create(producer, paths, config);
	if (status == DXH_ECORRUPT || status == DXH_EVERSION)
		return advise_unlink(status, paths->name);
	return status;
}

/* Half of a producer goes; the lock stays. */
static void give_up(dxh_producer *producer)
{
	dxi_hold_close(&producer->hold, &producer->block);
	dxi_segment_detach(&producer->block);
}

/* Nobody else knows of it: it is always new, and its beacon is free. */
static dxh_status
open_memory(const char *name, const dxh_block_config *config, dxh_producer *producer)
{
	dxi_paths paths;
	dxh_status status = dxi_paths_of_memory(name, &paths);

	if (status == DXH_OK)
		status = create(producer, &paths, config);
	if (status == DXH_OK && !producer->beacon_is_lit)
		status = dxi_fail(DXH_ESYSTEM,
		                  "no lock on the memory of \"%s\" is to be had: is /proc there, "
		                  "and a descriptor free?",
		                  name);
	if (status != DXH_OK) {
		give_up(producer);
		dxi_lease_release(&producer->lease);
	}
	return status;
}

static dxh_status
open_named(const char *name, const dxh_block_config *config, dxh_producer *producer)
{
	dxi_paths paths;
	dxh_status status = dxi_paths_of(config->directory, name, &paths);

	if (status != DXH_OK)
		return status;
	status = dxi_lease_take(&paths, config->owner_wait_ns, &producer->lease);
	if (status == DXH_EBUSY)
		return dxi_fail_busy(&paths, true);
	if (status != DXH_OK)
		return status;
	status = attach_or_create(producer, &paths, config);
	if (status != DXH_OK) {
		give_up(producer);
		dxi_lock_tidy(&paths, &producer->lease);
		dxi_lease_release(&producer->lease);
		return status;
	}
	dxi_lease_sign(&producer->lease, true);
	if (!producer->beacon_is_lit)
		dxi_log(DXH_LOG_WARNING,
		        "block %s: a reader holds a lock on the data file, so consumers cannot "
		        "tell whether this producer lives",
		        paths.name);
	return DXH_OK;
}

/* For tools, which cannot ask the kernel about another process's pages. Also what was not
 * asked for: a predecessor's figures do not hold any more. */
static void show_residence(dxh_producer *producer)
{
	struct dxi_layout_counters *counters = &dxi_block_header(&producer->block)->counters;

	/* relaxed: shown to humans. */
	atomic_store_explicit(&counters->locked_bytes, producer->residence.locked_bytes,
	                      memory_order_relaxed);
	atomic_store_explicit(&counters->huge_bytes, producer->residence.huge_bytes,
	                      memory_order_relaxed);
}

static dxh_status
open_producer(const char *name, const dxh_block_config *config, dxh_producer *producer)
{
	dxh_status status = dxi_block_config_check(config);

	if (status != DXH_OK)
		return status;
	status = config->memfd ? open_memory(name, config, producer)
	                       : open_named(name, config, producer);
	if (status == DXH_OK) {
		if (producer->block.ring.physical > 0)
			producer->next_index =
				(uint32_t)(producer->next_ticket % producer->block.ring.physical);
		producer->stamps = dxi_block_has_timestamps(&producer->block);
		producer->needs_time =
			producer->stamps || producer->block.fixed.wake_mode != DXI_WAKE_NONE;
		producer->residence = dxi_residence_ask(name, producer->block.base,
		                                        producer->block.bytes, config);
		show_residence(producer);
	}
	return status;
}

dxh_status dxh_producer_open_sized(size_t config_bytes, const char *name,
                                   const dxh_block_config *config, dxh_producer **producer)
{
	dxh_block_config own;
	dxh_producer *opened;
	dxh_status status;

	if (!config || !producer)
		return dxi_fail(DXH_EINVAL, "%s is NULL", config ? "producer" : "config");
	status = dxi_config_read(&own, sizeof own, config, config_bytes);
	if (status != DXH_OK)
		return status;
	opened = calloc(1, sizeof *opened);
	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for a producer");
	opened->process = dxi_process_id();
	opened->serial = dxi_new_serial();
	opened->block = DXI_BLOCK_NONE;
	opened->lease = DXI_LEASE_NONE;
	opened->hold = DXI_HOLD_NONE;
	opened->evict = own.evict != 0;
	opened->unlink_on_close = own.unlink_on_close != 0;
	opened->refreshed_ns = dxh_now_ns();
	opened->quiet.base = dxi_ticks_begin();
	status = open_producer(name, &own, opened);
	if (status != DXH_OK) {
		free(opened);
		return status;
	}
	*producer = opened;
	return DXH_OK;
}

void dxi_producer_attach_owner(dxh_producer *producer, void (*closing)(void *context),
                               void *context)
{
	producer->closing = closing;
	producer->closing_context = context;
}

/* The part of closing that others can see; not for a child of fork(). */
static dxh_status leave_block(dxh_producer *producer)
{
	dxi_block *block = &producer->block;
	dxh_status status = DXH_OK;

	if (producer->write_open) {
		dxh_write_slot open = {.producer = producer,
		                       .ticket = producer->next_ticket,
		                       .serial = producer->serial};

		dxh_write_abort(&open);
	}
	if (producer->unlink_on_close && !block->paths.is_memory)
		status = dxi_block_remove(&block->paths, &producer->lease);
	/* Behind all that was published. Pairs with the acquire in
	 * dxi_liveness(). */
	atomic_store_explicit(&dxi_block_header(block)->producer.state, DXI_STATE_CLOSED,
	                      memory_order_release);
	return status;
}

static dxh_status close_producer(dxh_producer *closed, dxh_memory *memory)
{
	dxh_status status = DXH_OK;
	bool is_ours;

	if (closed->closing)
		closed->closing(closed->closing_context);
	is_ours = closed->process == dxi_process_id();
	if (is_ours)
		status = leave_block(closed);
	if (is_ours) {
		/* Before the wake, so that who wakes sees it, and before the
		 * lock is free, so that a successor can light its own. */
		dxi_beacon_extinguish(&closed->lease);
		dxi_wake(&closed->block);
	}
	dxi_hold_close(&closed->hold, &closed->block);
	dxi_kept_take(memory, &closed->block);
	dxi_segment_detach(&closed->block);
	dxi_lease_release(&closed->lease);
	dxi_retire(closed, sizeof *closed);
	return status;
}

static dxh_status check_to_close(const dxh_producer *closed)
{
	if (!closed)
		return dxi_fail(DXH_EINVAL, "there is no producer to close");
	return closed->process == 0 ? dxi_fail(DXH_ESTALE, "this producer was closed before")
	                            : DXH_OK;
}

dxh_status dxh_producer_close(dxh_producer **producer)
{
	dxh_producer *closed = producer ? *producer : NULL;
	dxh_status status = check_to_close(closed);

	if (producer)
		*producer = NULL;
	if (status != DXH_OK)
		return status;
	return close_producer(closed, NULL);
}

dxh_status dxh_producer_close_keeping(dxh_producer **producer, dxh_memory **memory)
{
	dxh_producer *closed = producer ? *producer : NULL;
	dxh_status status = check_to_close(closed);

	if (status == DXH_OK)
		status = dxi_kept_new(memory);
	if (status != DXH_OK)
		return status;
	*producer = NULL;
	return close_producer(closed, *memory);
}

dxh_status dxh_producer_stats_get(const dxh_producer *producer, dxh_producer_stats *stats)
{
	dxh_status status = dxi_producer_check(producer);
	const struct dxi_layout_counters *counters;

	if (status != DXH_OK)
		return status;
	if (!stats)
		return dxi_fail(DXH_EINVAL, "stats is NULL");
	counters = &dxi_block_header(&producer->block)->counters;
	*stats = (dxh_producer_stats){
		.items = dxi_counter_get(&counters->items),
		.bytes = dxi_counter_get(&counters->bytes),
		.aborted = dxi_counter_get(&counters->aborted),
		.wakes = dxi_counter_get(&counters->wakes),
		.next_ticket = producer->next_ticket,
		.write_max_ns = dxi_counter_get(&counters->write_max_ns),
		.epoch = dxi_counter_get(&dxi_block_header(&producer->block)->producer.epoch),
		.block_bytes = producer->block.bytes,
		.held = dxi_counter_get(&counters->held),
		.evicted = dxi_counter_get(&counters->evicted),
		.locked_bytes = producer->residence.locked_bytes,
		.huge_bytes = producer->residence.huge_bytes,
	};
	return DXH_OK;
}

dxh_status dxh_producer_info(const dxh_producer *producer, dxh_block_info *info)
{
	dxh_status status = dxi_producer_check(producer);

	if (status != DXH_OK)
		return status;
	if (!info)
		return dxi_fail(DXH_EINVAL, "info is NULL");
	dxi_block_describe(&producer->block, DXH_PRODUCER_ALIVE, info);
	return DXH_OK;
}

const void *dxh_producer_schema(const dxh_producer *producer, size_t *bytes)
{
	if (dxi_producer_check(producer) != DXH_OK)
		return NULL;
	if (bytes)
		*bytes = producer->block.fixed.schema_bytes;
	return producer->block.schema_bytes;
}
