/* SPDX-License-Identifier: MIT */
/* The services that the workloads talk to. */
#include "bench/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static void *serve(void *context)
{
	bench_pair *pair = context;
	dxh_request *request;
	const void *body;
	size_t bytes;

	while (dxh_service_receive(pair->service, DXH_FOREVER, &request) == DXH_OK) {
		if (dxh_request_is_notification(request)) {
			dxh_request_release(request);
			atomic_fetch_add_explicit(&pair->notified, 1, memory_order_relaxed);
			continue;
		}
		body = dxh_request_body(request, &bytes);
		bench_must(dxh_request_reply(request, body, bytes), "reply");
	}
	return NULL;
}

void bench_pair_open(bench_pair *pair)
{
	const char *endpoint = bench_endpoint();

	atomic_init(&pair->notified, 0);
	bench_must(dxh_hub_open(NULL, &pair->server), "hub");
	bench_must(dxh_hub_open(NULL, &pair->client), "hub");
	bench_must(dxh_service_bind(pair->server, endpoint,
	                            &(dxh_service_config){.inbox_max = 1 << 18}, &pair->service),
	           "bind");
	bench_must(dxh_peer_connect(pair->client, endpoint,
	                            &(dxh_peer_config){.full_wait_ns = INT64_C(60000000000)},
	                            &pair->peer),
	           "connect");
	pthread_create(&pair->thread, NULL, serve, pair);
	bench_must(dxh_request_sync(pair->peer, "warm", NULL, 0, dxh_in_ms(10000), NULL, 0, NULL),
	           "first request");
}

void bench_pair_close(bench_pair *pair)
{
	bench_must(dxh_hub_close(&pair->client), "close");
	bench_must(dxh_service_stop(pair->service), "stop");
	pthread_join(pair->thread, NULL);
	bench_must(dxh_hub_close(&pair->server), "close");
}

/* The end of the conversation is an empty body. */
static void *serve_raw(void *context)
{
	bench_raw *raw = context;
	char id[64], body[4096];

	for (;;) {
		int id_bytes = zmq_recv(raw->server, id, sizeof id, 0);
		int bytes = zmq_recv(raw->server, body, sizeof body, 0);

		if (id_bytes < 0 || bytes <= 0)
			return NULL;
		atomic_fetch_add_explicit(&raw->received, 1, memory_order_relaxed);
		if (!raw->echo)
			continue;
		zmq_send(raw->server, id, (size_t)id_bytes, ZMQ_SNDMORE);
		zmq_send(raw->server, body, (size_t)bytes, 0);
	}
}

void bench_raw_open(bench_raw *raw, int echo)
{
	const char *endpoint = bench_endpoint();
	const int none = 0;

	raw->echo = echo;
	atomic_init(&raw->received, 0);
	raw->context = zmq_ctx_new();
	raw->server = zmq_socket(raw->context, ZMQ_ROUTER);
	raw->client = zmq_socket(raw->context, ZMQ_DEALER);
	/* The window bounds what is under way; a ROUTER at its mark would drop. */
	zmq_setsockopt(raw->server, ZMQ_SNDHWM, &none, sizeof none);
	zmq_setsockopt(raw->client, ZMQ_RCVHWM, &none, sizeof none);
	if (zmq_bind(raw->server, endpoint) == -1 || zmq_connect(raw->client, endpoint) == -1) {
		fprintf(stderr, "zmq: %s\n", zmq_strerror(zmq_errno()));
		exit(1);
	}
	pthread_create(&raw->thread, NULL, serve_raw, raw);
}

void bench_raw_close(bench_raw *raw)
{
	zmq_send(raw->client, "", 0, 0);
	pthread_join(raw->thread, NULL);
	zmq_close(raw->client);
	zmq_close(raw->server);
	zmq_ctx_term(raw->context);
}
