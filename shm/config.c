/* SPDX-License-Identifier: MIT */
/* The rules for configs, each with the sentence that tells how to keep it. */
#include "shm/config.h"

#include "base/status.h"
#include "shm/layout.h"
#include "shm/path.h"
#include "shm/schema.h"

#include <inttypes.h>
#include <string.h>

enum { SLOTS_MAX = 65536 };

uint32_t dxi_zone_count(const dxh_block_config *config)
{
	uint32_t count = 0;

	while (count < DXH_ZONES_MAX && config->zones[count].name)
		count++;
	return count;
}

static bool is_text(const char *text, size_t max)
{
	size_t length = text ? strnlen(text, max + 1) : max + 1;

	for (size_t i = 0; i < length && length <= max; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return length <= max;
}

static bool is_name(const char *name)
{
	if (!name || !name[0] || !is_text(name, DXH_SCHEMA_NAME_MAX))
		return false;
	for (const char *c = name; *c; c++)
		if (!dxi_is_name_character(*c))
			return false;
	return true;
}

static bool is_alignment(size_t align)
{
	return align > 0 && align <= DXI_LAYOUT_ALIGN && (align & (align - 1)) == 0;
}

static dxh_status check_texts(const char *what, const dxh_field *field)
{
	if (!is_name(field->name))
		return dxi_fail(DXH_EINVAL,
		                "%s: a member's name is not 1 to 63 of A-Z a-z 0-9 . _ -", what);
	if (field->doc && !is_text(field->doc, DXI_SCHEMA_DOC_MAX))
		return dxi_fail(DXH_EINVAL, "%s: the doc of %s is not one line of at most %d bytes",
		                what, field->name, DXI_SCHEMA_DOC_MAX);
	if (field->unit && !is_text(field->unit, DXI_SCHEMA_UNIT_MAX))
		return dxi_fail(DXH_EINVAL,
		                "%s: the unit of %s is not one line of at most %d bytes", what,
		                field->name, DXI_SCHEMA_UNIT_MAX);
	return DXH_OK;
}

/* Where a struct stands, and how many members were counted up to there. */
struct place {
	const char *what;
	uint32_t level;
	uint32_t align;
	uint32_t *members;
};

/* As deep as dxi_struct_rule() lets it be. */
static dxh_status check_struct(struct place place, const dxh_schema *schema)
{
	const char *rule;
	dxh_status status = DXH_OK;

	if (!is_name(schema->name))
		return dxi_fail(DXH_EINVAL,
		                "%s: a struct's name is not 1 to 63 of A-Z a-z 0-9 . _ -",
		                place.what);
	rule = schema->fields ? dxi_struct_rule(schema, place.level) : "lists no members";
	if (rule)
		return dxi_fail(DXH_EINVAL, "%s: struct %s %s", place.what, schema->name, rule);
	*place.members += schema->field_count;
	if (*place.members > DXH_FIELDS_TOTAL_MAX)
		return dxi_fail(DXH_EINVAL,
		                "%s: up to struct %s the block has more than %d members",
		                place.what, schema->name, DXH_FIELDS_TOTAL_MAX);
	for (uint32_t i = 0; i < schema->field_count && status == DXH_OK; i++) {
		const dxh_field *field = &schema->fields[i];
		struct place inner = place;

		status = check_texts(place.what, field);
		if (status != DXH_OK)
			return status;
		rule = dxi_member_rule(schema, i, place.align);
		if (rule)
			return dxi_fail(DXH_EINVAL, "%s: struct %s: member %s %s", place.what,
			                schema->name, field->name, rule);
		if (!field->nested)
			continue;
		inner.level++;
		inner.align = dxi_nested_align(field, place.align);
		status = check_struct(inner, field->nested);
	}
	return status;
}

static dxh_status
check_schema(const char *what, const dxh_schema *schema, size_t bytes, uint32_t *members)
{
	if (schema->bytes != bytes)
		return dxi_fail(DXH_EINVAL, "%s: struct %s has %" PRIu32 " bytes, not %zu", what,
		                schema->name ? schema->name : "?", schema->bytes, bytes);
	return check_struct((struct place){what, 1, DXI_LAYOUT_ALIGN, members}, schema);
}

static dxh_status check_zone(const dxh_block_config *config, uint32_t index, uint32_t *members)
{
	const dxh_zone_spec *zone = &config->zones[index];

	if (!is_name(zone->name))
		return dxi_fail(DXH_EINVAL,
		                "zone %" PRIu32 ": its name is not 1 to 63 of A-Z a-z 0-9 . _ -",
		                index);
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(config->zones[i].name, zone->name) == 0)
			return dxi_fail(DXH_EINVAL, "two zones have the name \"%s\"", zone->name);
	if (zone->bytes == 0 || zone->bytes > DXI_PART_BYTES_MAX)
		return dxi_fail(DXH_EINVAL, "zone \"%s\": %zu bytes, not 1 to 2^40", zone->name,
		                zone->bytes);
	if (zone->align != 0 && !is_alignment(zone->align))
		return dxi_fail(DXH_EINVAL,
		                "zone \"%s\": alignment %zu is none of 1, 2, 4, 8, 16, 32, 64",
		                zone->name, zone->align);
	if (zone->schema && zone->align != zone->schema->align)
		return dxi_fail(DXH_EINVAL,
		                "zone \"%s\": alignment %zu, but its struct has %" PRIu32,
		                zone->name, zone->align, zone->schema->align);
	if (zone->digest > DXH_CHECKSUM_BLAKE2B)
		return dxi_fail(DXH_EINVAL, "zone \"%s\": digest %" PRIu32 " is no dxh_checksum",
		                zone->name, zone->digest);
	return zone->schema ? check_schema(zone->name, zone->schema, zone->bytes, members) : DXH_OK;
}

static dxh_status check_slots(const dxh_block_config *config, uint32_t *members)
{
	const dxh_slot_spec *slot = &config->slot;

	if (config->slot_count == 0) {
		if (slot->bytes != 0 || slot->schema)
			return dxi_fail(DXH_EINVAL, "slot is set, but slot_count is 0: set it to "
			                            "1, 2 or 4 and more, or leave slot empty");
		return DXH_OK;
	}
	if (config->slot_count == 3 || config->slot_count > SLOTS_MAX)
		return dxi_fail(DXH_EINVAL,
		                "slot_count %" PRIu32
		                " is not 0 (no slots), 1 (single), 2 (double) or 4 to %d (ring)",
		                config->slot_count, SLOTS_MAX);
	if (slot->bytes == 0 || slot->bytes > DXI_PART_BYTES_MAX)
		return dxi_fail(DXH_EINVAL, "slot.bytes %zu is not 1 to 2^40", slot->bytes);
	return slot->schema ? check_schema("the slot", slot->schema, slot->bytes, members) : DXH_OK;
}

static uint8_t stored_kind(uint32_t checksum, bool has_key)
{
	switch ((dxh_checksum)checksum) {
	case DXH_CHECKSUM_NONE:
		break;
	case DXH_CHECKSUM_XXH3:
		return DXI_CHECKSUM_XXH3;
	case DXH_CHECKSUM_CRC32C:
		return DXI_CHECKSUM_CRC32C;
	case DXH_CHECKSUM_BLAKE2B:
		return has_key ? DXI_CHECKSUM_BLAKE2B_KEYED : DXI_CHECKSUM_BLAKE2B;
	}
	return DXI_CHECKSUM_NONE;
}

uint8_t dxi_checksum_kind(const dxh_block_config *config)
{
	return stored_kind(config->checksum, config->checksum_key != NULL);
}

uint32_t dxi_digest_kind(const dxh_block_config *config, const dxh_zone_spec *zone)
{
	return stored_kind(zone->digest, config->checksum_key != NULL);
}

static dxh_status check_checksum(const dxh_block_config *config)
{
	if (config->checksum > DXH_CHECKSUM_BLAKE2B)
		return dxi_fail(DXH_EINVAL, "checksum %" PRIu32 " is none", config->checksum);
	if (config->checksum != DXH_CHECKSUM_NONE && config->slot_count == 0)
		return dxi_fail(DXH_EINVAL, "checksum is set, but there are no slots");
	if (config->checksum_key && config->checksum != DXH_CHECKSUM_BLAKE2B)
		return dxi_fail(DXH_EINVAL,
		                "checksum_key is set: only DXH_CHECKSUM_BLAKE2B takes one");
	return DXH_OK;
}

static bool has_plain_zone(const dxh_block_config *config, uint32_t zone_count)
{
	for (uint32_t i = 0; i < zone_count; i++)
		if (!config->zones[i].latch)
			return true;
	return false;
}

static dxh_status fail_for_newer(void)
{
	return dxi_fail(DXH_EVERSION,
	                "the config sets a field that this library, version %s, "
	                "does not know: install the newer one",
	                dxh_version());
}

dxh_status dxi_block_config_check(const dxh_block_config *config)
{
	uint32_t zone_count = dxi_zone_count(config), members = 0;
	dxh_status status;

	if (zone_count == 0 && config->slot_count == 0)
		return dxi_fail(DXH_EINVAL, "the block has neither zones nor slots: name a zone "
		                            "or set slot and slot_count");
	if (config->mode > 0777 || (config->mode != 0 && (config->mode & 0600) != 0600))
		return dxi_fail(DXH_EINVAL,
		                "mode 0%o is not 0600 to 0777: the owner must be able "
		                "to read and write",
		                config->mode);
	if (config->owner_wait_ns < 0)
		return dxi_fail(DXH_EINVAL, "owner_wait_ns is negative");
	if (config->memfd &&
	    (config->directory || config->mode != 0 || config->group || config->owner_wait_ns != 0))
		return dxi_fail(DXH_EINVAL,
		                "memfd is set: such a block has no directory, mode, group or "
		                "predecessor; leave directory, mode, group and owner_wait_ns zero");
	if (config->reserved_int != 0)
		return fail_for_newer();
	for (size_t i = 0; i < sizeof config->reserved / sizeof *config->reserved; i++)
		if (config->reserved[i] != 0)
			return fail_for_newer();
	for (uint32_t i = 0; i < zone_count; i++) {
		status = check_zone(config, i, &members);
		if (status != DXH_OK)
			return status;
	}
	if (config->readers_max > DXH_READERS_MAX)
		return dxi_fail(DXH_EINVAL, "readers_max %" PRIu32 " is more than %d",
		                config->readers_max, DXH_READERS_MAX);
	if (config->readers_max > 0 && config->slot_count == 0)
		return dxi_fail(DXH_EINVAL, "readers_max is set, but there are no slots");
	if (config->evict && config->readers_max == 0)
		return dxi_fail(DXH_EINVAL, "evict is set, but readers_max is 0: nobody holds this "
		                            "writer back");
	if (config->zones_writable && !has_plain_zone(config, zone_count))
		return dxi_fail(DXH_EINVAL, "zones_writable is set, but there is no zone that is "
		                            "no latch: latches are the producer's");
	status = check_checksum(config);
	return status == DXH_OK ? check_slots(config, &members) : status;
}
