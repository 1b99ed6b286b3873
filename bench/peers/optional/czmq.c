/* SPDX-License-Identifier: MIT */
/* CZMQ, the high-level binding of ZeroMQ: a DEALER and a ROUTER with zmsg. */
#include "bench/peers/peers.h"

#include <czmq.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

typedef struct asker {
	zsock_t *socket;
	uint64_t next;
	unsigned char payload[256];
} asker;

static void serve(bench_round *round)
{
	zsock_t *socket;

	zsys_handler_set(NULL);
	socket = zsock_new(ZMQ_ROUTER);
	bench_check(round, socket && zsock_bind(socket, "%s", round->endpoint) == 0, "bind");
	bench_ready(round);
	for (;;) {
		zmsg_t *message = zmsg_recv(socket);

		bench_check(round, message != NULL, "receive");
		bench_check(round, zmsg_send(&message, socket) == 0, "send");
	}
}

static void ask(bench_round *round, void *context)
{
	size_t bytes = round->load.bytes;
	asker *own = context;
	zframe_t *frame;

	bench_payload_mark(own->payload, bytes, ++own->next);
	frame = zframe_new(own->payload, bytes);
	bench_check(round, zframe_send(&frame, own->socket, 0) == 0, "send");
	frame = zframe_recv(own->socket);
	bench_check(round, frame && zframe_size(frame) == bytes, "receive");
	bench_check(round, bench_payload_is(zframe_data(frame), bytes, own->next), "reply");
	zframe_destroy(&frame);
}

static void rtt(bench_round *round)
{
	asker own = {0};

	bench_payload_init(own.payload, round->load.bytes);
	bench_server(round, serve);
	zsys_handler_set(NULL);
	own.socket = zsock_new(ZMQ_DEALER);
	bench_check(round, own.socket && zsock_connect(own.socket, "%s", round->endpoint) == 0,
	            "connect");
	bench_each(round, ask, &own);
	zsock_destroy(&own.socket);
}

static const bench_peer_job jobs[] = {{"DEALER-ROUTER", rtt}, {NULL, NULL}};

const bench_peer bench_peer_module = {.version = NUMBER(CZMQ_VERSION_MAJOR) "." NUMBER(
					      CZMQ_VERSION_MINOR) "." NUMBER(CZMQ_VERSION_PATCH),
                                      .jobs = jobs};
