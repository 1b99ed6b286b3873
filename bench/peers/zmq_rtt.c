/* SPDX-License-Identifier: MIT */
/* One request at a time over a bare DEALER to a bare ROUTER. */
#include "bench/peers/peers.h"
#include "bench/peers/zmq.h"

#include <stdlib.h>

typedef struct asker {
	void *socket;
	unsigned char *payload;
	uint64_t next;
} asker;

static void ask(bench_round *round, void *context)
{
	asker *own = context;
	size_t bytes = round->load.bytes;

	bench_payload_mark(own->payload, bytes, ++own->next);
	bench_check(round, zmq_send(own->socket, own->payload, bytes, 0) != -1, "send");
	bench_check(round, zmq_recv(own->socket, own->payload, bytes, 0) == (int)bytes, "receive");
	bench_check(round, bench_payload_is(own->payload, bytes, own->next), "reply");
}

void bench_zmq_rtt(bench_round *round)
{
	asker own = {.payload = malloc(round->load.bytes)};
	void *context;

	bench_check(round, own.payload != NULL, "memory");
	bench_payload_init(own.payload, round->load.bytes);
	bench_server(round, bench_zmq_serve_echo);
	context = zmq_ctx_new();
	own.socket = bench_zmq_open(round, context, ZMQ_DEALER, false);
	bench_each(round, ask, &own);
	zmq_close(own.socket);
	zmq_ctx_term(context);
	free(own.payload);
}
