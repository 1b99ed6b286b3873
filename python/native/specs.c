/* SPDX-License-Identifier: MIT */
/* Descriptions of structs, from the tuples that python/dxh/schema.py makes of dtypes. */
#include "native.h"

#include <stdlib.h>

struct chunk {
	struct chunk *next;
	max_align_t bytes[];
};

static void *take(dxn_arena *arena, size_t count, size_t each)
{
	struct chunk *made = calloc(1, sizeof *made + count * each);

	if (!made) {
		PyErr_NoMemory();
		return NULL;
	}
	made->next = arena->chunks;
	arena->chunks = made;
	return made->bytes;
}

void dxn_arena_free(dxn_arena *arena)
{
	struct chunk *each = arena->chunks, *next;

	for (; each; each = next) {
		next = each->next;
		free(each);
	}
	arena->chunks = NULL;
}

static bool read_schema(dxn_arena *arena, PyObject *given, const dxh_schema **schema);

static bool read_member(dxn_arena *arena, PyObject *given, dxh_field *field)
{
	PyObject *nested;
	int type;

	if (!PyArg_ParseTuple(given, "szzO&O&O&ipO&O:member", &field->name, &field->doc,
	                      &field->unit, dxn_u32, &field->offset_bytes, dxn_u32, &field->count,
	                      dxn_u32, &field->bytes, &type, &field->atomic, dxn_u32,
	                      &field->columns, &nested))
		return false;
	field->type = (dxh_type)type;
	return nested == Py_None || read_schema(arena, nested, &field->nested);
}

static bool read_members(dxn_arena *arena, PyObject *list, dxh_schema *schema)
{
	dxh_field *fields = take(arena, (size_t)PyList_GET_SIZE(list), sizeof *fields);

	for (Py_ssize_t i = 0; fields && i < PyList_GET_SIZE(list); i++)
		if (!read_member(arena, PyList_GET_ITEM(list, i), &fields[i]))
			return false;
	schema->fields = fields;
	schema->field_count = (uint32_t)PyList_GET_SIZE(list);
	return fields != NULL;
}

/* dtypes are nested only so deep that this ends, see schema.py. */
static bool read_schema(dxn_arena *arena, PyObject *given, const dxh_schema **schema)
{
	dxh_schema *made;
	PyObject *list;

	*schema = NULL;
	if (given == Py_None)
		return true;
	made = take(arena, 1, sizeof *made);
	if (!made || !PyArg_ParseTuple(given, "sO&O&O!:schema", &made->name, dxn_u32, &made->bytes,
	                               dxn_u32, &made->align, &PyList_Type, &list))
		return false;
	*schema = made;
	return read_members(arena, list, made);
}

bool dxn_read_zones(dxn_arena *arena, PyObject *list, dxh_zone_spec *zones)
{
	PyObject *schema;
	Py_ssize_t bytes, align;
	int digest;

	if (!PyList_Check(list) || PyList_GET_SIZE(list) > DXH_ZONES_MAX) {
		PyErr_Format(PyExc_ValueError, "a block has at most %d zones", DXH_ZONES_MAX);
		return false;
	}
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
		if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "sOnnpO&:zone", &zones[i].name,
		                      &schema, &bytes, &align, &zones[i].latch, dxn_int, &digest) ||
		    !read_schema(arena, schema, &zones[i].schema))
			return false;
		zones[i].bytes = (size_t)bytes;
		zones[i].align = (size_t)align;
		zones[i].digest = (dxh_checksum)digest;
	}
	return true;
}

bool dxn_read_slot(dxn_arena *arena, PyObject *given, dxh_slot_spec *slot)
{
	PyObject *schema;
	Py_ssize_t bytes;

	*slot = (dxh_slot_spec){0};
	if (given == Py_None)
		return true;
	if (!PyArg_ParseTuple(given, "On:slot", &schema, &bytes))
		return false;
	slot->bytes = (size_t)bytes;
	return read_schema(arena, schema, &slot->schema);
}
