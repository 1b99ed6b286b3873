/* SPDX-License-Identifier: MIT */
/* The sockets of libzmq: opening and closing them, and whose turn it is. What they send and
 * receive is in socket_parts.c, keys and who may come in in security.c, what the monitor
 * of a socket tells in monitor.c. */
#include "runtime/socket.h"

#include "base/status.h"
#include "runtime/endpoint.h"
#include "runtime/monitor.h"
#include "runtime/security.h"
#include "runtime/socket_parts.h"
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

typedef enum socket_type { DEALER, ROUTER, ZAP } socket_type;

/* A thing with a ZMQ_FD: a socket, or the monitor of one. */
typedef struct watched {
	void *zmq;
	int fd;
} watched;

typedef struct zmq_link {
	dxi_link link;
	socket_type type;
	dxi_sockets *sockets;
	watched data;
	watched monitor;
	bool asks; /* ZMQ_EVENTS is read at each look: it is new, or was full */
	dxi_source monitor_source;
} zmq_link;

struct dxi_sockets {
	dxi_links *links;
	void *context;
	int epoll;
	uint64_t monitors; /* opened so far: each has a name of its own */
	/* the parts of the message received last */
	zmq_msg_t client;
	zmq_msg_t frame;
	zmq_msg_t body;
};

static zmq_link *zmq_of(dxi_link *link)
{
	return (zmq_link *)link;
}

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

dxh_status
dxi_sockets_open(dxi_links *links, dxi_context *context, int epoll, dxi_sockets **sockets)
{
	dxi_sockets *opened = calloc(1, sizeof *opened);

	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for the sockets of a hub");
	opened->links = links;
	opened->context = context->zmq;
	opened->epoll = epoll;
	zmq_msg_init(&opened->client);
	zmq_msg_init(&opened->frame);
	zmq_msg_init(&opened->body);
	*sockets = opened;
	return DXH_OK;
}

void dxi_sockets_free(dxi_sockets *sockets)
{
	if (!sockets)
		return;
	zmq_msg_close(&sockets->client);
	zmq_msg_close(&sockets->frame);
	zmq_msg_close(&sockets->body);
	free(sockets);
}

void dxi_sockets_fired(void *data)
{
	dxi_source_fire(data);
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

static dxh_status watch(dxi_sockets *sockets, watched *thing, dxi_source *source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
	size_t bytes = sizeof thing->fd;

	if (zmq_getsockopt(thing->zmq, ZMQ_FD, &thing->fd, &bytes) == -1)
		return dxi_fail_errno(zmq_errno(), "a ZeroMQ socket has no descriptor");
	if (epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, thing->fd, &event) == -1)
		return dxi_fail_errno(errno, "epoll refuses a ZeroMQ descriptor");
	dxi_source_touch(source);
	return DXH_OK;
}

static void set_option(void *zmq, int option, int value)
{
	int rc = zmq_setsockopt(zmq, option, &value, sizeof value);

	/* All values are constants that libzmq 4.3 accepts. */
	assert(rc == 0);
	(void)rc;
}

static void configure(const zmq_link *socket)
{
	void *zmq = socket->data.zmq;
	int64_t message_max = DXI_MESSAGE_BYTES_MAX;

	set_option(zmq, ZMQ_LINGER, 0);
	set_option(zmq, ZMQ_SNDHWM, SEND_FRAMES);
	set_option(zmq, ZMQ_RCVHWM, RECEIVE_FRAMES);
	zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max);
	if (socket->type == ZAP)
		return;
	if (socket->type == ROUTER) {
		set_option(zmq, ZMQ_ROUTER_MANDATORY, 1);
		return;
	}
	/* We reconnect, with a socket of its own for each connection: so what was
	 * sent on a connection that ended is known. */
	set_option(zmq, ZMQ_RECONNECT_IVL, -1);
	set_option(zmq, ZMQ_IMMEDIATE, 1);
}

static size_t look_at_socket(dxi_source *source, bool fired);
static size_t look_at_monitor(dxi_source *source, bool fired);

static dxh_status open_monitor(zmq_link *socket)
{
	char name[64];

	snprintf(name, sizeof name, "inproc://dxh-monitor-%llu",
	         (unsigned long long)++socket->sockets->monitors);
	if (dxi_monitor_begin(socket->data.zmq, name, socket->type == ROUTER) == -1)
		return too_many("a socket monitor");
	socket->monitor.zmq = zmq_socket(socket->sockets->context, ZMQ_PAIR);
	if (!socket->monitor.zmq)
		return too_many("a socket monitor");
	set_option(socket->monitor.zmq, ZMQ_LINGER, 0);
	/* Never full: libzmq's thread would wait for us with a lock that we need to close. */
	set_option(socket->monitor.zmq, ZMQ_RCVHWM, 0);
	if (zmq_connect(socket->monitor.zmq, name) == -1)
		return too_many("a socket monitor");
	socket->monitor_source.look = look_at_monitor;
	return watch(socket->sockets, &socket->monitor, &socket->monitor_source);
}

static const dxi_link_kind kind;

/* An unconnected socket of this type. */
static dxh_status open_socket(dxi_sockets *sockets, socket_type type, const dxi_link_config *config,
                              zmq_link **socket)
{
	zmq_link *opened = calloc(1, sizeof *opened);
	dxh_status status;

	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for a socket");
	opened->link = (dxi_link){.kind = &kind, .links = sockets->links, .config = *config};
	opened->link.source = (dxi_source){.look = look_at_socket, .link = &opened->link};
	opened->monitor_source = (dxi_source){.link = &opened->link};
	opened->type = type;
	opened->asks = true;
	opened->sockets = sockets;
	opened->data.fd = opened->monitor.fd = -1;
	opened->data.zmq = zmq_socket(sockets->context, type == DEALER ? ZMQ_DEALER : ZMQ_ROUTER);
	if (!opened->data.zmq) {
		status = too_many("a ZeroMQ socket");
		free(opened);
		return status;
	}
	configure(opened);
	status = dxi_curve_apply(config->curve, opened->data.zmq);
	if (status == DXH_OK)
		status = watch(sockets, &opened->data, &opened->link.source);
	if (status == DXH_OK && (config->event || config->accepted))
		status = open_monitor(opened);
	if (status != DXH_OK) {
		dxi_link_close(&opened->link, 0);
		return status;
	}
	*socket = opened;
	return DXH_OK;
}

static void close_watched(const dxi_sockets *sockets, watched *closing)
{
	if (!closing->zmq)
		return;
	if (closing->fd != -1)
		epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, closing->fd, NULL);
	zmq_close(closing->zmq);
	closing->zmq = NULL;
}

static void close_socket(dxi_link *link, int linger_ms)
{
	zmq_link *socket = zmq_of(link);

	socket->monitor_source.look = NULL;
	zmq_socket_monitor(socket->data.zmq, NULL, 0);
	close_watched(socket->sockets, &socket->monitor);
	set_option(socket->data.zmq, ZMQ_LINGER, linger_ms);
	close_watched(socket->sockets, &socket->data);
}

static dxh_status connect_socket(const zmq_link *socket, const char *endpoint)
{
	set_option(socket->data.zmq, ZMQ_IPV6, 1);
	if (zmq_connect(socket->data.zmq, endpoint) == 0)
		return DXH_OK;
	if (zmq_errno() == EMFILE || zmq_errno() == ENFILE)
		return too_many("a connection");
	return dxi_fail(DXH_EINVAL, "cannot connect to '%s': %s", endpoint,
	                zmq_strerror(zmq_errno()));
}

static dxh_status
bind_socket(const zmq_link *socket, const char *endpoint, char *bound, size_t capacity)
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

/* The link, when what follows its opening was well; otherwise it is closed. */
static dxh_status hand_out(dxh_status status, zmq_link *socket, dxi_link **link)
{
	if (status == DXH_OK)
		*link = &socket->link;
	else
		dxi_link_close(&socket->link, 0);
	return status;
}

dxh_status dxi_socket_connect(dxi_sockets *sockets, const dxi_link_config *config,
                              const char *endpoint, dxi_link **link)
{
	zmq_link *socket;
	dxh_status status = open_socket(sockets, DEALER, config, &socket);

	return status == DXH_OK ? hand_out(connect_socket(socket, endpoint), socket, link) : status;
}

dxh_status dxi_socket_bind(dxi_sockets *sockets, const dxi_link_config *config,
                           const char *endpoint, char *bound, size_t capacity, dxi_link **link)
{
	zmq_link *socket;
	dxh_status status = open_socket(sockets, ROUTER, config, &socket);

	return status == DXH_OK
	               ? hand_out(bind_socket(socket, endpoint, bound, capacity), socket, link)
	               : status;
}

dxh_status dxi_socket_bind_zap(dxi_sockets *sockets, const dxi_link_config *config, dxi_link **link)
{
	char bound[64];
	zmq_link *socket;
	dxh_status status = open_socket(sockets, ZAP, config, &socket);

	if (status != DXH_OK)
		return status;
	return hand_out(bind_socket(socket, "inproc://zeromq.zap.01", bound, sizeof bound), socket,
	                link);
}

static dxh_status listen_again(dxi_link *link, const char *endpoint)
{
	char bound[DXI_ENDPOINT_BYTES_MAX + 1];

	return bind_socket(zmq_of(link), endpoint, bound, sizeof bound);
}

static void unlisten(dxi_link *link, const char *endpoint)
{
	zmq_unbind(zmq_of(link)->data.zmq, endpoint);
}

/* ---- looking ------------------------------------------------------------------ */

static size_t look_at_monitor(dxi_source *source, bool fired)
{
	const zmq_link *socket = zmq_of(source->link);
	const dxi_link_config *config = &socket->link.config;
	bool encrypted = config->curve && config->curve->enabled;
	size_t work = 0;
	dxi_told told;

	(void)fired;
	/* The callback may close the socket and with it this monitor. */
	while (socket->monitor.zmq && dxi_monitor_read(socket->monitor.zmq, encrypted, &told)) {
		work++;
		if (told.accepted >= 0)
			config->accepted(config->owner, told.accepted);
		else
			config->event(config->owner, told.event, told.reason);
	}
	return work;
}

/* What libzmq tells of a socket, in commands, it tells its descriptor once; and any call may
 * take the commands in. So before a sleep one call must have taken all of them and found
 * nothing: reading ZMQ_EVENTS without POLLIN, or a receive that failed. The receive is
 * asked for anyway, so as long as all was sent that was to be sent, only it is made, and
 * only if the link was used or its descriptor fired since: each such call is a system call,
 * and two more to notice forks. What could not be sent waits for POLLOUT, of which only
 * ZMQ_EVENTS tells: a receive may have taken that in, so then they are read once more. */
static size_t look_at_socket(dxi_source *source, bool fired)
{
	zmq_link *socket = zmq_of(source->link);
	int events = ZMQ_POLLOUT | (fired || socket->link.used ? ZMQ_POLLIN : 0);
	size_t bytes = sizeof events, work;

	if (socket->asks && zmq_getsockopt(socket->data.zmq, ZMQ_EVENTS, &events, &bytes) == -1) {
		/* A signal came in between. Not seen is not slept over: at the next turn. */
		source->fired = fired;
		dxi_source_touch(source);
		return 0;
	}
	/* A router's clients are full one by one, so it asks once for each. */
	if (socket->type == ROUTER || (socket->type == DEALER && (events & ZMQ_POLLOUT)))
		socket->asks = false;
	work = dxi_link_is_ready(source->link, events & ZMQ_POLLIN, events & ZMQ_POLLOUT, fired);
	if (socket->asks && (events & ZMQ_POLLIN))
		dxi_source_touch(source);
	return work;
}

/* ---- frames ----------------------------------------------------------------------- */

static dxi_sent send_one(dxi_link *link, const dxi_outgoing *message)
{
	if (dxi_parts_send(zmq_of(link)->data.zmq, message))
		return DXI_SENT_ALL;
	zmq_of(link)->asks = true;
	return DXI_SENT_LATER;
}

static dxi_sent
send_to(dxi_link *link, const void *client, size_t client_bytes, dxi_encode encode, void *context)
{
	void *zmq = zmq_of(link)->data.zmq;
	dxi_outgoing message = {.frame = NULL};
	zmq_msg_t id;

	if (!dxi_part_copy(&id, client, client_bytes))
		return DXI_SENT_LATER;
	/* The router decides at the first part; those behind it then go in any case. */
	if (!dxi_part_send(zmq, &id, ZMQ_SNDMORE)) {
		if (errno != EAGAIN)
			return DXI_SENT_NEVER;
		zmq_of(link)->asks = true;
		return DXI_SENT_LATER;
	}
	encode(context, &message);
	if (dxi_parts_send(zmq, &message))
		return DXI_SENT_ALL;
	/* Without memory for it, an empty part, which needs none, ends the message:
	 * else the next one would begin in its middle. */
	zmq_send(zmq, "", 0, ZMQ_DONTWAIT);
	return DXI_SENT_NEVER;
}

static bool receive(dxi_link *link, dxi_message *message)
{
	dxi_sockets *sockets = zmq_of(link)->sockets;
	void *zmq = zmq_of(link)->data.zmq;

	if (zmq_of(link)->type == ROUTER) {
		if (!dxi_part_receive(&sockets->client, zmq))
			return false;
		message->client = zmq_msg_data(&sockets->client);
		message->client_bytes = zmq_msg_size(&sockets->client);
		message->malformed = !zmq_msg_more(&sockets->client);
		if (message->malformed)
			return true;
	}
	if (!dxi_part_receive(&sockets->frame, zmq))
		return false;
	message->frame = zmq_msg_data(&sockets->frame);
	message->bytes = zmq_msg_size(&sockets->frame);
	if (zmq_msg_more(&sockets->frame))
		dxi_parts_receive_behind(zmq, &sockets->body, message);
	return true;
}

void *dxi_socket_zmq(dxi_link *link)
{
	return zmq_of(link)->data.zmq;
}

static const char *property(dxi_link *link, const char *name)
{
	const char *value = zmq_msg_gets(&zmq_of(link)->sockets->frame, name);

	return value ? value : "";
}

static dxi_sender sender(dxi_link *link)
{
	return (dxi_sender){.key = property(link, "User-Id"),
	                    .address = property(link, "Peer-Address")};
}

static const dxi_link_kind kind = {.send = send_one,
                                   .send_to = send_to,
                                   .receive = receive,
                                   .sender = sender,
                                   .listen = listen_again,
                                   .unlisten = unlisten,
                                   .close = close_socket};
