/* SPDX-License-Identifier: MIT */
/* Values as JSON: structs are objects, arrays are arrays, of rows if there are two
 * dimensions. */
#include "value.h"

#include <stdlib.h>
#include <string.h>

/* ---- numbers as they lie in memory ---- */

static uint64_t load(const unsigned char *at, size_t bytes)
{
	uint64_t word = 0;

	memcpy(&word, at, bytes); /* little-endian, as the format is */
	return word;
}

static struct value_number signed_number(uint64_t word, size_t bytes)
{
	unsigned spare = (unsigned)(64 - 8 * bytes);

	return (struct value_number){.class = VALUE_SIGNED,
	                             .integer = (int64_t)(word << spare) >> spare};
}

static struct value_number real_number(const unsigned char *at, dxh_type type)
{
	struct value_number number = {.class = VALUE_REAL};
	float single;

	if (type == DXH_TYPE_F32) {
		memcpy(&single, at, sizeof single);
		number.real = (double)single;
	} else {
		memcpy(&number.real, at, sizeof number.real);
	}
	return number;
}

struct value_number value_number_at(dxh_type type, const unsigned char *at)
{
	size_t bytes = dxh_type_bytes(type);

	switch (type) {
	case DXH_TYPE_I8:
	case DXH_TYPE_I16:
	case DXH_TYPE_I32:
	case DXH_TYPE_I64:
		return signed_number(load(at, bytes), bytes);
	case DXH_TYPE_F32:
	case DXH_TYPE_F64:
		return real_number(at, type);
	case DXH_TYPE_BOOL:
		return (struct value_number){.class = VALUE_BOOL, .whole = *at != 0};
	default:
		return (struct value_number){.class = VALUE_UNSIGNED, .whole = load(at, bytes)};
	}
}

/* ---- one element ---- */

struct teller {
	struct json *json;
	struct value_limits *limits;
	const unsigned char *end; /* of the bytes at hand */
	uint64_t beyond;          /* bytes of the value that are not */
};

static void tell_struct(struct teller *teller, const char *key, const dxh_schema *schema,
                        const unsigned char *at);

/* One less may be told. False: nothing more may. */
static bool spend(struct value_limits *limits)
{
	if (limits->left == 0) {
		limits->cut = true;
		return false;
	}
	limits->left--;
	return true;
}

/* How many of `count` elements from here on are told. */
static size_t clamp(struct teller *teller, const unsigned char *at, uint64_t count, uint64_t bytes)
{
	uint64_t room = (uint64_t)(teller->end - at) / bytes, shown = count;

	if (shown > teller->limits->elements)
		shown = teller->limits->elements;
	if (shown > room)
		shown = room;
	if (shown < count)
		teller->limits->cut = true;
	return (size_t)shown;
}

/* NUL-padded: it ends at the first NUL. */
static void tell_text(struct teller *teller, const char *key, const unsigned char *at, size_t bytes)
{
	size_t room = (size_t)(teller->end - at), length = room < bytes ? room : bytes;
	char *text;

	length = strnlen((const char *)at, length);
	if (length == room && length < bytes)
		teller->limits->cut = true;
	text = strndup((const char *)at, clamp(teller, at, length, 1));
	json_text(teller->json, key, text != NULL ? text : "");
	free(text);
}

static void
tell_bytes(struct teller *teller, const char *key, const unsigned char *at, uint64_t bytes)
{
	json_hex(teller->json, key, at, clamp(teller, at, bytes, 1));
}

static void
tell_number(struct teller *teller, const char *key, dxh_type type, const unsigned char *at)
{
	struct value_number number = value_number_at(type, at);

	switch (number.class) {
	case VALUE_UNSIGNED:
		json_number(teller->json, key, number.whole);
		break;
	case VALUE_SIGNED:
		json_integer(teller->json, key, number.integer);
		break;
	case VALUE_REAL:
		json_exact(teller->json, key, number.real);
		break;
	case VALUE_BOOL:
		json_bool(teller->json, key, number.whole != 0);
		break;
	}
}

/* ---- a member ---- */

/* How many elements, of how many bytes, in rows of how many; a row of 0: no rows. */
struct shape {
	uint64_t count, bytes, row;
	bool is_array;
};

/* Text is an array of its rows; opaque bytes are one thing. */
static struct shape shape_of(const dxh_field *field)
{
	uint64_t count = field->count;

	if (field->type == DXH_TYPE_BYTES)
		return (struct shape){1, field->bytes, 0, false};
	if (field->type == DXH_TYPE_TEXT && field->columns == 0)
		return (struct shape){1, field->bytes, 0, false};
	if (field->type == DXH_TYPE_TEXT)
		return (struct shape){count / field->columns, field->columns, 0, true};
	return (struct shape){count, count > 0 ? field->bytes / count : 0, field->columns,
	                      count > 1 || field->columns > 0};
}

static void tell_element(struct teller *teller, const char *key, const dxh_field *field,
                         const unsigned char *at, uint64_t bytes)
{
	if (field->type == DXH_TYPE_STRUCT)
		tell_struct(teller, key, field->nested, at);
	else if (field->type == DXH_TYPE_TEXT)
		tell_text(teller, key, at, (size_t)bytes);
	else if (field->type == DXH_TYPE_BYTES)
		tell_bytes(teller, key, at, bytes);
	else
		tell_number(teller, key, field->type, at);
}

/* `count` elements; returns behind the last one, told or not. */
static const unsigned char *tell_run(struct teller *teller, const char *key, const dxh_field *field,
                                     uint64_t count, uint64_t bytes, const unsigned char *at)
{
	size_t shown = clamp(teller, at, count, bytes);

	json_array(teller->json, key);
	for (size_t i = 0; i < shown && spend(teller->limits); i++)
		tell_element(teller, NULL, field, at + i * bytes, bytes);
	json_end_array(teller->json);
	return at + count * bytes;
}

static void tell_rows(struct teller *teller, const char *key, const dxh_field *field,
                      const struct shape *shape, const unsigned char *at)
{
	uint64_t rows = shape->count / shape->row;
	size_t shown = clamp(teller, at, rows, shape->row * shape->bytes);

	json_array(teller->json, key);
	for (size_t i = 0; i < shown && spend(teller->limits); i++)
		at = tell_run(teller, NULL, field, shape->row, shape->bytes, at);
	json_end_array(teller->json);
}

/* Texts and bytes are cut by themselves. */
static bool is_whole_at_hand(struct teller *teller, const dxh_field *field, const unsigned char *at)
{
	bool is_whole = (size_t)(teller->end - at) >= field->bytes ||
	                field->type == DXH_TYPE_TEXT || field->type == DXH_TYPE_BYTES;

	teller->limits->cut |= !is_whole;
	return is_whole;
}

static void tell_member(struct teller *teller, const dxh_field *field, const unsigned char *at)
{
	struct shape shape = shape_of(field);

	if (!spend(teller->limits))
		return;
	if ((uint64_t)(teller->end - at) + teller->beyond < field->bytes)
		json_null(teller->json, field->name);
	else if (shape.row > 0)
		tell_rows(teller, field->name, field, &shape, at);
	else if (shape.is_array)
		tell_run(teller, field->name, field, shape.count, shape.bytes, at);
	else if (is_whole_at_hand(teller, field, at))
		tell_element(teller, field->name, field, at, shape.bytes);
	else
		json_null(teller->json, field->name);
}

/* As deep as a schema may be, and whoever reads one has checked that. */
static void tell_struct(struct teller *teller, const char *key, const dxh_schema *schema,
                        const unsigned char *at)
{
	json_object(teller->json, key);
	for (uint32_t i = 0; i < schema->field_count; i++) {
		const dxh_field *field = &schema->fields[i];

		if ((size_t)(teller->end - at) >= field->offset_bytes) {
			tell_member(teller, field, at + field->offset_bytes);
		} else {
			json_null(teller->json, field->name);
			teller->limits->cut |= teller->beyond > 0;
		}
	}
	json_end_object(teller->json);
}

/* ---- public ---- */

void value_tell(struct json *json, const char *key, const struct value *value,
                struct value_limits *limits)
{
	struct teller teller = {json, limits, value->bytes + value->at_hand,
	                        value->count - value->at_hand};

	if (value->schema != NULL)
		tell_struct(&teller, key, value->schema, value->bytes);
	else
		tell_bytes(&teller, key, value->bytes, value->count);
}

static void tell_units(struct json *json, const dxh_schema *schema, const char *prefix)
{
	char path[DXH_NESTING_MAX * (DXH_SCHEMA_NAME_MAX + 2)];

	for (uint32_t i = 0; i < schema->field_count; i++) {
		const dxh_field *field = &schema->fields[i];
		const char *dot = prefix[0] != '\0' ? "." : "";

		snprintf(path, sizeof path, "%s%s%s", prefix, dot, field->name);
		if (field->unit != NULL && field->unit[0] != '\0')
			json_text(json, path, field->unit);
		if (field->nested != NULL)
			tell_units(json, field->nested, path);
	}
}

void value_tell_units(struct json *json, const char *key, const dxh_schema *schema)
{
	json_object(json, key);
	tell_units(json, schema, "");
	json_end_object(json);
}
