/* SPDX-License-Identifier: MIT */
/* The keys of a received MessagePack map, one after the other, with the reason
 * in words when one is missing or is not what it should be.
 *
 * The first failure stays in `status` and turns all further calls into nothing,
 * so that a message is read key by key and judged once at the end. Pure. Keys
 * that nobody asks for are ignored; of equal keys the first counts.
 */
#ifndef DXI_FIELDS_H
#define DXI_FIELDS_H

#include <dxh/base.h>

#include <stdbool.h>

typedef struct dxi_fields {
	const void *bytes;
	size_t length;
	const char *what;   /* the message, as the failure names it */
	dxh_status refusal; /* the status of such a failure */
	dxh_status status;  /* DXH_OK so far */
} dxi_fields;

/* Scan before anything is read: one well-formed map of at most `elements_max`
 * values in all. */
dxi_fields dxi_fields_of(const void *bytes, size_t length, size_t elements_max, const char *what,
                         dxh_status refusal);

/* The same of a map inside one that was scanned. */
dxi_fields dxi_fields_inside(const dxi_fields *outer, const void *bytes, size_t length);

bool dxi_fields_has(const dxi_fields *fields, const char *key);

/* Outputs change only when the key is there and fits. Text is copied with its
 * NUL into `capacity` bytes and holds no other. */
void dxi_fields_u64(dxi_fields *fields, const char *key, uint64_t most, uint64_t *number);
void dxi_fields_u32(dxi_fields *fields, const char *key, uint32_t *number);
void dxi_fields_u16(dxi_fields *fields, const char *key, uint16_t *number);
void dxi_fields_bool(dxi_fields *fields, const char *key, bool *truth);
void dxi_fields_text(dxi_fields *fields, const char *key, char *text, size_t capacity);
void dxi_fields_bin(dxi_fields *fields, const char *key, const void **data, size_t *bytes);
void dxi_fields_bytes(dxi_fields *fields, const char *key, void *copy, size_t bytes);

/* An array: how many elements, and where the first begins. */
void dxi_fields_array(dxi_fields *fields, const char *key, size_t *count, const void **first,
                      size_t *length);

/* Fail for a rule of the message itself. */
void dxi_fields_refuse(dxi_fields *fields, const char *key, const char *rule);

#endif
