/* SPDX-License-Identifier: MIT */
/* Answers requests from worker threads; knows nothing of sampling but the facts
 * that it leaves in common memory. */
#include "demo_service.h"

#include "demo_sample.h"

#include <stdio.h>
#include <string.h>

static void answer_stats(struct demo_server *server, dxh_request *request)
{
	uint64_t next = demo_get(&server->own->next_ticket);
	struct demo_stats_reply reply = {
		.samples = next - demo_aborted_below(next),
		.rate_hz = atomic_load_explicit(&server->facts->rate_hz, memory_order_relaxed),
		.epoch = demo_get(&server->own->epoch)};

	reply.checksum = demo_checksum(&reply, offsetof(struct demo_stats_reply, checksum));
	dxh_request_reply(request, &reply, sizeof reply);
}

/* The body is a decimal number. */
static void answer_rate(struct demo_server *server, dxh_request *request)
{
	size_t bytes = 0;
	const char *body = dxh_request_body(request, &bytes);
	char text[64];
	uint32_t rate = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (bytes > 5 || body[i] < '0' || body[i] > '9') {
			rate = 0;
			break;
		}
		rate = rate * 10 + (uint32_t)(body[i] - '0');
	}
	if (rate < 1 || rate > DEMO_RATE_MAX) {
		demo_add(&server->own->rejected, 1);
		snprintf(text, sizeof text, "the rate must be 1 to %d", DEMO_RATE_MAX);
		dxh_request_reject(request, DXH_EREJECTED, text);
		return;
	}
	atomic_store_explicit(&server->facts->rate_hz, rate, memory_order_relaxed);
	dxh_request_reply(request, NULL, 0);
}

static void take_mark(struct demo_server *server, dxh_request *request)
{
	size_t bytes = 0;
	const void *body = dxh_request_body(request, &bytes);
	uint64_t number = 0;

	if (strcmp(dxh_request_subject(request), "event.mark") == 0 && bytes == sizeof number) {
		memcpy(&number, body, sizeof number);
		demo_add(&server->own->marks, 1);
		demo_add(&server->own->marks_sum, number);
	}
	dxh_request_release(request);
}

static void answer(struct demo_server *server, dxh_request *request)
{
	const char *subject = dxh_request_subject(request);
	const void *body;
	size_t bytes = 0;

	if (dxh_request_is_notification(request)) {
		take_mark(server, request);
		return;
	}
	demo_add(&server->own->requests, 1);
	if (strcmp(subject, "echo") == 0) {
		body = dxh_request_body(request, &bytes);
		dxh_request_reply(request, body, bytes);
	} else if (strcmp(subject, "stats.get") == 0) {
		answer_stats(server, request);
	} else if (strcmp(subject, "rate.set") == 0) {
		answer_rate(server, request);
	} else {
		dxh_request_reject(request, DXH_EUNKNOWN, "echo, stats.get or rate.set");
	}
}

/* Until told to stop; then until nothing waits any more. */
static void *serve(void *context)
{
	struct demo_server *server = context;
	dxh_request *request = NULL;
	dxh_status status;
	uint32_t stop;

	do {
		stop = atomic_load_explicit(&server->stop, memory_order_relaxed);
		status = dxh_service_receive(server->service, stop ? DXH_NOW : dxh_in_ms(50),
		                             &request);
		if (status == DXH_OK)
			answer(server, request);
	} while (status == DXH_OK || (status == DXH_EWAIT && !stop));
	if (status != DXH_EWAIT)
		demo_say("a service thread ended: %s", dxh_last_error());
	return NULL;
}

dxh_status demo_server_start(struct demo_server *server, dxh_hub *hub, struct demo_facts *facts,
                             struct demo_producer *own)
{
	dxh_status status;

	server->facts = facts;
	server->own = own;
	/* Room for what arrives while this process waits for a CPU. */
	status = dxh_service_bind(hub, facts->config.service,
	                          &(dxh_service_config){.inbox_max = 65536}, &server->service);
	if (status != DXH_OK)
		return status;
	for (; server->threads < DEMO_SERVER_THREADS; server->threads++)
		if (pthread_create(&server->thread[server->threads], NULL, serve, server) != 0)
			break;
	if (server->threads > 0)
		return DXH_OK;
	dxh_service_close(&server->service);
	return DXH_ENOMEM;
}

void demo_server_stop(struct demo_server *server)
{
	if (server->service == NULL)
		return;
	atomic_store_explicit(&server->stop, 1, memory_order_relaxed);
	for (unsigned i = 0; i < server->threads; i++)
		pthread_join(server->thread[i], NULL);
	dxh_service_close(&server->service);
}
