/* SPDX-License-Identifier: MIT */
/* Members as columns. */
#include "csv.h"

#include "text.h"
#include "value.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* How many columns a member has: texts are one a row, opaque bytes one. */
static uint32_t columns_of(const dxh_field *field)
{
	if (field->type == DXH_TYPE_BYTES)
		return 1;
	if (field->type == DXH_TYPE_TEXT)
		return field->columns > 0 ? field->count / field->columns : 1;
	return field->count;
}

static dxh_status
count_columns(void *context, const char *path, const dxh_field *field, size_t offset)
{
	uint64_t *columns = context;

	(void)path;
	(void)offset;
	*columns += columns_of(field);
	return *columns <= CSV_COLUMNS_MAX ? DXH_OK : DXH_ELIMIT;
}

static dxh_status
name_columns(void *context, const char *path, const dxh_field *field, size_t offset)
{
	FILE *out = context;
	uint32_t count = columns_of(field);
	bool is_matrix = field->columns > 0 && field->type != DXH_TYPE_TEXT;

	(void)offset;
	if (count == 1 && field->columns == 0) {
		fprintf(out, ",%s", path);
		return DXH_OK;
	}
	for (uint32_t i = 0; i < count; i++)
		if (is_matrix)
			fprintf(out, ",%s[%" PRIu32 "][%" PRIu32 "]", path, i / field->columns,
			        i % field->columns);
		else
			fprintf(out, ",%s[%" PRIu32 "]", path, i);
	return DXH_OK;
}

void csv_block(FILE *out, const char *name, uint64_t epoch)
{
	fprintf(out, "# block %s, epoch %" PRIu64 "\n", tool_shown(name).s, epoch);
}

void csv_gap(FILE *out, uint64_t first, uint64_t last, enum recording_reason reason)
{
	fprintf(out, "# missing: tickets %" PRIu64 "..%" PRIu64 ", %s\n", first, last,
	        reason == RECORDING_CORRUPT ? "broken in the block"
	                                    : "overwritten before they were read");
}

void csv_fate(FILE *out, uint64_t ticket, uint64_t epoch, enum recording_fate fate)
{
	static const char *const words[] = {"something unknown", "a successor took over",
	                                    "the producer closed", "the producer died",
	                                    "the block was unlinked"};
	size_t known = sizeof words / sizeof words[0];

	fprintf(out, "# before ticket %" PRIu64 ", epoch %" PRIu64 ": %s\n", ticket, epoch,
	        words[(size_t)fate < known ? (size_t)fate : 0]);
}

bool csv_names(FILE *out, const dxh_schema *schema)
{
	uint64_t columns = 0;

	if (schema && dxh_schema_walk(schema, count_columns, &columns) != DXH_OK)
		return false;
	fputs("ticket,published_ns,time_s", out);
	if (schema)
		(void)dxh_schema_walk(schema, name_columns, out);
	else
		fputs(",bytes", out);
	fputc('\n', out);
	return true;
}

/* ---- values ---- */

static void put_hex(FILE *out, const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%02x", bytes[i]);
}

static void put_text(FILE *out, const unsigned char *bytes, size_t count)
{
	fputc('"', out);
	for (size_t i = 0; i < count && bytes[i] != '\0'; i++) {
		if (bytes[i] == '"')
			fputc('"', out);
		fputc(bytes[i], out);
	}
	fputc('"', out);
}

/* As many digits as bring the same number back. */
static void put_real(FILE *out, dxh_type type, double real)
{
	if (isnan(real))
		fputs("nan", out);
	else
		fprintf(out, "%.*g", type == DXH_TYPE_F32 ? 9 : 17, real);
}

static void put_number(FILE *out, dxh_type type, const unsigned char *at)
{
	struct value_number number = value_number_at(type, at);

	switch (number.class) {
	case VALUE_UNSIGNED:
	case VALUE_BOOL:
		fprintf(out, "%" PRIu64, number.whole);
		break;
	case VALUE_SIGNED:
		fprintf(out, "%" PRId64, number.integer);
		break;
	case VALUE_REAL:
		put_real(out, type, number.real);
		break;
	}
}

struct line {
	FILE *out;
	const unsigned char *bytes;
	size_t count;
};

static dxh_status put_member(void *context, const char *path, const dxh_field *field, size_t offset)
{
	const struct line *line = context;
	uint32_t columns = columns_of(field);
	size_t bytes = field->bytes / columns;

	(void)path;
	for (uint32_t i = 0; i < columns; i++) {
		size_t at = offset + i * bytes;

		fputc(',', line->out);
		if (at > line->count || line->count - at < bytes)
			continue;
		if (field->type == DXH_TYPE_BYTES)
			put_hex(line->out, line->bytes + at, bytes);
		else if (field->type == DXH_TYPE_TEXT)
			put_text(line->out, line->bytes + at, bytes);
		else
			put_number(line->out, field->type, line->bytes + at);
	}
	return DXH_OK;
}

void csv_item(FILE *out, const dxh_schema *schema, uint64_t ticket, int64_t published_ns,
              int64_t realtime_ns, const unsigned char *bytes, size_t count)
{
	struct line line = {out, bytes, count};

	fprintf(out, "%" PRIu64 ",%" PRId64 ",", ticket, published_ns);
	if (realtime_ns > 0)
		fprintf(out, "%" PRId64 ".%09" PRId64, realtime_ns / 1000000000,
		        realtime_ns % 1000000000);
	if (schema) {
		(void)dxh_schema_walk(schema, put_member, &line);
	} else {
		fputc(',', out);
		put_hex(out, bytes, count);
	}
	fputc('\n', out);
}
