/* SPDX-License-Identifier: MIT */
/* Values as lines: the path of a member, what it holds, its unit, what it is. */
#include "value.h"

#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_LINE = 16, PATH_WIDTH_MAX = 40, COLUMN = 2 };

/* ---- one element ---- */

/* The fewest digits that tell a number from its neighbours of the same type. */
static void show_real(dxh_type type, double number)
{
	int most = type == DXH_TYPE_F32 ? 9 : 17;
	char digits[40];

	if (number != number) {
		fputs("nan", stdout);
		return;
	}
	for (int precision = 6; precision <= most; precision++) {
		snprintf(digits, sizeof digits, "%.*g", precision, number);
		if (type == DXH_TYPE_F32 ? (double)strtof(digits, NULL) == number
		                         : strtod(digits, NULL) == number)
			break;
	}
	fputs(digits, stdout);
}

static void show_number(dxh_type type, const unsigned char *at)
{
	struct value_number number = value_number_at(type, at);

	switch (number.class) {
	case VALUE_UNSIGNED:
		printf("%" PRIu64, number.whole);
		break;
	case VALUE_SIGNED:
		printf("%" PRId64, number.integer);
		break;
	case VALUE_REAL:
		show_real(type, number.real);
		break;
	case VALUE_BOOL:
		fputs(number.whole != 0 ? "true" : "false", stdout);
		break;
	}
}

static void show_text(const unsigned char *at, size_t bytes, struct value_limits *limits)
{
	size_t length = strnlen((const char *)at, bytes);
	size_t shown = length < limits->elements ? length : limits->elements;
	char *text = strndup((const char *)at, shown);

	if (shown < length)
		limits->cut = true;
	printf("\"%s\"%s", text != NULL ? tool_shown(text).s : "", shown < length ? "..." : "");
	free(text);
}

static void show_opaque(const unsigned char *at, size_t bytes, struct value_limits *limits)
{
	size_t shown = bytes < limits->elements ? bytes : limits->elements;

	for (size_t i = 0; i < shown; i++)
		printf("%02x%s", at[i], i + 1 < shown ? " " : "");
	if (shown < bytes)
		fputs("...", stdout);
	limits->cut |= shown < bytes;
}

/* ---- a member ---- */

/* "[1, 2, 3]"; of two dimensions "[[1, 2], [3, 4]]". */
static void show_array(const dxh_field *field, const unsigned char *at, struct value_limits *limits)
{
	size_t bytes = dxh_type_bytes(field->type);
	uint32_t shown = field->count < limits->elements ? field->count : limits->elements;

	fputc('[', stdout);
	for (uint32_t i = 0; i < shown; i++) {
		bool new_row = field->columns > 0 && i % field->columns == 0;

		fputs(i == 0 ? (new_row ? "[" : "") : (new_row ? "], [" : ", "), stdout);
		show_number(field->type, at + i * bytes);
	}
	fputs(shown < field->count ? ", ..." : field->columns > 0 ? "]]" : "]", stdout);
	if (shown < field->count)
		printf("%s of %" PRIu32, field->columns > 0 ? "]]" : "]", field->count);
	limits->cut |= shown < field->count;
}

static void show_texts(const dxh_field *field, const unsigned char *at, struct value_limits *limits)
{
	uint32_t count = field->count / field->columns;
	uint32_t shown = count < limits->elements ? count : limits->elements;

	fputc('[', stdout);
	for (uint32_t i = 0; i < shown; i++) {
		fputs(i > 0 ? ", " : "", stdout);
		show_text(at + (size_t)i * field->columns, field->columns, limits);
	}
	fputs(shown < count ? ", ...]" : "]", stdout);
	limits->cut |= shown < count;
}

static void
show_member(const dxh_field *field, const unsigned char *at, struct value_limits *limits)
{
	if (field->type == DXH_TYPE_BYTES)
		show_opaque(at, field->bytes, limits);
	else if (field->type == DXH_TYPE_TEXT && field->columns == 0)
		show_text(at, field->bytes, limits);
	else if (field->type == DXH_TYPE_TEXT)
		show_texts(field, at, limits);
	else if (field->count > 1 || field->columns > 0)
		show_array(field, at, limits);
	else
		show_number(field->type, at);
}

/* So many elements of it as are at hand. */
static void show_at_hand(const dxh_field *field, const struct value *value, size_t offset,
                         struct value_limits *limits)
{
	size_t hand = offset < value->at_hand ? value->at_hand - offset : 0;
	size_t element = field->type == DXH_TYPE_TEXT && field->columns > 0
	                         ? field->columns
	                         : dxh_type_bytes(field->type);
	struct value_limits near = *limits;

	if (hand / element < near.elements)
		near.elements = (uint32_t)(hand / element);
	if (near.elements > 0)
		show_member(field, value->bytes + offset, &near);
	else
		near.cut = fputs("...", stdout) >= 0;
	limits->cut |= near.cut;
}

/* ---- all members ---- */

struct page {
	const struct value *value;
	struct value_limits *limits;
	uint64_t lines; /* still to come */
	int width;      /* of the longest path */
};

/* Anything but DXH_OK: the walk has gone far enough. */
static dxh_status count_line(struct page *page)
{
	if (page->lines == 0)
		return DXH_ELIMIT;
	page->lines--;
	return DXH_OK;
}

static dxh_status measure(void *context, const char *path, const dxh_field *field, size_t offset)
{
	struct page *page = context;
	int length = (int)strnlen(path, PATH_WIDTH_MAX);

	(void)field;
	(void)offset;
	page->width = length > page->width ? length : page->width;
	return count_line(page);
}

static dxh_status show_line(void *context, const char *path, const dxh_field *field, size_t offset)
{
	struct page *page = context;
	const struct value *value = page->value;

	if (count_line(page) != DXH_OK) {
		page->limits->cut = true;
		return DXH_ELIMIT;
	}
	printf("  %-*s  ", page->width, tool_shown(path).s);
	if (offset > value->count || value->count - offset < field->bytes)
		fputs("(not there)", stdout);
	else
		show_at_hand(field, value, offset, page->limits);
	if (field->unit != NULL && field->unit[0] != '\0')
		printf(" %s", tool_shown(field->unit).s);
	if (field->doc != NULL && field->doc[0] != '\0')
		printf("%*s# %s", COLUMN, "", tool_shown(field->doc).s);
	putchar('\n');
	return DXH_OK;
}

static void show_raw(const struct value *value, struct value_limits *limits)
{
	size_t most = (size_t)HEX_LINE * limits->elements;
	size_t shown = value->at_hand < most ? value->at_hand : most;

	for (size_t line = 0; line < shown; line += HEX_LINE) {
		printf("  %08zx ", line);
		for (size_t i = line; i < line + HEX_LINE; i++)
			if (i < shown)
				printf(" %02x", value->bytes[i]);
			else
				fputs("   ", stdout);
		fputs("  ", stdout);
		for (size_t i = line; i < line + HEX_LINE && i < shown; i++)
			putchar(value->bytes[i] >= 0x20 && value->bytes[i] < 0x7f ? value->bytes[i]
			                                                          : '.');
		putchar('\n');
	}
	limits->cut |= shown < value->count;
}

void value_show(const struct value *value, struct value_limits *limits)
{
	struct page page = {.value = value, .limits = limits, .lines = limits->left};

	if (value->schema == NULL) {
		show_raw(value, limits);
		return;
	}
	(void)dxh_schema_walk(value->schema, measure, &page);
	page.lines = limits->left;
	(void)dxh_schema_walk(value->schema, show_line, &page);
}
