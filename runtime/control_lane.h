/* SPDX-License-Identifier: MIT */
/* The control lane of a peer: short records that leave in the next frame, before
 * any request or notification. Encoded as they come, in bounded memory.
 *
 * Thread: I/O, all of it.
 */
#ifndef DXI_CONTROL_LANE_H
#define DXI_CONTROL_LANE_H

#include "runtime/wire.h"

/* Room for 256 cancels; what comes when it is used up is refused. */
enum { DXI_CONTROL_LANE_BYTES = 8192 };

typedef struct dxi_control_lane {
	unsigned char *bytes; /* encoded records; made when the first one comes */
	size_t used;
	size_t in_frame; /* of them, put into a frame that is not yet sent */
} dxi_control_lane;

void dxi_control_lane_fini(dxi_control_lane *control);

/* false, and nothing is kept: no room, or no memory for the first one. */
bool dxi_control_lane_put(dxi_control_lane *control, const dxi_record *record);

/* Put as many as fit into the frame; sent: they have left. Without sent they come
 * again in the next frame. */
void dxi_control_lane_encode(dxi_control_lane *control, dxi_frame_writer *writer);
void dxi_control_lane_sent(dxi_control_lane *control);

/* Records that wait. */
size_t dxi_control_lane_count(const dxi_control_lane *control);

/* The connection they were for has ended. */
void dxi_control_lane_clear(dxi_control_lane *control);

static inline bool dxi_control_lane_is_empty(const dxi_control_lane *control)
{
	return control->used == 0;
}

#endif
