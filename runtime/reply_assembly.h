/* SPDX-License-Identifier: MIT */
/* A peer's side of replies whose bodies arrive in parts. All calls: I/O thread. */
#ifndef DXI_REPLY_ASSEMBLY_H
#define DXI_REPLY_ASSEMBLY_H

#include "runtime/assembly.h"
#include "runtime/operation.h"

/* A part of a reply to this operation has come; NULL: nobody waits for it. */
void dxi_reply_part_taken(dxh_peer *peer, dxi_operation *operation, const dxi_record *part);

/* A reply to this operation has begun to come, and will not be read: what is here of it
 * goes. Returns whether there was one: the service is to be told. */
bool dxi_reply_parts_drop(dxh_peer *peer, uint64_t id);

/* The connection has ended: the rest does not come. */
void dxi_reply_parts_interrupt(dxh_peer *peer);

#endif
