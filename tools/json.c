/* SPDX-License-Identifier: MIT */
/* Writes JSON as it goes; never looks at what the values mean. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* The bytes of the UTF-8 character that begins here; 0: none does. */
static unsigned character_bytes(const unsigned char *at)
{
	unsigned bytes = at[0] < 0x80   ? 1
	                 : at[0] < 0xc2 ? 0
	                 : at[0] < 0xe0 ? 2
	                 : at[0] < 0xf0 ? 3
	                 : at[0] < 0xf5 ? 4
	                                : 0;

	for (unsigned i = 1; i < bytes; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, surrogates, and beyond the last one. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return bytes;
}

/* What is no UTF-8 becomes the sign for that, so that the whole can still be read. */
static void quote(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc('"', out);
	while (*at != 0) {
		unsigned bytes = character_bytes(at);

		if (bytes == 0)
			fputs("\\ufffd", out);
		else if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else
			fwrite(at, 1, bytes, out);
		at += bytes > 0 ? bytes : 1;
	}
	fputc('"', out);
}

static void new_line(struct json *json)
{
	if (json->one_line)
		return;
	fputc('\n', json->out);
	for (unsigned i = 0; i < json->depth; i++)
		fputs("  ", json->out);
}

static void begin(struct json *json, const char *key)
{
	if (json->comma)
		fputc(',', json->out);
	if (json->depth > 0)
		new_line(json);
	if (key != NULL) {
		quote(json->out, key);
		fputs(": ", json->out);
	}
	json->comma = true;
}

static void enter(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	fputc(bracket, json->out);
	json->depth++;
	json->comma = false;
}

static void leave(struct json *json, char bracket)
{
	json->depth--;
	if (json->comma)
		new_line(json);
	fputc(bracket, json->out);
	json->comma = true;
}

void json_object(struct json *json, const char *key)
{
	enter(json, key, '{');
}

void json_array(struct json *json, const char *key)
{
	enter(json, key, '[');
}

void json_end_object(struct json *json)
{
	leave(json, '}');
}

void json_end_array(struct json *json)
{
	leave(json, ']');
}

void json_text(struct json *json, const char *key, const char *text)
{
	begin(json, key);
	quote(json->out, text);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
	begin(json, key);
	fprintf(json->out, "%" PRIu64, number);
}

void json_integer(struct json *json, const char *key, int64_t number)
{
	begin(json, key);
	fprintf(json->out, "%" PRId64, number);
}

void json_real(struct json *json, const char *key, double number)
{
	begin(json, key);
	if (isfinite(number))
		fprintf(json->out, "%.6g", number);
	else
		fputs("null", json->out);
}

void json_exact(struct json *json, const char *key, double number)
{
	char digits[40];

	if (!isfinite(number)) {
		json_text(json, key, isnan(number) ? "nan" : number < 0 ? "-inf" : "inf");
		return;
	}
	/* 17 digits always do. */
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof digits, "%.*g", precision, number);
		if (strtod(digits, NULL) == number)
			break;
	}
	begin(json, key);
	fputs(digits, json->out);
}

void json_hex(struct json *json, const char *key, const unsigned char *bytes, size_t count)
{
	begin(json, key);
	fputc('"', json->out);
	for (size_t i = 0; i < count; i++)
		fprintf(json->out, "%02x", bytes[i]);
	fputc('"', json->out);
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	fputs("null", json->out);
}

void json_bool(struct json *json, const char *key, bool yes)
{
	begin(json, key);
	fputs(yes ? "true" : "false", json->out);
}

bool json_finish(struct json *json)
{
	fputc('\n', json->out);
	return fflush(json->out) == 0 && !ferror(json->out);
}
