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
#include "runtime/channel_question.h"
#include "runtime/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_MS = 50,   /* for an answer, and without a connection for the time to ask */
	READY_MS = 2000 /* between two questions with one */
};

/* What the guide of such a peer knows; the I/O thread alone. */
struct route {
	dxi_question question;
	dxh_peer *peer; /* NULL: it was only just made */
};

static dxh_status fail_unserved(const char *name)
{
	return dxi_fail(DXH_EUNSUPPORTED,
	                "the producer of channel '%s' serves no requests: it must be opened with "
	                "serve, or with an endpoint",
	                name);
}

/* ---- the I/O thread ---- */

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
		snprintf(reason, sizeof reason, "the broker knows no channel '%s'",
		         route->question.name);
	else
		snprintf(reason, sizeof reason, "the producer of channel '%s' serves no requests",
		         route->question.name);
	dxi_connection_park(route->peer, reason);
}

static void look(void *context)
{
	struct route *route = context;
	dxh_channel_info told;

	if (!route->peer)
		return;
	if (dxi_question_answered(&route->question, &told))
		go_along(route, &told);
	else
		dxi_question_ask(&route->question);
	dxi_question_pace(&route->question,
	                  !dxi_question_is_asked(&route->question) &&
	                                  dxh_peer_state_get(route->peer) == DXH_PEER_READY
	                          ? READY_MS
	                          : LOOK_MS);
}

static void on_change(void *context, dxh_peer *peer, dxh_peer_state state)
{
	struct route *route = context;

	route->peer = peer;
	dxi_question_pace(&route->question, state == DXH_PEER_READY ? READY_MS : LOOK_MS);
}

static void on_gone(void *context)
{
	struct route *route = context;

	dxi_question_close(&route->question);
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
	dxi_question_open(&route->question, wanted->broker, wanted->name, LOOK_MS, look, route);
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
		on_gone(route);
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
