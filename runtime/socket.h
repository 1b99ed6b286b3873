/* SPDX-License-Identifier: MIT */
/* ZeroMQ sockets, as the I/O thread uses them: never blocking, one connection a
 * DEALER, and never asleep on an event that was there before the sleep.
 *
 * A socket's descriptor is edge-like and covers only its mailbox: after any call
 * on the socket its events may have changed without a new edge. So each socket
 * that was used, or whose descriptor fired, is *touched*; the I/O thread looks at
 * the events of every touched socket and sleeps only when none is touched.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_SOCKET_H
#define DXI_SOCKET_H

#include <dxh/base.h>

#include <stdbool.h>

/* Frames that libzmq may hold of one connection when it has ended: our mark and
 * the sender's. */
enum { DXI_RECEIVE_FRAMES_MAX = 128 };

/* When so much was received, what waits to be sent comes first: half a millisecond. */
enum { DXI_RECEIVE_BYTES_PER_LOOK = 1 << 20 };

typedef struct dxi_context dxi_context;
typedef struct dxi_sockets dxi_sockets;

/* One ZeroMQ context a hub. */
dxh_status dxi_context_open(dxi_context **context);

/* Blocks at most as long as the longest linger of its sockets. Any thread, once
 * every socket is closed. */
void dxi_context_close(dxi_context *context);

/* DXI_ZAP: where libzmq asks whether a client may come in; one a context. */
typedef enum dxi_socket_type { DXI_DEALER, DXI_ROUTER, DXI_ZAP } dxi_socket_type;

struct dxi_curve;

typedef enum dxi_connection_event {
	DXI_CONNECTED,    /* the handshake succeeded: frames flow */
	DXI_DISCONNECTED, /* the connection ended, or was never made */
	DXI_REFUSED,      /* the other side, or this one, does not want the keys */
} dxi_connection_event;

typedef struct dxi_socket dxi_socket;

/* Called by dxi_sockets_look(): the socket may have work. `fired`: its descriptor
 * told so, not only our own use of it. Returns how much was done. To be called
 * again soon, do some work on the socket or touch it. */
typedef size_t (*dxi_socket_ready)(void *owner, bool can_receive, bool can_send, bool fired);

/* Called when the monitor of a DEALER tells something; `reason` for people. */
typedef void (*dxi_socket_event)(void *owner, dxi_connection_event event, const char *reason);

typedef struct dxi_socket_config {
	dxi_socket_type type;
	dxi_socket_ready ready;
	dxi_socket_event event; /* NULL: no monitor */
	void *owner;
	const struct dxi_curve *curve; /* NULL: in the clear */
} dxi_socket_config;

/* The sockets of one hub and their place in its epoll set. */
dxh_status dxi_sockets_open(dxi_context *context, int epoll, dxi_sockets **sockets);
void dxi_sockets_free(dxi_sockets *sockets);

dxh_status
dxi_socket_open(dxi_sockets *sockets, const dxi_socket_config *config, dxi_socket **socket);

/* Unsent frames may still leave for `linger_ms`. */
void dxi_socket_close(dxi_socket *socket, int linger_ms);

dxh_status dxi_socket_connect(dxi_socket *socket, const char *endpoint);

/* `bound` gets the endpoint with the port chosen. DXH_EBUSY: address in use. */
dxh_status dxi_socket_bind(dxi_socket *socket, const char *endpoint, char *bound, size_t capacity);

/* Look at every touched socket once. Returns the work done. */
size_t dxi_sockets_look(dxi_sockets *sockets);

/* No socket is touched: the hub may sleep. */
bool dxi_sockets_quiet(const dxi_sockets *sockets);

void dxi_socket_touch(dxi_socket *socket);

/* Its descriptor fired: `data` is what epoll_wait handed back. */
void dxi_sockets_fired(dxi_sockets *sockets, void *data);

typedef enum dxi_sent {
	DXI_SENT_ALL,
	DXI_SENT_LATER, /* full now: try when can_send, or at the next edge */
	DXI_SENT_NEVER  /* ROUTER: no such client any more */
} dxi_sent;

/* A message: a frame, and behind it perhaps a body in a part of its own. */
typedef struct dxi_outgoing {
	const void *frame; /* copied */
	size_t frame_bytes;
	const void *body;       /* copied, unless it has an owner */
	size_t body_bytes;      /* 0: there is none */
	struct dxi_body *owner; /* held until libzmq has read the body where it lies; may be NULL */
} dxi_outgoing;

dxi_sent dxi_socket_send(dxi_socket *socket, const dxi_outgoing *message);

/* ROUTER: the same to a client. The message is only asked for after the client was
 * accepted: what is in it then leaves. */
typedef void (*dxi_encode)(void *context, dxi_outgoing *message);
dxi_sent dxi_socket_send_to(dxi_socket *socket, const void *client, size_t client_bytes,
                            dxi_encode encode, void *context);

/* One received message, valid until the next receive on this hub. */
typedef struct dxi_message {
	const void *client; /* ROUTER: routing id of the sender */
	size_t client_bytes;
	const void *frame;
	size_t bytes;
	const void *body; /* the part behind the frame; NULL: none */
	size_t body_bytes;
	bool malformed; /* not the expected number of parts */
} dxi_message;

bool dxi_socket_receive(dxi_socket *socket, dxi_message *message);

/* ZeroMQ's own, for security.c. */
void *dxi_socket_zmq(dxi_socket *socket);

#endif
