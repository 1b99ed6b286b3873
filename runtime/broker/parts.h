/* SPDX-License-Identifier: MIT */
/* What several messages of the broker are made of: a key with its value in one call, and
 * the two kinds of values that have rules of their own. */
#ifndef DXI_PARTS_H
#define DXI_PARTS_H

#include "base/pack.h"
#include "runtime/fields.h"

#include <stdint.h>

enum { DXI_MESSAGE_ELEMENTS_MAX = 64 /* values in a small message; room for newer keys */ };

static inline void dxi_put_text(dxi_writer *writer, const char *key, const char *text)
{
	dxi_write_text(writer, key);
	dxi_write_text(writer, text);
}

static inline void dxi_put_uint(dxi_writer *writer, const char *key, uint64_t number)
{
	dxi_write_text(writer, key);
	dxi_write_uint(writer, number);
}

static inline void dxi_put_bin(dxi_writer *writer, const char *key, const void *data, size_t bytes)
{
	dxi_write_text(writer, key);
	dxi_write_bin(writer, data, bytes);
}

static inline void dxi_put_bool(dxi_writer *writer, const char *key, bool truth)
{
	dxi_write_text(writer, key);
	dxi_write_bool(writer, truth);
}

/* The bytes of a message, 0 when it did not fit. */
static inline size_t dxi_written(const dxi_writer *writer)
{
	return writer->overflow ? 0 : writer->used;
}

/* Room for DXH_CHANNEL_NAME_MAX and a NUL. */
void dxi_take_channel_name(dxi_fields *fields, const char *key, char *name);
/* Text that others are shown: UTF-8 without control characters. The same of a name for
 * people, of which the odd bytes become question marks. */
void dxi_take_shown(dxi_fields *fields, const char *key, char *text, size_t capacity);
void dxi_take_name(dxi_fields *fields, const char *key, char *text, size_t capacity);
/* Any other text that is repeated to others, in place. */
void dxi_make_shown(char *text);
void dxi_take_pid(dxi_fields *fields, int64_t *pid);

/* A number that may be left out, by older ones on the other side: then it stays. */
void dxi_take_optional(dxi_fields *fields, const char *key, uint64_t most, uint64_t *number);

/* One element of an array after the other: the next map, which must be one. */
dxi_fields dxi_take_element(dxi_fields *fields, dxi_reader *reader);

#endif
