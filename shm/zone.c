/* SPDX-License-Identifier: MIT */
/* Zones are looked up in the private, checked copy of the table; the mapping is
 * only pointed into. A latch is a seqlock of two copies: the writer fills the one
 * that no reader should be looking at.
 */
#include "shm/zone.h"

#include "shm/consumer.h"
#include "shm/copy.h"
#include "shm/producer.h"

#include <dxh/zone.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

dxh_status dxi_zone_find(const dxi_block *block, const char *name, uint32_t *index)
{
	if (!name)
		return dxi_fail(DXH_EINVAL, "the zone's name is NULL");
	for (*index = 0; *index < block->fixed.zone_count; ++*index)
		if (strcmp(block->zones[*index].name, name) == 0)
			return DXH_OK;
	return fail_for_name(block, name);
}

dxh_status dxi_zone_check_index(const dxi_block *block, uint32_t index)
{
	if (index < block->fixed.zone_count)
		return DXH_OK;
	return dxi_fail(DXH_EZONE,
	                "block \"%s\" has no zone with index %" PRIu32 "; it has %" PRIu32,
	                block->paths.name, index, block->fixed.zone_count);
}

/* Only its size and its place tell whether raw bytes may be that struct. */
static dxh_status check_raw(const char *what, const dxh_schema *schema, const dxi_schema_part *part)
{
	if (schema->bytes == part->bytes && schema->align <= part->align)
		return DXH_OK;
	return dxi_fail(DXH_ESIZE,
	                "%s: here struct %.63s of %" PRIu32 " bytes aligned to %" PRIu32
	                ", in the block %" PRIu64 " raw bytes aligned to %" PRIu32,
	                what, schema->name, schema->bytes, schema->align, part->bytes, part->align);
}

dxh_status dxi_zone_check(const dxi_block *block, uint32_t index, const dxi_zone_wanted *wanted)
{
	const dxi_schema_part *part = &block->schema.zones[index];
	const dxh_schema *schema = wanted->schema;
	char what[DXI_LAYOUT_NAME_BYTES + 8];
	dxh_status status = DXH_OK;
	uint64_t bytes;

	if (part->latch != wanted->latch)
		return dxi_fail(DXH_ESTATE, "zone \"%s\" is %s latch: use dxh_%s", part->name,
		                part->latch ? "a" : "no",
		                part->latch ? "latch_*() or dxh_zone_copy()" : "*_zone()");
	snprintf(what, sizeof what, "zone \"%s\"", part->name);
	if (schema && part->typed)
		status = dxi_schema_compare(what, schema, part, block->match);
	else if (schema)
		status = check_raw(what, schema, part);
	/* Without members to compare, nothing shows that a larger zone only grew. */
	bytes = schema ? schema->bytes : part->bytes;
	if (status == DXH_OK && wanted->bytes != bytes)
		return dxi_fail(DXH_ESIZE, "%s: here %zu bytes, in the block %" PRIu64, what,
		                wanted->bytes, bytes);
	return status;
}

void *dxi_zone_at(const dxi_block *block, uint32_t index)
{
	const struct dxi_layout_zone *zone = &block->zones[index];

	return (zone->kind == DXI_ZONE_SHARED ? block->zones_base : block->base) + zone->offset;
}

dxh_status dxi_zone_check_at_hand(const dxi_block *block, uint32_t index)
{
	if (block->zones[index].kind != DXI_ZONE_SHARED || block->zones_base)
		return DXH_OK;
	return dxi_fail(DXH_EUNSUPPORTED,
	                "zone \"%s\" lies in a file of its own, which does not belong to %s",
	                block->zones[index].name, block->paths.data);
}

/* ---- by name, by index ---- */

/* A place in the mapping, for who may look there or write there. */
static dxh_status
point(const dxi_block *block, uint32_t index, const dxh_schema *schema, size_t bytes, void **zone)
{
	dxi_zone_wanted wanted = {.schema = schema, .bytes = bytes};
	dxh_status status = dxi_zone_check(block, index, &wanted);

	if (status == DXH_OK)
		status = dxi_zone_check_at_hand(block, index);
	if (status == DXH_OK)
		*zone = dxi_zone_at(block, index);
	return status;
}

static dxh_status check_producer(const dxh_producer *producer, const void *result)
{
	dxh_status status = dxi_producer_check(producer);

	return status == DXH_OK && !result ? dxi_fail(DXH_EINVAL, "zone is NULL") : status;
}

static dxh_status check_consumer(const dxh_consumer *consumer, const void *result)
{
	dxh_status status = dxi_consumer_check(consumer);

	return status == DXH_OK && !result ? dxi_fail(DXH_EINVAL, "zone is NULL") : status;
}

dxh_status dxh_producer_zone(dxh_producer *producer, const char *name, const dxh_schema *schema,
                             size_t bytes, void **zone)
{
	uint32_t index;
	dxh_status status = check_producer(producer, zone);

	if (status == DXH_OK)
		status = dxi_zone_find(&producer->block, name, &index);
	return status == DXH_OK ? point(&producer->block, index, schema, bytes, zone) : status;
}

dxh_status dxh_producer_zone_at(dxh_producer *producer, uint32_t index, const dxh_schema *schema,
                                size_t bytes, void **zone)
{
	dxh_status status = check_producer(producer, zone);

	if (status == DXH_OK)
		status = dxi_zone_check_index(&producer->block, index);
	return status == DXH_OK ? point(&producer->block, index, schema, bytes, zone) : status;
}

/* The mapping of a consumer is read-only, and so is what it is handed. */
static dxh_status view(const dxi_block *block, uint32_t index, const dxh_schema *schema,
                       size_t bytes, const void **zone)
{
	void *place;
	dxh_status status = point(block, index, schema, bytes, &place);

	if (status == DXH_OK)
		*zone = place;
	return status;
}

dxh_status dxh_consumer_zone(dxh_consumer *consumer, const char *name, const dxh_schema *schema,
                             size_t bytes, const void **zone)
{
	uint32_t index;
	dxh_status status = check_consumer(consumer, zone);

	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, &index);
	return status == DXH_OK ? view(&consumer->block, index, schema, bytes, zone) : status;
}

dxh_status dxh_consumer_zone_at(dxh_consumer *consumer, uint32_t index, const dxh_schema *schema,
                                size_t bytes, const void **zone)
{
	dxh_status status = check_consumer(consumer, zone);

	if (status == DXH_OK)
		status = dxi_zone_check_index(&consumer->block, index);
	return status == DXH_OK ? view(&consumer->block, index, schema, bytes, zone) : status;
}

dxh_status dxi_zone_check_writable(const dxi_block *block, uint32_t index)
{
	if (block->zones[index].kind != DXI_ZONE_SHARED)
		return dxi_fail(DXH_ESTATE,
		                "\"%s\" was made without zones_writable: its zones are the "
		                "producer's",
		                block->paths.name);
	if (!block->zones_are_writable)
		return dxi_fail(DXH_ESTATE,
		                "this consumer of \"%s\" only reads: open it with write_zones",
		                block->paths.name);
	return DXH_OK;
}

dxh_status dxh_consumer_zone_writable(dxh_consumer *consumer, const char *name,
                                      const dxh_schema *schema, size_t bytes, void **zone)
{
	dxi_zone_wanted wanted = {.schema = schema, .bytes = bytes};
	uint32_t index;
	dxh_status status = check_consumer(consumer, zone);

	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, &index);
	if (status == DXH_OK)
		status = dxi_zone_check(&consumer->block, index, &wanted);
	if (status == DXH_OK)
		status = dxi_zone_check_writable(&consumer->block, index);
	if (status == DXH_OK)
		*zone = dxi_zone_at(&consumer->block, index);
	return status;
}

/* ---- latches ---- */

struct dxi_layout_latch *dxi_latch_at(const dxi_block *block, uint32_t index)
{
	return (struct dxi_layout_latch *)(block->base + block->zones[index].offset);
}

unsigned char *dxi_latch_copy_at(const dxi_block *block, uint32_t index, uint64_t seq)
{
	return (unsigned char *)dxi_latch_at(block, index) + sizeof(struct dxi_layout_latch) +
	       (seq & 1) * dxi_latch_stride(block->zones[index].bytes);
}

dxh_status dxh_latch_begin(dxh_producer *producer, const char *name, size_t bytes, void **data)
{
	dxi_zone_wanted wanted = {.bytes = bytes, .latch = true};
	dxh_status status = dxi_producer_check(producer);
	const dxi_block *block;
	uint32_t index;
	uint64_t seq;

	if (status == DXH_OK && !data)
		return dxi_fail(DXH_EINVAL, "data is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&producer->block, name, &index);
	if (status == DXH_OK)
		status = dxi_zone_check(&producer->block, index, &wanted);
	if (status != DXH_OK)
		return status;
	if (producer->latches_open & UINT32_C(1) << index)
		return dxi_fail(DXH_ESTATE, "latch \"%s\" was begun already: commit it first",
		                name);
	producer->latches_open |= UINT32_C(1) << index;
	block = &producer->block;
	/* Pairs with the release in dxh_latch_commit() of a dead predecessor. */
	seq = atomic_load_explicit(&dxi_latch_at(block, index)->seq, memory_order_acquire);
	/* Before the first store into the spare copy, which a slow reader may
	 * still be reading as the current one: if it sees one byte of ours, it
	 * sees the seq that made its copy spare. Pairs with the acquire fence
	 * in dxi_latch_copy(). */
	atomic_thread_fence(memory_order_release);
	*data = dxi_latch_copy_at(block, index, seq + 1);
	dxi_copy_across(*data, dxi_latch_copy_at(block, index, seq), bytes);
	return DXH_OK;
}

dxh_status dxh_latch_commit(dxh_producer *producer, const char *name)
{
	dxh_status status = dxi_producer_check(producer);
	struct dxi_layout_latch *latch;
	uint32_t index;
	uint64_t seq;

	if (status == DXH_OK)
		status = dxi_zone_find(&producer->block, name, &index);
	if (status != DXH_OK)
		return status;
	if (!(producer->latches_open & UINT32_C(1) << index))
		return dxi_fail(DXH_ESTATE, "latch \"%s\" was not begun", name);
	producer->latches_open &= ~(UINT32_C(1) << index);
	latch = dxi_latch_at(&producer->block, index);
	/* relaxed: we are its only writer. */
	seq = atomic_load_explicit(&latch->seq, memory_order_relaxed);
	/* Publishes the copy. Pairs with the acquire in dxi_latch_copy(). */
	atomic_store_explicit(&latch->seq, seq + 1, memory_order_release);
	return DXH_OK;
}

dxh_status dxi_latch_copy(const dxi_block *block, uint32_t index, void *copy, size_t bytes)
{
	const struct dxi_layout_latch *latch = dxi_latch_at(block, index);
	uint64_t seq;

	for (int i = 0; i < DXI_LATCH_TRIES_MAX; i++) {
		/* Pairs with the release in dxh_latch_commit(). */
		seq = atomic_load_explicit(&latch->seq, memory_order_acquire);
		dxi_copy_out(copy, dxi_latch_copy_at(block, index, seq), bytes);
		/* Pairs with the release fence in dxh_latch_begin(). */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&latch->seq, memory_order_relaxed) == seq)
			return DXH_OK;
	}
	return dxi_fail(DXH_EBUSY, "latch \"%s\" changed %d times while it was read: try again",
	                block->zones[index].name, DXI_LATCH_TRIES_MAX);
}

dxh_status dxh_latch_read(dxh_consumer *consumer, const char *name, void *copy, size_t bytes)
{
	dxi_zone_wanted wanted = {.bytes = bytes, .latch = true};
	dxh_status status = dxi_consumer_check(consumer);
	uint32_t index;

	if (status == DXH_OK && !copy)
		return dxi_fail(DXH_EINVAL, "copy is NULL");
	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, &index);
	if (status == DXH_OK)
		status = dxi_zone_check(&consumer->block, index, &wanted);
	return status == DXH_OK ? dxi_latch_copy(&consumer->block, index, copy, bytes) : status;
}
