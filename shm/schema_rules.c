/* SPDX-License-Identifier: MIT */
/* What must hold for the members of a struct, whoever describes it: a program that
 * asks for a block, or the bytes of a block that somebody else made.
 */
#include "shm/schema.h"

#include "shm/layout.h"

static uint64_t element_bytes(const dxh_field *field)
{
	return field->nested ? field->nested->bytes : dxh_type_bytes(field->type);
}

static bool is_aligned(uint64_t offset, uint64_t bytes)
{
	return offset % bytes == 0;
}

const char *dxi_struct_rule(const dxh_schema *schema, uint32_t level)
{
	if (level > DXH_NESTING_MAX)
		return "is nested deeper than 4 structs";
	if (schema->bytes == 0)
		return "has no bytes";
	if (schema->align == 0 || schema->align > DXI_LAYOUT_ALIGN ||
	    (schema->align & (schema->align - 1)) != 0)
		return "has an alignment that is none of 1, 2, 4, ... 64";
	if (schema->field_count == 0 || schema->field_count > DXH_FIELDS_MAX)
		return "has not 1 to 32 members";
	return NULL;
}

const char *dxi_member_rule(const dxh_schema *schema, uint32_t index, uint32_t align)
{
	const dxh_field *field = &schema->fields[index];
	const dxh_field *before = index > 0 ? field - 1 : NULL;
	uint64_t element = element_bytes(field);

	if ((field->type == DXH_TYPE_STRUCT) != (field->nested != NULL))
		return "is a struct without members, or has members and is none";
	if (element == 0 || field->count == 0 || field->count * element != field->bytes)
		return "has not the size of its elements";
	if (field->columns > 0 && field->count % field->columns != 0)
		return "has not whole rows";
	if ((uint64_t)field->offset_bytes + field->bytes > schema->bytes)
		return "ends behind its struct";
	if (before && field->offset_bytes < (uint64_t)before->offset_bytes + before->bytes)
		return "overlaps the one before it";
	if (field->atomic && field->nested)
		return "is a struct and cannot be atomic";
	if (field->atomic &&
	    !(is_aligned(field->offset_bytes, element) && is_aligned(align, element)))
		return "is atomic and not aligned to its size";
	return NULL;
}

uint32_t dxi_nested_align(const dxh_field *field, uint32_t align)
{
	uint32_t steps =
		align | field->offset_bytes | (field->count > 1 ? field->nested->bytes : 0);

	return steps & (~steps + 1); /* its lowest bit */
}
