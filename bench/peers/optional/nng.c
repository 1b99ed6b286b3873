/* SPDX-License-Identifier: MIT */
/* nng as its manual recommends for many requests: contexts on one socket, driven by
 * asynchronous operations, on both sides. */
#include "bench/peers/peers.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

static void must(bench_round *round, int error, const char *what)
{
	if (error != 0)
		bench_fail(round, "nng %s: %s", what, nng_strerror(error));
}

static void address(const bench_round *round, char *text, size_t capacity)
{
	snprintf(text, capacity, "abstract://%s", round->name);
}

/* ---- the service: as many contexts as requests may wait ------------------------------- */

typedef struct place {
	bench_round *round;
	nng_ctx context;
	nng_aio *aio;
	nng_msg *message;
	bool answering;
	/* the asking side */
	unsigned char payload[256];
	uint64_t id, answered;
} place;

static void serve_step(void *argument)
{
	place *own = argument;
	nng_msg *message;

	if (nng_aio_result(own->aio) != 0)
		return;
	if (own->answering) {
		own->answering = false;
		nng_ctx_recv(own->context, own->aio);
		return;
	}
	message = nng_aio_get_msg(own->aio);
	nng_aio_set_msg(own->aio, message);
	own->answering = true;
	nng_ctx_send(own->context, own->aio);
}

static void serve(bench_round *round)
{
	size_t count = round->load.window < 256 ? round->load.window : 256;
	place *places = calloc(count, sizeof *places);
	char text[80];
	nng_socket socket;

	address(round, text, sizeof text);
	must(round, nng_rep0_open(&socket), "open");
	for (size_t i = 0; i < count; i++) {
		must(round, nng_ctx_open(&places[i].context, socket), "context");
		must(round, nng_aio_alloc(&places[i].aio, serve_step, &places[i]), "aio");
		nng_ctx_recv(places[i].context, places[i].aio);
	}
	must(round, nng_listen(socket, text, NULL, 0), "listen");
	bench_ready(round);
	for (;;)
		nng_msleep(1000);
}

static nng_socket connect_to(bench_round *round)
{
	nng_socket socket;
	char text[80];

	address(round, text, sizeof text);
	must(round, nng_req0_open(&socket), "open");
	must(round, nng_dial(socket, text, NULL, 0), "dial");
	return socket;
}

static void send_next(place *own)
{
	size_t bytes = own->round->load.bytes;
	nng_msg *message;

	must(own->round, nng_msg_alloc(&message, bytes), "message");
	bench_payload_mark(own->payload, bytes, ++own->id);
	memcpy(nng_msg_body(message), own->payload, bytes);
	nng_aio_set_msg(own->aio, message);
	nng_ctx_send(own->context, own->aio);
}

static void check_reply(place *own)
{
	nng_msg *message = nng_aio_get_msg(own->aio);
	size_t bytes = own->round->load.bytes;

	bench_check(own->round,
	            nng_msg_len(message) == bytes &&
	                    bench_payload_is(nng_msg_body(message), bytes, own->id),
	            "reply");
	nng_msg_free(message);
}

/* ---- one at a time ---------------------------------------------------------------------- */

static void ask(bench_round *round, void *context)
{
	place *own = context;

	send_next(own);
	nng_aio_wait(own->aio);
	must(round, nng_aio_result(own->aio), "send");
	nng_ctx_recv(own->context, own->aio);
	nng_aio_wait(own->aio);
	must(round, nng_aio_result(own->aio), "receive");
	check_reply(own);
}

static void rtt(bench_round *round)
{
	place own = {.round = round};
	nng_socket socket;

	bench_payload_init(own.payload, round->load.bytes);
	bench_server(round, serve);
	socket = connect_to(round);
	must(round, nng_ctx_open(&own.context, socket), "context");
	must(round, nng_aio_alloc(&own.aio, NULL, NULL), "aio");
	bench_each(round, ask, &own);
	nng_aio_free(own.aio);
	nng_close(socket);
}

/* ---- many: each context asks again when it has been answered ------------------------------ */

static _Atomic size_t places_busy;

static void ask_step(void *argument)
{
	place *own = argument;

	must(own->round, nng_aio_result(own->aio), own->answering ? "receive" : "send");
	if (!own->answering) {
		own->answering = true;
		nng_ctx_recv(own->context, own->aio);
		return;
	}
	own->answering = false;
	check_reply(own);
	own->answered++;
	if (bench_time_left(own->round))
		send_next(own);
	else
		atomic_fetch_sub(&places_busy, 1);
}

static void window(bench_round *round)
{
	size_t count = round->load.window;
	place *places = calloc(count, sizeof *places);
	uint64_t answered = 0;
	nng_socket socket;

	bench_server(round, serve);
	socket = connect_to(round);
	for (size_t i = 0; i < count; i++) {
		places[i].round = round;
		bench_payload_init(places[i].payload, round->load.bytes);
		places[i].id = (uint64_t)i << 40;
		must(round, nng_ctx_open(&places[i].context, socket), "context");
		must(round, nng_aio_alloc(&places[i].aio, ask_step, &places[i]), "aio");
	}
	atomic_store(&places_busy, count);
	bench_start(round);
	for (size_t i = 0; i < count; i++)
		send_next(&places[i]);
	while (atomic_load(&places_busy) > 0)
		nng_msleep(1);
	for (size_t i = 0; i < count; i++)
		answered += places[i].answered;
	bench_stop(round, answered);
	for (size_t i = 0; i < count; i++)
		nng_aio_free(places[i].aio);
	nng_close(socket);
	free(places);
}

static const bench_peer_job jobs[] = {
	{"contexts + aio", rtt}, {"contexts + aio, window", window}, {NULL, NULL}};

const bench_peer bench_peer_module = {.version = NUMBER(NNG_MAJOR_VERSION) "." NUMBER(
					      NNG_MINOR_VERSION) "." NUMBER(NNG_PATCH_VERSION),
                                      .jobs = jobs};
