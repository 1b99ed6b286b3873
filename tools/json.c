/* SPDX-License-Identifier: MIT */
/* Writes JSON as it goes; never looks at what the values mean. */
#include "json.h"

#include <inttypes.h>
#include <math.h>

static void quote(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else
			fputc(*at, out);
	}
	fputc('"', out);
}

static void new_line(struct json *json)
{
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

void json_real(struct json *json, const char *key, double number)
{
	begin(json, key);
	if (isfinite(number))
		fprintf(json->out, "%.6g", number);
	else
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
