/* SPDX-License-Identifier: MIT */
/* The peer: one service we post to, its lanes, and the life of its connection.
 *
 * peer.c holds what user threads call, lanes.c what the I/O thread sends and
 * receives, reconnect.c the state of the connection.
 */
#ifndef DXI_PEER_H
#define DXI_PEER_H

#include "queue/credit.h"
#include "runtime/acks.h"
#include "runtime/batch.h"
#include "runtime/control_lane.h"
#include "runtime/endpoint.h"
#include "runtime/notify_lane.h"
#include "runtime/operation.h"
#include "runtime/pulse.h"
#include "runtime/reply_assembly.h"
#include "runtime/request_transfer.h"
#include "runtime/retry.h"
#include "runtime/security.h"
#include "runtime/subscription.h"

/* Told on the I/O thread each time the peer becomes ready, and when it is being freed: that
 * may be NULL. */
typedef struct dxi_peer_watch {
	struct dxi_peer_watch *next;
	void (*ready)(void *context, dxh_peer *peer);
	void (*gone)(void *context);
	void *context;
} dxi_peer_watch;

/* Who tells where the service is when that may change: the channel. On the I/O thread. */
typedef struct dxi_peer_guide {
	void (*changed)(void *context, dxh_peer *peer, dxh_peer_state state);
	void (*gone)(void *context); /* the peer is being freed */
	void *context;
} dxi_peer_guide;

struct dxh_peer {
	/* any thread */
	dxh_hub *hub;
	uint64_t id;          /* never used again in this process */
	uint64_t incarnation; /* by which the service knows this peer, over reconnects */
	dxh_peer_config config;
	dxi_credit requests;
	dxi_batches batches;
	_Atomic int state;                         /* dxh_peer_state; written by the I/O thread */
	char endpoint[DXI_ENDPOINT_BYTES_MAX + 1]; /* as the user named it; constant */
	dxi_curve curve;                           /* constant */

	/* the I/O thread alone */
	struct dxh_peer *next;
	struct dxh_peer *next_wanting; /* see room.h */
	dxi_link *link;                /* NULL between two connections */
	dxi_tick alarm;                /* next try, or end of patience with a handshake */
	int64_t backoff_ns;
	uint64_t connections; /* so far, this one included */
	bool hello_sent;
	bool refusal_logged;  /* since it was ready last */
	bool stood;           /* has been ready */
	uint32_t unexplained; /* handshakes that ended so, since one succeeded */
	char reason[160];     /* why there is no connection; "" with one */
	bool lost;            /* the connection ended while the link was being looked at */
	dxi_peer_watch *watches;
	dxi_peer_guide guide;                    /* all NULL: the service stays where it is */
	char target[DXI_ENDPOINT_BYTES_MAX + 1]; /* where it is; "": nowhere */

	dxi_control_lane control;
	dxi_operation_list lane; /* requests to be sent, but for the large ones */
	dxi_transfers transfers; /* those */
	dxi_operation_list sent; /* requests that wait for their reply */
	dxi_retries retries;
	dxi_pulse pulse;
	uint32_t window;       /* how many the service lets us have open */
	uint64_t window_bytes; /* of their bodies; UINT64_MAX: not counted */
	uint64_t open_bytes;   /* of bodies sent, or being sent, and not answered */
	bool takes_parts;      /* the service does */
	uint64_t memory;       /* what the service knows of us, as a number; 0: it keeps nothing */
	dxi_acks acks;
	bool parts_were_last;    /* of parts and notifications */
	dxi_assemblies arriving; /* replies in parts */
	uint32_t frame_bytes;    /* at this size a frame is closed */
	uint32_t request_frames; /* in a row, while notifications or parts waited */

	dxi_notify_lane notes;       /* notifications to be sent */
	dxi_operation_list flushes;  /* waiting for those before them to leave */
	dxi_operation_list flushing; /* FLUSH sent, waiting for FLUSHED */

	dxi_subscriptions subscriptions;
};

dxh_hub *dxi_peer_hub(dxh_peer *peer);

/* dxh_peer_connect() to a service that is at `target` now, is called `name` in texts, and
 * of which the guide tells where it goes. The guide's context is the peer's from DXH_OK
 * on: guide->gone gives it back. */
dxh_status dxi_peer_connect_guided(dxh_hub *hub, const char *name, const char *target,
                                   const dxi_peer_guide *guide, const dxh_peer_config *config,
                                   dxh_peer **peer);

/* remove: after it returns, ready will not be called. Not on the I/O thread. */
void dxi_peer_watch_add(dxh_peer *peer, dxi_peer_watch *watch);
void dxi_peer_watch_remove(dxh_peer *peer, dxi_peer_watch *watch);

/* Close the link and free the peer. I/O thread. */
void dxi_peer_free(dxh_peer *peer, int linger_ms);

/* ---- lanes.c, all I/O thread ---- */

/* Into the lanes. */
void dxi_peer_take(dxh_peer *peer, dxi_operation *operation);
void dxi_peer_take_batch(dxh_peer *peer, dxi_batch *batch);
void dxi_peer_tell_canceled(dxh_peer *peer, uint64_t id);

/* Into the control lane, which leaves with the next frame, before all requests and
 * notifications. Copied. For this connection only: without one, or when the lane is
 * full (counted as control_refused), it is not kept and false is returned. */
bool dxi_peer_control(dxh_peer *peer, const dxi_record *record);

/* Posters want frames, see room.h: give them what is free, send what the link takes, and
 * drop the oldest for the rest. */
void dxi_peer_make_room(dxh_peer *peer);

/* End the flushes that wanted no more than what has left by now. */
void dxi_peer_settle_flushes(dxh_peer *peer);

/* Have the link looked at in this turn, if there is one to send on. */
void dxi_peer_touch(dxh_peer *peer);

/* Everything that waits or is open ends so; counts what is dropped. */
void dxi_peer_abandon(dxh_peer *peer, const char *reason);

/* Nothing waits to be sent or answered. */
bool dxi_peer_is_idle(const dxh_peer *peer);

/* Send and receive what is possible now. Returns the work done. */
size_t dxi_peer_exchange(dxh_peer *peer, bool can_receive, bool can_send);

/* Take in what the ended connection still held. */
void dxi_peer_receive_rest(dxh_peer *peer);

/* ---- lanes.c: the window that the service grants ---- */

/* Room for one more request beside what is open and what is about to be sent; room for
 * it if nothing else were open; the end of one for which there never is. */
bool dxi_window_has_room(const dxh_peer *peer, size_t more_records, uint64_t more_bytes,
                         const dxi_operation *operation);
bool dxi_window_can_hold(const dxh_peer *peer, const dxi_operation *operation);
void dxi_window_refuse(dxh_peer *peer, dxi_operation *operation);

/* A request as a record; and its body, or the part of it that the record names, as the
 * message part behind the frame. */
dxi_record dxi_request_record(dxi_operation *operation, const dxh_hub *hub);
void dxi_request_body_behind(dxi_outgoing *message, const dxi_operation *operation,
                             const dxi_record *record);

/* ---- reconnect.c ---- */

/* Begin to connect, and keep at it; or say why not even a first try is possible. */
dxh_status dxi_connection_start(dxh_peer *peer);

/* Somebody listens there now: peers of this hub that wait for it need wait no longer. */
void dxi_connections_hurry(dxh_hub *hub, const char *endpoint);

/* The link has work (a dxi_link_ready). */
size_t dxi_connection_ready(void *peer, bool can_receive, bool can_send, bool fired);

/* Nothing has come for too long. */
void dxi_connection_silent(dxh_peer *peer, const char *reason);

/* WELCOME or a refusal came. */
void dxi_connection_welcomed(dxh_peer *peer, const dxi_record *welcome);
void dxi_connection_refused(dxh_peer *peer, const dxi_record *error);

/* The other side says that it goes. */
void dxi_connection_goodbye(dxh_peer *peer);

/* An empty message: the service could not send what it had begun, see
 * dxi_link_send_to(), and knows this client no more. */
void dxi_connection_forgotten(dxh_peer *peer);

/* The service is there now: leave where it was, and connect, without a pause. The same
 * place again changes nothing. */
void dxi_connection_move(dxh_peer *peer, const char *target);

/* The service is nowhere: no link, and no try until it moves. What waits goes on waiting. */
void dxi_connection_park(dxh_peer *peer, const char *reason);

/* Stop: no link, no alarm any more. */
void dxi_connection_stop(dxh_peer *peer, int linger_ms);

#endif
