/* SPDX-License-Identifier: MIT */
/* Freeing what is large without standing still for it: the system takes pages back one by
 * one, a quarter of a second for 1 GiB.
 *
 * Thread: any.
 */
#ifndef DXI_DISCARD_H
#define DXI_DISCARD_H

#include <stddef.h>

/* From this size on memory goes on a thread of its own: 1 ms of work for 4 MiB. */
enum { DXI_DISCARD_APART_MIN = 4 << 20 };

/* free(), of memory of so many bytes; NULL is nothing. */
void dxi_discard(void *memory, size_t bytes);

#endif
