/* SPDX-License-Identifier: MIT */
/* Copying into and out of shared memory, so that a copy which loses the race against the
 * other side is no data race in C11.
 */
#ifndef DXI_COPY_H
#define DXI_COPY_H

#include <stddef.h>

/* `shared` is 8-byte aligned; the bytes from `bytes` up to the next multiple of
 * 8 belong to it too, and copies into it set them to zero. */

/* In relaxed words of 64 bits, none of which is torn: users have atomics in zones. */
void dxi_copy_out(void *own, const void *shared, size_t bytes);

/* From one place in shared memory to another. */
void dxi_copy_across(void *shared, const void *from_shared, size_t bytes);

/* The payload of a slot: anything may be torn, as seq tells whether something was. */
void dxi_copy_item_in(void *shared, const void *own, size_t bytes);
void dxi_copy_item_out(void *own, const void *shared, size_t bytes);

#endif
