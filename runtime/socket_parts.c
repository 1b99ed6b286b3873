/* SPDX-License-Identifier: MIT */
/* Messages of ZeroMQ, part by part. */
#include "runtime/socket_parts.h"

#include "runtime/body.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

bool dxi_part_copy(zmq_msg_t *part, const void *data, size_t bytes)
{
	if (zmq_msg_init_size(part, bytes) == -1)
		return false;
	memcpy(zmq_msg_data(part), data, bytes);
	return true;
}

/* Set while a frame is closed that was not sent: its memory stays its owner's. */
static _Thread_local bool keeps_memory;

/* Called by libzmq, as below. */
static void free_memory(void *data, void *unused)
{
	(void)unused;
	if (!keeps_memory)
		free(data);
}

static bool is_taken(const dxi_outgoing *message)
{
	return message->memory && message->frame_bytes >= DXI_FRAME_TAKEN_MIN;
}

static bool make_frame_part(zmq_msg_t *part, const dxi_outgoing *message)
{
	if (!is_taken(message))
		return dxi_part_copy(part, message->frame, message->frame_bytes);
	return zmq_msg_init_data(part, *message->memory, message->frame_bytes, free_memory, NULL) ==
	       0;
}

static void close_frame_part(zmq_msg_t *part)
{
	keeps_memory = true;
	zmq_msg_close(part);
	keeps_memory = false;
}

static bool send_frame_part(void *zmq, zmq_msg_t *part, const dxi_outgoing *message, int flags)
{
	if (zmq_msg_send(part, zmq, flags | ZMQ_DONTWAIT) == -1) {
		close_frame_part(part);
		return false;
	}
	if (is_taken(message))
		*message->memory = NULL;
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

	/* Once taken it is gone, also when the body does not follow. */
	assert(!has_body || !message->memory);
	if (!make_frame_part(&frame, message))
		return false;
	if (has_body && !make_body_part(&body, message)) {
		close_frame_part(&frame);
		return false;
	}
	if (!send_frame_part(zmq, &frame, message, has_body ? ZMQ_SNDMORE : 0)) {
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
