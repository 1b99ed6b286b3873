/* SPDX-License-Identifier: MIT */
/* Counting the holders of a body. */
#include "runtime/body.h"

#include "base/discard.h"

#include <stdatomic.h>
#include <stdlib.h>

dxi_body *dxi_body_make(size_t own_bytes)
{
	dxi_body *body = malloc(sizeof *body + own_bytes);

	if (!body)
		return NULL;
	*body = (dxi_body){.bytes = body->own, .own_bytes = own_bytes};
	atomic_init(&body->references, 1);
	return body;
}

void dxi_body_acquire(dxi_body *body)
{
	/* relaxed: who acquires holds it already. */
	atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
}

void dxi_body_release(dxi_body *body)
{
	/* acq_rel: what every holder read of it comes before its end. */
	if (atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) > 1)
		return;
	if (body->free_fn)
		body->free_fn(body->free_context, (void *)(uintptr_t)body->bytes);
	dxi_discard(body, body->own_bytes);
}

void dxi_body_abandon(dxi_body *body)
{
	body->free_fn = NULL;
	dxi_body_release(body);
}
