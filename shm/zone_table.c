/* SPDX-License-Identifier: MIT */
/* Zones for who goes through all of them, whatever they are: listed, and copied. */
#include "shm/zone.h"

#include "shm/consumer.h"
#include "shm/copy.h"
#include "shm/producer.h"

#include <dxh/zone.h>

#include <inttypes.h>

static_assert((int)DXH_ZONE_IS_PLAIN == (int)DXI_ZONE_PLAIN, "one numbering");
static_assert((int)DXH_ZONE_IS_LATCH == (int)DXI_ZONE_LATCH, "one numbering");
static_assert((int)DXH_ZONE_IS_WRITABLE == (int)DXI_ZONE_SHARED, "one numbering");

/* Keyed or not is the block's affair: there is one key. */
static dxh_checksum public_kind(uint32_t kind)
{
	return kind == DXI_CHECKSUM_BLAKE2B_KEYED ? DXH_CHECKSUM_BLAKE2B : (dxh_checksum)kind;
}

static dxh_status describe(const dxi_block *block, uint32_t index, dxh_zone_entry *entry)
{
	dxh_status status;

	if (!entry)
		return dxi_fail(DXH_EINVAL, "entry is NULL");
	status = dxi_zone_check_index(block, index);
	if (status != DXH_OK)
		return status;
	*entry = (dxh_zone_entry){
		.name = block->zones[index].name,
		.schema = block->schema.zones[index].typed ? &block->schema.zones[index].layout
	                                                   : NULL,
		.bytes = block->zones[index].bytes,
		.index = index,
		.align = block->zones[index].align,
		.kind = (dxh_zone_kind)block->zones[index].kind,
		.digest = public_kind(block->zones[index].digest),
	};
	return DXH_OK;
}

dxh_status
dxh_producer_zone_entry(const dxh_producer *producer, uint32_t index, dxh_zone_entry *entry)
{
	dxh_status status = dxi_producer_check(producer);

	return status == DXH_OK ? describe(&producer->block, index, entry) : status;
}

dxh_status
dxh_consumer_zone_entry(const dxh_consumer *consumer, uint32_t index, dxh_zone_entry *entry)
{
	dxh_status status = dxi_consumer_check(consumer);

	return status == DXH_OK ? describe(&consumer->block, index, entry) : status;
}

static dxh_status describe_slot(const dxi_block *block, dxh_zone_entry *entry)
{
	const dxi_schema_part *slot = &block->schema.slot;

	if (!entry)
		return dxi_fail(DXH_EINVAL, "entry is NULL");
	if (!block->schema.has_slot)
		return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots, only zones",
		                block->paths.name);
	*entry = (dxh_zone_entry){
		.name = slot->name,
		.schema = slot->typed ? &slot->layout : NULL,
		.bytes = slot->bytes,
		.align = slot->align,
		.digest = public_kind(block->fixed.checksum_kind),
	};
	return DXH_OK;
}

dxh_status dxh_producer_slot_entry(const dxh_producer *producer, dxh_zone_entry *entry)
{
	dxh_status status = dxi_producer_check(producer);

	return status == DXH_OK ? describe_slot(&producer->block, entry) : status;
}

dxh_status dxh_consumer_slot_entry(const dxh_consumer *consumer, dxh_zone_entry *entry)
{
	dxh_status status = dxi_consumer_check(consumer);

	return status == DXH_OK ? describe_slot(&consumer->block, entry) : status;
}

/* ---- copies ---- */

static dxh_status
check_copy(const dxi_block *block, uint32_t index, const dxh_schema *schema, size_t bytes)
{
	const dxi_schema_part *part = &block->schema.zones[index];
	dxi_zone_wanted wanted = {.schema = schema, .bytes = bytes, .latch = part->latch};

	if (schema)
		return dxi_zone_check(block, index, &wanted);
	if (bytes > part->bytes)
		return dxi_fail(DXH_ESIZE,
		                "zone \"%s\": %zu bytes are asked for, the block has %" PRIu64,
		                part->name, bytes, part->bytes);
	return DXH_OK;
}

static dxh_status copy_zone(const dxi_block *block, uint32_t index, const dxh_schema *schema,
                            void *copy, size_t bytes)
{
	dxh_status status = check_copy(block, index, schema, bytes);

	if (status == DXH_OK)
		status = dxi_zone_check_at_hand(block, index);
	if (status != DXH_OK)
		return status;
	if (block->zones[index].kind == DXI_ZONE_LATCH)
		return dxi_latch_copy(block, index, copy, bytes);
	dxi_copy_out(copy, dxi_zone_at(block, index), bytes);
	return DXH_OK;
}

static dxh_status check_arguments(const dxh_consumer *consumer, const void *copy)
{
	dxh_status status = dxi_consumer_check(consumer);

	return status == DXH_OK && !copy ? dxi_fail(DXH_EINVAL, "copy is NULL") : status;
}

dxh_status dxh_zone_copy(dxh_consumer *consumer, const char *name, const dxh_schema *schema,
                         void *copy, size_t bytes)
{
	dxh_status status = check_arguments(consumer, copy);
	uint32_t index;

	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, &index);
	return status == DXH_OK ? copy_zone(&consumer->block, index, schema, copy, bytes) : status;
}

dxh_status dxh_zone_copy_at(dxh_consumer *consumer, uint32_t index, const dxh_schema *schema,
                            void *copy, size_t bytes)
{
	dxh_status status = check_arguments(consumer, copy);

	if (status == DXH_OK)
		status = dxi_zone_check_index(&consumer->block, index);
	return status == DXH_OK ? copy_zone(&consumer->block, index, schema, copy, bytes) : status;
}
