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

enum { DESCRIPTION_BYTES = 512, PATH_BYTES = 256 };

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* But for what is nested in it. */
static bool same_field(const dxh_field *a, const dxh_field *b)
{
	return same_text(a->name, b->name) && same_text(a->unit, b->unit) && a->type == b->type &&
	       a->count == b->count && a->columns == b->columns && a->bytes == b->bytes &&
	       a->offset_bytes == b->offset_bytes && (a->atomic != 0) == (b->atomic != 0) &&
	       !a->nested == !b->nested && (!a->nested || a->nested->align == b->nested->align);
}

/* The member of the outermost struct in which we are, the way down from there, and
 * how far that struct lies behind it. */
struct place {
	const char *what;
	uint32_t member;
	uint32_t level;
	dxi_match match;
	uint64_t offset;
	char path[PATH_BYTES];
};

/* "[3]", "[2][4]" */
static void describe_count(const dxh_field *field, char text[32])
{
	if (field->columns > 0)
		snprintf(text, 32, "[%" PRIu32 "][%" PRIu32 "]", field->count / field->columns,
		         field->columns);
	else
		snprintf(text, 32, "[%" PRIu32 "]", field->count);
}

/* "axes[0].gain: atomic f64[3] at 8, in dB", or "nothing" behind the last member. */
static void describe_field(const struct place *place, const dxh_schema *schema, uint32_t index,
                           char text[DESCRIPTION_BYTES])
{
	const dxh_field *field;
	char count[32], nested[128] = "";

	if (index >= schema->field_count) {
		snprintf(text, DESCRIPTION_BYTES, "nothing");
		return;
	}
	field = &schema->fields[index];
	describe_count(field, count);
	if (field->nested)
		snprintf(nested, sizeof nested, " %.63s of %" PRIu32 " bytes aligned to %" PRIu32,
		         field->nested->name, field->nested->bytes, field->nested->align);
	snprintf(text, DESCRIPTION_BYTES, "%s%.63s: %s%s%s%s at %" PRIu64 "%s%.31s", place->path,
	         field->name, field->atomic ? "atomic " : "", dxh_type_name(field->type), count,
	         nested, place->offset + field->offset_bytes, field->unit ? ", in " : "",
	         field->unit ? field->unit : "");
}

static dxh_status fail_for_field(const struct place *place, const dxh_schema *ours,
                                 const dxh_schema *theirs, uint32_t index)
{
	char here[DESCRIPTION_BYTES], there[DESCRIPTION_BYTES];

	describe_field(place, ours, index, here);
	describe_field(place, theirs, index, there);
	return dxi_fail(DXH_ESCHEMA, "%s: member %" PRIu32 " differs: here {%s}, in the block {%s}",
	                place->what, place->level == 1 ? index : place->member, here, there);
}

static dxh_status
compare_fields(const struct place *place, const dxh_schema *ours, const dxh_schema *theirs);

/* Two structs that look the same from outside. All elements of an array are alike,
 * so the first differing member is in element 0. */
static dxh_status compare_nested(const struct place *place, uint32_t index, const dxh_field *ours,
                                 const dxh_field *theirs)
{
	const char *element = ours->columns > 0 ? "[0][0]" : ours->count > 1 ? "[0]" : "";
	struct place inner = *place;

	if (place->level == 1)
		inner.member = index;
	inner.level++;
	inner.offset += ours->offset_bytes;
	snprintf(inner.path, sizeof inner.path, "%.170s%.63s%s.", place->path, ours->name, element);
	return compare_fields(&inner, ours->nested, theirs->nested);
}

/* Goes as deep as both go, and theirs is checked. */
static dxh_status
compare_fields(const struct place *place, const dxh_schema *ours, const dxh_schema *theirs)
{
	dxh_status status = DXH_OK;

	if (ours->field_count > DXH_FIELDS_MAX || (ours->field_count > 0 && !ours->fields))
		return dxi_fail(DXH_EINVAL, "%s: a schema lists 1 to %d members", place->what,
		                DXH_FIELDS_MAX);
	/* At most 32 turns. */
	for (uint32_t i = 0; i < ours->field_count || i < theirs->field_count; i++) {
		if (i > 0 && i == ours->field_count && place->level == 1 &&
		    place->match == DXI_MATCH_APPENDED)
			return DXH_OK;
		if (i >= ours->field_count || i >= theirs->field_count ||
		    !same_field(&ours->fields[i], &theirs->fields[i]))
			return fail_for_field(place, ours, theirs, i);
		if (theirs->fields[i].nested)
			status = compare_nested(place, i, &ours->fields[i], &theirs->fields[i]);
		if (status != DXH_OK)
			return status;
	}
	return DXH_OK;
}

static bool fits(const dxh_schema *ours, const dxi_schema_part *theirs, dxi_match match)
{
	if (match == DXI_MATCH_APPENDED)
		return ours->bytes <= theirs->bytes && ours->align <= theirs->align;
	return ours->bytes == theirs->bytes && ours->align == theirs->align;
}

dxh_status dxi_schema_compare(const char *what, const dxh_schema *ours,
                              const dxi_schema_part *theirs, dxi_match match)
{
	struct place place = {.what = what, .level = 1, .match = match};
	dxh_status status;

	if (!theirs->typed)
		return dxi_fail(DXH_ESCHEMA,
		                "%s: here struct %s of %" PRIu32 " bytes, in the block %" PRIu64
		                " raw bytes",
		                what, ours->name, ours->bytes, theirs->bytes);
	status = compare_fields(&place, ours, &theirs->layout);
	if (status != DXH_OK)
		return status;
	if (!fits(ours, theirs, match))
		return dxi_fail(DXH_ESIZE,
		                "%s: here %" PRIu32 " bytes aligned to %" PRIu32
		                ", in the block %" PRIu64 " aligned to %" PRIu32,
		                what, ours->bytes, ours->align, theirs->bytes, theirs->align);
	return DXH_OK;
}

static dxh_status compare_zone(uint32_t index, const dxh_zone_spec *ours,
                               const dxi_schema_part *theirs, dxi_match match)
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
		return dxi_schema_compare(what, ours->schema, theirs, match);
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
		return dxi_schema_compare("the slot", config->slot.schema, &schema->slot,
		                          DXI_MATCH_SAME);
	if (schema->slot.typed)
		return dxi_fail(DXH_ESCHEMA, "the slot: here raw bytes, in the block struct %s",
		                schema->slot.layout.name);
	return DXH_OK; /* the capacities are compared with the geometry */
}

dxh_status
dxi_schema_compare_zones(const dxh_zone_spec *zones, const dxi_schema *schema, dxi_match match)
{
	uint32_t count = 0;
	dxh_status status;

	while (count < DXH_ZONES_MAX && zones[count].name)
		count++;
	for (uint32_t i = 0; i < count && i < schema->zone_count; i++) {
		status = compare_zone(i, &zones[i], &schema->zones[i], match);
		if (status != DXH_OK)
			return status;
	}
	if (count == schema->zone_count ||
	    (count < schema->zone_count && match == DXI_MATCH_APPENDED))
		return DXH_OK;
	return dxi_fail(DXH_ESCHEMA,
	                "here %" PRIu32 " zones, in the block %" PRIu32
	                ": the first that the other lacks is \"%s\"",
	                count, schema->zone_count,
	                count > schema->zone_count ? zones[schema->zone_count].name
	                                           : schema->zones[count].name);
}

dxh_status dxi_schema_compare_config(const dxh_block_config *config, const dxi_schema *schema)
{
	dxh_status status = dxi_schema_compare_zones(config->zones, schema, DXI_MATCH_SAME);

	return status == DXH_OK ? compare_slot(config, schema) : status;
}
