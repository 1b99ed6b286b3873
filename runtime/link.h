/* SPDX-License-Identifier: MIT */
/* What lanes and listeners send and receive on: a ZeroMQ socket (socket.c), or a
 * loopback within the hub (loopback.c). Neither blocks, and what comes over one looks
 * like what comes over the other.
 *
 * A link that has news, or work, is *touched*; the I/O thread looks at every touched link
 * and sleeps only when none is touched. A link that was *used* is touched too, unless the
 * last use was a receive that found nothing: any call into a link may take in what was to
 * be told of others, so nothing is slept over only when that one comes last.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_LINK_H
#define DXI_LINK_H

#include <dxh/base.h>

#include <stdbool.h>

/* Frames that a link may hold of one connection when it has ended: libzmq's, our mark
 * and the sender's. */
enum { DXI_RECEIVE_FRAMES_MAX = 128 };

/* When so much was received, what waits to be sent comes first: half a millisecond. */
enum { DXI_RECEIVE_BYTES_PER_LOOK = 1 << 20 };

typedef struct dxi_links dxi_links;
typedef struct dxi_link dxi_link;
typedef struct dxi_source dxi_source;

struct dxi_curve;

/* ---- what its owner is told ---- */

typedef enum dxi_connection_event {
	DXI_CONNECTED,    /* the handshake succeeded: frames flow */
	DXI_DISCONNECTED, /* the connection ended, or was never made */
	DXI_REFUSED,      /* the other side, or this one, does not want the keys */
	DXI_UNEXPLAINED,  /* it ended in the handshake: it does not want the keys, is no service
	                   * at all, or has just died */
} dxi_connection_event;

/* Called by dxi_links_look(): the link may have work. `fired`: news came from outside,
 * it was not only our own use of it. Returns how much was done. To be called again soon,
 * do some work on the link or touch it. */
typedef size_t (*dxi_link_ready)(void *owner, bool can_receive, bool can_send, bool fired);

/* Called by dxi_links_look() when a connection began or ended; `reason` for people. */
typedef void (*dxi_link_event)(void *owner, dxi_connection_event event, const char *reason);

/* Called by dxi_links_look() when a link that listens has accepted a connection: it got this
 * descriptor, the lowest that was free. */
typedef void (*dxi_link_accepted)(void *owner, int descriptor);

typedef struct dxi_link_config {
	dxi_link_ready ready;
	dxi_link_event event;       /* NULL: not told */
	dxi_link_accepted accepted; /* NULL: not told; loopbacks take no descriptor */
	void *owner;
	const struct dxi_curve *curve; /* NULL: in the clear */
} dxi_link_config;

/* ---- messages ---- */

typedef enum dxi_sent {
	DXI_SENT_ALL,
	DXI_SENT_LATER, /* full now: try when can_send, or at the next `fired` */
	DXI_SENT_NEVER  /* no such client any more */
} dxi_sent;

/* Frames of less than that are copied in any case. */
enum { DXI_FRAME_TAKEN_MIN = 8192 };

/* A message: a frame, and behind it perhaps a body in a part of its own. */
typedef struct dxi_outgoing {
	const void *frame; /* copied, unless its memory is taken */
	size_t frame_bytes;
	/* Of a frame without a body, where it begins, in memory of malloc: may be taken when it
	 * is sent, and is NULL then. NULL: to be copied. */
	unsigned char **memory;
	const void *body;       /* copied, unless it has an owner */
	size_t body_bytes;      /* 0: there is none */
	struct dxi_body *owner; /* held until the body has been read where it lies; may be NULL */
} dxi_outgoing;

/* To a client the message is only asked for after the client was accepted: what is in
 * it then leaves. */
typedef void (*dxi_encode)(void *context, dxi_outgoing *message);

/* One received message, valid until the next receive on this hub. */
typedef struct dxi_message {
	const void *client; /* a service's: routing id of the sender */
	size_t client_bytes;
	const void *frame;
	size_t bytes;
	const void *body; /* the part behind the frame; NULL: none */
	size_t body_bytes;
	struct dxi_body
		*owner; /* of the body, to be held by who wants to read it longer; or NULL */
	bool malformed; /* not the expected number of parts */
} dxi_message;

/* ---- opening, using, closing ---- */

/* As the endpoint says, see endpoint.h. A connection stands when the owner is told, or
 * once can_send. */
dxh_status dxi_link_connect(dxi_links *links, const dxi_link_config *config, const char *endpoint,
                            dxi_link **link);

/* `bound` gets the endpoint with the port chosen. DXH_EBUSY: address in use. */
dxh_status dxi_link_bind(dxi_links *links, const dxi_link_config *config, const char *endpoint,
                         char *bound, size_t capacity, dxi_link **link);

/* Of one that tells of `accepted`, with its endpoint as bound: listen no more, which ends its
 * connections, in a while; and listen again. DXH_EBUSY: that while has not passed. */
void dxi_link_unlisten(dxi_link *link, const char *endpoint);
dxh_status dxi_link_listen(dxi_link *link, const char *endpoint);

/* What was sent may still leave for `linger_ms`. */
void dxi_link_close(dxi_link *link, int linger_ms);

dxi_sent dxi_link_send(dxi_link *link, const dxi_outgoing *message);
dxi_sent dxi_link_send_to(dxi_link *link, const void *client, size_t client_bytes,
                          dxi_encode encode, void *context);
bool dxi_link_receive(dxi_link *link, dxi_message *message);

/* What is known of who sent the message that was received last, by the network and not by
 * its own words; texts that are valid until the next one, never NULL. */
typedef struct dxi_sender {
	const char *key; /* of CURVE, as text; "" without */
	const char *address;
} dxi_sender;

dxi_sender dxi_link_sender(dxi_link *link);

void dxi_link_touch(dxi_link *link);

/* ---- the links of a hub ---- */

struct dxi_links {
	struct dxi_sockets *sockets;
	struct dxi_loopbacks *loopbacks;
	dxi_source *touched;
	const dxi_link *looked_at;
	dxi_link *closing; /* freed once nothing points at them any more */
};

/* close: all links are closed. Also of what open left half done, or zeroes. */
struct dxi_context;
dxh_status dxi_links_open(dxi_links *links, struct dxi_context *context, int epoll);
void dxi_links_close(dxi_links *links);

/* Look at every touched link once. Returns the work done. */
size_t dxi_links_look(dxi_links *links);

/* No link is touched: the hub may sleep. */
bool dxi_links_quiet(const dxi_links *links);

/* ---- for the kinds of links ---- */

/* Where news of a link comes from. */
struct dxi_source {
	size_t (*look)(dxi_source *source, bool fired); /* NULL: closed */
	dxi_link *link;
	dxi_source *next_touched;
	bool touched;
	bool fired; /* from outside, since it was looked at last */
};

typedef struct dxi_link_kind {
	dxi_sent (*send)(dxi_link *link, const dxi_outgoing *message);
	dxi_sent (*send_to)(dxi_link *link, const void *client, size_t client_bytes,
	                    dxi_encode encode, void *context);
	bool (*receive)(dxi_link *link, dxi_message *message);
	dxi_sender (*sender)(dxi_link *link); /* NULL: nothing is known */
	/* Of those that tell of `accepted`. */
	dxh_status (*listen)(dxi_link *link, const char *endpoint);
	void (*unlisten)(dxi_link *link, const char *endpoint);
	/* Give back all but the link's own memory, which begins with the link. */
	void (*close)(dxi_link *link, int linger_ms);
} dxi_link_kind;

struct dxi_link {
	const dxi_link_kind *kind;
	dxi_links *links;
	dxi_link_config config;
	dxi_source source;
	bool used; /* since a receive found nothing */
	uint32_t sources_touched;
	dxi_link *next_closing;
};

/* Tell the owner; what has nothing to be received is not looked at for that again. Returns
 * how much was done. */
size_t dxi_link_is_ready(dxi_link *link, bool can_receive, bool can_send, bool fired);

void dxi_source_touch(dxi_source *source);

/* Touch it, with news from outside. */
void dxi_source_fire(dxi_source *source);

#endif
