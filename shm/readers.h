/* SPDX-License-Identifier: MIT */
/* How far behind a reader is: in tickets, in time. */
#ifndef DXI_READERS_H
#define DXI_READERS_H

#include "shm/segment.h"

/* Tickets from `next` on that are published. */
uint64_t dxi_lag(const dxi_block *block, uint64_t next);

/* Since when the oldest of them waits that is still kept; 0: none does. */
int64_t dxi_lag_ns(const dxi_block *block, uint64_t next);

#endif
