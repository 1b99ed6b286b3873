/* SPDX-License-Identifier: MIT */
/* The servers that rivals on bare ZeroMQ talk to: messages are sent back without being
 * copied, frames are taken apart and put together as a server must that looks at each
 * request. */
#include "bench/peers/zmq.h"

#include "bench/peers/notes.h"

#include <string.h>

void *bench_zmq_open(bench_round *round, void *context, int type, bool bind)
{
	void *socket = zmq_socket(context, type);
	const int none = 0;
	int result;

	bench_check(round, socket != NULL, "zmq_socket");
	zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
	zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
	zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
	result = bind ? zmq_bind(socket, round->endpoint) : zmq_connect(socket, round->endpoint);
	bench_check(round, result == 0, "zmq endpoint");
	return socket;
}

/* Part by part, as it comes: first who sent it, last its body. */
void bench_zmq_serve_echo(bench_round *round)
{
	void *socket = bench_zmq_open(round, zmq_ctx_new(), ZMQ_ROUTER, true);
	zmq_msg_t part;

	zmq_msg_init(&part);
	bench_ready(round);
	for (;;) {
		int more;

		bench_check(round, zmq_msg_recv(&part, socket, 0) >= 0, "receive");
		more = zmq_msg_more(&part) ? ZMQ_SNDMORE : 0;
		bench_check(round, zmq_msg_send(&part, socket, more) >= 0, "send");
	}
}

/* Each request is answered with its own payload, in a new frame. */
static void answer_each(bench_round *round, zmq_msg_t *frame)
{
	size_t bytes = zmq_msg_size(frame);
	const unsigned char *from = zmq_msg_data(frame);
	zmq_msg_t reply;
	unsigned char *to;

	bench_check(round, bytes % round->load.bytes == 0, "frame");
	bench_check(round, zmq_msg_init_size(&reply, bytes) == 0, "memory");
	to = zmq_msg_data(&reply);
	for (size_t at = 0; at < bytes; at += round->load.bytes)
		memcpy(to + at, from + at, round->load.bytes);
	zmq_msg_move(frame, &reply);
}

void bench_zmq_serve_packed(bench_round *round)
{
	void *socket = bench_zmq_open(round, zmq_ctx_new(), ZMQ_ROUTER, true);
	zmq_msg_t id, frame;

	zmq_msg_init(&id);
	zmq_msg_init(&frame);
	bench_ready(round);
	for (;;) {
		bench_check(round, zmq_msg_recv(&id, socket, 0) >= 0, "receive");
		bench_check(round, zmq_msg_recv(&frame, socket, 0) >= 0, "receive");
		answer_each(round, &frame);
		bench_check(round, zmq_msg_send(&id, socket, ZMQ_SNDMORE) >= 0, "send");
		bench_check(round, zmq_msg_send(&frame, socket, 0) >= 0, "send");
	}
}

void bench_zmq_serve_notes(bench_round *round)
{
	void *socket = bench_zmq_open(round, zmq_ctx_new(), ZMQ_PULL, true);
	static bench_order order;
	zmq_msg_t frame;

	zmq_msg_init(&frame);
	bench_ready(round);
	for (;;) {
		const unsigned char *bytes;

		bench_check(round, zmq_msg_recv(&frame, socket, 0) >= 0, "receive");
		bytes = zmq_msg_data(&frame);
		for (size_t at = 0; at < zmq_msg_size(&frame); at += round->load.bytes)
			bench_note_arrived(round, &order, bytes + at);
	}
}
