/* SPDX-License-Identifier: MIT */
/* Bodies of requests that workers read where the asking side put them: over a loopback,
 * when the body has an owner that others can hold too.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_LENT_H
#define DXI_LENT_H

#include "runtime/service.h"

/* The body of this request is `bytes` of `owner`, held until it is returned. */
void dxi_lend(dxh_request *request, dxi_body *owner, const void *bytes);

/* The worker is done with it; of a request without one: nothing. */
void dxi_return(dxh_request *request);

/* The hub closes, and all pointers to its requests die. */
void dxi_return_all(dxh_hub *hub);

/* What a request holds, its body included, wherever that lies. */
static inline uint64_t dxi_request_holds(const dxh_request *request)
{
	return request->capacity + (request->lender ? request->body_bytes : 0);
}

#endif
