/* SPDX-License-Identifier: MIT */
/* Who sends requests and notifications, as workers may see it while they have one: counted
 * on the I/O thread, where these begin and end; constant in between. */
#ifndef DXI_CALLER_H
#define DXI_CALLER_H

#include <dxh/message.h>

typedef struct dxi_caller {
	uint32_t references; /* the client, and each request or parcel of it */
	dxh_client_info told;
} dxi_caller;

/* For one client. NULL: no memory. I/O thread, like the other two. */
dxi_caller *
dxi_caller_make(const char *name, const char *key, const char *address, uint64_t incarnation);
dxi_caller *dxi_caller_acquire(dxi_caller *caller);
void dxi_caller_release(dxi_caller *caller);

#endif
