/* SPDX-License-Identifier: MIT */
/* Which handler a subject has: a table that only grows, read without a lock.
 *
 *   field    written by   read by   order
 *   buckets  handle()     both      CAS, release / acquire: publishes the handler
 *   count    handle()     handle()  relaxed: a bound
 */
#ifndef DXI_HANDLERS_H
#define DXI_HANDLERS_H

#include <dxh/dispatch.h>

#include <stdatomic.h>

enum { DXI_HANDLER_BUCKETS = 64 };

typedef struct dxi_handlers {
	struct dxi_handler *_Atomic buckets[DXI_HANDLER_BUCKETS];
	_Atomic uint32_t count;
} dxi_handlers;

/* Nobody dispatches any more. */
void dxi_handlers_free(dxi_handlers *handlers);

#endif
