/* SPDX-License-Identifier: MIT */
/* Handlers that run on the I/O thread, as soon as a request has been received. What they
 * answer at once does not go by the queue. All calls but one: I/O thread. */
#ifndef DXI_INLINE_HANDLER_H
#define DXI_INLINE_HANDLER_H

#include "runtime/handlers.h"

#include <stdint.h>

/* Of a hub. */
typedef struct dxi_inline_handling {
	bool running;          /* a handler, just now */
	uint32_t calls;        /* that have not been timed */
	int64_t begun_ns;      /* the first of them */
	dxh_request *answered; /* in this call, linked by task.node; the latest first */
} dxi_inline_handling;

/* The handler that is to run here for this subject; NULL: others may have it. */
const dxi_handler *dxi_inline_handler_of(dxh_service *service, const char *subject);

/* Run it. The request, which is in the client's list, may be gone afterwards. */
void dxi_inline_handle(const dxi_handler *handler, dxh_request *request);

/* No more calls for now: look how long they took. */
void dxi_inline_settle(dxh_hub *hub);

/* The request was answered by a handler that runs here, and is taken in behind it; false:
 * it has to go by the queue. Thread: any. */
bool dxi_inline_answered(dxh_request *request);

#endif
