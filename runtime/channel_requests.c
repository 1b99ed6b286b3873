/* SPDX-License-Identifier: MIT */
/* Requests to the producer of a channel: a peer whose service the broker names, and that
 * goes along when the producer moves.
 *
 * Everything behind the first answer happens on the I/O thread: while there is no connection
 * the broker is asked a few times a second, with one every other second. A broker that does not
 * answer changes nothing, and a connection that stands is left alone unless the broker
 * names another place.
 */
#include "runtime/channel.h"

#include "base/clock.h"
#include "base/status.h"
#include "runtime/broker/message.h"
#include "runtime/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_MS = 50,      /* for an answer */
	LOST_MS = 200,     /* between two questions without a connection, */
	READY_MS = 2000,   /* and with one */
	PATIENCE_MS = 1000 /* with one answer */
};

/* What the guide of such a peer knows; the I/O thread alone. */
struct route {
	dxh_peer *broker;
	dxh_peer *peer; /* NULL: it was only just made */
	dxi_tick tick;
	dxh_completion asked; /* a question under way */
	int64_t ask_ns;       /* not before */
	char name[DXH_CHANNEL_NAME_MAX + 1];
};

static dxh_status fail_unserved(const char *name)
{
	return dxi_fail(DXH_EUNSUPPORTED,
	                "the producer of channel '%s' serves no requests: it must be opened with "
	                "serve, or with an endpoint",
	                name);
}

/* ---- the I/O thread ---- */

/* The next tick comes so soon. */
static void pace(struct route *route, int64_t ms)
{
	if (route->tick.interval_ns == ms * DXI_NS_PER_MS)
		return;
	route->tick.interval_ns = ms * DXI_NS_PER_MS;
	dxi_hub_tick_start(dxi_peer_hub(route->peer), &route->tick);
}

static void ask(struct route *route)
{
	unsigned char question[DXI_SMALL_WIRE_MAX];
	size_t bytes = dxi_discover_write(route->name, question, sizeof question);

	if (dxh_now_ns() < route->ask_ns)
		return;
	route->ask_ns = dxh_in_ms(LOST_MS);
	/* Without credit it is asked again later. */
	if (dxh_post(route->broker, DXI_SUBJECT_DISCOVER, question, bytes, dxh_in_ms(PATIENCE_MS),
	             &route->asked) != DXH_OK)
		route->asked = DXH_NO_COMPLETION;
}

static void go_along(struct route *route, const dxh_channel_info *told)
{
	char reason[160];

	if (told->state == DXH_CHANNEL_FOUND &&
	    dxi_endpoint_check_connect(told->endpoint) == DXH_OK) {
		dxi_connection_move(route->peer, told->endpoint);
		return;
	}
	/* A broker that was started anew knows less than the connection that stands. One that
	 * counts the producer as dead may be wrong: then it is still where it was. */
	if (dxh_peer_state_get(route->peer) == DXH_PEER_READY || told->state == DXH_CHANNEL_PENDING)
		return;
	if (told->state == DXH_CHANNEL_NOT_FOUND)
		snprintf(reason, sizeof reason, "the broker knows no channel '%s'", route->name);
	else
		snprintf(reason, sizeof reason, "the producer of channel '%s' serves no requests",
		         route->name);
	dxi_connection_park(route->peer, reason);
}

static void collect(struct route *route)
{
	dxh_channel_info told;
	dxh_reply reply;
	bool known;

	if (route->asked == DXH_NO_COMPLETION || dxh_poll(route->asked) == DXH_EWAIT)
		return;
	known = dxh_result(route->asked, &reply) == DXH_OK &&
	        dxi_channel_read(reply.body, reply.body_bytes, &told) == DXH_OK &&
	        strcmp(told.name, route->name) == 0;
	(void)dxh_release(route->asked);
	route->asked = DXH_NO_COMPLETION;
	if (known)
		go_along(route, &told);
}

static void on_tick(void *context)
{
	struct route *route = context;

	if (!route->peer)
		return;
	collect(route);
	if (route->asked == DXH_NO_COMPLETION)
		ask(route);
	pace(route,
	     route->asked == DXH_NO_COMPLETION && dxh_peer_state_get(route->peer) == DXH_PEER_READY
	             ? READY_MS
	             : LOOK_MS);
}

static void on_change(void *context, dxh_peer *peer, dxh_peer_state state)
{
	struct route *route = context;

	route->peer = peer;
	pace(route, state == DXH_PEER_READY ? READY_MS : LOOK_MS);
}

/* The broker's peer may be gone by now. */
static void on_gone(void *context)
{
	struct route *route = context;

	if (route->peer)
		dxi_hub_tick_stop(dxi_peer_hub(route->peer), &route->tick);
	if (route->asked != DXH_NO_COMPLETION)
		(void)dxh_release(route->asked);
	free(route);
}

typedef struct beginning {
	struct route *route;
	dxh_peer *peer;
} beginning;

static dxh_status begin(void *context)
{
	const beginning *call = context;

	call->route->peer = call->peer;
	dxi_hub_tick_start(dxi_peer_hub(call->peer), &call->route->tick);
	return DXH_OK;
}

/* ---- the caller's thread ---- */

typedef struct connecting {
	dxh_peer *broker;
	const char *name;
	dxh_peer_config config;
	dxh_peer *peer;
} connecting;

static dxh_status make_route(const connecting *wanted, struct route **made)
{
	struct route *route = calloc(1, sizeof *route);

	if (!route)
		return dxi_fail(DXH_ENOMEM, "no memory for a peer of channel '%s'", wanted->name);
	route->broker = wanted->broker;
	snprintf(route->name, sizeof route->name, "%s", wanted->name);
	route->tick =
		(dxi_tick){.interval_ns = LOOK_MS * DXI_NS_PER_MS, .fn = on_tick, .context = route};
	*made = route;
	return DXH_OK;
}

static dxi_outcome connect_there(void *context, const dxh_channel_info *told, dxh_status *status)
{
	connecting *wanted = context;
	dxi_peer_guide guide = {.changed = on_change, .gone = on_gone};
	struct route *route = NULL;

	*status = told->endpoint[0] ? make_route(wanted, &route) : fail_unserved(wanted->name);
	if (*status != DXH_OK)
		return DXI_DECIDED;
	guide.context = route;
	*status = dxi_peer_connect_guided(dxi_peer_hub(wanted->broker), wanted->name,
	                                  told->endpoint, &guide, &wanted->config, &wanted->peer);
	if (*status != DXH_OK) {
		free(route);
		return DXI_DECIDED;
	}
	(void)dxi_hub_call(dxi_peer_hub(wanted->broker), begin, &(beginning){route, wanted->peer});
	return DXI_DECIDED;
}

dxh_status dxh_channel_peer_sized(size_t config_bytes, dxh_peer *broker, const char *name,
                                  const dxh_peer_config *given, int64_t deadline_ns,
                                  dxh_peer **peer)
{
	connecting wanted = {.broker = broker, .name = name};
	dxh_status status = dxi_channel_check_call(broker, name, peer);

	if (status == DXH_OK)
		status = dxi_config_read(&wanted.config, sizeof wanted.config, given, config_bytes);
	if (status == DXH_OK)
		status = dxi_channel_search(broker, name, deadline_ns, connect_there, &wanted);
	if (status == DXH_OK)
		*peer = wanted.peer;
	return status;
}
