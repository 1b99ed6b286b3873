/* SPDX-License-Identifier: MIT */
/* The subscriptions of a peer, as its I/O thread sees them. All calls: I/O thread. */
#ifndef DXI_SUBSCRIPTION_H
#define DXI_SUBSCRIPTION_H

#include "runtime/wire.h"

#include <dxh/subscribe.h>

/* Numbers that can wait to be told; what is not told is dropped where it arrives. */
enum { DXI_SUBSCRIPTIONS_ENDED = 64 };

typedef struct dxi_subscriptions {
	dxh_subscription *first;
	uint32_t last_number;
	uint32_t due;                            /* that are to be asked for */
	bool supported;                          /* the service publishes */
	uint32_t ended[DXI_SUBSCRIPTIONS_ENDED]; /* numbers to unsubscribe */
	uint32_t ended_count;
	uint32_t ended_in_frame; /* of them, the first, in a frame not yet sent */
	dxh_subscription *fresh; /* got notes in this turn; they are told at its end */
} dxi_subscriptions;

/* A connection is ready, or it has ended: everything is to be asked for anew. */
void dxi_subscriptions_renew(dxh_peer *peer, bool supported);
void dxi_subscriptions_interrupt(dxh_peer *peer);

/* Put SUBSCRIBE and UNSUBSCRIBE records into a frame, as many as fit; sent: they
 * have left. */
void dxi_subscriptions_encode(dxh_peer *peer, dxi_frame_writer *writer);
void dxi_subscriptions_sent(dxh_peer *peer);

/* The service's answer to SUBSCRIBE, and a NOTIFY. */
void dxi_subscriptions_confirmed(dxh_peer *peer, const dxi_record *record);
void dxi_subscriptions_notified(dxh_peer *peer, const dxi_record *record);

/* End of the turn: wake who waits for notes. */
void dxi_subscriptions_signal(dxh_peer *peer);

/* The peer goes. */
void dxi_subscriptions_free(dxh_peer *peer);

#endif
