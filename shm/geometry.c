/* SPDX-License-Identifier: MIT */
/* Header, zone table, schema, zones, marks, slots: in this order, each at a multiple of
 * 64, none reaching into the next.
 */
#include "shm/geometry.h"

#include "base/hash.h"
#include "base/status.h"
#include "shm/checksum.h"
#include "shm/config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) (uint64_t) offsetof(struct dxi_layout_header, member)

static const uint64_t BYTES_MAX = UINT64_C(1) << 62;

uint64_t dxi_round_up(uint64_t bytes, uint64_t multiple)
{
	return (bytes + multiple - 1) / multiple * multiple;
}

uint64_t dxi_latch_stride(uint64_t zone_bytes)
{
	return dxi_round_up(zone_bytes, DXI_LAYOUT_ALIGN);
}

uint8_t dxi_policy_of(uint32_t slot_count)
{
	switch (slot_count) {
	case 0:
		return DXI_POLICY_NO_SLOTS;
	case 1:
		return DXI_POLICY_SINGLE;
	case 2:
		return DXI_POLICY_DOUBLE;
	default:
		return DXI_POLICY_RING;
	}
}

/* The bytes and, of a latch, what belongs to it. */
static uint64_t content_span(const struct dxi_layout_zone *zone)
{
	if (zone->kind == DXI_ZONE_LATCH)
		return sizeof(struct dxi_layout_latch) + 2 * dxi_latch_stride(zone->bytes);
	return zone->bytes;
}

uint64_t dxi_digest_offset(const struct dxi_layout_zone *zone)
{
	return dxi_round_up(content_span(zone), DXI_LAYOUT_ALIGN);
}

static uint64_t zone_span(const struct dxi_layout_zone *zone)
{
	uint64_t copies = zone->kind == DXI_ZONE_LATCH ? 2 : 1;

	if (zone->digest == DXI_CHECKSUM_NONE)
		return content_span(zone);
	return dxi_digest_offset(zone) + copies * sizeof(struct dxi_layout_digest);
}

/* ---- planning ---- */

/* Behind what lies before it: in the data file, or in that of the zones. */
static void plan_zone(const dxh_block_config *config, const dxh_zone_spec *spec, uint64_t *data_end,
                      uint64_t *zones_end, struct dxi_layout_zone *zone)
{
	bool is_shared = config->zones_writable && !spec->latch;
	uint64_t *end = is_shared ? zones_end : data_end;

	strncpy(zone->name, spec->name, sizeof zone->name - 1);
	zone->offset = dxi_round_up(*end, DXI_LAYOUT_LINE_BYTES);
	zone->bytes = spec->bytes;
	zone->align = spec->align ? (uint32_t)spec->align : DXI_LAYOUT_ALIGN;
	zone->kind = spec->latch ? DXI_ZONE_LATCH : is_shared ? DXI_ZONE_SHARED : DXI_ZONE_PLAIN;
	zone->digest = dxi_digest_kind(config, spec);
	*end = zone->offset + zone_span(zone);
}

static void
plan_marks(const dxh_block_config *config, uint64_t *end, struct dxi_layout_header *header)
{
	if (config->readers_max == 0)
		return;
	header->row_count = config->readers_max;
	header->marks_offset = dxi_round_up(*end, DXI_LAYOUT_LINE_BYTES);
	*end = header->marks_offset + header->row_count * sizeof(struct dxi_layout_mark);
}

static void
plan_slots(const dxh_block_config *config, uint64_t *end, struct dxi_layout_header *header)
{
	if (config->slot_count == 0)
		return;
	header->policy = dxi_policy_of(config->slot_count);
	header->checksum_kind = dxi_checksum_kind(config);
	header->checksum_mode = config->checksum != DXH_CHECKSUM_NONE && config->checksum_manual
	                                ? DXI_CHECKSUM_MANUAL
	                                : DXI_CHECKSUM_ENFORCED;
	if (config->checksum_key)
		dxi_checksum_key_id(config->checksum_key, header->checksum_key_id);
	header->slots_offset = dxi_round_up(*end, DXI_LAYOUT_LINE_BYTES);
	header->slot_bytes = dxi_round_up(config->slot.bytes, DXI_LAYOUT_ALIGN);
	header->slot_stride_bytes = header->slot_bytes + DXI_LAYOUT_SLOT_HEADER_BYTES;
	header->slot_count = config->slot_count;
	header->slot_physical = config->slot_count + DXI_LAYOUT_SPARE_SLOTS;
	/* No overflow: 2^17 slots of 2^41 bytes at the most. */
	*end = header->slots_offset + header->slot_physical * header->slot_stride_bytes;
}

dxh_status dxi_geometry_plan(const dxh_block_config *config, size_t schema_bytes,
                             struct dxi_layout_header *header,
                             struct dxi_layout_zone zones[DXH_ZONES_MAX])
{
	uint64_t end, zones_end = sizeof(struct dxi_layout_zones);

	memset(header, 0, sizeof *header);
	memset(zones, 0, DXH_ZONES_MAX * sizeof *zones);
	header->version_major = DXI_LAYOUT_MAJOR;
	header->version_minor = DXI_LAYOUT_MINOR;
	header->header_bytes = DXI_LAYOUT_HEADER_BYTES;
	header->features_required = config->zones_writable ? DXI_FEATURE_ZONES_FILE : 0;
	header->features_optional = config->no_timestamps ? DXI_FEATURE_NO_TIMESTAMPS : 0;
	header->abi = DXI_LAYOUT_ABI;
	header->wake_mode = config->no_wait ? DXI_WAKE_NONE : DXI_WAKE_ALWAYS;
	header->line_bytes = DXI_LAYOUT_LINE_BYTES;
	header->slot_header_bytes = DXI_LAYOUT_SLOT_HEADER_BYTES;
	header->zone_count = dxi_zone_count(config);
	header->zone_entry_bytes = DXI_LAYOUT_ZONE_BYTES;
	header->zones_offset = header->header_bytes;
	header->schema_offset =
		header->zones_offset + (uint64_t)header->zone_count * DXI_LAYOUT_ZONE_BYTES;
	header->schema_bytes = (uint32_t)schema_bytes;
	end = header->schema_offset + schema_bytes;
	for (uint32_t i = 0; i < header->zone_count; i++)
		plan_zone(config, &config->zones[i], &end, &zones_end, &zones[i]);
	plan_marks(config, &end, header);
	plan_slots(config, &end, header);
	header->bytes_total = dxi_round_up(end, DXI_LAYOUT_ALIGN);
	if (header->bytes_total > BYTES_MAX)
		return dxi_fail(DXH_EINVAL, "the block would take %" PRIu64 " bytes",
		                header->bytes_total);
	return DXH_OK;
}

/* ---- hashes ---- */

static void hash_layout(const struct dxi_layout_header *header, const struct dxi_layout_zone *zones,
                        unsigned char hash[DXI_HASH_BYTES])
{
	enum { GEOMETRY_BYTES = DXI_LAYOUT_GEOMETRY_END - DXI_LAYOUT_GEOMETRY_BEGIN };
	unsigned char bytes[GEOMETRY_BYTES + DXH_ZONES_MAX * sizeof *zones];
	size_t zones_bytes = header->zone_count * sizeof *zones;

	memcpy(bytes, (const unsigned char *)header + DXI_LAYOUT_GEOMETRY_BEGIN, GEOMETRY_BYTES);
	memcpy(bytes + GEOMETRY_BYTES, zones, zones_bytes);
	dxi_hash(bytes, GEOMETRY_BYTES + zones_bytes, hash);
}

static void hash_fixed(const struct dxi_layout_header *header, unsigned char hash[DXI_HASH_BYTES])
{
	dxi_hash((const unsigned char *)header + DXI_LAYOUT_FIXED_BEGIN,
	         DXI_LAYOUT_FIXED_END - DXI_LAYOUT_FIXED_BEGIN, hash);
}

void dxi_geometry_seal(struct dxi_layout_header *header, const struct dxi_layout_zone *zones,
                       const unsigned char *schema)
{
	dxi_hash(schema, header->schema_bytes, header->schema_hash);
	hash_layout(header, zones, header->layout_hash);
	hash_fixed(header, header->fixed_checksum);
}

/* ---- checking ---- */

static dxh_status refuse(uint64_t offset, const char *rule)
{
	return dxi_fail(DXH_ECORRUPT, "offset %" PRIu64 ": %s", offset, rule);
}

/* [offset, offset + bytes) must begin at a multiple of 64, not before *floor, and
 * end within the file; then *floor is its end. */
static bool fits(uint64_t offset, uint64_t bytes, uint64_t total, uint64_t *floor)
{
	if (offset % DXI_LAYOUT_ALIGN != 0 || offset < *floor || offset > total ||
	    bytes > total - offset)
		return false;
	*floor = offset + bytes;
	return true;
}

/* Enough to know that the rest is format 1. */
static dxh_status check_identity(const struct dxi_layout_header *header)
{
	unsigned char checksum[DXI_HASH_BYTES];

	if (atomic_load_explicit(&header->magic, memory_order_relaxed) != DXI_LAYOUT_MAGIC)
		return refuse(AT(magic), "the magic number is not that of a block");
	if (header->version_major != DXI_LAYOUT_MAJOR)
		return dxi_fail(DXH_EVERSION,
		                "offset 4: the block has format %u, this library reads %d: use "
		                "matching versions, or unlink the block",
		                header->version_major, DXI_LAYOUT_MAJOR);
	if (header->abi != DXI_LAYOUT_ABI)
		return dxi_fail(DXH_EVERSION,
		                "offset 40: ABI byte 0x%02x, this machine has 0x%02x (byte order "
		                "and word size)",
		                header->abi, DXI_LAYOUT_ABI);
	hash_fixed(header, checksum);
	if (memcmp(checksum, header->fixed_checksum, sizeof checksum) != 0)
		return refuse(AT(fixed_checksum), "the checksum of bytes 4 to 223 differs");
	return DXH_OK;
}

static dxh_status check_abilities(const struct dxi_layout_header *header)
{
	if ((header->features_required & ~(uint64_t)DXI_FEATURES_KNOWN) != 0)
		return dxi_fail(DXH_EVERSION,
		                "offset 24: the block needs features 0x%" PRIx64
		                " that this library, version %s, has not",
		                header->features_required & ~(uint64_t)DXI_FEATURES_KNOWN,
		                dxh_version());
	if (header->wake_mode > DXI_WAKE_ALWAYS)
		return refuse(AT(wake_mode), "no wake mode of format 1.0");
	if (header->policy > DXI_POLICY_DOUBLE)
		return refuse(AT(policy), "no policy of format 1.0");
	if (header->checksum_kind > DXI_CHECKSUM_BLAKE2B_KEYED)
		return refuse(AT(checksum_kind), "no checksum of format 1.0");
	if (header->checksum_mode > DXI_CHECKSUM_MANUAL)
		return refuse(AT(checksum_mode), "no checksum mode of format 1.0");
	return DXH_OK;
}

static dxh_status check_marks(const struct dxi_layout_header *header, uint64_t *floor)
{
	if (header->row_count > DXH_READERS_MAX)
		return refuse(AT(row_count), "more than 64 reader rows");
	if (header->row_count == 0)
		return header->marks_offset == 0
		               ? DXH_OK
		               : refuse(AT(marks_offset), "marks, but no reader rows");
	if (header->slot_count == 0)
		return refuse(AT(row_count), "reader rows, but no slots");
	if (!fits(header->marks_offset, header->row_count * sizeof(struct dxi_layout_mark),
	          header->bytes_total, floor))
		return refuse(AT(marks_offset),
		              "the marks do not lie in the file, behind the rest");
	return DXH_OK;
}

static dxh_status check_slots(const struct dxi_layout_header *header, uint64_t *floor)
{
	if (header->slot_count == 0) {
		if (header->policy != DXI_POLICY_NO_SLOTS || header->slot_physical != 0 ||
		    header->slots_offset != 0 || header->slot_stride_bytes != 0 ||
		    header->slot_bytes != 0)
			return refuse(AT(slot_count), "no slots, but a policy, or where they lie");
		return DXH_OK;
	}
	if (header->slot_count == 3 || header->slot_count > 65536)
		return refuse(AT(slot_count), "not 1, 2, or 4 to 65536 slots");
	if (header->policy != dxi_policy_of(header->slot_count))
		return refuse(AT(policy), "not the policy of so many slots");
	if (header->slot_physical != header->slot_count + DXI_LAYOUT_SPARE_SLOTS)
		return refuse(AT(slot_physical), "not two more than are kept");
	if (header->slot_header_bytes != DXI_LAYOUT_SLOT_HEADER_BYTES)
		return refuse(AT(slot_header_bytes), "not 64");
	if (header->slot_bytes == 0 || header->slot_bytes % DXI_LAYOUT_ALIGN != 0 ||
	    header->slot_bytes > 2 * DXI_PART_BYTES_MAX)
		return refuse(AT(slot_bytes), "no multiple of 64 from 64 to 2^41");
	if (header->slot_stride_bytes != header->slot_bytes + DXI_LAYOUT_SLOT_HEADER_BYTES)
		return refuse(AT(slot_stride_bytes), "not the slot header and the payload");
	/* No overflow: 2^17 slots of 2^42 bytes at the most. */
	if (!fits(header->slots_offset, header->slot_physical * header->slot_stride_bytes,
	          header->bytes_total, floor))
		return refuse(AT(slots_offset),
		              "the slots do not lie in the file, behind the rest");
	return DXH_OK;
}

dxh_status dxi_geometry_check_header(const struct dxi_layout_header *header, uint64_t file_bytes)
{
	dxh_status status = check_identity(header);

	return status == DXH_OK ? dxi_geometry_check_places(header, file_bytes) : status;
}

dxh_status dxi_geometry_check_places(const struct dxi_layout_header *header, uint64_t file_bytes)
{
	dxh_status status = check_abilities(header);
	uint64_t floor;

	if (status != DXH_OK)
		return status;
	if (header->bytes_total != file_bytes || file_bytes > BYTES_MAX)
		return dxi_fail(DXH_ECORRUPT,
		                "offset 16: the block has %" PRIu64 " bytes, the file %" PRIu64,
		                header->bytes_total, file_bytes);
	if (header->header_bytes < DXI_LAYOUT_HEADER_BYTES || header->header_bytes > file_bytes)
		return refuse(AT(header_bytes), "the header is smaller than 1024 or than the file");
	if (header->line_bytes != DXI_LAYOUT_LINE_BYTES)
		return refuse(AT(line_bytes), "not 128");
	if (header->zone_count > DXH_ZONES_MAX)
		return refuse(AT(zone_count), "more than 16 zones");
	if (header->zone_entry_bytes != DXI_LAYOUT_ZONE_BYTES)
		return refuse(AT(zone_entry_bytes), "not 128");
	floor = header->header_bytes;
	if (!fits(header->zones_offset, (uint64_t)header->zone_count * DXI_LAYOUT_ZONE_BYTES,
	          file_bytes, &floor))
		return refuse(AT(zones_offset), "the zone table does not lie behind the header");
	if (header->schema_bytes == 0 || header->schema_bytes > DXI_SCHEMA_BYTES_MAX)
		return refuse(AT(schema_bytes), "not 1 to 262144");
	if (!fits(header->schema_offset, header->schema_bytes, file_bytes, &floor))
		return refuse(AT(schema_offset), "the schema does not lie behind the zone table");
	status = check_marks(header, &floor);
	return status == DXH_OK ? check_slots(header, &floor) : status;
}

dxh_status dxi_geometry_check_hashes(const struct dxi_layout_header *header,
                                     const struct dxi_layout_zone *zones,
                                     const unsigned char *schema)
{
	unsigned char hash[DXI_HASH_BYTES];

	dxi_hash(schema, header->schema_bytes, hash);
	if (memcmp(hash, header->schema_hash, sizeof hash) != 0)
		return refuse(header->schema_offset, "the hash of the schema differs");
	hash_layout(header, zones, hash);
	if (memcmp(hash, header->layout_hash, sizeof hash) != 0)
		return refuse(header->zones_offset, "the hash of the layout differs");
	return DXH_OK;
}

uint64_t dxi_geometry_zones_bytes(const struct dxi_layout_header *header,
                                  const struct dxi_layout_zone *zones)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < header->zone_count; i++)
		if (zones[i].kind == DXI_ZONE_SHARED)
			end = zones[i].offset + zone_span(&zones[i]);
	return dxi_round_up(end, DXI_LAYOUT_ALIGN);
}

/* Of a kind that can be computed: there is one key, that of the items. */
static dxh_status check_digest(const struct dxi_layout_header *header,
                               const struct dxi_layout_zone *zone, uint64_t offset)
{
	offset += offsetof(struct dxi_layout_zone, digest);
	if (zone->digest > DXI_CHECKSUM_BLAKE2B_KEYED)
		return refuse(offset, "no digest of format 1.0");
	if (zone->digest == DXI_CHECKSUM_BLAKE2B_KEYED &&
	    header->checksum_kind != DXI_CHECKSUM_BLAKE2B_KEYED)
		return refuse(offset, "a digest with a key in a block without");
	return DXH_OK;
}

/* One entry against its twin in the schema, and its place. */
static dxh_status check_zone(const struct dxi_layout_zone *zone, const dxi_schema_part *part,
                             uint64_t offset, uint64_t total, uint64_t *floor,
                             uint64_t *zones_floor)
{
	bool is_shared = zone->kind == DXI_ZONE_SHARED;

	if (!memchr(zone->name, '\0', sizeof zone->name) || strcmp(zone->name, part->name) != 0)
		return refuse(offset, "the zone has another name in the schema");
	if (zone->kind > DXI_ZONE_SHARED || (zone->kind == DXI_ZONE_LATCH) != part->latch)
		return refuse(offset + offsetof(struct dxi_layout_zone, kind),
		              "the zone is of another kind in the schema");
	if (zone->bytes != part->bytes)
		return refuse(offset + offsetof(struct dxi_layout_zone, bytes),
		              "the zone has another size in the schema");
	if (zone->align != part->align)
		return refuse(offset + offsetof(struct dxi_layout_zone, align),
		              "the zone has another alignment in the schema");
	if (is_shared ? !fits(zone->offset, zone_span(zone), BYTES_MAX, zones_floor)
	              : !fits(zone->offset, zone_span(zone), total, floor))
		return refuse(offset + offsetof(struct dxi_layout_zone, offset),
		              "the zone does not lie in the file, behind what comes before");
	return DXH_OK;
}

dxh_status dxi_geometry_check_tables(const struct dxi_layout_header *header,
                                     const struct dxi_layout_zone *zones, const dxi_schema *schema)
{
	uint64_t floor = header->schema_offset + header->schema_bytes;
	uint64_t zones_floor = sizeof(struct dxi_layout_zones);
	uint64_t offset = header->zones_offset;
	uint64_t total = header->row_count > 0    ? header->marks_offset
	                 : header->slot_count > 0 ? header->slots_offset
	                                          : header->bytes_total;
	dxh_status status;

	if (header->zone_count != schema->zone_count)
		return refuse(AT(zone_count), "the schema has another number of zones");
	for (uint32_t i = 0; i < header->zone_count; i++, offset += DXI_LAYOUT_ZONE_BYTES) {
		status = check_digest(header, &zones[i], offset);
		if (status == DXH_OK)
			status = check_zone(&zones[i], &schema->zones[i], offset, total, &floor,
			                    &zones_floor);
		if (status != DXH_OK)
			return status;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(zones[i].name, zones[j].name) == 0)
				return refuse(offset, "two zones have the same name");
	}
	if ((dxi_geometry_zones_bytes(header, zones) > 0) !=
	    ((header->features_required & DXI_FEATURE_ZONES_FILE) != 0))
		return refuse(AT(features_required),
		              "not what the zone table says of a zones file");
	if (schema->has_slot != (header->slot_count > 0))
		return refuse(AT(slot_count), "header and schema disagree about slots");
	if (schema->has_slot &&
	    dxi_round_up(schema->slot.bytes, DXI_LAYOUT_ALIGN) != header->slot_bytes)
		return refuse(AT(slot_bytes), "the slot has another size in the schema");
	return DXH_OK;
}
