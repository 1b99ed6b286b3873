/* SPDX-License-Identifier: MIT */
/* Items as lines of comma-separated values (RFC 4180): a column a number, named after its
 * member; all else in comments, lines that begin with #. */
#ifndef CSV_H
#define CSV_H

#include "recording.h"

#include <dxh/schema.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Columns one line may have. */
enum { CSV_COLUMNS_MAX = 16384 };

/* Comments: where a block begins, what is missing, what became of the producer. */
void csv_block(FILE *out, const char *name, uint64_t epoch);
void csv_gap(FILE *out, uint64_t first, uint64_t last, enum recording_reason reason);
void csv_fate(FILE *out, uint64_t ticket, uint64_t epoch, enum recording_fate fate);

/* The names of the columns; schema NULL: one of hex digits. False when there would be too
 * many of them. */
bool csv_names(FILE *out, const dxh_schema *schema);

/* Of an item that ends early the rest of the columns is empty. realtime_ns 0: not known. */
void csv_item(FILE *out, const dxh_schema *schema, uint64_t ticket, int64_t published_ns,
              int64_t realtime_ns, const unsigned char *bytes, size_t count);

#endif
