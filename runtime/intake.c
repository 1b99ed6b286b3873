/* SPDX-License-Identifier: MIT */
/* What clients send until workers take it: admitted within the window of each, copied, in
 * its client's backlog, and from there to the inbox in turn. What a client makes us keep is
 * bounded here; what libzmq holds of an unfinished message is not (see docs/wire-format.md,
 * limits). */
#include "runtime/parcel.h"
#include "runtime/repeat.h"

#include "runtime/lent.h"

#include "base/clock.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

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
	request->subject_bytes = (uint8_t)record->subject_bytes;
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

/* Of requests, that is: notifications have their own windows. */
static bool is_full(const dxh_service *service)
{
	const dxi_turns *turns = &service->turns;
	uint32_t most = service->config.inbox_max;

	/* The inbox's own count is shared with workers: looked at only near the end. */
	return turns->requests + DXI_AHEAD_MAX >= most &&
	       turns->requests + dxi_turns_requests_of_latest(turns,
	                                                      dxi_inbox_count(service->inbox)) >=
	               most;
}

enum {
	/* However much others hold, so much gets in of a client of which nothing is here. */
	SMALL_BYTES = 4096,
	/* However many of others wait, such a part of inbox_max may wait of each: a hub beats
	 * for many channels at once, and asks beside that. */
	SHARE_PART = 32,
	/* In a second, beyond the window that each was told. */
	OVERRUNS_MANY = 1000
};

static bool has_its_share(const dxi_client *client, uint32_t waiting)
{
	uint32_t share = client->service->config.inbox_max / SHARE_PART;

	return waiting >= (share > 0 ? share : 1);
}

static bool has_bytes(const dxi_client *client, const dxh_request *request)
{
	const dxh_service *service = client->service;
	uint64_t holds = dxi_request_holds(request);

	return service->bytes_out + holds <= service->config.inbox_bytes ||
	       (client->open.count == 0 && holds <= SMALL_BYTES);
}

/* Why there is no room for one that waits, or does not; NULL: there is. */
static const char *no_room_for(const dxi_client *client, const dxh_request *request, bool waits)
{
	if (waits && has_its_share(client, client->backlog.requests) && is_full(client->service))
		return "the service's inbox is full";
	if (!has_bytes(client, request))
		return "the service's inbox_bytes are used up";
	return NULL;
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
	dxh_service *service = client->service;
	const dxi_handler *handler = dxi_inline_handler_of(service, dxh_request_subject(request));
	const char *refusal = no_room_for(client, request, !handler);

	if (refusal) {
		dxi_request_refuse(client, request->id, DXH_EOVERLOADED, refusal);
		dxi_request_free(request);
		return;
	}
	service->requests_out++;
	service->bytes_out += dxi_request_holds(request);
	if (!handler)
		dxi_turns_add(&service->turns, &client->backlog, request);
	request->client = client;
	request->caller = dxi_caller_acquire(client->caller);
	client->bytes += request->body_bytes;
	dxi_request_append(&client->open, request);
	if (request->is_to_be_kept && client->memory)
		dxi_kept_begin(client->memory, request);
	if (handler)
		dxi_inline_handle(handler, request);
}

void dxi_request_taken(dxi_client *client, const dxi_record *record)
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
	/* Who sends on and on what its window does not allow is bounded by it, and named. */
	if (status == DXH_EOVERLOADED)
		dxi_client_floods(client, &service->overruns, OVERRUNS_MANY,
		                  "requests beyond its window");
}

/* Is there room for one more notification of so many bytes? A client that counts them
 * has its window. Of others so many may wait as of requests. */
static bool has_room(const dxi_client *client, const dxi_parcel *parcel, size_t record_bytes)
{
	const dxh_service *service = client->service;

	if (client->notify_window > 0)
		return client->notify_out + parcel->record_bytes + record_bytes <=
		       client->notify_window;
	return !has_its_share(client, parcel->count + client->backlog.count) ||
	       service->turns.count + parcel->count + dxi_inbox_count(service->inbox) <
	               service->config.inbox_max;
}

/* Of what is left of the frame, behind a record of so many bytes. Who keeps to its window
 * loses nothing, whatever others hold. */
static dxi_parcel *
make_parcel(const dxi_client *client, const dxi_frame_reader *rest, size_t record)
{
	dxh_service *service = client->service;
	size_t bytes = (size_t)(rest->end - rest->at) + record;

	if (client->notify_window == 0 && service->bytes_out + bytes > service->config.inbox_bytes)
		return NULL;
	return dxi_parcel_make(service, bytes);
}

/* Notifications on their way to workers. */
typedef struct chain {
	dxi_node *first, *last;
	uint32_t count;
} chain;

static void append(chain *to, dxi_node *note)
{
	*(to->first ? &to->last->next : &to->first) = note;
	to->last = note;
	to->count++;
}

/* Those that have a handler here are handled; the others are left. */
static void handle_inline(dxh_service *service, chain *of)
{
	chain left = {NULL, NULL, 0};
	dxi_node *next, *note = of->first;

	of->last->next = NULL;
	for (; note; note = next) {
		dxh_request *request = (dxh_request *)(void *)note;
		const dxi_handler *handler =
			dxi_inline_handler_of(service, dxh_request_subject(request));

		next = note->next;
		if (handler)
			dxi_inline_handle(handler, request);
		else
			append(&left, note);
	}
	*of = left;
}

/* What is in the parcel goes to the handlers here, and to the workers, in turn. */
static void hand_on(dxi_client *client, dxi_parcel *parcel, chain notifications)
{
	dxh_service *service = client->service;

	dxi_parcel_seal(parcel, client);
	dxi_parcel_hold(parcel);
	service->requests_out += parcel->count;
	service->bytes_out += parcel->capacity;
	dxi_count(&service->hub->metrics->notifications_received, parcel->count);
	/* relaxed: looked at again, in order, for each. */
	if (atomic_load_explicit(&service->handlers.inlines, memory_order_relaxed) > 0)
		handle_inline(service, &notifications);
	if (notifications.count > 0)
		dxi_turns_add_chain(&service->turns, &client->backlog, notifications.first,
		                    notifications.last, notifications.count);
	if (dxi_parcel_release(parcel))
		dxi_service_take_parcel(parcel);
}

bool dxi_notifications_taken(dxi_client *client, dxi_frame_reader *reader, dxi_record *record)
{
	dxi_metrics *metrics = client->service->hub->metrics;
	size_t bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);
	dxi_parcel *parcel = make_parcel(client, reader, bytes);
	chain taken = {NULL, NULL, 0};
	uint64_t records = 0, refused = 0, refused_bytes = 0;
	bool more = true;

	for (; more && record->kind == DXI_NOTIFY; records++) {
		bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);
		if (parcel && has_room(client, parcel, bytes)) {
			append(&taken, &dxi_parcel_add(parcel, record)->task.node);
		} else {
			refused++;
			refused_bytes += bytes;
		}
		more = dxi_frame_next(reader, record) == DXH_OK;
	}
	dxi_count(&metrics->notifications_refused, refused);
	dxi_count(&metrics->records_received, records - 1 + more);
	if (taken.count > 0)
		hand_on(client, parcel, taken);
	else if (parcel)
		dxi_parcel_free(parcel);
	dxi_parcel_credit(client, refused_bytes);
	return more;
}
