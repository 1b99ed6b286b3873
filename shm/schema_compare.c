/* SPDX-License-Identifier: MIT */
/* Two descriptions of the same bytes: where do they differ first, and how does
 * each side see it?
 */
#include "base/status.h"
#include "shm/layout.h"
#include "shm/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DESCRIPTION_BYTES = 160 };

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_field(const dxh_field *a, const dxh_field *b)
{
	return same_text(a->name, b->name) && same_text(a->unit, b->unit) && a->type == b->type &&
	       a->count == b->count && a->offset_bytes == b->offset_bytes &&
	       (a->atomic != 0) == (b->atomic != 0);
}

/* "gain: atomic f64[3] at 8, in dB", or "nothing" behind the last member. */
static void describe_field(const dxh_schema *schema, uint32_t index, char text[DESCRIPTION_BYTES])
{
	const dxh_field *field;

	if (index >= schema->field_count) {
		snprintf(text, DESCRIPTION_BYTES, "nothing");
		return;
	}
	field = &schema->fields[index];
	snprintf(text, DESCRIPTION_BYTES, "%s: %s%s[%" PRIu32 "] at %" PRIu32 "%s%s", field->name,
	         field->atomic ? "atomic " : "", dxh_type_name(field->type), field->count,
	         field->offset_bytes, field->unit ? ", in " : "", field->unit ? field->unit : "");
}

static dxh_status compare_fields(const char *what, const dxh_schema *ours, const dxh_schema *theirs)
{
	char here[DESCRIPTION_BYTES], there[DESCRIPTION_BYTES];

	/* At most 33 turns: both counts are checked to be 32 or less. */
	for (uint32_t i = 0; i < ours->field_count || i < theirs->field_count; i++) {
		if (i < ours->field_count && i < theirs->field_count &&
		    same_field(&ours->fields[i], &theirs->fields[i]))
			continue;
		describe_field(ours, i, here);
		describe_field(theirs, i, there);
		return dxi_fail(DXH_ESCHEMA,
		                "%s: member %" PRIu32 " differs: here {%s}, in the block {%s}",
		                what, i, here, there);
	}
	return DXH_OK;
}

dxh_status
dxi_schema_compare(const char *what, const dxh_schema *ours, const dxi_schema_part *theirs)
{
	dxh_status status;

	if (ours->field_count > DXH_FIELDS_MAX || (ours->field_count > 0 && !ours->fields))
		return dxi_fail(DXH_EINVAL, "%s: a schema lists 1 to %d members", what,
		                DXH_FIELDS_MAX);
	if (!theirs->typed)
		return dxi_fail(DXH_ESCHEMA,
		                "%s: here struct %s of %" PRIu32 " bytes, in the block %" PRIu64
		                " raw bytes",
		                what, ours->name, ours->bytes, theirs->bytes);
	status = compare_fields(what, ours, &theirs->layout);
	if (status != DXH_OK)
		return status;
	if (ours->bytes != theirs->bytes || ours->align != theirs->align)
		return dxi_fail(DXH_ESIZE,
		                "%s: here %" PRIu32 " bytes aligned to %" PRIu32
		                ", in the block %" PRIu64 " aligned to %" PRIu32,
		                what, ours->bytes, ours->align, theirs->bytes, theirs->align);
	return DXH_OK;
}

static dxh_status
compare_zone(uint32_t index, const dxh_zone_spec *ours, const dxi_schema_part *theirs)
{
	uint32_t align = ours->align ? (uint32_t)ours->align : DXI_LAYOUT_ALIGN;
	char what[DXH_SCHEMA_NAME_MAX + 8];

	if (strcmp(ours->name, theirs->name) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "zone %" PRIu32 " differs: here \"%s\", in the block \"%s\"", index,
		                ours->name, theirs->name);
	if ((ours->latch != 0) != theirs->latch)
		return dxi_fail(DXH_ESCHEMA, "zone \"%s\": here %s latch, in the block %s latch",
		                ours->name, ours->latch ? "a" : "no", theirs->latch ? "a" : "no");
	snprintf(what, sizeof what, "zone \"%s\"", ours->name);
	if (ours->schema)
		return dxi_schema_compare(what, ours->schema, theirs);
	if (theirs->typed)
		return dxi_fail(DXH_ESCHEMA, "%s: here raw bytes, in the block struct %s", what,
		                theirs->layout.name);
	if (ours->bytes != theirs->bytes || align != theirs->align)
		return dxi_fail(DXH_ESIZE,
		                "%s: here %zu bytes aligned to %" PRIu32 ", in the block %" PRIu64
		                " aligned to %" PRIu32,
		                what, ours->bytes, align, theirs->bytes, theirs->align);
	return DXH_OK;
}

static dxh_status compare_slot(const dxh_block_config *config, const dxi_schema *schema)
{
	bool wanted = config->slot_count > 0;

	if (wanted != schema->has_slot)
		return dxi_fail(DXH_ESCHEMA, "here a block with%s a ring, in the block with%s",
		                wanted ? "" : "out", schema->has_slot ? "" : "out");
	if (!wanted)
		return DXH_OK;
	if (config->slot.schema)
		return dxi_schema_compare("the slot", config->slot.schema, &schema->slot);
	if (schema->slot.typed)
		return dxi_fail(DXH_ESCHEMA, "the slot: here raw bytes, in the block struct %s",
		                schema->slot.layout.name);
	return DXH_OK; /* the capacities are compared with the geometry */
}

dxh_status dxi_schema_compare_config(const dxh_block_config *config, const dxi_schema *schema)
{
	uint32_t count = 0;
	dxh_status status;

	while (count < DXH_ZONES_MAX && config->zones[count].name)
		count++;
	for (uint32_t i = 0; i < count && i < schema->zone_count; i++) {
		status = compare_zone(i, &config->zones[i], &schema->zones[i]);
		if (status != DXH_OK)
			return status;
	}
	if (count != schema->zone_count)
		return dxi_fail(DXH_ESCHEMA,
		                "here %" PRIu32 " zones, in the block %" PRIu32
		                ": the first that the other lacks is \"%s\"",
		                count, schema->zone_count,
		                count > schema->zone_count ? config->zones[schema->zone_count].name
		                                           : schema->zones[count].name);
	return compare_slot(config, schema);
}
