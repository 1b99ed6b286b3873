/* SPDX-License-Identifier: MIT */
/* The metrics of a hub as zones of a block, where other processes read them. */
#ifndef DXI_METRICS_BLOCK_H
#define DXI_METRICS_BLOCK_H

#include "runtime/hub.h"

/* Have hub->metrics and hub->latency lie in the block of that name, and be zero. Before
 * the I/O thread starts. Returns: as dxh_hub_open_sized() says of metrics_block. */
dxh_status dxi_metrics_block_open(dxh_hub *hub, const char *name);

/* Remove it. Behind the I/O thread's end; NULL is none. */
void dxi_metrics_block_close(dxh_hub *hub);

/* Copy there what does not live there: at most every 100 ms, or before a sleep. I/O
 * thread, of a hub with a block. */
void dxi_metrics_block_tell(dxh_hub *hub);
void dxi_metrics_block_tell_before_sleep(dxh_hub *hub);

#endif
