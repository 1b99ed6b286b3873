/* SPDX-License-Identifier: MIT */
/* Does the service behind a connection still live? Asked only while something is
 * expected of it, so that an idle hub sleeps. All calls: I/O thread. */
#ifndef DXI_PULSE_H
#define DXI_PULSE_H

#include "runtime/hub.h"

struct dxh_peer;

typedef struct dxi_pulse {
	dxi_tick alarm;
	int64_t heard_ns; /* when a frame came last */
	bool beat_due;    /* to be put into the next frame */
	bool is_answered; /* the service answers beats: feature bit 1 */
} dxi_pulse;

void dxi_pulse_init(struct dxh_peer *peer);

/* The connection is ready; it has ended. */
void dxi_pulse_start(struct dxh_peer *peer, bool is_answered);
void dxi_pulse_stop(struct dxh_peer *peer);

/* Something is expected of the service from now on. */
void dxi_pulse_expect(struct dxh_peer *peer);

#endif
