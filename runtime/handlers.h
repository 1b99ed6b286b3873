/* SPDX-License-Identifier: MIT */
/* Which handler a subject has: a table that only grows, read without a lock.
 *
 *   field    written by   read by      order
 *   buckets  handle()     all          CAS, release / acquire: publishes the handler
 *   count    handle()     handle()     relaxed: a bound
 *   inlines  handle()     I/O thread   release / acquire: not 0 before one can be found
 */
#ifndef DXI_HANDLERS_H
#define DXI_HANDLERS_H

#include <dxh/dispatch.h>

#include <stdatomic.h>
#include <stdbool.h>

enum { DXI_HANDLER_BUCKETS = 64 };

typedef struct dxi_handler {
	struct dxi_handler *next; /* older; constant once published */
	dxh_handler call;
	void *context;
	bool is_inline;
	char subject[];
} dxi_handler;

typedef struct dxi_handlers {
	struct dxi_handler *_Atomic buckets[DXI_HANDLER_BUCKETS];
	_Atomic uint32_t count;
	_Atomic uint32_t inlines; /* of them inline, or about to be found to be none */
} dxi_handlers;

/* The handler for a subject, its own or the one for all others; NULL: none. */
const dxi_handler *dxi_handlers_find(dxi_handlers *handlers, const char *subject);

/* Nobody dispatches any more. */
void dxi_handlers_free(dxi_handlers *handlers);

#endif
