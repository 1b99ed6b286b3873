/* SPDX-License-Identifier: MIT */
/* The I/O thread's side of a service: its link, what clients send until it is in
 * the inbox, what workers give back, and the end. What a client makes us keep is
 * bounded here; what libzmq holds of an unfinished message is not (see
 * docs/wire-format.md, limits). */
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

#include <stdlib.h>
#include <string.h>

enum {
	FRAMES_PER_LOOK = 64,
	CANCEL_SEARCH_MAX = 256 /* newest requests looked at for a cancel, a hint */
};

/* ---- what clients send ------------------------------------------------------------------- */

void dxi_request_refuse(dxi_client *client, uint64_t id, dxh_status status, const char *text)
{
	dxi_count(&client->service->hub->metrics->requests_refused, 1);
	dxi_answer_now(client, DXI_ERROR, id, status, text, strlen(text));
}

dxh_request *
dxi_request_announced(dxh_service *service, const dxi_record *record, size_t body_bytes)
{
	/* Subject, NUL, body at a multiple of 8. */
	size_t body_at = ((size_t)record->subject_bytes + 1 + 7) / 8 * 8;
	dxh_request *request =
		dxi_request_make(service, body_at + (record->owner ? 0 : body_bytes));

	if (!request)
		return NULL;
	memcpy(request->storage, record->subject, record->subject_bytes);
	request->storage[record->subject_bytes] = '\0';
	if (record->owner)
		dxi_lend(request, record->owner, record->body);
	else
		request->body = request->storage + body_at;
	request->body_bytes = body_bytes;
	request->id = record->id;
	request->attempt = record->attempt;
	request->is_to_be_kept = record->flags & DXI_FLAG_KEEP;
	request->deadline_ns = dxi_budget_decode(record->budget_us, service->hub->now_ns);
	return request;
}

static dxh_request *copy_record(dxh_service *service, const dxi_record *record)
{
	dxh_request *request = dxi_request_announced(service, record, record->body_bytes);

	if (request && !record->owner && record->body_bytes > 0)
		memcpy(request->body, record->body, record->body_bytes);
	return request;
}

static bool is_full(const dxh_service *service)
{
	/* The inbox's own count is shared with workers: looked at only near the end. */
	return service->turns.count + DXI_AHEAD_MAX >= service->config.inbox_max &&
	       service->turns.count + dxi_inbox_count(service->inbox) >= service->config.inbox_max;
}

/* Into the client's backlog, as long as the service has room in items and in bytes.
 * However many wait of others, there is room for one of a client of which none does. */
static bool put(dxi_client *client, dxh_request *request)
{
	dxh_service *service = client->service;

	if (client->backlog.count > 0 && is_full(service))
		return false;
	if (service->bytes_out + dxi_request_holds(request) > service->config.inbox_bytes)
		return false;
	dxi_turns_add(&service->turns, &client->backlog, request);
	service->requests_out++;
	service->bytes_out += dxi_request_holds(request);
	return true;
}

/* How many may be ahead of the workers: more for those who take fast. */
static uint32_t look_ahead(dxh_service *service)
{
	uint32_t ahead = atomic_load_explicit(&service->ahead, memory_order_relaxed);
	int64_t now_ns = service->hub->now_ns;

	if (atomic_load_explicit(&service->more_waits, memory_order_relaxed) &&
	    dxi_inbox_count(service->inbox) == 0) {
		service->starved_ns = now_ns;
		ahead = ahead < DXI_AHEAD_MAX ? ahead * 2 : ahead;
	} else if (ahead > DXI_AHEAD_MIN && now_ns - service->starved_ns > DXI_AHEAD_KEPT_NS) {
		service->starved_ns = now_ns;
		ahead /= 2;
	}
	atomic_store_explicit(&service->ahead, ahead, memory_order_relaxed);
	return ahead < service->config.inbox_max ? ahead : service->config.inbox_max;
}

void dxi_service_refill(dxh_service *service)
{
	uint32_t ahead = look_ahead(service);

	if (service->leaving)
		return;
	do {
		uint32_t count = dxi_inbox_count(service->inbox);

		for (; count < ahead && service->turns.count > 0; count++)
			if (!dxi_inbox_put(service->inbox, dxi_turns_next(&service->turns)))
				abort(); /* it has room for DXI_AHEAD_MAX */
		if (atomic_load_explicit(&service->more_waits, memory_order_relaxed) !=
		    (service->turns.count > 0))
			atomic_store(&service->more_waits, service->turns.count > 0);
		/* Who took meanwhile and missed more_waits asked for nothing. */
	} while (service->turns.count > 0 && dxi_inbox_count(service->inbox) <= ahead / 2);
}

static void came_back(dxh_service *service, const dxh_request *request)
{
	service->requests_out--;
	service->bytes_out -= dxi_request_holds(request);
}

dxh_status dxi_request_admit(const dxi_client *client, uint64_t body_bytes, const char **text)
{
	const dxh_service *service = client->service;
	size_t open = client->open.count + client->arriving.count + client->replies;

	*text = "the body exceeds the service's body_bytes_max";
	if (body_bytes > service->hub->config.body_bytes_max)
		return DXH_ETOOBIG;
	*text = "the body exceeds the window of a client";
	if (body_bytes > service->config.client_bytes)
		return DXH_ETOOBIG;
	*text = "the service was closed";
	if (service->leaving)
		return DXH_ECLOSED;
	*text = "more requests open than the window allows";
	if (open >= service->config.client_window ||
	    client->bytes > service->config.client_bytes - body_bytes)
		return DXH_EOVERLOADED;
	return DXH_OK;
}

void dxi_request_accept(dxi_client *client, dxh_request *request)
{
	if (!put(client, request)) {
		dxi_request_refuse(client, request->id, DXH_EOVERLOADED,
		                   "the service's inbox is full");
		dxi_request_free(request);
		return;
	}
	request->client = client;
	client->bytes += request->body_bytes;
	dxi_request_append(&client->open, request);
	if (request->is_to_be_kept && client->memory)
		dxi_kept_begin(client->memory, request);
}

static void take_request(dxi_client *client, const dxi_record *record)
{
	dxh_service *service = client->service;
	dxh_request *request;
	dxh_status status;
	const char *text;

	if (dxi_repeat_taken(client, record))
		return;
	status = dxi_request_admit(client, record->body_bytes, &text);
	request = status == DXH_OK ? copy_record(service, record) : NULL;
	dxi_count(&service->hub->metrics->requests_received, 1);
	if (request)
		dxi_request_accept(client, request);
	else if (status == DXH_OK)
		dxi_request_refuse(client, record->id, DXH_EOVERLOADED,
		                   "the service is out of memory");
	else
		dxi_request_refuse(client, record->id, status, text);
}

/* Is there room for one more notification of so many bytes? A client that counts them
 * has its window. Of others so many may wait as of requests; however many wait of
 * others, there is room for one of a client of which none does. */
static bool has_room(const dxi_client *client, const dxi_parcel *parcel, size_t record_bytes)
{
	const dxh_service *service = client->service;

	if (client->notify_window > 0)
		return client->notify_out + parcel->record_bytes + record_bytes <=
		       client->notify_window;
	return parcel->count + client->backlog.count == 0 ||
	       service->turns.count + parcel->count + dxi_inbox_count(service->inbox) <
	               service->config.inbox_max;
}

static dxi_parcel *make_parcel(dxh_service *service, const dxi_frame_reader *rest, size_t record)
{
	size_t bytes = dxi_parcel_bytes((size_t)rest->records_left + 1,
	                                (size_t)(rest->end - rest->at) + record);

	if (service->bytes_out + bytes > service->config.inbox_bytes)
		return NULL;
	return dxi_parcel_make(service, bytes);
}

/* What is in the parcel goes to the workers, in turn. */
static void hand_on(dxi_client *client, dxi_parcel *parcel, dxh_request *first, dxh_request *last)
{
	dxh_service *service = client->service;

	dxi_parcel_seal(parcel, client);
	service->requests_out += parcel->count;
	service->bytes_out += parcel->capacity;
	dxi_count(&service->hub->metrics->notifications_received, parcel->count);
	dxi_turns_add_chain(&service->turns, &client->backlog, first, last, parcel->count);
}

/* All notifications that follow each other in the frame, *record being the first.
 * false: nothing follows them; otherwise *record is what does. */
static bool take_notifications(dxi_client *client, dxi_frame_reader *reader, dxi_record *record)
{
	dxi_metrics *metrics = client->service->hub->metrics;
	size_t bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);
	dxi_parcel *parcel = make_parcel(client->service, reader, bytes);
	dxh_request *first = NULL, *last = NULL;
	uint64_t records = 0, refused = 0, refused_bytes = 0;
	bool more = true;

	for (; more && record->kind == DXI_NOTIFY; records++) {
		bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);
		if (parcel && has_room(client, parcel, bytes)) {
			dxh_request *added = dxi_parcel_add(parcel, record);

			*(first ? &last->next_waiting : &first) = added;
			last = added;
		} else {
			refused++;
			refused_bytes += bytes;
		}
		more = dxi_frame_next(reader, record) == DXH_OK;
	}
	dxi_count(&metrics->notifications_refused, refused);
	dxi_count(&metrics->records_received, records - 1 + more);
	if (first)
		hand_on(client, parcel, first, last);
	else if (parcel)
		dxi_parcel_free(parcel);
	dxi_parcel_credit(client, refused_bytes);
	return more;
}

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
	switch (record->kind) {
	case DXI_REQUEST:
		if (record->flags & DXI_FLAG_PART)
			dxi_request_part_taken(client, record);
		else
			take_request(client, record);
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
		    !take_notifications(client, &reader, &record))
			return;
		if (record.kind == DXI_HELLO) {
			dxi_client_take_hello(service, message, &record);
			client = dxi_client_find(service, message->client, message->client_bytes);
		} else if (!client) {
			bad_frame(service, "HELLO must be the first record");
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
		dxi_service_refill(service);
		frames++;
	}
	return frames;
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
	dxi_link_config config = {.ready = on_ready, .owner = service, .curve = &service->curve};
	dxh_status status = dxi_endpoint_is_inproc(endpoint) ? DXH_OK : prepare_sockets(service);

	if (status == DXH_OK)
		status = dxi_link_bind(&service->hub->links, &config, endpoint, service->endpoint,
		                       sizeof service->endpoint, &service->link);
	if (status != DXH_OK)
		return status;
	service->file = dxi_endpoint_file_of(service->endpoint);
	dxi_connections_hurry(service->hub, service->endpoint);
	return DXH_OK;
}

/* ---- back from the user ------------------------------------------------------------------- */

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
		if (!request->parcel) {
			came_back(service, request);
			dxi_request_free(request); /* see dxi_service_take_answer() */
			continue;
		}
		dxi_count(&service->hub->metrics->notifications_unread, 1);
		if (dxi_parcel_release(request->parcel)) {
			dxi_service_take_parcel(request->parcel);
		}
	}
}

void dxi_service_free(dxh_service *service, int linger_ms)
{
	dxi_repeats_stop(service);
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
