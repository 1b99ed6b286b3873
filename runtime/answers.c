/* SPDX-License-Identifier: MIT */
/* Requests as memory, and their answers on the way back: packed into frames, a
 * frame a client in turn, and never waiting for a client that is full. */
#include "runtime/answer_transfer.h"
#include "runtime/lent.h"
#include "runtime/parcel.h"
#include "runtime/publish.h"

#include "base/discard.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

enum {
	REQUEST_CAPACITY = 256, /* of the requests that are kept for reuse */
	SPARE_MAX = 8192,
	SHRINK_MIN = 16384, /* smaller ones may be larger than their answers */
	FRAMES_PER_LOOK = 64,
	FRAMES_PER_PART = 16, /* it has as many bytes: what is answered meanwhile goes first */
	REFUSALS_MAX = 64,    /* answers beyond the window: then its errors are dropped */
	ANSWER_FRAMES_IN_ROW = 3
};

/* ---- requests as memory --------------------------------------------------------- */

void dxi_request_append(dxi_request_list *list, dxh_request *request)
{
	request->previous = list->last;
	request->next = NULL;
	if (list->last)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
	list->count++;
}

void dxi_request_remove(dxi_request_list *list, dxh_request *request)
{
	if (request->previous)
		request->previous->next = request->next;
	else
		list->first = request->next;
	if (request->next)
		request->next->previous = request->previous;
	else
		list->last = request->previous;
	list->count--;
}

dxh_request *dxi_request_make(dxh_service *service, size_t bytes)
{
	dxh_request *request = service->spare;
	size_t capacity = bytes < REQUEST_CAPACITY ? REQUEST_CAPACITY : bytes;

	if (request && capacity == REQUEST_CAPACITY) {
		service->spare = request->next;
		service->spare_count--;
	} else {
		request = malloc(sizeof *request + capacity);
		if (!request)
			return NULL;
		dxi_count(&service->hub->metrics->memory_bytes, sizeof *request + capacity);
	}
	*request = (dxh_request){.task.kind = DXI_TASK_ANSWER,
	                         .service = service,
	                         .deadline_ns = DXH_FOREVER,
	                         .capacity = capacity};
	return request;
}

static void release_answer(dxh_request *request)
{
	if (!request->answer_body)
		return;
	dxi_count_down(&request->service->hub->metrics->memory_bytes, request->answer_bytes);
	dxi_body_release(request->answer_body);
	request->answer_body = NULL;
}

void dxi_request_free(dxh_request *request)
{
	dxh_service *service = request->service;

	release_answer(request);
	dxi_return(request);
	dxi_kept_let_go(request);
	dxi_caller_release(request->caller);
	request->caller = NULL;
	if (request->capacity == REQUEST_CAPACITY && service->spare_count < SPARE_MAX) {
		request->next = service->spare;
		service->spare = request;
		service->spare_count++;
		return;
	}
	dxi_count_down(&service->hub->metrics->memory_bytes, sizeof *request + request->capacity);
	dxi_discard(request, request->capacity);
}

dxh_request *dxi_request_shrink(dxh_request *request)
{
	size_t needed = request->answer_body ? 0 : request->answer_bytes;
	dxh_request *smaller;

	if (request->capacity < SHRINK_MIN || needed > request->capacity / 2)
		return request;
	smaller = dxi_request_make(request->service, needed);
	if (!smaller)
		return request;
	smaller->id = request->id;
	smaller->answer_kind = request->answer_kind;
	smaller->answer_status = request->answer_status;
	smaller->answer_bytes = request->answer_bytes;
	smaller->answer_body = request->answer_body;
	smaller->answer = request->answer_body ? request->answer : smaller->storage;
	if (needed > 0)
		memcpy(smaller->storage, request->answer, needed);
	request->answer_body = NULL;
	dxi_kept_moved(request, smaller);
	dxi_request_free(request);
	return smaller;
}

void dxi_request_free_spares(dxh_service *service)
{
	while (service->spare) {
		dxh_request *request = service->spare;

		service->spare = request->next;
		dxi_count_down(&service->hub->metrics->memory_bytes,
		               sizeof *request + request->capacity);
		free(request);
	}
	service->spare_count = 0;
}

/* ---- answers ------------------------------------------------------------------------ */

/* Only these answer a request, and return the credit it took. */
static bool answers_request(const dxh_request *request)
{
	return request->answer_kind == DXI_REPLY || request->answer_kind == DXI_ERROR;
}

/* What it counts for in the client's window: small ones fit in what every request has. */
static uint64_t held_by(const dxh_request *request)
{
	return request->answer_bytes > REQUEST_CAPACITY ? request->answer_bytes : 0;
}

/* Whom it is for takes no parts, and it does not fit in a frame. */
static void replace_by_error(dxh_request *request)
{
	static const char text[] = "the answer is too large for this client, which takes no body "
				   "in parts";

	release_answer(request);
	request->answer_kind = DXI_ERROR;
	request->answer_status = DXH_ETOOBIG;
	request->answer = text;
	request->answer_bytes = sizeof text - 1;
}

void dxi_answer_queue(dxi_client *client, dxh_request *request)
{
	bool is_large = request->answer_bytes > DXI_BODY_PART_BYTES_MAX; /* then it is a REPLY */

	if (is_large && !client->takes_parts &&
	    dxi_record_bytes(0, request->answer_bytes) + DXI_FRAME_HEADER_BYTES >
	            DXI_MESSAGE_BYTES_MAX)
		replace_by_error(request);
	request->client = client;
	client->replies += answers_request(request);
	client->bytes += held_by(request);
	if (is_large && client->takes_parts)
		dxi_request_append(&client->large, request);
	else
		dxi_request_append(&client->answers, request);
	dxi_client_has_something(client);
}

void dxi_answer_forget(dxi_client *client, const dxh_request *request)
{
	client->replies -= answers_request(request);
	client->bytes -= held_by(request);
}

void dxi_answer_left(dxi_client *client, const dxh_request *request)
{
	dxi_count(&client->service->hub->metrics->replies_sent, answers_request(request));
	dxi_answer_forget(client, request);
}

/* An answer that the library gives by itself. */
void dxi_answer_now(dxi_client *client, uint8_t kind, uint64_t id, dxh_status status,
                    const void *body, size_t body_bytes)
{
	dxi_metrics *metrics = client->service->hub->metrics;
	dxh_request *request = NULL;

	if (client->answers.count < client->service->config.client_window + REFUSALS_MAX)
		request = dxi_request_make(client->service, body_bytes);
	if (!request) {
		dxi_count(kind == DXI_REPLY || kind == DXI_ERROR ? &metrics->replies_dropped
		                                                 : &metrics->control_refused,
		          1);
		return;
	}
	request->id = id;
	request->answer_kind = kind;
	request->answer_status = status;
	request->answer = request->storage;
	request->answer_bytes = body_bytes;
	if (body_bytes > 0)
		memcpy(request->storage, body, body_bytes);
	dxi_answer_queue(client, request);
}

/* What is on its way to a client, for as long as libzmq takes it. */
typedef struct departure {
	dxi_client *client;
	dxh_request *carried; /* its answer is the message's body; NULL: all was copied */
	bool is_part;
} departure;

static bool append_answer(dxi_frame_writer *writer, const dxh_request *request, uint8_t flags)
{
	bool is_subscribe = request->answer_kind == DXI_SUBSCRIBE;

	return dxi_frame_append(writer,
	                        &(dxi_record){.kind = request->answer_kind,
	                                      .flags = flags,
	                                      .id = is_subscribe ? 0 : request->id,
	                                      .budget_us = is_subscribe ? (uint32_t)request->id : 0,
	                                      .status = (int32_t)request->answer_status,
	                                      .body = request->answer,
	                                      .body_bytes = request->answer_bytes});
}

static bool travels_behind(const dxi_client *client, const dxh_request *request)
{
	return client->takes_parts && request->answer_kind == DXI_REPLY &&
	       request->answer_bytes >= DXI_BODY_IN_PLACE_MIN;
}

static void encode_notes(dxi_client *client, dxi_frame_writer *writer)
{
	uint32_t waiting = client->notes.count;

	dxi_notes_encode(client, writer);
	if (client->notes.count < waiting)
		client->frames_without_notes = 0;
}

/* Notes go behind the answers, for those are waited for; but of so many frames and one more,
 * one begins with notes if any wait. */
static void encode_notes_in_turn(dxi_client *client, dxi_frame_writer *writer)
{
	if (client->notes.count == 0) {
		client->frames_without_notes = 0;
	} else if (client->frames_without_notes++ >= ANSWER_FRAMES_IN_ROW) {
		encode_notes(client, writer);
		writer->capacity = client->frame_bytes; /* of what joins them */
	}
}

/* Encode as many answers as one frame takes; they are sent then. */
static void encode_answers(departure *leaving, dxi_outgoing *message)
{
	dxi_client *client = leaving->client;
	dxi_frame_writer writer =
		dxi_frame_begin(client->service->hub->scratch, DXI_MESSAGE_BYTES_MAX);
	dxh_request *request;

	dxi_parcel_credit_encode(client, &writer);
	encode_notes_in_turn(client, &writer);
	while (!leaving->carried && (request = client->answers.first)) {
		bool is_behind = travels_behind(client, request);

		if (!append_answer(&writer, request, is_behind ? DXI_FLAG_BODY_IN_NEXT_PART : 0))
			break;
		dxi_answer_left(client, request);
		dxi_request_remove(&client->answers, request);
		if (is_behind) {
			message->body = request->answer;
			message->body_bytes = request->answer_bytes;
			message->owner = request->answer_body;
			leaving->carried = request;
		} else {
			dxi_request_free(request);
		}
		/* A large answer had the whole buffer; what joins it must fit a frame. */
		if (writer.used >= client->frame_bytes)
			break;
		writer.capacity = client->frame_bytes;
	}
	if (!leaving->carried)
		encode_notes(client, &writer);
	dxi_count(&client->service->hub->metrics->records_sent, writer.records);
	message->frame_bytes = dxi_frame_end(&writer);
}

static bool has_small(const dxi_client *client)
{
	return client->answers.count + client->notes.count > 0 || dxi_parcel_credit_is_due(client);
}

/* Small answers go before parts, but of so many frames and one more, one is a part. */
static bool is_turn_of_parts(const dxi_client *client)
{
	return dxi_answer_parts_wait(client) &&
	       (!has_small(client) || client->frames_in_row >= DXI_SMALL_FRAMES_IN_ROW);
}

static void encode_departure(void *context, dxi_outgoing *message)
{
	departure *leaving = context;
	dxi_client *client = leaving->client;
	dxh_hub *hub = client->service->hub;

	message->frame = hub->scratch;
	leaving->is_part = is_turn_of_parts(client);
	if (leaving->is_part) {
		leaving->carried = dxi_answer_part_encode(client, message);
		client->frames_in_row = 0;
	} else {
		encode_answers(leaving, message);
		client->frames_in_row++;
	}
	dxi_count(&hub->metrics->frames_sent, 1);
}

void dxi_client_say_goodbye(dxi_client *client)
{
	client->goodbye_due = dxi_answer_parts_wait(client);
	if (!client->goodbye_due)
		dxi_answer_now(client, DXI_GOODBYE, 0, DXH_OK, NULL, 0);
}

static bool has_something(dxi_client *client)
{
	if (client->goodbye_due)
		dxi_client_say_goodbye(client);
	return has_small(client) || dxi_answer_parts_wait(client);
}

/* One frame of answers, or a part, which counts as so many; false: the client has none
 * left, is full, or is gone. */
static bool send_answers(dxi_client *client, size_t *frames)
{
	dxh_service *service = client->service;
	departure leaving = {.client = client};
	dxi_sent sent;

	/* What it waited for was canceled: an empty message would end its connection. */
	if (!has_something(client)) {
		dxi_client_dequeue(client);
		return false;
	}
	sent = dxi_link_send_to(service->link, client->id, client->id_bytes, encode_departure,
	                        &leaving);
	*frames += leaving.is_part ? FRAMES_PER_PART : 1;
	if (leaving.carried)
		dxi_request_free(leaving.carried);
	switch (sent) {
	case DXI_SENT_ALL:
		client->full = client->retried = false;
		if (has_something(client))
			return true;
		dxi_client_dequeue(client);
		return false;
	case DXI_SENT_LATER:
		dxi_client_park(client);
		return false;
	case DXI_SENT_NEVER:
		dxi_client_drop(client);
		return false;
	}
	return false;
}

size_t dxi_service_answer(dxh_service *service)
{
	size_t frames = 0;

	dxi_service_refill(service);
	if (dxi_inbox_signal(service->inbox))
		dxi_service_ring(service);
	/* A frame each, in turn: a client with many answers does not hold up others. */
	while (service->answering.first && frames < FRAMES_PER_LOOK) {
		dxi_client *client = service->answering.first;

		if (send_answers(client, &frames))
			dxi_client_requeue(client);
	}
	return frames;
}

bool dxi_service_is_idle(const dxh_service *service)
{
	return !service->answering.first && !service->parked.first;
}

struct single {
	dxh_hub *hub;
	dxi_record record;
};

static void encode_single(void *context, dxi_outgoing *message)
{
	struct single *single = context;
	dxi_frame_writer writer = dxi_frame_begin(single->hub->scratch, DXI_FRAME_BYTES_MAX);

	dxi_frame_append(&writer, &single->record);
	message->frame = single->hub->scratch;
	message->frame_bytes = dxi_frame_end(&writer);
}

/* Send one record past the queues; tells whether the client is still there. */
dxi_sent
dxi_answer_past_queue(dxh_service *service, const void *id, size_t id_bytes, dxi_record record)
{
	struct single single = {service->hub, record};

	return dxi_link_send_to(service->link, id, id_bytes, encode_single, &single);
}
