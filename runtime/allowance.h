/* SPDX-License-Identifier: MIT */
/* What a peer may have in flight: taken before a post, given back at its end. */
#ifndef DXI_ALLOWANCE_H
#define DXI_ALLOWANCE_H

#include "queue/credit.h"
#include "runtime/operation.h"

/* Take credit for requests of so many bytes of subject and body, waiting as the
 * peer's config says. Returns: DXH_EFULL naming the bound, what is there and what is
 * needed; DXH_ETOOBIG, DXH_EINVAL: that is more than there will ever be. */
dxh_status dxi_allowance_take(dxh_peer *peer, dxi_amount amount);

void dxi_allowance_give(dxh_peer *peer, dxi_amount amount);

/* What these items will be in flight, and what an operation is. */
dxi_amount dxi_allowance_of_items(const dxh_request_item *items, size_t count);
dxi_amount dxi_allowance_of(const dxi_operation *operation);

#endif
