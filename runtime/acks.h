/* SPDX-License-Identifier: MIT */
/* What a service need not keep any more: ids of requests that could have been sent again,
 * and have ended. They travel with the next requests, many in one record; alone when many
 * have come together, or after a while. They outlive connections.
 *
 * Thread: io. */
#ifndef DXI_ACKS_H
#define DXI_ACKS_H

#include "runtime/hub.h"
#include "runtime/wire.h"

typedef struct dxi_acks {
	uint64_t *ids;
	uint32_t count, capacity;
	uint32_t in_frame; /* so many of them, from the first on */
	bool is_due;       /* they wait for no company any longer */
	dxi_tick alarm;
} dxi_acks;

void dxi_acks_init(dxh_peer *peer);
void dxi_acks_stop(dxh_peer *peer);

/* The request with this id has ended. */
void dxi_acks_add(dxh_peer *peer, uint64_t id);

/* The connection stands; to a service that keeps no answers there is nothing to say. */
void dxi_acks_welcomed(dxh_peer *peer);

/* Into a frame, if they are due or `requests_follow`; and that was sent. */
void dxi_acks_encode(dxh_peer *peer, dxi_frame_writer *writer, bool requests_follow);
void dxi_acks_sent(dxh_peer *peer);

#endif
