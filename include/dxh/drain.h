/* SPDX-License-Identifier: MIT */
/* What a drain left behind, by lane, for each peer and for each client of a service.
 *
 *	status = dxh_hub_drain(hub, dxh_in_ms(500), NULL);
 *	for (size_t i = 0; (row = dxh_hub_drain_row(hub, i)) != NULL; i++)
 *		printf("%s, %s: %" PRIu64 " not sent, %" PRIu64 " not answered\n", row->endpoint,
 *		       dxh_lane_name(row->lane), row->unsent, row->unanswered);
 */
#ifndef DXH_DRAIN_H
#define DXH_DRAIN_H

#include <dxh/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What goes first on a connection: the lower ones. */
typedef enum dxh_lane {
	DXH_LANE_CONTROL = 0,     /* hints of cancels, flushes, subscriptions; a service's
	                           * answers to these */
	DXH_LANE_REQUEST = 1,     /* requests; a service's answers to them */
	DXH_LANE_NOTIFICATION = 2 /* notifications; a service's publications */
} dxh_lane;

/* "control", "request", "notification"; "?" for no lane. Thread: any. */
DXH_API const char *dxh_lane_name(dxh_lane lane);

/* One lane in which something was left. */
typedef struct dxh_drain_row {
	const char *endpoint; /* of the peer, or of the service */
	/* NULL: a peer. Else one client of a service, by the name of its hub; "": what the
	 * service has received and for which nobody waits: notifications, and requests of
	 * clients that are gone. */
	const char *client;
	dxh_lane lane;
	/* Of the peer, when the drain ended, and why it was not READY. A client is READY;
	 * `reason` tells when it takes nothing. Never NULL. */
	dxh_peer_state state;
	const char *reason;
	/* Never handed to the network. Operations among them ended as DXH_NOT_SENT. */
	uint64_t unsent;
	uint64_t unsent_bytes; /* subjects and bodies; records where they are packed already */
	/* Sent, or received by a service, and not answered. Operations among them ended as
	 * DXH_MAYBE_EXECUTED, also those that were to be sent again. Requests of a service
	 * are still with it, and can be answered until it is closed. */
	uint64_t unanswered;
	uint64_t unanswered_bytes;
} dxh_drain_row;

/* A row of what dxh_hub_drain() left: of peers those with something left in a lane, then
 * of services. Of peers, unsent and unanswered of requests and flushes make up `abandoned`
 * of the report, and unsent notifications `notifications_left`.
 *
 * Thread:  any, once dxh_hub_drain() has returned. Owner: the hub, until it is closed.
 * Returns: NULL when there are not so many rows, or the hub was not drained.
 */
DXH_API const dxh_drain_row *dxh_hub_drain_row(const dxh_hub *hub, size_t index);

#ifdef __cplusplus
}
#endif
#endif
