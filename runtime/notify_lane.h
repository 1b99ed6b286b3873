/* SPDX-License-Identifier: MIT */
/* The lane of notifications of a peer: frames that wait, when each is ripe to leave,
 * and which is dropped when that was asked for.
 *
 * Without linger every frame is ripe as it comes. With it, a frame is ripe when its
 * poster has filled it, when it was closed before, when its first record is linger_us
 * old, or when somebody flushes, finds no frame, or drains.
 */
#ifndef DXI_NOTIFY_LANE_H
#define DXI_NOTIFY_LANE_H

#include "runtime/batch.h"
#include "runtime/hub.h"

typedef struct dxi_notify_lane {
	/* any thread */
	dxi_task task;           /* kind DXI_TASK_RIPE */
	_Atomic uint32_t kicked; /* DXI_KICK_*; the one who sets the first pushes the task */

	/* the I/O thread alone */
	dxi_batch *first, *last; /* in order of their sequence */
	uint64_t in;             /* sequence of the last one that came */
	uint64_t ripe_up_to;     /* all up to this sequence are, whatever their age */
	int64_t due_ns;          /* the first that lingers must be looked at then */
	uint64_t bytes;          /* of all frames that were ever here: their memory stays */
	uint64_t dropped;        /* notifications, ever, and their records */
	uint64_t dropped_bytes;
	/* On this connection, bytes of records: what may be under way (0: not counted),
	 * what was sent, and of that what the service is done with. */
	uint64_t window, sent_bytes, taken_bytes;
} dxi_notify_lane;

enum { DXI_KICK_LOOK = 1, DXI_KICK_HURRY = 2 };

/* Any thread: have the I/O thread look at the lane; DXI_KICK_HURRY: send it all. */
void dxi_notify_lane_kick(struct dxh_peer *peer, uint32_t bits);

/* ---- I/O thread ---- */

void dxi_notify_lane_take_kick(dxi_task *task);

/* All up to this sequence have left, sent or dropped. */
uint64_t dxi_notify_lane_out(const dxi_notify_lane *lane);

/* A frame is ripe, and the service has room for it. */
bool dxi_notify_lane_is_ripe(const struct dxh_peer *peer);

/* Frames wait until the service is done with some of what it has. */
bool dxi_notify_lane_is_held(const struct dxh_peer *peer);

/* A new connection, on which so many bytes may be under way; CREDIT: the service is
 * done with so many of those sent on it. */
void dxi_notify_lane_welcomed(struct dxh_peer *peer, uint64_t window);
void dxi_notify_lane_credited(struct dxh_peer *peer, uint64_t taken_bytes);

/* Send one ripe frame. false: there is none, it is held, or the socket is full. */
bool dxi_notify_lane_send(struct dxh_peer *peer);

/* Drop the oldest frame that nobody writes to; false: there is none. Of those written
 * to, all before it come again by their writers. */
bool dxi_notify_lane_drop_oldest(struct dxh_peer *peer);

/* When what is left lingers must be looked at again. */
void dxi_notify_lane_set_due(struct dxh_peer *peer);

/* Of all peers of a hub: look at those that are due; the next time that one is. */
size_t dxi_notify_lanes_expire(dxh_hub *hub);
int64_t dxi_notify_lanes_next_ns(const dxh_hub *hub);

#endif
