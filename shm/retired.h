/* SPDX-License-Identifier: MIT */
/* Producers and consumers that were closed: their memory is kept for a while, so that
 * who still uses one of them is told instead of breaking somebody else's. */
#ifndef DXI_RETIRED_H
#define DXI_RETIRED_H

#include <stddef.h>
#include <stdint.h>

/* Wipe the object, which begins to be nobody's, and free it when a few others have
 * followed. Whoever looks at its `process` meanwhile sees 0. Thread: any. */
void dxi_retire(void *object, size_t bytes);

/* Tells apart what is opened or begun one after the other, in the same memory too;
 * never 0. Thread: any. */
uint64_t dxi_new_serial(void);

#endif
