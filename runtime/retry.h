/* SPDX-License-Identifier: MIT */
/* Trying again: only what its poster marked idempotent, only so often, and only as
 * long as retries stay a small share of all requests. All calls: I/O thread. */
#ifndef DXI_RETRY_H
#define DXI_RETRY_H

#include "runtime/operation.h"

/* What a peer may still repeat. */
typedef struct dxi_retries {
	int64_t tokens;             /* thousandths of a retry */
	int64_t pause_ns;           /* before the next try at a service that is overloaded */
	dxi_tick alarm;             /* its end */
	dxi_operation_list resting; /* until then */
} dxi_retries;

void dxi_retries_init(dxh_peer *peer);
void dxi_retries_stop(dxh_peer *peer);

/* A request was posted: it adds its share of a retry. */
void dxi_retries_earn(dxh_peer *peer);

/* The service has answered: it is not overloaded. */
void dxi_retries_relax(dxh_peer *peer);

/* The connection ended: each request that was sent on it goes back into the lane, or
 * ends as DXH_ELOST. */
void dxi_retry_lost(dxh_peer *peer, const char *reason);

/* The service on the new connection has another memory than the one before, or none: what
 * waits to be sent again, but must not be executed twice, ends as DXH_ELOST. */
void dxi_retry_uncertain(dxh_peer *peer);

/* The service has no room for this request. false: it is not to be tried again. */
bool dxi_retry_later(dxi_operation *operation);

#endif
