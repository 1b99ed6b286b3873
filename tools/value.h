/* SPDX-License-Identifier: MIT */
/* The bytes of a struct whose header file is not at hand, printed by its schema: nested for
 * programs, a line for each member for people. Whatever the schema claims, only so much is
 * printed as the limits say.
 */
#ifndef VALUE_H
#define VALUE_H

#include "json.h"

#include <dxh/schema.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct value_limits {
	uint32_t elements; /* of one array */
	uint64_t left;     /* elements and members in all; counts down */
	bool cut;          /* set when something was left out */
};

struct value {
	const dxh_schema *schema; /* NULL: raw bytes */
	const unsigned char *bytes;
	uint64_t count; /* bytes it has; members that end behind them are absent */
	size_t at_hand; /* so many of them; what lies behind is cut */
};

/* Of one element of a member that is a number or a bool; `at` need not be aligned. */
enum value_class { VALUE_UNSIGNED, VALUE_SIGNED, VALUE_REAL, VALUE_BOOL };
struct value_number {
	enum value_class class;
	uint64_t whole; /* unsigned, bool */
	int64_t integer;
	double real;
};
struct value_number value_number_at(dxh_type type, const unsigned char *at);

/* Raw bytes as hex digits, a struct as an object: {"gain": 1.5, "axes": [{"x": 0}, ...]}. */
void value_tell(struct json *json, const char *key, const struct value *value,
                struct value_limits *limits);

/* {"gain": "dB", "axes.x": "mm"}: the members that have a unit, each once. */
void value_tell_units(struct json *json, const char *key, const dxh_schema *schema);

/* Lines: "  axes[0].x  1.5 mm  position"; raw bytes sixteen a line. */
void value_show(const struct value *value, struct value_limits *limits);

#endif
