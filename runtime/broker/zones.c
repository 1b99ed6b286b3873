/* SPDX-License-Identifier: MIT */
/* Walking the array "zones" of a schema, and of a message. */
#include "runtime/broker/zones.h"

#include "base/hash.h"
#include "base/status.h"

#include <assert.h>
#include <string.h>

enum { SCHEMA_ELEMENTS_MAX = 32 * 1024 };

static_assert(DXI_HASH_BYTES == sizeof((dxh_channel_zone *)0)->hash, "one kind of hash");

static void take_zone(dxi_fields *schema, dxi_reader *reader, dxh_channel_zone *zone)
{
	const unsigned char *begin = reader->at;
	dxi_fields part = dxi_take_element(schema, reader);

	*zone = (dxh_channel_zone){.bytes = 0};
	dxi_fields_text(&part, "name", zone->name, sizeof zone->name);
	dxi_fields_u64(&part, "size", UINT64_MAX, &zone->bytes);
	dxi_hash(begin, (size_t)(reader->at - begin), zone->hash);
	schema->status = part.status;
}

dxh_status dxi_zones_of_schema(const void *schema, size_t schema_bytes,
                               dxh_channel_zone zones[DXH_ZONES_MAX], uint32_t *count)
{
	dxi_fields fields = dxi_fields_of(schema, schema_bytes, SCHEMA_ELEMENTS_MAX,
	                                  "the schema of a channel", DXH_EINVAL);
	size_t found = 0, length = 0;
	const void *first = NULL;
	dxi_reader reader;

	dxi_fields_array(&fields, "zones", &found, &first, &length);
	if (found > DXH_ZONES_MAX)
		dxi_fields_refuse(&fields, "zones", "holds more than 16 zones");
	reader = dxi_reader_of(first, length);
	for (size_t i = 0; i < found && fields.status == DXH_OK; i++)
		take_zone(&fields, &reader, &zones[i]);
	*count = fields.status == DXH_OK ? (uint32_t)found : 0;
	return fields.status;
}

void dxi_zones_write(const dxh_channel_zone *zones, uint32_t count, dxi_writer *writer)
{
	dxi_write_array(writer, count);
	for (uint32_t i = 0; i < count; i++) {
		dxi_write_map(writer, 3);
		dxi_put_bin(writer, "hash", zones[i].hash, sizeof zones[i].hash);
		dxi_put_text(writer, "name", zones[i].name);
		dxi_put_uint(writer, "size", zones[i].bytes);
	}
}

static void compare_zone(dxi_fields *fields, dxi_reader *reader, const dxh_channel_zone *zone)
{
	dxi_fields one = dxi_take_element(fields, reader);
	dxh_channel_zone told = {.bytes = 0};

	dxi_fields_bytes(&one, "hash", told.hash, sizeof told.hash);
	dxi_fields_text(&one, "name", told.name, sizeof told.name);
	dxi_fields_u64(&one, "size", UINT64_MAX, &told.bytes);
	fields->status = one.status;
	if (one.status == DXH_OK &&
	    (strcmp(told.name, zone->name) != 0 || told.bytes != zone->bytes))
		dxi_fields_refuse(fields, "zones", "does not list the zones of the schema");
	else if (one.status == DXH_OK && memcmp(told.hash, zone->hash, sizeof told.hash) != 0)
		fields->status = dxi_fail(DXH_ESCHEMA,
		                          "%s: the hash told of zone '%s' is not the BLAKE2b-256 "
		                          "of its part of the schema",
		                          fields->what, zone->name);
}

void dxi_zones_compare(dxi_fields *fields, const dxh_channel_zone *zones, uint32_t count)
{
	size_t found = 0, length = 0;
	const void *first = NULL;
	dxi_reader reader;

	dxi_fields_array(fields, "zones", &found, &first, &length);
	if (fields->status == DXH_OK && found != count)
		dxi_fields_refuse(fields, "zones", "does not list the zones of the schema");
	reader = dxi_reader_of(first, length);
	for (size_t i = 0; i < found && fields->status == DXH_OK; i++)
		compare_zone(fields, &reader, &zones[i]);
}
