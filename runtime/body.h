/* SPDX-License-Identifier: MIT */
/* A body that more than one holds: a request or an answer that may be sent again, and
 * every message of libzmq that reads it. The last one gives it back to its owner.
 *
 * Thread: any; libzmq gives back on threads of its own.
 */
#ifndef DXI_BODY_H
#define DXI_BODY_H

#include <dxh/message.h>

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

/* From this size on libzmq reads a body where it lies; what is smaller is copied faster
 * than it is counted (measured: 0.9-1.2 times the speed at 4 KiB, 1.4-1.7 at 64 KiB,
 * 2.6 at 1 MiB). */
enum { DXI_BODY_IN_PLACE_MIN = 32 * 1024 };

/*   field       written by               read by           order
 *   references  acquire(), release()     the last release  acq_rel
 *   the others  who makes it             all holders       published as the body is */
typedef struct dxi_body {
	_Atomic uint32_t references;
	bool is_borrowed; /* not to be read after the operation's end */
	const unsigned char *bytes;
	dxh_free_fn free_fn; /* NULL: the bytes are the caller's, or lie in `own` */
	void *free_context;
	size_t own_bytes;
	unsigned char own[]; /* what was copied */
} dxi_body;
static_assert(offsetof(dxi_body, own) % 8 == 0, "what was copied is aligned as what was received");

/* With room for so many bytes of its own, which `bytes` points to; held once. NULL: no
 * memory. */
dxi_body *dxi_body_make(size_t own_bytes);

void dxi_body_acquire(dxi_body *body);
void dxi_body_release(dxi_body *body);

/* Release what was not posted after all: its bytes are still the caller's. */
void dxi_body_abandon(dxi_body *body);

#endif
