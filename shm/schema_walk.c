/* SPDX-License-Identifier: MIT */
/* From structs in structs to the members that hold something, each with its path. */
#include "base/status.h"
#include "shm/schema.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Names and two indexes for each level, with the dots between; longer names than
 * are allowed in a block are cut off. */
enum { PATH_BYTES = DXH_NESTING_MAX * (DXH_SCHEMA_NAME_MAX + 25) };

struct walk {
	dxh_visit_fn visit;
	void *context;
	char path[PATH_BYTES];
};

static dxh_status walk_struct(struct walk *walk, const dxh_schema *schema, size_t used,
                              size_t offset, unsigned level);

/* Returns how long the path is with it. */
static size_t append(struct walk *walk, size_t used, const char *format, ...)
{
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(walk->path + used, sizeof walk->path - used, format, values);
	va_end(values);
	used += length > 0 ? (size_t)length : 0;
	return used < sizeof walk->path ? used : sizeof walk->path - 1;
}

static dxh_status
walk_elements(struct walk *walk, const dxh_field *field, size_t used, size_t offset, unsigned level)
{
	size_t end;
	dxh_status status = DXH_OK;

	if (!field->nested)
		return dxi_fail(DXH_EINVAL, "member \"%.63s\" is a struct without a schema",
		                field->name);
	for (uint32_t i = 0; i < field->count && status == DXH_OK; i++) {
		end = used;
		if (field->columns > 0)
			end = append(walk, end, "[%" PRIu32 "][%" PRIu32 "]", i / field->columns,
			             i % field->columns);
		else if (field->count > 1)
			end = append(walk, end, "[%" PRIu32 "]", i);
		end = append(walk, end, ".");
		status = walk_struct(walk, field->nested, end,
		                     offset + (size_t)i * field->nested->bytes, level + 1);
	}
	return status;
}

static dxh_status
walk_struct(struct walk *walk, const dxh_schema *schema, size_t used, size_t offset, unsigned level)
{
	dxh_status status = DXH_OK;

	if (level > DXH_NESTING_MAX)
		return dxi_fail(DXH_EINVAL, "the schema has more than %d structs in each other",
		                DXH_NESTING_MAX);
	for (uint32_t i = 0; i < schema->field_count && status == DXH_OK; i++) {
		const dxh_field *field = &schema->fields[i];
		size_t end = append(walk, used, "%s", field->name);

		if (field->type == DXH_TYPE_STRUCT)
			status = walk_elements(walk, field, end, offset + field->offset_bytes,
			                       level);
		else
			status = walk->visit(walk->context, walk->path, field,
			                     offset + field->offset_bytes);
	}
	return status;
}

dxh_status dxh_schema_walk(const dxh_schema *schema, dxh_visit_fn visit, void *context)
{
	struct walk walk = {.visit = visit, .context = context};

	if (!schema || !visit || (!schema->fields && schema->field_count > 0))
		return dxi_fail(DXH_EINVAL, "%s is NULL",
		                !schema  ? "schema"
		                : !visit ? "visit"
		                         : "schema->fields");
	return walk_struct(&walk, schema, 0, 0, 1);
}
