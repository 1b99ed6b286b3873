/* SPDX-License-Identifier: MIT */
/* The file that calls libzmq, but for keys and who may come in (security.c). */
#include "runtime/socket.h"

#include "base/status.h"
#include "runtime/body.h"
#include "runtime/security.h"
#include "runtime/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

enum {

	/* Frames libzmq may hold per connection. Our own lanes are the queue: what
	 * lies here can no longer be cancelled. */
	SEND_FRAMES = 16,
	RECEIVE_FRAMES = 64,
	SOCKETS_MAX = 4096
};

struct dxi_context {
	void *zmq;
};

/* A thing with a ZMQ_FD: a socket, or the monitor of one. */
typedef struct source {
	void *zmq;
	int fd;
	bool touched;
	bool fired; /* by its descriptor, since it was looked at last */
	bool is_monitor;
	struct source *next_touched;
	struct dxi_socket *socket;
} source;

struct dxi_socket {
	source data;
	source monitor;
	dxi_sockets *sockets;
	dxi_socket_config config;
	bool closing; /* freed once nothing points at it any more */
	struct dxi_socket *next_closing;
};

struct dxi_sockets {
	void *context;
	int epoll;
	source *touched;
	dxi_socket *closing;
	bool looking;
	uint64_t monitors; /* opened so far: each has a name of its own */
	/* the parts of the message received last */
	zmq_msg_t client;
	zmq_msg_t frame;
	zmq_msg_t body;
};

dxh_status dxi_context_open(dxi_context **context)
{
	dxi_context *opened = calloc(1, sizeof *opened);

	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for a ZeroMQ context");
	opened->zmq = zmq_ctx_new();
	if (!opened->zmq) {
		free(opened);
		return dxi_fail_errno(errno, "cannot make a ZeroMQ context");
	}
	zmq_ctx_set(opened->zmq, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
	*context = opened;
	return DXH_OK;
}

void dxi_context_close(dxi_context *context)
{
	while (zmq_ctx_term(context->zmq) == -1 && errno == EINTR)
		;
	free(context);
}

dxh_status dxi_sockets_open(dxi_context *context, int epoll, dxi_sockets **sockets)
{
	dxi_sockets *opened = calloc(1, sizeof *opened);

	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for the sockets of a hub");
	opened->context = context->zmq;
	opened->epoll = epoll;
	zmq_msg_init(&opened->client);
	zmq_msg_init(&opened->frame);
	zmq_msg_init(&opened->body);
	*sockets = opened;
	return DXH_OK;
}

/* Those that stand in the touched list are freed at a later look. */
static void free_closed(dxi_sockets *sockets)
{
	dxi_socket **at = &sockets->closing;

	while (*at) {
		dxi_socket *socket = *at;

		if (socket->data.touched || socket->monitor.touched) {
			at = &socket->next_closing;
			continue;
		}
		*at = socket->next_closing;
		free(socket);
	}
}

void dxi_sockets_free(dxi_sockets *sockets)
{
	for (source *left = sockets->touched; left; left = left->next_touched)
		left->touched = false;
	free_closed(sockets);
	zmq_msg_close(&sockets->client);
	zmq_msg_close(&sockets->frame);
	zmq_msg_close(&sockets->body);
	free(sockets);
}

static void touch(dxi_sockets *sockets, source *touched)
{
	if (touched->touched || !touched->zmq)
		return;
	touched->touched = true;
	touched->next_touched = sockets->touched;
	sockets->touched = touched;
}

void dxi_socket_touch(dxi_socket *socket)
{
	touch(socket->sockets, &socket->data);
}

void dxi_sockets_fired(dxi_sockets *sockets, void *data)
{
	((source *)data)->fired = true;
	touch(sockets, data);
}

bool dxi_sockets_quiet(const dxi_sockets *sockets)
{
	return !sockets->touched;
}

/* ---- opening and closing ---------------------------------------------------- */

static dxh_status too_many(const char *what)
{
	int error = zmq_errno();

	if (error == EMFILE || error == ENFILE)
		return dxi_fail(
			DXH_ELIMIT,
			"cannot open %s: out of file descriptors or ZeroMQ sockets (each peer "
			"needs about four descriptors; raise `ulimit -n`)",
			what);
	return dxi_fail_errno(error, "cannot open %s", what);
}

static dxh_status watch(dxi_sockets *sockets, source *watched)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched};
	size_t bytes = sizeof watched->fd;

	if (zmq_getsockopt(watched->zmq, ZMQ_FD, &watched->fd, &bytes) == -1)
		return dxi_fail_errno(zmq_errno(), "a ZeroMQ socket has no descriptor");
	if (epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, watched->fd, &event) == -1)
		return dxi_fail_errno(errno, "epoll refuses a ZeroMQ descriptor");
	touch(sockets, watched);
	return DXH_OK;
}

static void set_option(void *zmq, int option, int value)
{
	int rc = zmq_setsockopt(zmq, option, &value, sizeof value);

	/* All values are constants that libzmq 4.3 accepts. */
	assert(rc == 0);
	(void)rc;
}

static void configure(dxi_socket *socket)
{
	void *zmq = socket->data.zmq;
	int64_t message_max = DXI_MESSAGE_BYTES_MAX;

	set_option(zmq, ZMQ_LINGER, 0);
	set_option(zmq, ZMQ_SNDHWM, SEND_FRAMES);
	set_option(zmq, ZMQ_RCVHWM, RECEIVE_FRAMES);
	zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max);
	if (socket->config.type == DXI_ZAP)
		return;
	if (socket->config.type == DXI_ROUTER) {
		set_option(zmq, ZMQ_ROUTER_MANDATORY, 1);
		return;
	}
	/* We reconnect, with a socket of its own for each connection: so what was
	 * sent on a connection that ended is known. */
	set_option(zmq, ZMQ_RECONNECT_IVL, -1);
	set_option(zmq, ZMQ_IMMEDIATE, 1);
}

static dxh_status open_monitor(dxi_socket *socket)
{
	const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
	                   ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
	                   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
	char name[64];

	snprintf(name, sizeof name, "inproc://dxh-monitor-%llu",
	         (unsigned long long)++socket->sockets->monitors);
	if (zmq_socket_monitor(socket->data.zmq, name, events) == -1)
		return too_many("a socket monitor");
	socket->monitor.zmq = zmq_socket(socket->sockets->context, ZMQ_PAIR);
	if (!socket->monitor.zmq)
		return too_many("a socket monitor");
	set_option(socket->monitor.zmq, ZMQ_LINGER, 0);
	if (zmq_connect(socket->monitor.zmq, name) == -1)
		return too_many("a socket monitor");
	return watch(socket->sockets, &socket->monitor);
}

dxh_status
dxi_socket_open(dxi_sockets *sockets, const dxi_socket_config *config, dxi_socket **socket)
{
	dxi_socket *opened = calloc(1, sizeof *opened);
	dxh_status status;

	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for a socket");
	opened->sockets = sockets;
	opened->config = *config;
	opened->data.socket = opened->monitor.socket = opened;
	opened->monitor.is_monitor = true;
	opened->data.fd = opened->monitor.fd = -1;
	opened->data.zmq =
		zmq_socket(sockets->context, config->type == DXI_DEALER ? ZMQ_DEALER : ZMQ_ROUTER);
	if (!opened->data.zmq) {
		status = too_many("a ZeroMQ socket");
		free(opened);
		return status;
	}
	configure(opened);
	status = dxi_curve_apply(config->curve, opened->data.zmq);
	if (status == DXH_OK)
		status = watch(sockets, &opened->data);
	if (status == DXH_OK && config->event)
		status = open_monitor(opened);
	if (status != DXH_OK) {
		dxi_socket_close(opened, 0);
		return status;
	}
	*socket = opened;
	return DXH_OK;
}

static void close_source(dxi_sockets *sockets, source *closing)
{
	if (!closing->zmq)
		return;
	if (closing->fd != -1)
		epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, closing->fd, NULL);
	zmq_close(closing->zmq);
	closing->zmq = NULL;
}

void dxi_socket_close(dxi_socket *socket, int linger_ms)
{
	dxi_sockets *sockets = socket->sockets;

	zmq_socket_monitor(socket->data.zmq, NULL, 0);
	close_source(sockets, &socket->monitor);
	set_option(socket->data.zmq, ZMQ_LINGER, linger_ms);
	close_source(sockets, &socket->data);
	/* It may be in the touched list, or in epoll's answer being worked off:
	 * freed at the next look. */
	socket->closing = true;
	socket->next_closing = sockets->closing;
	sockets->closing = socket;
}

dxh_status dxi_socket_connect(dxi_socket *socket, const char *endpoint)
{
	set_option(socket->data.zmq, ZMQ_IPV6, 1);
	if (zmq_connect(socket->data.zmq, endpoint) == 0)
		return DXH_OK;
	if (zmq_errno() == EMFILE || zmq_errno() == ENFILE)
		return too_many("a connection");
	return dxi_fail(DXH_EINVAL, "cannot connect to '%s': %s", endpoint,
	                zmq_strerror(zmq_errno()));
}

dxh_status dxi_socket_bind(dxi_socket *socket, const char *endpoint, char *bound, size_t capacity)
{
	/* Also on IPv6 where the address says so or is any; an IPv4 address would
	 * otherwise be bound, and shown, in its IPv6 form. */
	bool any_family = strstr(endpoint, "//[") || strstr(endpoint, "//*");
	int error;

	set_option(socket->data.zmq, ZMQ_IPV6, any_family);
	if (zmq_bind(socket->data.zmq, endpoint) == 0) {
		if (zmq_getsockopt(socket->data.zmq, ZMQ_LAST_ENDPOINT, bound, &capacity) == 0)
			return DXH_OK;
		return dxi_fail_errno(zmq_errno(), "cannot tell where '%s' listens", endpoint);
	}
	error = zmq_errno();
	if (error == EADDRINUSE)
		return dxi_fail(DXH_EBUSY,
		                "'%s' is in use: stop what listens there, or choose "
		                "another endpoint",
		                endpoint);
	if (error == EMFILE || error == ENFILE)
		return dxi_fail(DXH_ELIMIT, "no file descriptor is left to listen on '%s'",
		                endpoint);
	if (error == EACCES || error == EPERM)
		return dxi_fail(DXH_EACCESS, "no permission to listen on '%s'", endpoint);
	return dxi_fail(DXH_EINVAL, "cannot listen on '%s': %s", endpoint, zmq_strerror(error));
}

/* ---- looking ------------------------------------------------------------------ */

/* What the monitor told: an event, and its value. */
typedef struct told {
	uint16_t event;
	uint32_t value;
} told;

/* Keys that do not fit: trying again will not help. */
static bool is_refusal(told what)
{
	switch (what.event) {
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		return true;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		return what.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ||
		       what.value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
	default:
		return false;
	}
}

static const char *connection_reason(const dxi_socket *socket, told what)
{
	bool encrypted = socket->config.curve && socket->config.curve->enabled;

	switch (what.event) {
	case ZMQ_EVENT_DISCONNECTED:
		return encrypted ? "the other side ended the connection; if it never stood: it has "
		                   "another key than server_key"
		                 : "the other side ended the connection";
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		return "the other side refused our key: have it put on the list of the service";
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		if (is_refusal(what))
			return encrypted
			               ? "the other side does not know CURVE, or has another key "
			                 "than server_key"
			               : "the other side wants CURVE: set server_key and key_file";
		/* fall through */
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		return encrypted ? "the handshake failed: the service has another key than "
		                   "server_key, or is no dxhub service"
		                 : "the handshake failed: what listens there is no dxhub service";
	default:
		return "nobody listens there";
	}
}

/* Read one event of the monitor: 16 bits of event, 32 bits of value. */
static bool read_event(source *monitor, told *what)
{
	zmq_msg_t part;
	bool got;

	*what = (told){0};
	zmq_msg_init(&part);
	got = zmq_msg_recv(&part, monitor->zmq, ZMQ_DONTWAIT) != -1;
	if (got && zmq_msg_size(&part) >= sizeof what->event + sizeof what->value) {
		const unsigned char *bytes = zmq_msg_data(&part);

		memcpy(&what->event, bytes, sizeof what->event);
		memcpy(&what->value, bytes + sizeof what->event, sizeof what->value);
	}
	while (got && zmq_msg_more(&part) && zmq_msg_recv(&part, monitor->zmq, ZMQ_DONTWAIT) != -1)
		;
	zmq_msg_close(&part);
	return got;
}

static dxi_connection_event kind_of(told what)
{
	if (what.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
		return DXI_CONNECTED;
	return is_refusal(what) ? DXI_REFUSED : DXI_DISCONNECTED;
}

static size_t look_at_monitor(source *monitor)
{
	dxi_socket *socket = monitor->socket;
	size_t work = 0;
	told what;

	/* The callback may close the socket and with it this monitor. */
	while (monitor->zmq && read_event(monitor, &what)) {
		dxi_connection_event event = kind_of(what);

		work++;
		socket->config.event(socket->config.owner, event,
		                     event == DXI_CONNECTED ? "" : connection_reason(socket, what));
	}
	return work;
}

static size_t look_at(source *looked)
{
	dxi_socket *socket = looked->socket;
	int events = 0;
	size_t bytes = sizeof events;
	bool fired = looked->fired;

	looked->fired = false;
	if (!looked->zmq)
		return 0;
	if (looked->is_monitor)
		return look_at_monitor(looked);
	if (zmq_getsockopt(looked->zmq, ZMQ_EVENTS, &events, &bytes) == -1) {
		/* A signal came in between. Not seen is not slept over: at the next turn. */
		looked->fired = fired;
		touch(socket->sockets, looked);
		return 0;
	}
	return socket->config.ready(socket->config.owner, (events & ZMQ_POLLIN) != 0,
	                            (events & ZMQ_POLLOUT) != 0, fired);
}

size_t dxi_sockets_look(dxi_sockets *sockets)
{
	source *looked = sockets->touched;
	size_t work = 0;

	sockets->touched = NULL;
	while (looked) {
		source *next = looked->next_touched;

		/* Before looking: what is used while it is looked at is touched again. */
		looked->touched = false;
		work += look_at(looked);
		looked = next;
	}
	free_closed(sockets);
	return work;
}

/* ---- frames ----------------------------------------------------------------------- */

static bool copy_part(zmq_msg_t *part, const void *data, size_t bytes)
{
	if (zmq_msg_init_size(part, bytes) == -1)
		return false;
	memcpy(zmq_msg_data(part), data, bytes);
	return true;
}

/* Called by libzmq on a thread of its own, or here when it could not be sent. */
static void give_back(void *data, void *owner)
{
	(void)data;
	dxi_body_release(owner);
}

static bool make_body_part(zmq_msg_t *part, const dxi_outgoing *message)
{
	void *bytes = (void *)(uintptr_t)message->body; /* libzmq only reads it */

	if (!message->owner)
		return copy_part(part, message->body, message->body_bytes);
	dxi_body_acquire(message->owner);
	if (zmq_msg_init_data(part, bytes, message->body_bytes, give_back, message->owner) == 0)
		return true;
	dxi_body_release(message->owner);
	return false;
}

/* false: it is full, there is no memory (as good as full), or the client is gone. */
static bool send_part(void *zmq, zmq_msg_t *part, int flags)
{
	if (zmq_msg_send(part, zmq, flags | ZMQ_DONTWAIT) != -1)
		return true;
	zmq_msg_close(part);
	return false;
}

/* All parts are made first: without memory for one of them nothing is sent. */
static bool send_message(void *zmq, const dxi_outgoing *message)
{
	bool has_body = message->body_bytes > 0;
	zmq_msg_t frame, body;

	if (!copy_part(&frame, message->frame, message->frame_bytes))
		return false;
	if (has_body && !make_body_part(&body, message)) {
		zmq_msg_close(&frame);
		return false;
	}
	if (!send_part(zmq, &frame, has_body ? ZMQ_SNDMORE : 0)) {
		if (has_body)
			zmq_msg_close(&body);
		return false;
	}
	/* libzmq counts whole messages at its mark: a message it has begun to take it takes
	 * whole, unless its connection ends meanwhile, and then none of it. */
	return !has_body || send_part(zmq, &body, 0);
}

dxi_sent dxi_socket_send(dxi_socket *socket, const dxi_outgoing *message)
{
	dxi_socket_touch(socket);
	return send_message(socket->data.zmq, message) ? DXI_SENT_ALL : DXI_SENT_LATER;
}

dxi_sent dxi_socket_send_to(dxi_socket *socket, const void *client, size_t client_bytes,
                            dxi_encode encode, void *context)
{
	dxi_outgoing message = {.frame = NULL};
	zmq_msg_t id;

	dxi_socket_touch(socket);
	if (!copy_part(&id, client, client_bytes))
		return DXI_SENT_LATER;
	/* The router decides at the first part; those behind it then go in any case. */
	if (!send_part(socket->data.zmq, &id, ZMQ_SNDMORE))
		return errno == EAGAIN ? DXI_SENT_LATER : DXI_SENT_NEVER;
	encode(context, &message);
	if (send_message(socket->data.zmq, &message))
		return DXI_SENT_ALL;
	/* Without memory for it, an empty part, which needs none, ends the message:
	 * else the next one would begin in its middle. */
	zmq_send(socket->data.zmq, "", 0, ZMQ_DONTWAIT);
	return DXI_SENT_NEVER;
}

/* The parts behind the frame: one, or it is no message of ours. A message arrives whole
 * or not at all, so they are here. */
static void receive_behind(void *zmq, zmq_msg_t *body, dxi_message *message)
{
	if (zmq_msg_recv(body, zmq, ZMQ_DONTWAIT) == -1)
		return;
	message->body = zmq_msg_data(body);
	message->body_bytes = zmq_msg_size(body);
	while (zmq_msg_more(body) && zmq_msg_recv(body, zmq, ZMQ_DONTWAIT) != -1)
		message->malformed = true;
}

bool dxi_socket_receive(dxi_socket *socket, dxi_message *message)
{
	dxi_sockets *sockets = socket->sockets;
	void *zmq = socket->data.zmq;

	*message = (dxi_message){.malformed = false};
	dxi_socket_touch(socket);
	if (socket->config.type == DXI_ROUTER) {
		if (zmq_msg_recv(&sockets->client, zmq, ZMQ_DONTWAIT) == -1)
			return false;
		message->client = zmq_msg_data(&sockets->client);
		message->client_bytes = zmq_msg_size(&sockets->client);
		message->malformed = !zmq_msg_more(&sockets->client);
		if (message->malformed)
			return true;
	}
	if (zmq_msg_recv(&sockets->frame, zmq, ZMQ_DONTWAIT) == -1)
		return false;
	message->frame = zmq_msg_data(&sockets->frame);
	message->bytes = zmq_msg_size(&sockets->frame);
	if (zmq_msg_more(&sockets->frame))
		receive_behind(zmq, &sockets->body, message);
	return true;
}

void *dxi_socket_zmq(dxi_socket *socket)
{
	return socket->data.zmq;
}
