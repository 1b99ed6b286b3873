/* SPDX-License-Identifier: MIT */
/* Copying into and out of shared memory in relaxed 64-bit words, so that a copy
 * which loses the race against the other side is no data race in C11.
 */
#ifndef DXI_COPY_H
#define DXI_COPY_H

#include <stddef.h>

/* `shared` is 8-byte aligned; the bytes from `bytes` up to the next multiple of
 * 8 belong to it too, and dxi_copy_in() sets them to zero. */
void dxi_copy_in(void *shared, const void *own, size_t bytes);
void dxi_copy_out(void *own, const void *shared, size_t bytes);

/* From one place in shared memory to another, both as above. */
void dxi_copy_across(void *shared, const void *from_shared, size_t bytes);

#endif
