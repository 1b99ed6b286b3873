/* SPDX-License-Identifier: MIT */
/* Looking up, checking and copying: each kind of value in one function. */
#include "runtime/fields.h"

#include "base/pack.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

dxi_fields dxi_fields_of(const void *bytes, size_t length, size_t elements_max, const char *what,
                         dxh_status refusal)
{
	dxi_fields fields = {.bytes = bytes, .length = length, .what = what, .refusal = refusal};
	dxi_scan_limits limits = {.elements_max = elements_max};
	dxi_reader reader = dxi_reader_of(bytes, length);
	dxi_value value;
	char why[160];

	if (dxi_scan(bytes, length, limits) != DXH_OK) {
		snprintf(why, sizeof why, "%s", dxh_last_error());
		fields.status =
			dxi_fail(refusal, "%s: not well-formed MessagePack (%s)", what, why);
	} else if (!dxi_read(&reader, &value) || value.kind != DXI_MAP) {
		fields.status = dxi_fail(refusal, "%s: not a map", what);
	}
	return fields;
}

dxi_fields dxi_fields_inside(const dxi_fields *outer, const void *bytes, size_t length)
{
	dxi_fields fields = *outer;
	dxi_reader reader = dxi_reader_of(bytes, length);
	dxi_value value;

	fields.bytes = bytes;
	fields.length = length;
	if (fields.status == DXH_OK && (!dxi_read(&reader, &value) || value.kind != DXI_MAP))
		fields.status =
			dxi_fail(fields.refusal, "%s: an element is not a map", fields.what);
	return fields;
}

bool dxi_fields_has(const dxi_fields *fields, const char *key)
{
	dxi_value value;

	return fields->status == DXH_OK && dxi_find(fields->bytes, fields->length, key, &value);
}

/* The value of a key that must be there. */
static bool take(dxi_fields *fields, const char *key, dxi_value *value)
{
	if (fields->status != DXH_OK)
		return false;
	if (dxi_find(fields->bytes, fields->length, key, value))
		return true;
	fields->status = dxi_fail(fields->refusal, "%s: key '%s' is missing", fields->what, key);
	return false;
}

void dxi_fields_refuse(dxi_fields *fields, const char *key, const char *rule)
{
	if (fields->status == DXH_OK)
		fields->status =
			dxi_fail(fields->refusal, "%s: key '%s' %s", fields->what, key, rule);
}

void dxi_fields_u64(dxi_fields *fields, const char *key, uint64_t most, uint64_t *number)
{
	dxi_value value;

	if (!take(fields, key, &value))
		return;
	if (value.kind == DXI_UINT && value.uint <= most)
		*number = value.uint;
	else
		fields->status = dxi_fail(fields->refusal,
		                          "%s: key '%s' is no unsigned integer up to %" PRIu64,
		                          fields->what, key, most);
}

void dxi_fields_u32(dxi_fields *fields, const char *key, uint32_t *number)
{
	uint64_t wide = *number;

	dxi_fields_u64(fields, key, UINT32_MAX, &wide);
	*number = (uint32_t)wide;
}

void dxi_fields_u16(dxi_fields *fields, const char *key, uint16_t *number)
{
	uint64_t wide = *number;

	dxi_fields_u64(fields, key, UINT16_MAX, &wide);
	*number = (uint16_t)wide;
}

void dxi_fields_bool(dxi_fields *fields, const char *key, bool *truth)
{
	dxi_value value;

	if (!take(fields, key, &value))
		return;
	if (value.kind == DXI_BOOL)
		*truth = value.boolean;
	else
		dxi_fields_refuse(fields, key, "is neither true nor false");
}

void dxi_fields_text(dxi_fields *fields, const char *key, char *text, size_t capacity)
{
	dxi_value value;

	if (!take(fields, key, &value))
		return;
	if (value.kind != DXI_TEXT || value.bytes >= capacity ||
	    memchr(value.data, '\0', value.bytes)) {
		fields->status = dxi_fail(
			fields->refusal, "%s: key '%s' is no text of at most %zu bytes without NUL",
			fields->what, key, capacity - 1);
		return;
	}
	memcpy(text, value.data, value.bytes);
	text[value.bytes] = '\0';
}

void dxi_fields_bin(dxi_fields *fields, const char *key, const void **data, size_t *bytes)
{
	dxi_value value;

	if (!take(fields, key, &value))
		return;
	if (value.kind != DXI_BIN) {
		dxi_fields_refuse(fields, key, "is not binary");
		return;
	}
	*data = value.data;
	*bytes = value.bytes;
}

void dxi_fields_bytes(dxi_fields *fields, const char *key, void *copy, size_t bytes)
{
	dxi_value value;

	if (!take(fields, key, &value))
		return;
	if (value.kind == DXI_BIN && value.bytes == bytes)
		memcpy(copy, value.data, bytes);
	else
		fields->status = dxi_fail(fields->refusal, "%s: key '%s' is not %zu binary bytes",
		                          fields->what, key, bytes);
}

void dxi_fields_array(dxi_fields *fields, const char *key, size_t *count, const void **first,
                      size_t *length)
{
	dxi_value value;

	if (!take(fields, key, &value))
		return;
	if (value.kind != DXI_ARRAY) {
		dxi_fields_refuse(fields, key, "is no array");
		return;
	}
	*count = value.count;
	*first = value.data;
	*length = (size_t)((const unsigned char *)fields->bytes + fields->length - value.data);
}
