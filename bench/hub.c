/* SPDX-License-Identifier: MIT */
/* The service that our workloads talk to, and the way there. */
#include "bench/hub.h"
#include "bench/peers/notes.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_DEFAULT = 512 * 1024, ROOM = 4096 };

dxh_hub_config bench_hub_config(const bench_round *round)
{
	dxh_hub_config config = {0};

	if (round->load.bytes > BODY_DEFAULT - ROOM)
		config.body_bytes_max = round->load.bytes + ROOM;
	if (round->load.window > 60000)
		config.operations_max = (uint32_t)round->load.window + ROOM;
	return config;
}

dxh_peer_config bench_peer_config(const bench_round *round)
{
	dxh_peer_config config = {.full_wait_ns = INT64_C(30000000000)};

	if (round->load.window > 8000)
		config.requests_max = (uint32_t)round->load.window + ROOM;
	return config;
}

static dxh_service_config service_config(const bench_round *round)
{
	dxh_service_config config = {0};

	if (round->load.window > 4000) {
		config.inbox_max = (uint32_t)round->load.window + ROOM;
		config.client_window = (uint32_t)round->load.window + ROOM;
	}
	return config;
}

static void answer(bench_round *round, bench_order *order, dxh_request *request)
{
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);

	if (dxh_request_is_notification(request)) {
		bench_check(round, bytes == round->load.bytes, "notification");
		bench_note_arrived(round, order, body);
		dxh_request_release(request);
	} else {
		bench_must(round, dxh_request_reply(request, body, bytes), "reply");
	}
}

void bench_hub_serve(bench_round *round)
{
	dxh_hub_config hub_config = bench_hub_config(round);
	dxh_service_config config = service_config(round);
	enum { AT_A_TIME = 64 };
	static bench_order order;
	dxh_request *requests[AT_A_TIME];
	dxh_service *service;
	dxh_hub *hub;
	size_t count;

	bench_must(round, dxh_hub_open(&hub_config, &hub), "hub");
	bench_must(round, dxh_service_bind(hub, round->endpoint, &config, &service), "bind");
	bench_ready(round);
	while (dxh_service_receive_many(service, DXH_FOREVER, requests, AT_A_TIME, &count) ==
	       DXH_OK)
		for (size_t i = 0; i < count; i++)
			answer(round, &order, requests[i]);
}

/* The same on the I/O thread. */
typedef struct inline_server {
	bench_round *round;
	bench_order order;
} inline_server;

static void answer_inline(void *context, dxh_request *request)
{
	inline_server *own = context;

	answer(own->round, &own->order, request);
}

static void serve_inline(bench_round *round)
{
	dxh_hub_config hub_config = bench_hub_config(round);
	dxh_service_config config = service_config(round);
	static inline_server own;
	dxh_service *service;
	dxh_request *request;
	dxh_hub *hub;

	own.round = round;
	bench_must(round, dxh_hub_open(&hub_config, &hub), "hub");
	bench_must(round, dxh_service_bind(hub, round->endpoint, &config, &service), "bind");
	bench_must(round, dxh_service_handle_inline(service, "", answer_inline, &own), "handler");
	bench_ready(round);
	/* Nothing comes here. */
	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		bench_fail(round, "a request that no handler got");
}

void bench_hub_open(bench_round *round, bench_hub *own, const dxh_hub_config *hub_config)
{
	dxh_peer_config peer_config = bench_peer_config(round);
	dxh_hub_config config = bench_hub_config(round);

	if (hub_config)
		config = *hub_config;
	bench_server(round, round->load.variant == BENCH_INLINE ? serve_inline : bench_hub_serve);
	bench_must(round, dxh_hub_open(&config, &own->hub), "hub");
	bench_must(round, dxh_peer_connect(own->hub, round->endpoint, &peer_config, &own->peer),
	           "connect");
	bench_must(round,
	           dxh_request_sync(own->peer, "warm", NULL, 0, dxh_in_ms(20000), NULL, 0, NULL),
	           "first request");
}

void bench_hub_close(bench_round *round, bench_hub *own)
{
	bench_must(round, dxh_hub_close(&own->hub), "close");
}

/* ---- one request at a time ------------------------------------------------------------ */

typedef struct asker {
	dxh_peer *peer;
	unsigned char *payload, *reply;
	uint64_t next;
} asker;

static void ask(bench_round *round, void *context)
{
	size_t bytes = round->load.bytes, got;
	asker *own = context;

	bench_payload_mark(own->payload, bytes, ++own->next);
	bench_must(round,
	           dxh_request_sync(own->peer, "echo", own->payload, bytes, DXH_FOREVER, own->reply,
	                            bytes, &got),
	           "request");
	bench_check(round, got == bytes && bench_payload_is(own->reply, bytes, own->next), "reply");
}

void bench_hub_rtt(bench_round *round)
{
	bench_hub hub;
	asker own = {0};

	bench_hub_open(round, &hub, NULL);
	own.peer = hub.peer;
	own.payload = malloc(round->load.bytes);
	own.reply = malloc(round->load.bytes);
	bench_check(round, own.payload && own.reply, "memory");
	bench_payload_init(own.payload, round->load.bytes);
	bench_each(round, ask, &own);
	bench_hub_close(round, &hub);
	free(own.payload);
	free(own.reply);
}
