/* SPDX-License-Identifier: MIT */
/* From the bytes that describe a block to structs that may be believed. Every
 * number is limited before it is used; every failure names the offset in the
 * file and the rule.
 */
#include "base/pack.h"
#include "base/status.h"
#include "shm/layout.h"
#include "shm/schema.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Names and docs are copied, each with a NUL, to `text`. In the bytes each has a
 * length in front of it, so that as much room as the bytes take is enough. Nested
 * structs are as many as there are members at the most. */
struct parser {
	const unsigned char *begin;
	const unsigned char *end;
	uint64_t offset;
	char *text;
	dxh_field *field;
	dxh_field *field_end;
	dxh_schema *nested;
};

/* Which struct is being read: see dxi_struct_rule(). */
struct place {
	uint32_t level;
	uint32_t align;
};

static dxh_status
refuse(const struct parser *parser, const unsigned char *at, const char *key, const char *rule)
{
	return dxi_fail(DXH_ECORRUPT, "offset %" PRIu64 ": schema: \"%s\" %s",
	                parser->offset + (uint64_t)(at - parser->begin), key, rule);
}

static bool
find(const struct parser *parser, const dxi_value *map, const char *key, dxi_value *value)
{
	return dxi_find(map->begin, (size_t)(parser->end - map->begin), key, value);
}

static dxh_status get_uint(const struct parser *parser, const dxi_value *map, const char *key,
                           uint64_t max, uint64_t *number)
{
	dxi_value value;

	if (!find(parser, map, key, &value) || value.kind != DXI_UINT)
		return refuse(parser, map->begin, key, "is missing or no unsigned integer");
	if (value.uint > max)
		return refuse(parser, value.begin, key, "is out of range");
	*number = value.uint;
	return DXH_OK;
}

/* Absent is false. */
static dxh_status
get_bool(const struct parser *parser, const dxi_value *map, const char *key, bool *yes)
{
	dxi_value value;

	*yes = false;
	if (!find(parser, map, key, &value))
		return DXH_OK;
	if (value.kind != DXI_BOOL)
		return refuse(parser, value.begin, key, "is no boolean");
	*yes = value.boolean;
	return DXH_OK;
}

static bool has_control_characters(const unsigned char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

/* Absent is NULL. */
static dxh_status get_text(struct parser *parser, const dxi_value *map, const char *key, size_t max,
                           const char **text)
{
	dxi_value value;

	*text = NULL;
	if (!find(parser, map, key, &value))
		return DXH_OK;
	if (value.kind != DXI_TEXT || value.bytes > max)
		return refuse(parser, value.begin, key, "is no text, or too long");
	if (has_control_characters(value.data, value.bytes))
		return refuse(parser, value.begin, key, "holds a control character");
	*text = parser->text;
	memcpy(parser->text, value.data, value.bytes);
	parser->text[value.bytes] = '\0';
	parser->text += value.bytes + 1;
	return DXH_OK;
}

static dxh_status
get_name(struct parser *parser, const dxi_value *map, const char *key, const char **name)
{
	dxh_status status = get_text(parser, map, key, DXH_SCHEMA_NAME_MAX, name);

	if (status == DXH_OK && (!*name || !**name))
		return refuse(parser, map->begin, key, "is missing or empty");
	return status;
}

static dxh_status get_type(struct parser *parser, const dxi_value *map, dxh_type *type)
{
	const char *name;
	dxh_status status = get_name(parser, map, "type", &name);

	if (status != DXH_OK)
		return status;
	if (!dxi_type_of_name(name, type))
		return refuse(parser, map->begin, "type", "is none that format 1 knows");
	return DXH_OK;
}

/* Bytes, alignment and name of a struct, but for its members. */
static dxh_status
parse_head(struct parser *parser, const dxi_value *map, uint64_t bytes_max, dxh_schema *schema)
{
	uint64_t bytes = 0, align = 0;
	dxh_status status;

	if ((status = get_uint(parser, map, "size", bytes_max, &bytes)) != DXH_OK ||
	    (status = get_uint(parser, map, "align", DXI_LAYOUT_ALIGN, &align)) != DXH_OK)
		return status;
	schema->bytes = (uint32_t)bytes;
	schema->align = (uint32_t)align;
	return get_name(parser, map, "struct", &schema->name);
}

static dxh_status
parse_field(struct parser *parser, const dxi_value *map, uint32_t struct_bytes, dxh_field *field)
{
	uint64_t count, offset, columns = 0, bytes;
	bool atomic;
	dxi_value ignored;
	dxh_status status;

	if (map->kind != DXI_MAP)
		return refuse(parser, map->begin, "fields", "holds something else than maps");
	if ((status = get_name(parser, map, "name", &field->name)) != DXH_OK ||
	    (status = get_text(parser, map, "doc", DXI_SCHEMA_DOC_MAX, &field->doc)) != DXH_OK ||
	    (status = get_text(parser, map, "unit", DXI_SCHEMA_UNIT_MAX, &field->unit)) != DXH_OK ||
	    (status = get_type(parser, map, &field->type)) != DXH_OK ||
	    (status = get_bool(parser, map, "atomic", &atomic)) != DXH_OK ||
	    (status = get_uint(parser, map, "count", struct_bytes, &count)) != DXH_OK ||
	    (status = get_uint(parser, map, "offset", struct_bytes, &offset)) != DXH_OK)
		return status;
	if (find(parser, map, "columns", &ignored) &&
	    (status = get_uint(parser, map, "columns", struct_bytes, &columns)) != DXH_OK)
		return status;
	bytes = dxh_type_bytes(field->type);
	if (field->type == DXH_TYPE_STRUCT) {
		dxh_schema *nested = parser->nested++;

		status = parse_head(parser, map, struct_bytes, nested);
		if (status != DXH_OK)
			return status;
		field->nested = nested;
		bytes = nested->bytes;
	}
	/* No overflow: both are below 2^32. */
	bytes *= count;
	if (bytes > struct_bytes)
		return refuse(parser, map->begin, field->name, "ends behind its struct");
	field->count = (uint32_t)count;
	field->columns = (uint32_t)columns;
	field->bytes = (uint32_t)bytes;
	field->offset_bytes = (uint32_t)offset;
	field->atomic = atomic;
	return DXH_OK;
}

static dxh_status
parse_fields(struct parser *parser, const dxi_value *map, struct place place, dxh_schema *schema);

/* One member, held against the rules, and what is nested in it. */
static dxh_status parse_member(struct parser *parser, const dxi_value *map, struct place place,
                               const dxh_schema *schema, uint32_t index, dxh_field *field)
{
	dxh_status status = parse_field(parser, map, schema->bytes, field);
	const char *rule;

	if (status != DXH_OK)
		return status;
	rule = dxi_member_rule(schema, index, place.align);
	if (rule)
		return refuse(parser, map->begin, field->name, rule);
	if (!field->nested)
		return DXH_OK;
	place = (struct place){place.level + 1, dxi_nested_align(field, place.align)};
	return parse_fields(parser, map, place, parser->nested - 1);
}

/* The members of a struct whose head is known. */
static dxh_status
parse_fields(struct parser *parser, const dxi_value *map, struct place place, dxh_schema *schema)
{
	dxi_value array, member;
	dxi_reader reader;
	dxh_field *fields = parser->field;
	const char *rule;
	dxh_status status;

	if (!find(parser, map, "fields", &array) || array.kind != DXI_ARRAY)
		return refuse(parser, map->begin, "fields", "is missing or no array");
	if (array.count > (size_t)(parser->field_end - fields))
		return refuse(parser, array.begin, "fields", "are more than 544 in all");
	schema->fields = fields;
	schema->field_count = (uint32_t)array.count;
	rule = dxi_struct_rule(schema, place.level);
	if (rule)
		return refuse(parser, map->begin, schema->name, rule);
	parser->field += array.count;
	reader = (dxi_reader){.at = array.data, .end = parser->end};
	for (uint32_t i = 0; i < schema->field_count; i++) {
		const unsigned char *begin = reader.at;

		if (!dxi_read(&reader, &member))
			return refuse(parser, begin, "fields", "ends early");
		status = parse_member(parser, &member, place, schema, i, &fields[i]);
		if (status != DXH_OK)
			return status;
		reader.at = begin;
		if (!dxi_skip(&reader))
			return refuse(parser, begin, "fields", "ends early");
	}
	return DXH_OK;
}

static dxh_status parse_part(struct parser *parser, const dxi_value *map, dxi_schema_part *part)
{
	uint64_t align;
	dxi_value fields;
	dxh_status status;

	if (map->kind != DXI_MAP)
		return refuse(parser, map->begin, "zones", "or the slot is no map");
	if ((status = get_name(parser, map, "name", &part->name)) != DXH_OK ||
	    (status = get_uint(parser, map, "size", DXI_PART_BYTES_MAX, &part->bytes)) != DXH_OK ||
	    (status = get_uint(parser, map, "align", DXI_LAYOUT_ALIGN, &align)) != DXH_OK ||
	    (status = get_bool(parser, map, "latch", &part->latch)) != DXH_OK)
		return status;
	if (part->bytes == 0)
		return refuse(parser, map->begin, "size", "is 0");
	if (align == 0 || (align & (align - 1)) != 0)
		return refuse(parser, map->begin, "align", "is no power of two");
	part->align = (uint32_t)align;
	part->typed = find(parser, map, "fields", &fields);
	if (!part->typed)
		return DXH_OK;
	if (part->bytes > UINT32_MAX)
		return refuse(parser, map->begin, "size", "of a struct is 2^32 or more");
	status = parse_head(parser, map, part->bytes, &part->layout);
	if (status != DXH_OK)
		return status;
	/* Wherever it lies, it begins at a multiple of 64. */
	return parse_fields(parser, map, (struct place){1, DXI_LAYOUT_ALIGN}, &part->layout);
}

static dxh_status parse_zones(struct parser *parser, const dxi_value *map, dxi_schema *schema)
{
	dxi_value zones, zone;
	dxi_reader reader;
	dxh_status status;

	if (!find(parser, map, "zones", &zones) || zones.kind != DXI_ARRAY ||
	    zones.count > DXH_ZONES_MAX)
		return refuse(parser, map->begin, "zones", "is no array of 0 to 16 zones");
	reader = (dxi_reader){.at = zones.data, .end = parser->end};
	for (size_t i = 0; i < zones.count; i++) {
		const unsigned char *begin = reader.at;

		if (!dxi_read(&reader, &zone))
			return refuse(parser, begin, "zones", "ends early");
		status = parse_part(parser, &zone, &schema->zones[i]);
		if (status != DXH_OK)
			return status;
		reader.at = begin;
		if (!dxi_skip(&reader))
			return refuse(parser, begin, "zones", "ends early");
	}
	schema->zone_count = (uint32_t)zones.count;
	return DXH_OK;
}

static dxh_status parse_block(struct parser *parser, dxi_schema *schema)
{
	dxi_reader reader = {.at = parser->begin, .end = parser->end};
	uint64_t version;
	dxi_value map, slot;
	dxh_status status;

	if (!dxi_read(&reader, &map) || map.kind != DXI_MAP)
		return refuse(parser, parser->begin, "schema", "is no map");
	status = get_uint(parser, &map, "version", UINT32_MAX, &version);
	if (status != DXH_OK)
		return status;
	if (version != DXI_SCHEMA_VERSION)
		return dxi_fail(DXH_EVERSION,
		                "the schema has version %" PRIu64 ", this library reads %d: "
		                "use matching versions",
		                version, DXI_SCHEMA_VERSION);
	status = get_name(parser, &map, "name", &schema->name);
	if (status != DXH_OK)
		return status;
	schema->has_slot = find(parser, &map, "slot", &slot);
	if (schema->has_slot)
		status = parse_part(parser, &slot, &schema->slot);
	return status == DXH_OK ? parse_zones(parser, &map, schema) : status;
}

static dxh_status scan(const unsigned char *bytes, size_t length, uint64_t offset)
{
	dxi_scan_limits limits = {.elements_max = DXI_SCHEMA_VALUES_MAX, .canonical = true};
	char why[160];

	if (dxi_scan(bytes, length, limits) == DXH_OK)
		return DXH_OK;
	strncpy(why, dxh_last_error() + strlen("DXH_ECORRUPT: "), sizeof why - 1);
	why[sizeof why - 1] = '\0';
	return dxi_fail(DXH_ECORRUPT, "schema at offset %" PRIu64 ": at its %s", offset, why);
}

dxh_status
dxi_schema_parse(const unsigned char *bytes, size_t length, uint64_t offset, dxi_schema *schema)
{
	struct parser parser = {.begin = bytes, .offset = offset};
	dxh_status status;

	memset(schema, 0, sizeof *schema);
	status = scan(bytes, length, offset);
	if (status != DXH_OK)
		return status;
	schema->texts = malloc(length);
	schema->fields = calloc(DXH_FIELDS_TOTAL_MAX, sizeof *schema->fields);
	schema->nested = calloc(DXH_FIELDS_TOTAL_MAX, sizeof *schema->nested);
	if (!schema->texts || !schema->fields || !schema->nested)
		return dxi_fail(DXH_ENOMEM, "no memory for a schema of %zu bytes", length);
	parser.end = bytes + length;
	parser.text = schema->texts;
	parser.field = schema->fields;
	parser.field_end = schema->fields + DXH_FIELDS_TOTAL_MAX;
	parser.nested = schema->nested;
	return parse_block(&parser, schema);
}

void dxi_schema_fini(dxi_schema *schema)
{
	free(schema->texts);
	free(schema->fields);
	free(schema->nested);
	memset(schema, 0, sizeof *schema);
}
