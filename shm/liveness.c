/* SPDX-License-Identifier: MIT */
/* The lock says whether somebody is there, the state word how the last one went;
 * the epoch around both says whether they belong together.
 */
#include "shm/liveness.h"

#include "base/status.h"
#include "shm/lease.h"

#include <string.h>

/* Each retry is a takeover right in between. */
enum { TRIES_MAX = 3 };

dxh_liveness dxi_liveness(const dxi_block *block)
{
	const struct dxi_layout_producer *producer = &dxi_block_header(block)->producer;
	uint64_t before, after;
	uint32_t state;

	for (int i = 0; i < TRIES_MAX; i++) {
		/* These three acquires pair with the releases in dxi_takeover(),
		 * dxi_producer_state_open() and dxh_producer_close(). */
		before = atomic_load_explicit(&producer->epoch, memory_order_acquire);
		switch (dxi_beacon_query(block->fd)) {
		case DXI_BEACON_LIT:
			return DXH_PRODUCER_ALIVE;
		case DXI_BEACON_SQUATTED:
			return DXH_PRODUCER_UNKNOWN;
		case DXI_BEACON_DARK:
			break;
		}
		state = atomic_load_explicit(&producer->state, memory_order_acquire);
		after = atomic_load_explicit(&producer->epoch, memory_order_acquire);
		if (before == after && state == DXI_STATE_CLOSED)
			return DXH_PRODUCER_CLOSED;
		/* A copy of a live block looks like this too. */
		if (before == after && state == DXI_STATE_OPEN)
			return dxi_paths_are_of_file(&block->paths) ? DXH_PRODUCER_UNKNOWN
			                                            : DXH_PRODUCER_DEAD;
	}
	return DXH_PRODUCER_UNKNOWN;
}

dxh_status dxi_liveness_explain(const dxi_block *block)
{
	dxh_liveness producer = dxi_liveness(block);

	if (dxi_paths_are_of_file(&block->paths))
		return producer == DXH_PRODUCER_ALIVE ? DXH_EWAIT : DXH_ECLOSED;
	if (producer == DXH_PRODUCER_ALIVE || producer == DXH_PRODUCER_UNKNOWN)
		return DXH_EWAIT;
	if (dxi_segment_is_unlinked(block))
		return DXH_EUNLINKED;
	return producer == DXH_PRODUCER_DEAD ? DXH_EDEAD : DXH_ECLOSED;
}

void dxi_block_describe(const dxi_block *block, dxh_liveness producer, dxh_block_info *info)
{
	const struct dxi_layout_header *header = dxi_block_header(block);
	const struct dxi_layout_header *fixed = &block->fixed;

	memset(info, 0, sizeof *info);
	strcpy(info->name, block->paths.name);
	memcpy(info->uuid, fixed->uuid, sizeof info->uuid);
	memcpy(info->schema_hash, fixed->schema_hash, sizeof info->schema_hash);
	info->block_bytes = block->bytes;
	info->slot_bytes = fixed->slot_bytes;
	info->slot_count = fixed->slot_count;
	info->zone_count = fixed->zone_count;
	info->schema_bytes = fixed->schema_bytes;
	info->producer = producer;
	info->unlinked = dxi_segment_is_unlinked(block);
	/* relaxed: numbers to be shown. */
	info->epoch = atomic_load_explicit(&header->producer.epoch, memory_order_relaxed);
	info->head = atomic_load_explicit(&header->head, memory_order_relaxed);
	info->clock_offset_ns =
		atomic_load_explicit(&header->clock_offset_ns, memory_order_relaxed);
	info->producer_pid = atomic_load_explicit(&header->producer.pid, memory_order_relaxed);
}

dxh_status dxh_block_stat(const char *directory, const char *name, dxh_block_info *info)
{
	dxi_paths paths;
	dxi_block block;
	dxh_status status;

	if (!info)
		return dxi_fail(DXH_EINVAL, "info is NULL");
	if ((status = dxi_paths_of(directory, name, &paths)) != DXH_OK ||
	    (status = dxi_segment_attach(&paths, DXI_ACCESS_READ, 0, &block)) != DXH_OK)
		return status;
	dxi_block_describe(&block, dxi_liveness(&block), info);
	dxi_segment_detach(&block);
	return DXH_OK;
}
