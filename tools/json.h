/* SPDX-License-Identifier: MIT */
/* Writes JSON as it goes: commas, indentation and escapes are done here. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool comma;    /* something stands before, at this depth */
	bool one_line; /* no line breaks but the one at the end */
};

/* `key` is NULL inside of an array and for the outermost value. */
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_end_array(struct json *json);
void json_text(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, uint64_t number);
void json_integer(struct json *json, const char *key, int64_t number);
void json_real(struct json *json, const char *key, double number);

/* With all digits that tell it from its neighbours; what JSON has no number for is the text
 * "nan", "inf" or "-inf". */
void json_exact(struct json *json, const char *key, double number);

/* A text of hex digits. */
void json_hex(struct json *json, const char *key, const unsigned char *bytes, size_t count);
void json_null(struct json *json, const char *key);
void json_bool(struct json *json, const char *key, bool yes);

/* The newline at the end. False when not everything could be written. */
bool json_finish(struct json *json);

#endif
