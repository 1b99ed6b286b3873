/* SPDX-License-Identifier: MIT */
/* The life of a peer's connection.
 *
 *   start ─> CONNECTING ─ handshake, HELLO, WELCOME ─> READY
 *               ^   │                                    │
 *     pause over│   └────────── ended, no answer ────────┤
 *            WAITING (or REFUSED) <──────────────────────┘
 *
 * One link is one connection. When it ends, what it still held is received
 * first; then every request that was sent on it ends as lost, for nobody can tell
 * whether it was executed. What was not sent waits for the next connection.
 */
#include "runtime/peer.h"

#include "base/clock.h"
#include "base/probe.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

/* How long a last GOODBYE may take to leave. */
enum { GOODBYE_LINGER_MS = 100 };

/* A service may die in the midst of a handshake, but not so many times running; that takes
 * a second or two. */
enum { UNEXPLAINED_MAX = 8 };

static void set_state(dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	dxi_peer_watch *watch, *next;

	if (state != DXH_PEER_CONNECTING) /* then the last reason still holds */
		snprintf(peer->reason, sizeof peer->reason, "%s", reason);
	if (dxh_peer_state_get(peer) == state)
		return;
	DXI_PROBE(peer, peer->endpoint, (int)state);
	/* relaxed: see dxh_peer_state_get(). */
	atomic_store_explicit(&peer->state, state, memory_order_relaxed);
	if (peer->config.on_state)
		peer->config.on_state(peer->config.context, peer, state, reason);
	if (peer->guide.changed)
		peer->guide.changed(peer->guide.context, peer, state);
	for (watch = state == DXH_PEER_READY ? peer->watches : NULL; watch; watch = next) {
		next = watch->next;
		watch->ready(watch->context, peer);
	}
}

static void set_alarm(dxh_peer *peer, int64_t ns)
{
	dxi_wheel_arm(&peer->hub->ticks, &peer->alarm.timer, dxi_hub_after(peer->hub, ns));
}

/* Full jitter: after an outage the peers of a service come back spread out. */
static void schedule_retry(dxh_peer *peer)
{
	const dxh_hub_config *config = &peer->hub->config;

	if (peer->backoff_ns < config->reconnect_min_ns)
		peer->backoff_ns = config->reconnect_min_ns;
	set_alarm(peer, (int64_t)dxi_hub_random(peer->hub, (uint64_t)peer->backoff_ns));
	peer->backoff_ns = peer->backoff_ns > config->reconnect_max_ns / 2
	                           ? config->reconnect_max_ns
	                           : peer->backoff_ns * 2;
}

static void hang_up(dxh_peer *peer, int linger_ms)
{
	dxi_link_close(peer->link, linger_ms);
	peer->link = NULL;
	peer->hello_sent = false;
	dxi_control_lane_clear(&peer->control);
	dxi_pulse_stop(peer);
	dxi_subscriptions_interrupt(peer);
}

static void connection_lost(dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	char text[160];

	if (!peer->link || peer->lost)
		return;
	/* It may lie in a received frame, or be the last error: both change now. */
	snprintf(text, sizeof text, "%s", reason);
	peer->lost = true; /* what is received now must not come back here */
	dxi_peer_receive_rest(peer);
	dxi_subscriptions_signal(peer);
	peer->lost = false;
	hang_up(peer, GOODBYE_LINGER_MS);
	dxi_reply_parts_interrupt(peer);
	dxi_transfers_interrupt(peer);
	dxi_retry_lost(peer, text);
	dxi_operation_end_all(&peer->flushing, DXH_ELOST, DXH_MAYBE_EXECUTED, text);
	dxi_count(&peer->hub->metrics->reconnects, 1);
	schedule_retry(peer);
	set_state(peer, state, text);
}

void dxi_connection_silent(dxh_peer *peer, const char *reason)
{
	connection_lost(peer, DXH_PEER_WAITING, reason);
}

/* Keys do not begin to fit by waiting: what waits is told at once. */
static void keys_refused(dxh_peer *peer, const char *reason)
{
	if (!peer->link || peer->lost)
		return;
	if (!peer->refusal_logged)
		dxi_log(DXH_LOG_WARNING, "'%s': %s", peer->endpoint, reason);
	peer->refusal_logged = true;
	connection_lost(peer, DXH_PEER_REFUSED, reason);
	dxi_operation_end_all(&peer->lane, DXH_EACCESS, DXH_NOT_SENT, reason);
	dxi_operation_end_all(&peer->transfers.waiting, DXH_EACCESS, DXH_NOT_SENT, reason);
}

/* Who does not want our keys may hang up without a word. So does a relay whose service is away;
 * then keys that were good once still are. */
static bool are_keys_in_vain(dxh_peer *peer)
{
	return ++peer->unexplained >= UNEXPLAINED_MAX && peer->curve.enabled && !peer->stood;
}

static void on_event(void *context, dxi_connection_event event, const char *reason)
{
	dxh_peer *peer = context;

	switch (event) {
	case DXI_CONNECTED:
		peer->unexplained = 0;
		if (peer->link)
			dxi_link_touch(peer->link); /* to say HELLO */
		break;
	case DXI_DISCONNECTED:
		connection_lost(peer, DXH_PEER_WAITING, reason);
		break;
	case DXI_UNEXPLAINED:
		if (are_keys_in_vain(peer))
			keys_refused(peer, reason);
		else
			connection_lost(peer, DXH_PEER_WAITING, reason);
		break;
	case DXI_REFUSED:
		keys_refused(peer, reason);
		break;
	}
}

static dxh_status connect_now(dxh_peer *peer)
{
	dxi_link_config config = {.ready = dxi_connection_ready,
	                          .event = on_event,
	                          .owner = peer,
	                          .curve = &peer->curve};
	dxh_status status = dxi_link_connect(&peer->hub->links, &config, peer->target, &peer->link);

	if (status != DXH_OK)
		return status;
	peer->connections++;
	set_alarm(peer, peer->hub->config.connect_timeout_ns);
	set_state(peer, DXH_PEER_CONNECTING, "");
	return DXH_OK;
}

static void try_again(dxh_peer *peer)
{
	if (connect_now(peer) == DXH_OK)
		return;
	schedule_retry(peer);
	set_state(peer, DXH_PEER_WAITING, dxh_last_error());
}

static void on_alarm(void *context)
{
	dxh_peer *peer = context;

	if (!peer->link)
		try_again(peer);
	else if (dxh_peer_state_get(peer) != DXH_PEER_READY)
		connection_lost(peer, DXH_PEER_WAITING, "no handshake within connect_timeout_ns");
}

void dxi_connections_hurry(dxh_hub *hub, const char *endpoint)
{
	for (dxh_peer *peer = hub->peers; peer; peer = peer->next)
		if (!peer->link && strcmp(peer->target, endpoint) == 0)
			set_alarm(peer, 0);
}

/* Without a pause: where it is now nobody has been asked yet. */
void dxi_connection_move(dxh_peer *peer, const char *target)
{
	char reason[160];

	if (strcmp(peer->target, target) == 0)
		return;
	snprintf(reason, sizeof reason, "it moved to %.140s", target);
	connection_lost(peer, DXH_PEER_WAITING, reason);
	strcpy(peer->target, target); /* length checked by dxi_endpoint_check_connect() */
	peer->backoff_ns = 0;
	set_alarm(peer, 0);
}

void dxi_connection_park(dxh_peer *peer, const char *reason)
{
	connection_lost(peer, DXH_PEER_WAITING, reason);
	peer->target[0] = '\0';
	dxi_wheel_disarm(&peer->hub->ticks, &peer->alarm.timer);
	set_state(peer, DXH_PEER_WAITING, reason);
}

dxh_status dxi_connection_start(dxh_peer *peer)
{
	dxh_status status;

	peer->alarm = (dxi_tick){.fn = on_alarm, .context = peer};
	status = connect_now(peer);
	if (status != DXH_OK)
		dxi_connection_stop(peer, 0);
	return status;
}

/* HELLO is the first record on every connection. */
static bool say_hello(dxh_peer *peer)
{
	dxh_hub *hub = peer->hub;
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = peer->incarnation,
	                   .connection = peer->connections,
	                   .features = DXI_FEATURE_SUBSCRIBE | DXI_FEATURE_BEAT |
	                               DXI_FEATURE_CREDIT | DXI_FEATURE_PARTS | DXI_FEATURE_KEEP,
	                   .frame_bytes = hub->config.frame_bytes};
	unsigned char body[DXI_HELLO_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(hub->scratch, DXI_FRAME_BYTES_MAX);
	size_t bytes;

	memcpy(hello.name, hub->name, sizeof hello.name);
	bytes = dxi_hello_write(&hello, body, sizeof body);
	dxi_frame_append(&writer,
	                 &(dxi_record){.kind = DXI_HELLO, .body = body, .body_bytes = bytes});
	bytes = dxi_frame_end(&writer);
	if (dxi_link_send(peer->link, &(dxi_outgoing){.frame = hub->scratch,
	                                              .frame_bytes = bytes}) != DXI_SENT_ALL)
		return false;
	dxi_count(&hub->metrics->frames_sent, 1);
	dxi_count(&hub->metrics->records_sent, 1);
	return true;
}

size_t dxi_connection_ready(void *context, bool can_receive, bool can_send, bool fired)
{
	dxh_peer *peer = context;

	(void)fired; /* POLLOUT of a DEALER tells all */
	if (can_send && !peer->hello_sent)
		peer->hello_sent = say_hello(peer);
	return dxi_peer_exchange(peer, can_receive, can_send);
}

void dxi_connection_welcomed(dxh_peer *peer, const dxi_record *welcome)
{
	const dxh_hub *hub = peer->hub;
	uint64_t memory = peer->memory;
	dxi_hello hello;

	/* Nothing that a connection held at its end can make it ready. */
	if (!peer->link || peer->lost || dxh_peer_state_get(peer) == DXH_PEER_READY)
		return;
	if (dxi_hello_read(welcome->body, welcome->body_bytes, &hello) != DXH_OK) {
		dxi_log(DXH_LOG_WARNING, "'%s': %s", peer->endpoint, dxh_last_error());
		connection_lost(peer, DXH_PEER_REFUSED, dxh_last_error());
		return;
	}
	peer->window = hello.window_records;
	peer->window_bytes = hello.window_bytes > 0 ? hello.window_bytes : UINT64_MAX;
	peer->takes_parts = (hello.features & DXI_FEATURE_PARTS) != 0;
	peer->memory = hello.features & DXI_FEATURE_KEEP ? hello.memory : 0;
	dxi_acks_welcomed(peer);
	peer->frame_bytes = hub->config.frame_bytes;
	peer->backoff_ns = 0;
	peer->refusal_logged = false;
	peer->stood = true;
	dxi_wheel_disarm(&peer->hub->ticks, &peer->alarm.timer);
	if (peer->memory != memory || memory == 0)
		dxi_retry_uncertain(peer);
	set_state(peer, DXH_PEER_READY, "");
	dxi_notify_lane_welcomed(peer,
	                         hello.features & DXI_FEATURE_CREDIT ? hello.notify_bytes : 0);
	dxi_subscriptions_renew(peer, hello.features & DXI_FEATURE_SUBSCRIBE);
	dxi_pulse_start(peer, hello.features & DXI_FEATURE_BEAT);
	if (peer->link)
		dxi_link_touch(peer->link); /* what has waited */
}

void dxi_connection_refused(dxh_peer *peer, const dxi_record *error)
{
	char reason[160];

	if (!peer->link || peer->lost)
		return;
	snprintf(reason, sizeof reason, "refused: %.*s",
	         (int)(error->body_bytes < 128 ? error->body_bytes : 128),
	         (const char *)error->body);
	dxi_make_printable(reason);
	if (!peer->refusal_logged && error->status != DXH_ECLOSED)
		dxi_log(DXH_LOG_WARNING, "'%s': %s", peer->endpoint, reason);
	peer->refusal_logged = true;
	connection_lost(peer, error->status == DXH_EVERSION ? DXH_PEER_REFUSED : DXH_PEER_WAITING,
	                reason);
}

static void say_goodbye(dxh_peer *peer)
{
	dxi_frame_writer writer = dxi_frame_begin(peer->hub->scratch, DXI_FRAME_BYTES_MAX);

	dxi_frame_append(&writer, &(dxi_record){.kind = DXI_GOODBYE});
	dxi_link_send(peer->link, &(dxi_outgoing){.frame = peer->hub->scratch,
	                                          .frame_bytes = dxi_frame_end(&writer)});
}

void dxi_connection_goodbye(dxh_peer *peer)
{
	if (!peer->link || peer->lost)
		return;
	say_goodbye(peer); /* the service waits for it */
	connection_lost(peer, DXH_PEER_WAITING, "the service closed");
}

void dxi_connection_forgotten(dxh_peer *peer)
{
	connection_lost(peer, DXH_PEER_WAITING,
	                "the service does not know this client, or no longer: it may have had no "
	                "memory for an answer");
}

void dxi_connection_stop(dxh_peer *peer, int linger_ms)
{
	dxi_wheel_disarm(&peer->hub->ticks, &peer->alarm.timer);
	dxi_pulse_stop(peer);
	if (!peer->link)
		return;
	if (dxh_peer_state_get(peer) == DXH_PEER_READY)
		say_goodbye(peer);
	dxi_link_close(peer->link, linger_ms);
	peer->link = NULL;
}
