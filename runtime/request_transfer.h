/* SPDX-License-Identifier: MIT */
/* A peer's side of requests whose bodies leave in parts. All calls: I/O thread. */
#ifndef DXI_REQUEST_TRANSFER_H
#define DXI_REQUEST_TRANSFER_H

#include "runtime/operation.h"
#include "runtime/wire.h"

typedef struct dxi_transfers {
	dxi_operation_list waiting;
	dxi_operation_list under_way; /* of which a part has left or is next; the first is next */
} dxi_transfers;

static inline bool dxi_operation_is_large(const dxi_operation *operation)
{
	return operation->body_bytes > DXI_BODY_PART_BYTES_MAX;
}

/* A large request waits, before or behind the others. */
void dxi_transfer_take(dxh_peer *peer, dxi_operation *operation);
void dxi_transfers_take_again(dxh_peer *peer, dxi_operation_list *first);

/* Is there a part to be sent? Begins what the window allows; what it can never allow
 * ends as DXH_ETOOBIG. */
bool dxi_transfers_are_ready(dxh_peer *peer);

/* Send one part, if one is ready. false: none was sent. */
bool dxi_transfers_send(dxh_peer *peer);

/* Was a part of it sent on this connection? Nothing of such a request is executed. */
bool dxi_transfer_is_half_sent(const dxi_operation *operation);

/* The connection has ended: what was sent of bodies that are under way is nothing. */
void dxi_transfers_interrupt(dxh_peer *peer);

#endif
