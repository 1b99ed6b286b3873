/* SPDX-License-Identifier: MIT */
/* The rows of a drain's report: see dxh/drain.h. Written by the I/O thread, published
 * with the end of the drain. */
#ifndef DXI_DRAIN_H
#define DXI_DRAIN_H

#include <dxh/drain.h>

typedef struct dxi_drain_rows {
	dxh_drain_row **rows; /* each with its texts behind it */
	size_t count, capacity;
	uint64_t missing; /* for want of memory */
} dxi_drain_rows;

/* End what is left of a peer, as dxi_peer_abandon() does, with rows about it. I/O thread. */
void dxi_drain_abandon(dxi_drain_rows *rows, dxh_peer *peer, const char *reason);

/* Rows about what a service has received or is to send. Returns the answers to be sent.
 * I/O thread. */
uint64_t dxi_drain_look_at(dxi_drain_rows *rows, const dxh_service *service);

void dxi_drain_rows_free(dxi_drain_rows *rows);

#endif
