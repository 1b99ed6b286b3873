/* SPDX-License-Identifier: MIT */
/* A schema as what a user hands to dxh_producer_open(). */
#include "shm/schema.h"

#include <dxh/description.h>

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

typedef struct description {
	dxh_description shown; /* first: what the user has is this */
	dxi_schema schema;
} description;

static dxh_zone_spec zone_of(const dxi_schema_part *part)
{
	return (dxh_zone_spec){.name = part->name,
	                       .schema = part->typed ? &part->layout : NULL,
	                       .bytes = (size_t)part->bytes,
	                       .align = part->align,
	                       .latch = part->latch};
}

static void show(description *made)
{
	const dxi_schema *schema = &made->schema;

	made->shown.name = schema->name;
	made->shown.zone_count = schema->zone_count;
	for (uint32_t i = 0; i < schema->zone_count; i++)
		made->shown.zones[i] = zone_of(&schema->zones[i]);
	made->shown.has_slot = schema->has_slot;
	if (schema->has_slot)
		made->shown.slot =
			(dxh_slot_spec){.schema = schema->slot.typed ? &schema->slot.layout : NULL,
		                        .bytes = (size_t)schema->slot.bytes};
}

dxh_status dxh_description_read(const void *bytes, size_t count, dxh_description **read)
{
	description *made;
	dxh_status status;

	if (!bytes || !read)
		return dxi_fail(DXH_EINVAL, "dxh_description_read needs bytes and room for what "
		                            "they say");
	if (count > DXI_SCHEMA_BYTES_MAX)
		return dxi_fail(DXH_ECORRUPT, "a description of %zu bytes; at most %d are read",
		                count, DXI_SCHEMA_BYTES_MAX);
	made = calloc(1, sizeof *made);
	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a description");
	status = dxi_schema_parse(bytes, count, 0, &made->schema);
	if (status != DXH_OK) {
		dxi_schema_fini(&made->schema);
		free(made);
		return status;
	}
	show(made);
	*read = &made->shown;
	return DXH_OK;
}

dxh_status dxh_description_apply(const dxh_description *read, dxh_block_config *config)
{
	if (!read || !config)
		return dxi_fail(DXH_EINVAL, "dxh_description_apply needs a description and a "
		                            "config");
	memcpy(config->zones, read->zones, sizeof config->zones);
	config->slot = read->slot;
	return DXH_OK;
}

void dxh_description_free(dxh_description **read)
{
	description *made;

	if (!read || !*read)
		return;
	made = (description *)(void *)*read;
	dxi_schema_fini(&made->schema);
	free(made);
	*read = NULL;
}
