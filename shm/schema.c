/* SPDX-License-Identifier: MIT */
/* From the structs that a program declares to the bytes that describe them. */
#include "shm/schema.h"

#include "base/pack.h"
#include "base/status.h"
#include "shm/layout.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	size_t bytes;
} types[] = {
	[DXH_TYPE_BYTES] = {"bytes", 1}, [DXH_TYPE_U8] = {"u8", 1},
	[DXH_TYPE_I8] = {"i8", 1},       [DXH_TYPE_U16] = {"u16", 2},
	[DXH_TYPE_I16] = {"i16", 2},     [DXH_TYPE_U32] = {"u32", 4},
	[DXH_TYPE_I32] = {"i32", 4},     [DXH_TYPE_U64] = {"u64", 8},
	[DXH_TYPE_I64] = {"i64", 8},     [DXH_TYPE_F32] = {"f32", 4},
	[DXH_TYPE_F64] = {"f64", 8},     [DXH_TYPE_BOOL] = {"bool", 1},
	[DXH_TYPE_TEXT] = {"text", 1},   [DXH_TYPE_STRUCT] = {"struct", 0},
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

const char *dxh_type_name(dxh_type type)
{
	return (unsigned)type < TYPE_COUNT ? types[type].name : "?";
}

size_t dxh_type_bytes(dxh_type type)
{
	return (unsigned)type < TYPE_COUNT ? types[type].bytes : 0;
}

bool dxi_type_of_name(const char *name, dxh_type *type)
{
	for (unsigned i = 0; i < TYPE_COUNT; i++)
		if (strcmp(name, types[i].name) == 0) {
			*type = (dxh_type)i;
			return true;
		}
	return false;
}

static void write_pair(dxi_writer *writer, const char *key, uint64_t value)
{
	dxi_write_text(writer, key);
	dxi_write_uint(writer, value);
}

static void write_text_pair(dxi_writer *writer, const char *key, const char *value)
{
	dxi_write_text(writer, key);
	dxi_write_text(writer, value);
}

static void write_fields(dxi_writer *writer, const dxh_schema *schema);

/* Keys stand in byte order; the scan demands it of every reader. */
static void write_field(dxi_writer *writer, const dxh_field *field)
{
	const dxh_schema *nested = field->nested;
	size_t pairs = (size_t)4 + (field->atomic != 0) + (field->columns != 0) +
	               (field->doc != NULL) + (field->unit != NULL) + (nested ? 4 : 0);

	dxi_write_map(writer, pairs);
	if (nested)
		write_pair(writer, "align", nested->align);
	if (field->atomic) {
		dxi_write_text(writer, "atomic");
		dxi_write_bool(writer, true);
	}
	if (field->columns)
		write_pair(writer, "columns", field->columns);
	write_pair(writer, "count", field->count);
	if (field->doc)
		write_text_pair(writer, "doc", field->doc);
	if (nested)
		write_fields(writer, nested);
	write_text_pair(writer, "name", field->name);
	write_pair(writer, "offset", field->offset_bytes);
	if (nested) {
		write_pair(writer, "size", nested->bytes);
		write_text_pair(writer, "struct", nested->name);
	}
	write_text_pair(writer, "type", dxh_type_name(field->type));
	if (field->unit)
		write_text_pair(writer, "unit", field->unit);
}

/* As deep as the config's check allows. */
static void write_fields(dxi_writer *writer, const dxh_schema *schema)
{
	dxi_write_text(writer, "fields");
	dxi_write_array(writer, schema->field_count);
	for (uint32_t i = 0; i < schema->field_count; i++)
		write_field(writer, &schema->fields[i]);
}

static void write_part(dxi_writer *writer, const char *name, size_t bytes, size_t align, bool latch,
                       const dxh_schema *schema)
{
	dxi_write_map(writer, (size_t)3 + (schema ? 2 : 0) + (latch ? 1 : 0));
	write_pair(writer, "align", align);
	if (schema)
		write_fields(writer, schema);
	if (latch) {
		dxi_write_text(writer, "latch");
		dxi_write_bool(writer, true);
	}
	write_text_pair(writer, "name", name);
	write_pair(writer, "size", bytes);
	if (schema)
		write_text_pair(writer, "struct", schema->name);
}

static void write_slot(dxi_writer *writer, const dxh_slot_spec *slot)
{
	size_t align = slot->schema ? slot->schema->align : DXI_LAYOUT_ALIGN;

	dxi_write_text(writer, "slot");
	write_part(writer, "slot", slot->bytes, align, false, slot->schema);
}

static void write_zone(dxi_writer *writer, const dxh_zone_spec *zone)
{
	size_t align = zone->align ? zone->align : DXI_LAYOUT_ALIGN;

	write_part(writer, zone->name, zone->bytes, align, zone->latch != 0, zone->schema);
}

dxh_status dxi_schema_write(const char *name, const dxh_block_config *config, unsigned char **bytes,
                            size_t *length)
{
	unsigned char *buffer = malloc(DXI_SCHEMA_BYTES_MAX);
	dxi_writer writer = dxi_writer_of(buffer, DXI_SCHEMA_BYTES_MAX);
	size_t zone_count = 0;

	if (!buffer)
		return dxi_fail(DXH_ENOMEM, "no memory for a schema of up to %d bytes",
		                DXI_SCHEMA_BYTES_MAX);
	while (zone_count < DXH_ZONES_MAX && config->zones[zone_count].name)
		zone_count++;
	dxi_write_map(&writer, config->slot_count > 0 ? 4 : 3);
	write_text_pair(&writer, "name", name);
	if (config->slot_count > 0)
		write_slot(&writer, &config->slot);
	write_pair(&writer, "version", DXI_SCHEMA_VERSION);
	dxi_write_text(&writer, "zones");
	dxi_write_array(&writer, zone_count);
	for (size_t i = 0; i < zone_count; i++)
		write_zone(&writer, &config->zones[i]);
	if (writer.overflow) {
		free(buffer);
		return dxi_fail(DXH_EINVAL, "the schema is larger than %d bytes: shorten the docs",
		                DXI_SCHEMA_BYTES_MAX);
	}
	*bytes = buffer;
	*length = writer.used;
	return DXH_OK;
}
