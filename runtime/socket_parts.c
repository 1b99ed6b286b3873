/* SPDX-License-Identifier: MIT */
/* Messages of ZeroMQ, part by part. */
#include "runtime/socket_parts.h"

#include "runtime/body.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <zmq.h>

bool dxi_part_copy(zmq_msg_t *part, const void *data, size_t bytes)
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
		return dxi_part_copy(part, message->body, message->body_bytes);
	dxi_body_acquire(message->owner);
	if (zmq_msg_init_data(part, bytes, message->body_bytes, give_back, message->owner) == 0)
		return true;
	dxi_body_release(message->owner);
	return false;
}

bool dxi_part_send(void *zmq, zmq_msg_t *part, int flags)
{
	if (zmq_msg_send(part, zmq, flags | ZMQ_DONTWAIT) != -1)
		return true;
	zmq_msg_close(part);
	return false;
}

bool dxi_parts_send(void *zmq, const dxi_outgoing *message)
{
	bool has_body = message->body_bytes > 0;
	zmq_msg_t frame, body;

	if (!dxi_part_copy(&frame, message->frame, message->frame_bytes))
		return false;
	if (has_body && !make_body_part(&body, message)) {
		zmq_msg_close(&frame);
		return false;
	}
	if (!dxi_part_send(zmq, &frame, has_body ? ZMQ_SNDMORE : 0)) {
		if (has_body)
			zmq_msg_close(&body);
		return false;
	}
	/* libzmq counts whole messages at its mark: a message it has begun to take it takes
	 * whole, unless its connection ends meanwhile, and then none of it. */
	return !has_body || dxi_part_send(zmq, &body, 0);
}

bool dxi_part_receive(zmq_msg_t *part, void *zmq)
{
	int bytes;

	do
		bytes = zmq_msg_recv(part, zmq, ZMQ_DONTWAIT);
	while (bytes == -1 && errno == EINTR);
	return bytes != -1;
}

void dxi_parts_receive_behind(void *zmq, zmq_msg_t *body, dxi_message *message)
{
	if (!dxi_part_receive(body, zmq))
		return;
	message->body = zmq_msg_data(body);
	message->body_bytes = zmq_msg_size(body);
	while (zmq_msg_more(body) && dxi_part_receive(body, zmq))
		message->malformed = true;
}
