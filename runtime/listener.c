/* SPDX-License-Identifier: MIT */
/* The I/O thread's side of a service: its link, the records of its clients by kind, what
 * workers give back, and the end. */
#include "runtime/answer_transfer.h"
#include "runtime/parcel.h"
#include "runtime/publish.h"
#include "runtime/repeat.h"
#include "runtime/request_assembly.h"

#include "base/status.h"
#include "runtime/descriptors.h"
#include "runtime/doorkeeper.h"
#include "runtime/lent.h"
#include "runtime/peer.h"

#include <string.h>

enum {
	FRAMES_PER_LOOK = 64,
	CANCEL_SEARCH_MAX = 256, /* newest requests looked at for a cancel, a hint */
	/* In a second, of records that bring no work: whoever flushes and cancels for a reason
	 * comes to a part of it. */
	CHATTER_MANY = 100000
};

/* ---- what clients send ------------------------------------------------------------------- */

static void take_cancel(dxi_client *client, uint64_t id)
{
	dxh_request *request = client->open.last;

	if (dxi_request_parts_cancel(client, id) || dxi_answer_parts_cancel(client, id))
		return;
	for (int i = 0; request && i < CANCEL_SEARCH_MAX; i++, request = request->previous)
		if (request->id == id) {
			atomic_store_explicit(&request->canceled, 1, memory_order_relaxed);
			return;
		}
}

/* Returns false when the client is gone after it. */
static bool take_record(dxi_client *client, const dxi_record *record)
{
	if (record->kind != DXI_REQUEST && record->kind != DXI_ACK)
		dxi_client_floods(client, &client->service->chatter, CHATTER_MANY,
		                  "records that bring no work");
	switch (record->kind) {
	case DXI_REQUEST:
		if (record->flags & DXI_FLAG_PART)
			dxi_request_part_taken(client, record);
		else
			dxi_request_taken(client, record);
		return true;
	case DXI_CANCEL:
		take_cancel(client, record->id);
		return true;
	case DXI_FLUSH:
		/* All that came before it on this connection was taken. */
		dxi_answer_now(client, DXI_FLUSHED, record->id, DXH_OK, NULL, 0);
		return true;
	case DXI_SUBSCRIBE:
		dxi_client_subscribe(client, record);
		return true;
	case DXI_UNSUBSCRIBE:
		dxi_client_unsubscribe(client, record->budget_us);
		return true;
	case DXI_BEAT:
		dxi_answer_now(client, DXI_BEAT, 0, DXH_OK, NULL, 0);
		return true;
	case DXI_ACK:
		dxi_acks_taken(client, record);
		return true;
	case DXI_GOODBYE:
		dxi_client_said_goodbye(client);
		dxi_client_drop(client);
		return false;
	default:
		dxi_count(&client->service->hub->metrics->frames_bad, 1);
		return true;
	}
}

static void bad_frame(dxh_service *service, const char *why)
{
	dxi_count(&service->hub->metrics->frames_bad, 1);
	dxi_log(DXH_LOG_INFO, "'%s' dropped a bad frame: %s", service->endpoint, why);
}

static void encode_nothing(void *context, dxi_outgoing *message)
{
	(void)context;
	message->frame = "";
}

/* An empty message, which ends the connection: who believes to be known here would wait in
 * vain for its answers. */
static void tell_unknown(dxh_service *service, const dxi_message *message)
{
	(void)dxi_link_send_to(service->link, message->client, message->client_bytes,
	                       encode_nothing, NULL);
}

static void take_frame(dxh_service *service, const dxi_message *message)
{
	dxi_metrics *metrics = service->hub->metrics;
	dxi_frame_reader reader;
	dxi_record record;
	dxi_client *client;

	dxi_count(&metrics->frames_received, 1);
	if (message->malformed || message->client_bytes > DXI_ROUTING_ID_MAX) {
		bad_frame(service, "not one part or two behind a routing id of at most 32 bytes");
		return;
	}
	if (dxi_message_open(&reader, message->frame, message->bytes, message->body,
	                     message->body_bytes) != DXH_OK) {
		bad_frame(service, dxh_last_error());
		return;
	}
	reader.owner = message->owner;
	client = dxi_client_find(service, message->client, message->client_bytes);
	if (client)
		client->heard_ns = service->hub->now_ns;
	while (dxi_frame_next(&reader, &record) == DXH_OK) {
		dxi_count(&metrics->records_received, 1);
		if (client && record.kind == DXI_NOTIFY &&
		    !dxi_notifications_taken(client, &reader, &record))
			return;
		if (record.kind == DXI_HELLO) {
			dxi_client_take_hello(service, message, &record);
			client = dxi_client_find(service, message->client, message->client_bytes);
		} else if (!client) {
			bad_frame(service, "HELLO must be the first record");
			tell_unknown(service, message);
			return;
		} else if (!take_record(client, &record)) {
			return;
		}
	}
}

static size_t on_ready(void *context, bool can_receive, bool can_send, bool fired)
{
	dxh_service *service = context;
	dxi_message message;
	size_t frames = 0, bytes = 0;

	/* A router's POLLOUT says nothing about one client: with one that is full and
	 * one that is not it stays set. An edge is the reason to try the full ones. */
	(void)can_send;
	dxi_answer_unpark(service, fired);
	while (can_receive && frames < FRAMES_PER_LOOK && bytes < DXI_RECEIVE_BYTES_PER_LOOK &&
	       dxi_link_receive(service->link, &message)) {
		bytes += message.bytes + message.body_bytes;
		take_frame(service, &message);
		dxi_inline_settle(service->hub);
		dxi_service_refill(service);
		frames++;
	}
	return frames;
}

static void on_accepted(void *context, int descriptor)
{
	dxi_shed_accepted(context, descriptor);
}

static dxh_status prepare_sockets(dxh_service *service)
{
	dxh_status status;

	dxi_descriptors_raise();
	status = dxi_descriptors_reserve("a service with its clients", service->config.clients_max);
	if (status == DXH_OK && service->curve.enabled)
		status = dxi_doorkeeper_open(service->hub);
	return status;
}

dxh_status dxi_service_listen(dxh_service *service, const char *endpoint)
{
	dxi_link_config config = {.ready = on_ready,
	                          .accepted = dxi_shed_is_for(endpoint) ? on_accepted : NULL,
	                          .owner = service,
	                          .curve = &service->curve};
	dxh_status status = dxi_endpoint_is_inproc(endpoint) ? DXH_OK : prepare_sockets(service);

	if (status == DXH_OK)
		status = dxi_link_bind(&service->hub->links, &config, endpoint, service->endpoint,
		                       sizeof service->endpoint, &service->link);
	if (status != DXH_OK)
		return status;
	service->file = dxi_endpoint_file_of(service->endpoint);
	if (config.accepted)
		dxi_shed_begin(service);
	dxi_connections_hurry(service->hub, service->endpoint);
	return DXH_OK;
}

/* ---- back from the user ------------------------------------------------------------------- */

static void came_back(dxh_service *service, const dxh_request *request)
{
	service->requests_out--;
	service->bytes_out -= dxi_request_holds(request);
}

static void free_when_unused(dxh_service *service)
{
	if (!service->closed || service->requests_out > 0 || atomic_load(&service->poked))
		return;
	dxi_request_free_spares(service);
	dxi_parcel_free_spares(service);
	dxi_service_destroy(service);
}

void dxi_service_poked(dxi_task *task)
{
	dxh_service *service =
		(dxh_service *)(void *)((char *)task - offsetof(dxh_service, refill));

	/* seq_cst: who finds it set took before the refill at the end of this turn. */
	atomic_store(&service->poked, false);
	free_when_unused(service);
}

void dxi_service_take_parcel(dxi_parcel *parcel)
{
	dxh_service *service = parcel->service;

	service->requests_out -= parcel->count;
	service->bytes_out -= parcel->capacity;
	dxi_parcel_close(parcel);
	free_when_unused(service);
}

void dxi_service_take_answer(dxh_request *request)
{
	dxh_service *service = request->service;
	dxi_client *client = request->client;

	came_back(service, request);
	dxi_return(request);
	if (request->answer_body)
		dxi_count(&service->hub->metrics->memory_bytes, request->answer_bytes);
	if (request->kept)
		dxi_kept_answer(request->kept, request);
	if (client) {
		dxi_request_remove(&client->open, request);
		client->bytes -= request->body_bytes;
		dxi_answer_queue(client, dxi_request_shrink(request));
	} else {
		dxi_request_free(request); /* counted when its client went, or was answered */
	}
	free_when_unused(service);
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Answer what is open; the request itself stays with who has it. */
static void answer_closed(dxi_client *client)
{
	const char *text = "the service was closed";
	dxh_request *request;

	while ((request = client->open.first)) {
		dxi_request_remove(&client->open, request);
		client->bytes -= request->body_bytes;
		request->client = NULL;
		atomic_store_explicit(&request->canceled, 1, memory_order_relaxed);
		dxi_answer_now(client, DXI_ERROR, request->id, DXH_ECLOSED, text, strlen(text));
	}
	dxi_request_parts_refuse(client, DXH_ECLOSED, text);
	dxi_client_say_goodbye(client);
}

void dxi_service_say_farewell(dxh_service *service)
{
	service->leaving = true;
	dxi_repeats_stop(service);
	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			answer_closed(client);
	dxi_service_tell_if_deserted(service);
}

static void free_inbox_rest(dxh_service *service)
{
	dxh_request *request;

	while ((request = dxi_inbox_rest(service->inbox)) ||
	       (request = dxi_turns_next(&service->turns))) {
		const dxi_note *note = dxi_note_of(request);

		if (!note) {
			came_back(service, request);
			dxi_request_free(request); /* see dxi_service_take_answer() */
			continue;
		}
		dxi_count(&service->hub->metrics->notifications_unread, 1);
		if (dxi_parcel_release(note->parcel))
			dxi_service_take_parcel(note->parcel);
	}
}

void dxi_service_free(dxh_service *service, int linger_ms)
{
	dxi_repeats_stop(service);
	dxi_shed_end(service);
	dxi_answer_queue_stop(service);
	free_inbox_rest(service);
	for (uint32_t i = 0; i < service->bucket_count; i++)
		while (service->buckets[i])
			dxi_client_drop(service->buckets[i]);
	dxi_link_close(service->link, linger_ms);
	dxi_endpoint_file_remove(service->endpoint, service->file);
	service->link = NULL;
	service->closed = true;
	free_when_unused(service);
}
