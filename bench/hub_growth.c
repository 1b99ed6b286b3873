/* SPDX-License-Identifier: MIT */
/* Our requests where something else is many: peers of one hub, and deadlines that are
 * armed for requests which wait. */
#include "bench/hub.h"

#include <stdlib.h>

typedef struct crowd_hub {
	dxh_hub *hub;
	dxh_peer **peers;
	size_t peer_count;
	dxh_completion *done;
	uint64_t *ids;
	unsigned char *payload;
	int64_t deadline_ns; /* of each, from its post; 0: none */
} crowd_hub;

static void alloc_window(bench_round *round, crowd_hub *own)
{
	own->done = calloc(round->load.window, sizeof *own->done);
	own->ids = calloc(round->load.window, sizeof *own->ids);
	own->payload = malloc(round->load.bytes);
	bench_check(round, own->done && own->ids && own->payload, "memory");
	bench_payload_init(own->payload, round->load.bytes);
}

static void free_window(crowd_hub *own)
{
	free(own->done);
	free(own->ids);
	free(own->payload);
}

static void take_reply(bench_round *round, crowd_hub *own, size_t at)
{
	dxh_reply reply;

	bench_must(round, dxh_await(own->done[at], DXH_FOREVER, &reply), "await");
	bench_check(round,
	            reply.body_bytes == round->load.bytes &&
	                    bench_payload_is(reply.body, reply.body_bytes, own->ids[at]),
	            "reply");
	bench_must(round, dxh_release(own->done[at]), "release");
	own->done[at] = DXH_NO_COMPLETION;
}

static void post(bench_round *round, crowd_hub *own, size_t at, uint64_t id)
{
	int64_t deadline_ns = own->deadline_ns ? dxh_in_ns(own->deadline_ns) : DXH_FOREVER;

	own->ids[at] = id;
	bench_payload_mark(own->payload, round->load.bytes, id);
	bench_must(round,
	           dxh_post(own->peers[id % own->peer_count], "echo", own->payload,
	                    round->load.bytes, deadline_ns, &own->done[at]),
	           "post");
}

/* A window over all peers in turn. */
static void exchange(bench_round *round, crowd_hub *own)
{
	uint64_t posted = 0, answered = 0;

	bench_start(round);
	for (size_t at = 0; answered < posted || bench_goes_on(round, posted);
	     at = at + 1 == round->load.window ? 0 : at + 1) {
		if (own->done[at] != DXH_NO_COMPLETION) {
			take_reply(round, own, at);
			answered++;
		}
		if (bench_goes_on(round, posted))
			post(round, own, at, posted++);
	}
	bench_stop(round, answered);
}

static void connect_peers(bench_round *round, crowd_hub *own, size_t count)
{
	dxh_peer_config config = bench_peer_config(round);

	own->peer_count = count;
	own->peers = calloc(count, sizeof(dxh_peer *));
	bench_check(round, own->peers != NULL, "memory");
	for (size_t i = 0; i < count; i++) {
		bench_must(round,
		           dxh_peer_connect(own->hub, round->endpoint, &config, &own->peers[i]),
		           "connect");
		bench_must(round,
		           dxh_request_sync(own->peers[i], "warm", NULL, 0, dxh_in_ms(20000), NULL,
		                            0, NULL),
		           "first request");
	}
}

/* load.count peers of one hub. */
void bench_hub_peers(bench_round *round)
{
	crowd_hub own = {0};

	bench_server(round, bench_hub_serve);
	alloc_window(round, &own);
	bench_must(round, dxh_hub_open(NULL, &own.hub), "hub");
	connect_peers(round, &own, round->load.count);
	exchange(round, &own);
	bench_must(round, dxh_hub_close(&own.hub), "close");
	free(own.peers);
	free_window(&own);
}

/* ---- deadlines ------------------------------------------------------------------------------ */

/* Requests to a service that is not there wait for it until their deadlines, which are
 * far away, and each at another time. */
static void arm(bench_round *round, dxh_hub *hub)
{
	const dxh_peer_config config = {.requests_max = (uint32_t)round->load.count + 1};
	dxh_completion done;
	dxh_peer *nobody;

	bench_must(round, dxh_peer_connect(hub, "ipc://@dxh-bench-nobody", &config, &nobody),
	           "connect");
	for (size_t i = 0; i < round->load.count; i++) {
		int64_t deadline_ns = dxh_in_ms(600000 + (int64_t)(i * 37 % 600000));

		bench_must(round, dxh_post(nobody, "wait", "", 0, deadline_ns, &done), "post");
		bench_must(round, dxh_release(done), "release");
	}
}

/* load.count deadlines armed, and one for each request that is measured. */
void bench_hub_deadlines(bench_round *round)
{
	const dxh_hub_config config = {.operations_max = (uint32_t)round->load.count + 65536};
	crowd_hub own = {.deadline_ns = INT64_C(60000000000)};

	bench_server(round, bench_hub_serve);
	alloc_window(round, &own);
	bench_must(round, dxh_hub_open(&config, &own.hub), "hub");
	arm(round, own.hub);
	connect_peers(round, &own, 1);
	exchange(round, &own);
	bench_must(round, dxh_hub_close(&own.hub), "close");
	free(own.peers);
	free_window(&own);
}
