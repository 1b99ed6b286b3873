/* SPDX-License-Identifier: MIT */
/* What a link's messages are to ZeroMQ: parts, of which none is waited for.
 *
 * All calls: I/O thread.
 */
#ifndef DXI_SOCKET_PARTS_H
#define DXI_SOCKET_PARTS_H

#include "runtime/link.h"

struct zmq_msg_t;

/* false: no memory. */
bool dxi_part_copy(struct zmq_msg_t *part, const void *data, size_t bytes);

/* Takes the part, whatever comes of it. false: it is full, there is no memory (as good as
 * full), or the client is gone. */
bool dxi_part_send(void *zmq, struct zmq_msg_t *part, int flags);

/* A frame and the body behind it. All parts are made first: without memory for one of them
 * nothing is sent. */
bool dxi_parts_send(void *zmq, const dxi_outgoing *message);

/* false: nothing is there, and all that libzmq had to tell the socket has been taken in.
 * A signal that comes in between does not end it: what is half received goes on. */
bool dxi_part_receive(struct zmq_msg_t *part, void *zmq);

/* The parts behind the frame: one, or it is no message of ours. A message arrives whole
 * or not at all, so they are here. */
void dxi_parts_receive_behind(void *zmq, struct zmq_msg_t *body, dxi_message *message);

#endif
