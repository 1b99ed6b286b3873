/* SPDX-License-Identifier: MIT */
/* A repetition is answered from the cache, joins the request that is still in work, or is
 * refused. It is executed if nothing was, or if its client says that this does no harm. */
#include "runtime/repeat.h"

#include "runtime/request_assembly.h"

#include <string.h>

/* ---- who is remembered ---------------------------------------------------------- */

static void look_for_absent(void *context)
{
	dxh_service *service = context;
	dxh_hub *hub = service->hub;

	/* FOREVER disarms. */
	dxi_wheel_arm(&hub->ticks, &service->absence.timer,
	              dxi_reply_cache_expire(&service->cache, hub->now_ns));
}

dxh_status dxi_repeats_init(dxh_service *service)
{
	const dxh_service_config *config = &service->config;
	dxi_cache_limits limits = {
		.answered_max = config->repeats == DXH_REPEATS_EXECUTE ? 0 : config->replies_max,
		.bytes_max = config->repeats == DXH_REPEATS_REFUSE ? 0 : config->replies_bytes,
		.own_max = config->client_window,
		.own_bytes = config->client_bytes,
		.absent_max = config->clients_max,
		.absent_ns = config->replies_absent_ns};

	service->absence = (dxi_tick){.fn = look_for_absent, .context = service};
	return dxi_reply_cache_init(&service->cache, &limits, service->hub->metrics);
}

void dxi_repeats_stop(dxh_service *service)
{
	dxi_wheel_disarm(&service->hub->ticks, &service->absence.timer);
	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			client->memory = NULL;
	dxi_reply_cache_fini(&service->cache);
}

void dxi_client_remember(dxi_client *client)
{
	client->memory = dxi_memory_enter(&client->service->cache, client->incarnation);
	client->memory_token = client->memory ? dxi_memory_token(client->memory) : 0;
}

void dxi_client_went(dxi_client *client)
{
	dxh_service *service = client->service;

	if (!client->memory)
		return;
	dxi_memory_leave(client->memory, service->hub->now_ns);
	client->memory = NULL;
	if (!dxi_timer_armed(&service->absence.timer))
		look_for_absent(service);
}

void dxi_client_said_goodbye(dxi_client *client)
{
	if (client->memory)
		dxi_memory_forget(client->memory);
	client->memory = NULL;
}

/* ---- what a repetition gets -------------------------------------------------------- */

/* One answer for two: the one on its way, or that of the request in work, which goes to
 * whoever asked last. */
static void join(dxi_client *client, dxh_request *request)
{
	dxi_metrics *metrics = client->service->hub->metrics;

	dxi_count(&metrics->repeats_joined, 1);
	if (request->client) {
		dxi_count(&metrics->replies_dropped, 1);
		return;
	}
	request->client = client;
	client->bytes += request->body_bytes;
	dxi_request_append(&client->open, request);
}

static void answer_again(dxi_client *client, dxi_kept *kept)
{
	dxi_metrics *metrics = client->service->hub->metrics;
	dxh_request *carrier =
		dxi_request_make(client->service, kept->body ? 0 : kept->answer_bytes);

	if (!carrier) {
		dxi_count(&metrics->replies_dropped, 1);
		return;
	}
	dxi_count(&metrics->repeats_answered, 1);
	dxi_kept_carry(kept, carrier);
	dxi_answer_queue(client, carrier);
}

static void refuse(dxi_client *client, uint64_t id, dxh_status status, const char *text)
{
	dxi_count(&client->service->hub->metrics->repeats_refused, 1);
	dxi_answer_now(client, DXI_ERROR, id, status, text, strlen(text));
}

/* Nothing is known of it. Was it never executed? Not if everything is known that there
 * was when the client, in its HELLO on this connection, found that to be so. */
static bool is_certain(const dxi_client *client)
{
	return client->memory && dxi_memory_token(client->memory) == client->memory_token;
}

/* false: it is to be executed. */
static bool deal_with(dxi_client *client, const dxi_record *record)
{
	bool is_once = record->flags & DXI_FLAG_ONCE;
	dxi_kept *kept = client->memory ? dxi_kept_find(client->memory, record->id) : NULL;

	if (kept && kept->request)
		join(client, kept->request);
	else if (kept && kept->has_answer)
		answer_again(client, kept);
	else if (kept && is_once)
		refuse(client, record->id, DXH_EREPEATED,
		       "executed before, and its answer is not kept");
	else if (is_once && !is_certain(client))
		refuse(client, record->id, DXH_ELOST,
		       "whether it was executed before is not known any more");
	else
		return false;
	return true;
}

bool dxi_repeat_taken(dxi_client *client, const dxi_record *record)
{
	bool is_dealt_with = record->attempt > 0 && deal_with(client, record);

	dxi_count(&client->service->hub->metrics->requests_received, is_dealt_with);
	return is_dealt_with;
}

void dxi_acks_taken(dxi_client *client, const dxi_record *record)
{
	size_t count = record->body_bytes / DXI_ID_BYTES;

	if (record->body_bytes % DXI_ID_BYTES != 0)
		dxi_count(&client->service->hub->metrics->frames_bad, 1);
	for (size_t i = 0; client->memory && i < count; i++)
		dxi_kept_acknowledge(client->memory, dxi_ids_read(record->body, i));
}
