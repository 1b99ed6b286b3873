/* SPDX-License-Identifier: MIT */
/* A window of requests over bare sockets: one thread that packs them into frames, which
 * is about all that a socket can give; and a socket a thread, one request a message. */
#include "bench/peers/lane.h"
#include "bench/peers/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- one thread, packed ------------------------------------------------------------- */

/* Found best on two CPUs, of 16 to 256: smaller ones cost messages, larger ones leave
 * too few of a window of 1000 to be under way while one is being made. */
enum { PACKED = 64 };

typedef struct packer {
	void *socket;
	unsigned char *payload;
	uint64_t sent, answered;
} packer;

static void send_frame(bench_round *round, packer *own)
{
	size_t bytes = round->load.bytes;
	unsigned char *to;
	zmq_msg_t frame;

	bench_check(round, zmq_msg_init_size(&frame, bytes * PACKED) == 0, "memory");
	to = zmq_msg_data(&frame);
	for (int i = 0; i < PACKED; i++, to += bytes) {
		bench_payload_mark(own->payload, bytes, own->sent++);
		memcpy(to, own->payload, bytes);
	}
	bench_check(round, zmq_msg_send(&frame, own->socket, 0) != -1, "send");
}

/* Replies come in the order of the requests. */
static bool receive_frame(bench_round *round, packer *own, int flags)
{
	size_t bytes = round->load.bytes;
	const unsigned char *from;
	zmq_msg_t frame;

	zmq_msg_init(&frame);
	if (zmq_msg_recv(&frame, own->socket, flags) == -1) {
		bench_check(round, errno == EAGAIN, "receive");
		return false;
	}
	from = zmq_msg_data(&frame);
	for (size_t at = 0; at < zmq_msg_size(&frame); at += bytes)
		bench_check(round, bench_payload_is(from + at, bytes, own->answered++), "reply");
	zmq_msg_close(&frame);
	return true;
}

void bench_zmq_packed(bench_round *round)
{
	unsigned char payload[256];
	packer own = {.payload = payload};
	void *context;
	bool posting = true;

	bench_payload_init(payload, round->load.bytes);
	bench_server(round, bench_zmq_serve_packed);
	context = zmq_ctx_new();
	own.socket = bench_zmq_open(round, context, ZMQ_DEALER, false);
	bench_start(round);
	while (posting || own.answered < own.sent) {
		posting = posting && bench_goes_on(round, own.sent);
		while (posting && own.sent - own.answered + PACKED <= round->load.window)
			send_frame(round, &own);
		if (own.answered < own.sent)
			receive_frame(round, &own, 0);
		while (own.answered < own.sent && receive_frame(round, &own, ZMQ_DONTWAIT))
			;
	}
	bench_stop(round, own.answered);
	zmq_close(own.socket);
	zmq_ctx_term(context);
}

/* ---- a socket a thread ---------------------------------------------------------------- */

bench_lane *bench_lane_init(bench_thread *thread, void *socket)
{
	bench_lane *own = calloc(1, sizeof *own);

	bench_check(thread->round, own != NULL, "memory");
	bench_payload_init(own->payload, thread->round->load.bytes);
	own->socket = socket;
	thread->own = own;
	return own;
}

static void open_lane(bench_thread *thread)
{
	bench_lane_init(thread, bench_zmq_open(thread->round, thread->shared, ZMQ_DEALER, false));
}

static uint64_t id_of(const bench_thread *thread, uint64_t number)
{
	return (uint64_t)thread->index << 48 | number;
}

static void send_one(bench_thread *thread, bench_lane *own)
{
	size_t bytes = thread->round->load.bytes;

	if (thread->window == 1)
		own->sent_ns = dxh_now_ns();
	bench_payload_mark(own->payload, bytes, id_of(thread, own->sent++));
	bench_check(thread->round, zmq_send(own->socket, own->payload, bytes, 0) != -1, "send");
}

static bool receive_one(bench_thread *thread, bench_lane *own, int flags)
{
	size_t bytes = thread->round->load.bytes;
	unsigned char reply[256];
	int got = zmq_recv(own->socket, reply, sizeof reply, flags);

	if (got == -1) {
		bench_check(thread->round, errno == EAGAIN, "receive");
		return false;
	}
	bench_check(thread->round,
	            got == (int)bytes &&
	                    bench_payload_is(reply, bytes, id_of(thread, own->answered++)),
	            "reply");
	if (thread->window == 1)
		bench_histogram_add(thread->latency, dxh_now_ns() - own->sent_ns);
	return true;
}

void bench_lane_run(bench_thread *thread)
{
	bool posting = true;
	bench_lane *own = thread->own;

	while (posting || own->answered < own->sent) {
		posting = posting && bench_goes_on(thread->round, own->sent);
		while (posting && own->sent - own->answered < thread->window)
			send_one(thread, own);
		if (own->answered < own->sent)
			receive_one(thread, own, 0);
		while (own->answered < own->sent && receive_one(thread, own, ZMQ_DONTWAIT))
			;
	}
	thread->operations = own->answered;
}

void bench_lane_close(bench_thread *thread)
{
	bench_lane *own = thread->own;

	zmq_close(own->socket);
	free(own);
}

void bench_per_thread(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = open_lane, .run = bench_lane_run, .finish = bench_lane_close};
	void *context;

	bench_server(round, bench_zmq_serve_echo);
	context = zmq_ctx_new();
	bench_threads(round, &crowd, context);
	zmq_ctx_term(context);
}
