/* SPDX-License-Identifier: MIT */
/* Noticing a fork: which process does an object belong to? */
#ifndef DXI_FORKED_H
#define DXI_FORKED_H

#include <stdbool.h>
#include <stdint.h>

/* A number for this process, never 0, different in a child of fork(). One load
 * on the fast path: the page behind it is wiped by the kernel at fork. */
uint32_t dxi_process_id(void);

#endif
