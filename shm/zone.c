/* SPDX-License-Identifier: MIT */
/* Zones are looked up in the private, checked copy of the table; the mapping is
 * only pointed into. A latch is a seqlock of two copies: the writer fills the one
 * that no reader should be looking at.
 */
#include "shm/zone.h"

#include "shm/consumer.h"
#include "shm/copy.h"
#include "shm/producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LATCH_TRIES_MAX = 8 };

static dxh_status fail_for_name(const dxi_block *block, const char *name)
{
	char names[256] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < block->fixed.zone_count && used < sizeof names; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
		                         i > 0 ? ", " : "", block->zones[i].name);
	return dxi_fail(DXH_EZONE, "block \"%s\" has no zone \"%.63s\"; it has: %s",
	                block->paths.name, name, used > 0 ? names : "none");
}

dxh_status dxi_zone_find(const dxi_block *block, const char *name, const dxh_schema *schema,
                         size_t bytes, bool latch, uint32_t *index)
{
	char what[DXI_LAYOUT_NAME_BYTES + 8];
	const dxi_schema_part *part;
	dxh_status status;

	if (!name)
		return dxi_fail(DXH_EINVAL, "the zone's name is NULL");
	for (*index = 0; *index < block->fixed.zone_count; ++*index)
		if (strcmp(block->zones[*index].name, name) == 0)
			break;
	if (*index == block->fixed.zone_count)
		return fail_for_name(block, name);
	part = &block->schema.zones[*index];
	if (part->latch != latch)
		return dxi_fail(DXH_ESTATE, "zone \"%s\" is %s latch: use dxh_%s", name,
		                part->latch ? "a" : "no", part->latch ? "latch_*()" : "*_zone()");
	snprintf(what, sizeof what, "zone \"%s\"", name);
	status = schema ? dxi_schema_compare(what, schema, part) : DXH_OK;
	if (status == DXH_OK && bytes != part->bytes)
		return dxi_fail(DXH_ESIZE, "%s: here %zu bytes, in the block %" PRIu64, what, bytes,
		                part->bytes);
	return status;
}

static void *zone_at(const dxi_block *block, uint32_t index)
{
	const struct dxi_layout_zone *zone = &block->zones[index];

	return (zone->kind == DXI_ZONE_SHARED ? block->zones_base : block->base) + zone->offset;
}

dxh_status dxh_producer_zone(dxh_producer *producer, const char *name, const dxh_schema *schema,
                             size_t bytes, void **zone)
{
	uint32_t index;
	dxh_status status = dxi_producer_check(producer);

	if (status == DXH_OK && !zone)
		return dxi_fail(DXH_EINVAL, "zone is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&producer->block, name, schema, bytes, false, &index);
	if (status == DXH_OK)
		*zone = zone_at(&producer->block, index);
	return status;
}

/* A copy of the data file comes without that of the zones. */
static dxh_status check_at_hand(const dxi_block *block, uint32_t index)
{
	if (block->zones[index].kind != DXI_ZONE_SHARED || block->zones_base)
		return DXH_OK;
	return dxi_fail(DXH_EUNSUPPORTED,
	                "zone \"%s\" lies in a file of its own, which does not belong to %s",
	                block->zones[index].name, block->paths.data);
}

dxh_status dxh_consumer_zone(dxh_consumer *consumer, const char *name, const dxh_schema *schema,
                             size_t bytes, const void **zone)
{
	uint32_t index;
	dxh_status status = dxi_consumer_check(consumer);

	if (status == DXH_OK && !zone)
		return dxi_fail(DXH_EINVAL, "zone is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, schema, bytes, false, &index);
	if (status == DXH_OK)
		status = check_at_hand(&consumer->block, index);
	if (status == DXH_OK)
		*zone = zone_at(&consumer->block, index);
	return status;
}

dxh_status dxh_consumer_zone_writable(dxh_consumer *consumer, const char *name,
                                      const dxh_schema *schema, size_t bytes, void **zone)
{
	uint32_t index;
	dxh_status status = dxi_consumer_check(consumer);

	if (status == DXH_OK && !zone)
		return dxi_fail(DXH_EINVAL, "zone is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, schema, bytes, false, &index);
	if (status == DXH_OK && consumer->block.zones[index].kind != DXI_ZONE_SHARED)
		return dxi_fail(DXH_ESTATE,
		                "\"%s\" was made without zones_writable: its zones are the "
		                "producer's",
		                consumer->block.paths.name);
	if (status == DXH_OK && !consumer->block.zones_are_writable)
		return dxi_fail(DXH_ESTATE,
		                "this consumer of \"%s\" only reads: open it with write_zones",
		                consumer->block.paths.name);
	if (status == DXH_OK)
		*zone = zone_at(&consumer->block, index);
	return status;
}

/* ---- latches ---- */

static struct dxi_layout_latch *latch_at(const dxi_block *block, uint32_t index)
{
	return (struct dxi_layout_latch *)(block->base + block->zones[index].offset);
}

static unsigned char *copy_at(const dxi_block *block, uint32_t index, uint64_t seq)
{
	return (unsigned char *)latch_at(block, index) + sizeof(struct dxi_layout_latch) +
	       (seq & 1) * dxi_latch_stride(block->zones[index].bytes);
}

dxh_status dxh_latch_begin(dxh_producer *producer, const char *name, size_t bytes, void **data)
{
	dxh_status status = dxi_producer_check(producer);
	const dxi_block *block;
	uint32_t index;
	uint64_t seq;

	if (status == DXH_OK && !data)
		return dxi_fail(DXH_EINVAL, "data is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&producer->block, name, NULL, bytes, true, &index);
	if (status != DXH_OK)
		return status;
	if (producer->latches_open & UINT32_C(1) << index)
		return dxi_fail(DXH_ESTATE, "latch \"%s\" was begun already: commit it first",
		                name);
	producer->latches_open |= UINT32_C(1) << index;
	block = &producer->block;
	/* Pairs with the release in dxh_latch_commit() of a dead predecessor. */
	seq = atomic_load_explicit(&latch_at(block, index)->seq, memory_order_acquire);
	/* Before the first store into the spare copy, which a slow reader may
	 * still be reading as the current one: if it sees one byte of ours, it
	 * sees the seq that made its copy spare. Pairs with the acquire fence
	 * in dxh_latch_read(). */
	atomic_thread_fence(memory_order_release);
	*data = copy_at(block, index, seq + 1);
	dxi_copy_across(*data, copy_at(block, index, seq), bytes);
	return DXH_OK;
}

dxh_status dxh_latch_commit(dxh_producer *producer, const char *name)
{
	dxh_status status = dxi_producer_check(producer);
	struct dxi_layout_latch *latch;
	uint32_t index = 0;
	uint64_t seq;

	if (status != DXH_OK)
		return status;
	if (!name)
		return dxi_fail(DXH_EINVAL, "the zone's name is NULL");
	while (index < producer->block.fixed.zone_count &&
	       strcmp(producer->block.zones[index].name, name) != 0)
		index++;
	if (index == producer->block.fixed.zone_count)
		return fail_for_name(&producer->block, name);
	if (!(producer->latches_open & UINT32_C(1) << index))
		return dxi_fail(DXH_ESTATE, "latch \"%s\" was not begun", name);
	producer->latches_open &= ~(UINT32_C(1) << index);
	latch = latch_at(&producer->block, index);
	/* relaxed: we are its only writer. */
	seq = atomic_load_explicit(&latch->seq, memory_order_relaxed);
	/* Publishes the copy. Pairs with the acquire in dxh_latch_read(). */
	atomic_store_explicit(&latch->seq, seq + 1, memory_order_release);
	return DXH_OK;
}

dxh_status dxh_latch_read(dxh_consumer *consumer, const char *name, void *copy, size_t bytes)
{
	dxh_status status = dxi_consumer_check(consumer);
	const struct dxi_layout_latch *latch;
	uint32_t index;
	uint64_t seq;

	if (status == DXH_OK && !copy)
		return dxi_fail(DXH_EINVAL, "copy is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, NULL, bytes, true, &index);
	if (status != DXH_OK)
		return status;
	latch = latch_at(&consumer->block, index);
	for (int i = 0; i < LATCH_TRIES_MAX; i++) {
		/* Pairs with the release in dxh_latch_commit(). */
		seq = atomic_load_explicit(&latch->seq, memory_order_acquire);
		dxi_copy_out(copy, copy_at(&consumer->block, index, seq), bytes);
		/* Pairs with the release fence in dxh_latch_begin(). */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&latch->seq, memory_order_relaxed) == seq)
			return DXH_OK;
	}
	return dxi_fail(DXH_EBUSY, "latch \"%s\" changed %d times while it was read: try again",
	                name, LATCH_TRIES_MAX);
}
