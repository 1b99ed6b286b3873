/* SPDX-License-Identifier: MIT */
/* What else a request costs: memory allocated for it, on both sides; copies of a large
 * body; being counted and timed. */
#include "bench/allocations.h"
#include "bench/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- allocations -------------------------------------------------------------------------- */

enum { WINDOW = 256, WARM = 4 };

/* The service in this very process, so that its allocations count too. */
typedef struct both {
	dxh_hub *client, *server;
	dxh_service *service;
	dxh_peer *peer;
	dxh_completion done[WINDOW];
	unsigned char payload[256];
} both;

static void serve_window(bench_round *round, both *own)
{
	dxh_request *request;
	const void *body;
	size_t bytes;

	for (int i = 0; i < WINDOW; i++) {
		bench_must(round, dxh_service_receive(own->service, dxh_in_ms(10000), &request),
		           "receive");
		body = dxh_request_body(request, &bytes);
		bench_must(round, dxh_request_reply(request, body, bytes), "reply");
	}
}

static void exchange_window(bench_round *round, both *own, uint64_t first)
{
	size_t bytes = round->load.bytes;
	dxh_reply reply;

	for (uint64_t i = 0; i < WINDOW; i++) {
		bench_payload_mark(own->payload, bytes, first + i);
		bench_must(round,
		           dxh_post(own->peer, "echo", own->payload, bytes, DXH_FOREVER,
		                    &own->done[i]),
		           "post");
	}
	serve_window(round, own);
	for (uint64_t i = 0; i < WINDOW; i++) {
		bench_must(round, dxh_await(own->done[i], DXH_FOREVER, &reply), "await");
		bench_check(round, bench_payload_is(reply.body, bytes, first + i), "reply");
		bench_must(round, dxh_release(own->done[i]), "release");
	}
}

static void open_both(bench_round *round, both *own)
{
	bench_payload_init(own->payload, round->load.bytes);
	bench_must(round, dxh_hub_open(NULL, &own->server), "hub");
	bench_must(round, dxh_hub_open(NULL, &own->client), "hub");
	bench_must(round, dxh_service_bind(own->server, round->endpoint, NULL, &own->service),
	           "bind");
	bench_must(round, dxh_peer_connect(own->client, round->endpoint, NULL, &own->peer),
	           "connect");
}

void bench_hub_allocations(bench_round *round)
{
	uint64_t exchanged = 0, before;
	static both own;

	open_both(round, &own);
	for (int i = 0; i < WARM; i++)
		exchange_window(round, &own, 0);
	before = bench_allocations();
	bench_start(round);
	for (; bench_goes_on(round, exchanged); exchanged += WINDOW)
		exchange_window(round, &own, exchanged);
	bench_stop(round, exchanged);
	round->counted = bench_allocations() - before;
	bench_must(round, dxh_hub_close(&own.client), "close");
	bench_must(round, dxh_hub_close(&own.server), "close");
}

/* ---- large bodies --------------------------------------------------------------------------- */

/* Each body tells which request it is; the service answers with the id alone, so that
 * only the way there is large. */
static void serve_large(bench_round *round)
{
	const dxh_hub_config hub_config = bench_hub_config(round);
	dxh_service *service;
	dxh_request *request;
	const void *body;
	dxh_hub *hub;
	size_t bytes;

	bench_must(round, dxh_hub_open(&hub_config, &hub), "hub");
	bench_must(round, dxh_service_bind(hub, round->endpoint, NULL, &service), "bind");
	bench_ready(round);
	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		body = dxh_request_body(request, &bytes);
		bench_check(round,
		            bytes == round->load.bytes &&
		                    bench_payload_is(body, bytes, bench_payload_id(body)),
		            "large body");
		bench_must(round, dxh_request_reply(request, body, 8), "reply");
	}
}

enum { LARGE_WINDOW = 8 };

typedef struct large {
	bool free_again;
	unsigned char *body;
	_Atomic int in_library;
	dxh_completion done;
	uint64_t id;
} large;

static void come_back(void *context, void *body)
{
	large *own = context;

	(void)body;
	atomic_store(&own->in_library, 0);
}

static void post_large(bench_round *round, dxh_peer *peer, large *own, uint64_t id)
{
	dxh_request_item item = {.subject = "large",
	                         .body = own->body,
	                         .body_bytes = round->load.bytes,
	                         .deadline_ns = DXH_FOREVER};

	/* Bodies come home before their completion, or soon after. */
	while (atomic_load(&own->in_library))
		bench_check(round, dxh_now_ns() < round->end_ns + INT64_C(10000000000), "body");
	own->id = id;
	bench_payload_mark(own->body, round->load.bytes, id);
	if (round->load.variant == DXH_TRANSFER) {
		item.flags = DXH_TRANSFER;
		item.free_fn = come_back;
		item.free_context = own;
		atomic_store(&own->in_library, 1);
	}
	bench_must(round, dxh_post_batch(peer, &item, 1, NULL, &own->done), "post");
}

static void take_large(bench_round *round, large *own)
{
	dxh_reply reply;

	bench_must(round, dxh_await(own->done, DXH_FOREVER, &reply), "await");
	bench_check(round, reply.body_bytes == 8 && bench_payload_id(reply.body) == own->id,
	            "reply");
	bench_must(round, dxh_release(own->done), "release");
	own->done = DXH_NO_COMPLETION;
}

static uint64_t exchange_large(bench_round *round, dxh_peer *peer, large *all)
{
	uint64_t posted = 0, answered = 0;

	bench_start(round);
	for (size_t at = 0; answered < posted || bench_goes_on(round, posted);
	     at = (at + 1) % LARGE_WINDOW) {
		if (all[at].done != DXH_NO_COMPLETION) {
			take_large(round, &all[at]);
			answered++;
		}
		if (bench_goes_on(round, posted))
			post_large(round, peer, &all[at], posted++);
	}
	bench_stop(round, answered);
	return answered;
}

/* variant: DXH_TRANSFER, or 0 to have it copied. */
void bench_hub_large(bench_round *round)
{
	dxh_hub_config config = bench_hub_config(round);
	dxh_peer_config peer_config = bench_peer_config(round);
	large all[LARGE_WINDOW] = {0};
	dxh_peer *peer;
	dxh_hub *hub;

	for (int i = 0; i < LARGE_WINDOW; i++) {
		all[i].body = malloc(round->load.bytes);
		bench_check(round, all[i].body != NULL, "memory");
		bench_payload_init(all[i].body, round->load.bytes);
	}
	bench_server(round, serve_large);
	bench_must(round, dxh_hub_open(&config, &hub), "hub");
	bench_must(round, dxh_peer_connect(hub, round->endpoint, &peer_config, &peer), "connect");
	exchange_large(round, peer, all);
	bench_must(round, dxh_hub_close(&hub), "close");
	for (int i = 0; i < LARGE_WINDOW; i++)
		free(all[i].body);
}

/* ---- metrics ----------------------------------------------------------------------------------- */

void bench_hub_metrics(bench_round *round)
{
	char block[48];
	dxh_hub_config config = {.sample_one_in = round->load.variant == BENCH_UNTIMED ? -1 : 0};

	snprintf(block, sizeof block, "bench-metrics-%d", (int)getpid());
	if (round->load.variant == BENCH_IN_BLOCK)
		config.metrics_block = block;

	bench_hub_window_with(round, &config);
}
