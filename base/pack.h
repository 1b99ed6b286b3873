/* SPDX-License-Identifier: MIT */
/* MessagePack without trust: a linear pre-scan that allocates nothing, reading
 * by cursor, writing in canonical form into a buffer of fixed size.
 *
 * Canonical: map keys in byte order (the writer's caller sees to it, the scan
 * can demand it), shortest integers and lengths, no extension types.
 */
#ifndef DXI_PACK_H
#define DXI_PACK_H

#include <dxh/base.h>

#include <stdbool.h>

/* ---- writing ---- */

typedef struct dxi_writer {
	unsigned char *bytes;
	size_t capacity;
	size_t used;
	bool overflow; /* something did not fit: the content is unusable */
} dxi_writer;

dxi_writer dxi_writer_of(void *bytes, size_t capacity);
void dxi_write_map(dxi_writer *writer, size_t pairs);
void dxi_write_array(dxi_writer *writer, size_t elements);
void dxi_write_text(dxi_writer *writer, const char *text);
void dxi_write_text_n(dxi_writer *writer, const char *text, size_t bytes);
void dxi_write_bin(dxi_writer *writer, const void *data, size_t bytes);
void dxi_write_uint(dxi_writer *writer, uint64_t value);
void dxi_write_int(dxi_writer *writer, int64_t value);
void dxi_write_f64(dxi_writer *writer, double value);
void dxi_write_bool(dxi_writer *writer, bool value);
void dxi_write_nil(dxi_writer *writer);

/* ---- checking ---- */

enum { DXI_SCAN_DEPTH_MAX = 16 };

typedef struct dxi_scan_limits {
	size_t elements_max; /* values in all, containers and keys included */
	bool canonical;      /* demand sorted unique text keys, shortest forms */
} dxi_scan_limits;

/* Is this exactly one well-formed value within the limits? DXH_ECORRUPT with
 * offset and rule otherwise. Reads each byte at most twice, allocates nothing. */
dxh_status dxi_scan(const void *bytes, size_t length, dxi_scan_limits limits);

/* ---- reading: only of bytes that dxi_scan() accepted ---- */

typedef enum dxi_kind {
	DXI_NIL,
	DXI_BOOL,
	DXI_UINT, /* >= 0, whatever its form */
	DXI_INT,  /* < 0 */
	DXI_F64,
	DXI_TEXT,
	DXI_BIN,
	DXI_ARRAY,
	DXI_MAP
} dxi_kind;

/* A value and where the one behind it begins. Containers: `count` elements or
 * pairs, which follow at `data`. */
typedef struct dxi_value {
	dxi_kind kind;
	union {
		bool boolean;
		uint64_t uint;
		int64_t integer;
		double f64;
		size_t count;
	};
	const unsigned char *begin; /* its first byte: where dxi_find() may start */
	const unsigned char *data;  /* text, bin: the bytes; containers: first element */
	size_t bytes;               /* text, bin: how many */
} dxi_value;

typedef struct dxi_reader {
	const unsigned char *at;
	const unsigned char *end;
} dxi_reader;

dxi_reader dxi_reader_of(const void *bytes, size_t length);

/* The next value; of a container only its head (its elements come next).
 * false at the end or on bytes that the scan would refuse. */
bool dxi_read(dxi_reader *reader, dxi_value *value);

/* Step over the next value with all it contains. */
bool dxi_skip(dxi_reader *reader);

/* In the map that begins at bytes: the value of a text key; false when absent
 * or when this is no map. */
bool dxi_find(const void *bytes, size_t length, const char *key, dxi_value *value);

/* The same, wanting a kind. Text is copied with a NUL, and must fit. */
bool dxi_find_uint(const void *bytes, size_t length, const char *key, uint64_t *value);
bool dxi_find_text(const void *bytes, size_t length, const char *key, char *text, size_t capacity);
bool dxi_find_bin(const void *bytes, size_t length, const char *key, const unsigned char **data,
                  size_t *data_bytes);

#endif
