/* SPDX-License-Identifier: MIT */
/* nanomsg: REQ and REP, messages without a copy in user space. */
#include "bench/peers/peers.h"

#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

typedef struct asker {
	int socket;
	uint64_t next;
	unsigned char payload[256];
} asker;

static void must(bench_round *round, bool good, const char *what)
{
	if (!good)
		bench_fail(round, "nanomsg %s: %s", what, nn_strerror(nn_errno()));
}

/* It knows no abstract names; the folder of the run dies with it. */
static void address(const bench_round *round, char *text, size_t capacity)
{
	snprintf(text, capacity, "ipc://%s/%s", getenv("DXH_SHM_DIR"), round->name);
}

static void serve(bench_round *round)
{
	int socket = nn_socket(AF_SP, NN_REP);
	char text[160];

	address(round, text, sizeof text);
	must(round, socket >= 0 && nn_bind(socket, text) >= 0, "bind");
	bench_ready(round);
	for (;;) {
		void *message;
		int bytes = nn_recv(socket, &message, NN_MSG, 0);

		must(round, bytes >= 0, "receive");
		must(round, nn_send(socket, &message, NN_MSG, 0) == bytes, "send");
	}
}

static void ask(bench_round *round, void *context)
{
	int bytes = (int)round->load.bytes;
	asker *own = context;

	bench_payload_mark(own->payload, round->load.bytes, ++own->next);
	must(round, nn_send(own->socket, own->payload, round->load.bytes, 0) == bytes, "send");
	must(round, nn_recv(own->socket, own->payload, round->load.bytes, 0) == bytes, "receive");
	bench_check(round, bench_payload_is(own->payload, round->load.bytes, own->next), "reply");
}

static void rtt(bench_round *round)
{
	asker own = {0};
	char text[160];

	bench_payload_init(own.payload, round->load.bytes);
	bench_server(round, serve);
	address(round, text, sizeof text);
	own.socket = nn_socket(AF_SP, NN_REQ);
	must(round, own.socket >= 0 && nn_connect(own.socket, text) >= 0, "connect");
	bench_each(round, ask, &own);
	nn_close(own.socket);
}

static const bench_peer_job jobs[] = {{"REQ-REP", rtt}, {NULL, NULL}};

const bench_peer bench_peer_module = {
	.version = "ABI " NUMBER(NN_VERSION_CURRENT) "." NUMBER(NN_VERSION_REVISION), .jobs = jobs};
