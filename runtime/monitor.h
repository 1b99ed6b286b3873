/* SPDX-License-Identifier: MIT */
/* What the monitor of a ZeroMQ socket tells of its connection, in words for people.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_MONITOR_H
#define DXI_MONITOR_H

#include "runtime/link.h"

/* Have a socket tell at this inproc endpoint, to which a PAIR connects: of its connection, or,
 * if it listens, only whom it accepted. -1: zmq_errno(). */
int dxi_monitor_begin(void *socket, const char *endpoint, bool listens);

typedef struct dxi_told {
	int accepted; /* the descriptor of a connection; -1: it tells of another thing, below */
	dxi_connection_event event;
	const char *reason; /* static text; "" with DXI_CONNECTED */
} dxi_told;

/* The next thing that the PAIR has been told, of a connection that was to be `encrypted`
 * or not. false: nothing. */
bool dxi_monitor_read(void *pair, bool encrypted, dxi_told *told);

#endif
