/* SPDX-License-Identifier: MIT */
/* A service turns newcomers away before their connections use up the descriptors of the process.
 *
 * Whoever can connect takes a descriptor, HELLO or not, and libzmq 4.3.4 aborts the process when
 * accept() finds none on ipc. So from a descriptor on that is well below the limit, nobody new
 * finds the service, until there are fewer. An ipc path is hidden, which harms no connection.
 * An abstract name is given up, which ends all of them: better than an end of the process, and who
 * is a client comes again. On tcp libzmq waits for a descriptor, and nothing is done.
 *
 * Thread: io.
 */
#ifndef DXI_SHED_H
#define DXI_SHED_H

#include "runtime/hub.h"

struct dxh_service;

typedef struct dxi_shed {
	int ceiling;   /* a connection with this descriptor is the last one */
	bool away;     /* nobody new finds the service */
	dxi_tick look; /* whether there are fewer; armed while it is away */
} dxi_shed;

/* Does an endpoint need that? */
bool dxi_shed_is_for(const char *endpoint);

/* Once it listens, before the first connection is told of. */
void dxi_shed_begin(struct dxh_service *service);

/* A connection has got this descriptor. */
void dxi_shed_accepted(struct dxh_service *service, int descriptor);

void dxi_shed_end(struct dxh_service *service);

#endif
