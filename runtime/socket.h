/* SPDX-License-Identifier: MIT */
/* ZeroMQ sockets as links (link.h): never blocking, one connection a DEALER, and never
 * asleep on an event that was there before the sleep.
 *
 * A socket's descriptor is edge-like and covers only its mailbox: after any call
 * on the socket its events may have changed without a new edge. So each socket
 * that was used, or whose descriptor fired, is touched: see look_at_socket().
 *
 * All calls: I/O thread.
 */
#ifndef DXI_SOCKET_H
#define DXI_SOCKET_H

#include "runtime/link.h"

typedef struct dxi_context dxi_context;
typedef struct dxi_sockets dxi_sockets;

/* One ZeroMQ context a hub. */
dxh_status dxi_context_open(dxi_context **context);

/* Blocks at most as long as the longest linger of its sockets. Any thread, once
 * every socket is closed. */
void dxi_context_close(dxi_context *context);

/* The sockets of one hub and their place in its epoll set. free: of NULL nothing. */
dxh_status
dxi_sockets_open(dxi_links *links, dxi_context *context, int epoll, dxi_sockets **sockets);
void dxi_sockets_free(dxi_sockets *sockets);

/* A DEALER; a ROUTER. */
dxh_status dxi_socket_connect(dxi_sockets *sockets, const dxi_link_config *config,
                              const char *endpoint, dxi_link **link);
dxh_status dxi_socket_bind(dxi_sockets *sockets, const dxi_link_config *config,
                           const char *endpoint, char *bound, size_t capacity, dxi_link **link);

/* Where libzmq asks whether a client may come in; one a context. */
dxh_status
dxi_socket_bind_zap(dxi_sockets *sockets, const dxi_link_config *config, dxi_link **link);

/* Its descriptor fired: `data` is what epoll_wait handed back. */
void dxi_sockets_fired(void *data);

/* ZeroMQ's own, for security.c. */
void *dxi_socket_zmq(dxi_link *link);

#endif
