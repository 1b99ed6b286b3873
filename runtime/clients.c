/* SPDX-License-Identifier: MIT */
/* The I/O thread's side of a service: clients by routing id, their open requests,
 * their answers. Whatever a client sends is bounded here before it takes memory. */
#include "runtime/service.h"

#include "base/futex.h"
#include "base/status.h"
#include "runtime/descriptors.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROUTING_ID_MAX = 32,    /* ZeroMQ makes ids of 5 bytes; a client may choose more */
	REQUEST_CAPACITY = 256, /* of the requests that are kept for reuse */
	SPARE_MAX = 8192,
	FRAMES_PER_LOOK = 64,
	PROBES_PER_HELLO = 8,
	REFUSALS_MAX = 64,      /* answers beyond the window: then its errors are dropped */
	CANCEL_SEARCH_MAX = 256 /* newest requests looked at for a cancel, a hint */
};

typedef enum queued { QUEUED_NOWHERE, QUEUED_ANSWERING, QUEUED_PARKED } queued;

struct dxi_client {
	dxh_service *service;
	struct dxi_client *next_in_bucket;
	struct dxi_client *next_queued;
	queued queued;
	uint64_t incarnation;
	int64_t heard_ns;
	dxi_request_list open;    /* in the inbox or with the user */
	dxi_request_list answers; /* to be sent */
	uint32_t frame_bytes;
	uint8_t id_bytes;
	unsigned char id[ROUTING_ID_MAX];
};

/* ---- requests as memory --------------------------------------------------------- */

static void list_append(dxi_request_list *list, dxh_request *request)
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

static void list_remove(dxi_request_list *list, dxh_request *request)
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

static dxh_request *make_request(dxh_service *service, size_t bytes)
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
		dxi_count(&service->hub->metrics.memory_bytes, sizeof *request + capacity);
	}
	*request = (dxh_request){.task.kind = DXI_TASK_ANSWER,
	                         .service = service,
	                         .deadline_ns = DXH_FOREVER,
	                         .capacity = capacity};
	return request;
}

static void free_request(dxh_request *request)
{
	dxh_service *service = request->service;

	free(request->heap);
	if (request->capacity == REQUEST_CAPACITY && service->spare_count < SPARE_MAX) {
		request->next = service->spare;
		service->spare = request;
		service->spare_count++;
		return;
	}
	dxi_count_down(&service->hub->metrics.memory_bytes, sizeof *request + request->capacity);
	free(request);
}

static void free_spares(dxh_service *service)
{
	while (service->spare) {
		dxh_request *request = service->spare;

		service->spare = request->next;
		dxi_count_down(&service->hub->metrics.memory_bytes,
		               sizeof *request + request->capacity);
		free(request);
	}
	service->spare_count = 0;
}

/* ---- clients ---------------------------------------------------------------------- */

/* FNV-1a, 32 bits (Fowler, Noll, Vo). */
static dxi_client **bucket_of(dxh_service *service, const unsigned char *id, size_t bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ id[i]) * 16777619u;
	return &service->buckets[hash & (service->bucket_count - 1)];
}

static dxi_client *find_client(dxh_service *service, const void *id, size_t bytes)
{
	dxi_client *client = *bucket_of(service, id, bytes);

	while (client && (client->id_bytes != bytes || memcmp(client->id, id, bytes) != 0))
		client = client->next_in_bucket;
	return client;
}

static void enqueue(dxi_client **list, dxi_client *client, queued where)
{
	while (*list)
		list = &(*list)->next_queued;
	*list = client;
	client->next_queued = NULL;
	client->queued = where;
}

static void dequeue(dxi_client *client)
{
	dxh_service *service = client->service;
	dxi_client **at = client->queued == QUEUED_PARKED ? &service->parked : &service->answering;

	if (client->queued == QUEUED_NOWHERE)
		return;
	while (*at && *at != client)
		at = &(*at)->next_queued;
	if (*at)
		*at = client->next_queued;
	client->queued = QUEUED_NOWHERE;
}

/* Whoever closes the service waits for its clients to leave. */
static void tell_if_deserted(dxh_service *service)
{
	if (!service->leaving || service->client_count > 0)
		return;
	/* release: the wait of the closing thread ends; it reads nothing else. */
	atomic_store_explicit(&service->deserted, 1, memory_order_release);
	dxi_futex_wake(&service->deserted, INT_MAX, DXI_FUTEX_PRIVATE);
}

/* The client is gone: nobody reads its answers. */
static void drop_client(dxi_client *client)
{
	dxh_service *service = client->service;
	dxi_client **at = bucket_of(service, client->id, client->id_bytes);

	while (*at != client)
		at = &(*at)->next_in_bucket;
	*at = client->next_in_bucket;
	dequeue(client);
	for (dxh_request *request = client->open.first; request; request = request->next) {
		request->client = NULL;
		/* relaxed: a hint to the worker. */
		atomic_store_explicit(&request->canceled, 1, memory_order_relaxed);
	}
	dxi_count(&service->hub->metrics.replies_dropped, client->answers.count);
	while (client->answers.first) {
		dxh_request *request = client->answers.first;

		list_remove(&client->answers, request);
		free_request(request);
	}
	service->client_count--;
	free(client);
	tell_if_deserted(service);
}

/* ---- answers ------------------------------------------------------------------------ */

static void queue_answer(dxi_client *client, dxh_request *request)
{
	request->client = client;
	list_append(&client->answers, request);
	if (client->queued == QUEUED_NOWHERE)
		enqueue(&client->service->answering, client, QUEUED_ANSWERING);
}

/* An answer that the library gives by itself. */
static void answer_now(dxi_client *client, uint8_t kind, uint64_t id, dxh_status status,
                       const void *body, size_t body_bytes)
{
	dxh_request *request;

	if (client->answers.count >= client->service->config.client_window + REFUSALS_MAX)
		return;
	request = make_request(client->service, body_bytes);
	if (!request)
		return;
	request->id = id;
	request->answer_kind = kind;
	request->answer_status = status;
	request->answer = request->storage;
	request->answer_bytes = body_bytes;
	if (body_bytes > 0)
		memcpy(request->storage, body, body_bytes);
	queue_answer(client, request);
}

static void
refuse(dxi_client *client, const dxi_record *record, dxh_status status, const char *text)
{
	dxi_count(&client->service->hub->metrics.requests_refused, 1);
	answer_now(client, DXI_ERROR, record->id, status, text, strlen(text));
}

static bool append_answer(dxi_frame_writer *writer, const dxh_request *request)
{
	return dxi_frame_append(writer, &(dxi_record){.kind = request->answer_kind,
	                                              .id = request->id,
	                                              .status = (int32_t)request->answer_status,
	                                              .body = request->answer,
	                                              .body_bytes = request->answer_bytes});
}

/* Encode as many answers as one frame takes; they are sent then. */
static size_t encode_answers(void *context, const void **frame)
{
	dxi_client *client = context;
	dxh_hub *hub = client->service->hub;
	dxi_frame_writer writer = dxi_frame_begin(hub->scratch, DXI_MESSAGE_BYTES_MAX);
	dxh_request *request;

	while ((request = client->answers.first) && append_answer(&writer, request)) {
		if (request->answer_kind == DXI_REPLY || request->answer_kind == DXI_ERROR)
			dxi_count(&hub->metrics.replies_sent, 1);
		list_remove(&client->answers, request);
		free_request(request);
		/* A large answer had the whole buffer; what joins it must fit a frame. */
		if (writer.used >= client->frame_bytes)
			break;
		writer.capacity = client->frame_bytes;
	}
	dxi_count(&hub->metrics.frames_sent, 1);
	dxi_count(&hub->metrics.records_sent, writer.records);
	*frame = hub->scratch;
	return dxi_frame_end(&writer);
}

/* One frame of answers; false: the client has none left, is full, or is gone. */
static bool send_answers(dxi_client *client)
{
	dxh_service *service = client->service;

	switch (dxi_socket_send_to(service->socket, client->id, client->id_bytes, encode_answers,
	                           client)) {
	case DXI_SENT_ALL:
		if (client->answers.count > 0)
			return true;
		dequeue(client);
		return false;
	case DXI_SENT_LATER:
		dequeue(client);
		enqueue(&service->parked, client, QUEUED_PARKED);
		return false;
	case DXI_SENT_NEVER:
		drop_client(client);
		return false;
	}
	return false;
}

size_t dxi_service_answer(dxh_service *service)
{
	size_t frames = 0;

	dxi_inbox_signal(service->inbox);
	/* A frame each, in turn: a client with many answers does not hold up others. */
	while (service->answering && frames < FRAMES_PER_LOOK) {
		dxi_client *client = service->answering;

		frames++;
		if (send_answers(client)) {
			dequeue(client);
			enqueue(&service->answering, client, QUEUED_ANSWERING);
		}
	}
	return frames;
}

bool dxi_service_is_idle(const dxh_service *service)
{
	return !service->answering && !service->parked;
}

/* ---- HELLO ------------------------------------------------------------------------------ */

struct single {
	dxh_hub *hub;
	dxi_record record;
};

static size_t encode_single(void *context, const void **frame)
{
	struct single *single = context;
	dxi_frame_writer writer = dxi_frame_begin(single->hub->scratch, DXI_FRAME_BYTES_MAX);

	dxi_frame_append(&writer, &single->record);
	*frame = single->hub->scratch;
	return dxi_frame_end(&writer);
}

/* Send one record past the queues; tells whether the client is still there. */
static dxi_sent
send_single(dxh_service *service, const void *id, size_t id_bytes, dxi_record record)
{
	struct single single = {service->hub, record};

	return dxi_socket_send_to(service->socket, id, id_bytes, encode_single, &single);
}

static void
refuse_hello(dxh_service *service, const dxi_message *message, dxh_status status, const char *text)
{
	dxi_log(DXH_LOG_INFO, "'%s' refuses a client: %s", service->endpoint, text);
	send_single(service, message->client, message->client_bytes,
	            (dxi_record){.kind = DXI_ERROR,
	                         .status = (int32_t)status,
	                         .body = text,
	                         .body_bytes = strlen(text)});
}

static dxi_client *find_incarnation(dxh_service *service, uint64_t incarnation)
{
	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			if (client->incarnation == incarnation)
				return client;
	return NULL;
}

/* The client without open requests that was silent longest. */
static dxi_client *quietest(dxh_service *service)
{
	dxi_client *found = NULL;

	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			if (client->open.count + client->answers.count == 0 &&
			    (!found || client->heard_ns < found->heard_ns))
				found = client;
	return found;
}

/* A router is not told when a client goes; sending to it tells. */
static bool make_room(dxh_service *service)
{
	for (int i = 0; i < PROBES_PER_HELLO; i++) {
		dxi_client *client;

		if (service->client_count < service->config.clients_max)
			return true;
		client = quietest(service);
		if (!client)
			return false;
		if (send_single(service, client->id, client->id_bytes,
		                (dxi_record){.kind = DXI_BEAT}) == DXI_SENT_NEVER)
			drop_client(client);
		else
			client->heard_ns = service->hub->now_ns;
	}
	return service->client_count < service->config.clients_max;
}

static dxi_client *add_client(dxh_service *service, const dxi_message *message)
{
	dxi_client *client = calloc(1, sizeof *client);
	dxi_client **bucket = bucket_of(service, message->client, message->client_bytes);

	if (!client)
		return NULL;
	client->service = service;
	client->id_bytes = (uint8_t)message->client_bytes;
	memcpy(client->id, message->client, message->client_bytes);
	client->next_in_bucket = *bucket;
	*bucket = client;
	service->client_count++;
	return client;
}

static void welcome(dxi_client *client)
{
	dxh_service *service = client->service;
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = service->hub->incarnation,
	                   .frame_bytes = service->hub->config.frame_bytes,
	                   .window_records = service->config.client_window};
	unsigned char body[DXI_HELLO_BYTES_MAX];

	memcpy(hello.name, service->hub->name, sizeof hello.name);
	answer_now(client, DXI_WELCOME, 0, DXH_OK, body,
	           dxi_hello_write(&hello, body, sizeof body));
}

static void take_hello(dxh_service *service, const dxi_message *message, const dxi_record *record)
{
	dxi_client *old = find_client(service, message->client, message->client_bytes);
	dxi_client *client;
	dxi_hello hello;
	dxh_status status = dxi_hello_read(record->body, record->body_bytes, &hello);

	if (status != DXH_OK) {
		refuse_hello(service, message, status, dxh_last_error());
		return;
	}
	if (old)
		drop_client(old);
	if (service->leaving) {
		refuse_hello(service, message, DXH_ECLOSED, "the service is closing");
		return;
	}
	/* The same client on a new connection: its old one is dead. */
	old = find_incarnation(service, hello.incarnation);
	if (old)
		drop_client(old);
	if (!make_room(service)) {
		refuse_hello(service, message, DXH_EOVERLOADED,
		             "clients_max clients are connected: try again later");
		return;
	}
	client = add_client(service, message);
	if (!client)
		return;
	client->incarnation = hello.incarnation;
	client->heard_ns = service->hub->now_ns;
	client->frame_bytes = service->hub->config.frame_bytes;
	welcome(client);
}

/* ---- what clients send ------------------------------------------------------------------- */

/* Copy a record into a request: subject, NUL, body at a multiple of 8. */
static dxh_request *copy_record(dxh_service *service, const dxi_record *record)
{
	size_t body_at = ((size_t)record->subject_bytes + 1 + 7) / 8 * 8;
	dxh_request *request = make_request(service, body_at + record->body_bytes);

	if (!request)
		return NULL;
	memcpy(request->storage, record->subject, record->subject_bytes);
	request->storage[record->subject_bytes] = '\0';
	request->body = request->storage + body_at;
	request->body_bytes = record->body_bytes;
	if (record->body_bytes > 0)
		memcpy(request->storage + body_at, record->body, record->body_bytes);
	request->id = record->id;
	request->deadline_ns = dxi_budget_decode(record->budget_us, service->hub->now_ns);
	request->notification = record->kind == DXI_NOTIFY;
	return request;
}

static void take_request(dxi_client *client, const dxi_record *record)
{
	dxh_service *service = client->service;
	dxh_request *request;

	dxi_count(&service->hub->metrics.requests_received, 1);
	if (record->body_bytes > service->hub->config.body_bytes_max) {
		refuse(client, record, DXH_ETOOBIG,
		       "the body exceeds the service's body_bytes_max");
		return;
	}
	if (service->leaving) {
		refuse(client, record, DXH_ECLOSED, "the service was closed");
		return;
	}
	if (client->open.count >= service->config.client_window) {
		refuse(client, record, DXH_EOVERLOADED,
		       "more requests open than the window allows");
		return;
	}
	request = copy_record(service, record);
	if (!request) {
		refuse(client, record, DXH_EOVERLOADED, "the service is out of memory");
		return;
	}
	if (!dxi_inbox_put(service->inbox, request)) {
		free_request(request);
		refuse(client, record, DXH_EOVERLOADED, "the service's inbox is full");
		return;
	}
	request->client = client;
	list_append(&client->open, request);
	service->requests_out++;
}

static void take_notification(dxh_service *service, const dxi_record *record)
{
	dxi_metrics *metrics = &service->hub->metrics;
	dxh_request *request = copy_record(service, record);

	if (request && dxi_inbox_put(service->inbox, request)) {
		service->requests_out++;
		dxi_count(&metrics->notifications_received, 1);
		return;
	}
	dxi_count(&metrics->notifications_refused, 1);
	if (request)
		free_request(request);
}

static void take_cancel(dxi_client *client, uint64_t id)
{
	dxh_request *request = client->open.last;

	for (int i = 0; request && i < CANCEL_SEARCH_MAX; i++, request = request->previous)
		if (request->id == id) {
			atomic_store_explicit(&request->canceled, 1, memory_order_relaxed);
			return;
		}
}

/* Returns false when the client is gone after it. */
static bool take_record(dxi_client *client, const dxi_record *record)
{
	client->heard_ns = client->service->hub->now_ns;
	switch (record->kind) {
	case DXI_REQUEST:
		take_request(client, record);
		return true;
	case DXI_NOTIFY:
		take_notification(client->service, record);
		return true;
	case DXI_CANCEL:
		take_cancel(client, record->id);
		return true;
	case DXI_FLUSH:
		/* All that came before it on this connection was taken. */
		answer_now(client, DXI_FLUSHED, record->id, DXH_OK, NULL, 0);
		return true;
	case DXI_BEAT:
		return true;
	case DXI_GOODBYE:
		drop_client(client);
		return false;
	default:
		dxi_count(&client->service->hub->metrics.frames_bad, 1);
		return true;
	}
}

static void bad_frame(dxh_service *service, const char *why)
{
	dxi_count(&service->hub->metrics.frames_bad, 1);
	dxi_log(DXH_LOG_INFO, "'%s' dropped a bad frame: %s", service->endpoint, why);
}

static void take_frame(dxh_service *service, const dxi_message *message)
{
	dxi_metrics *metrics = &service->hub->metrics;
	dxi_frame_reader reader;
	dxi_record record;
	dxi_client *client;

	dxi_count(&metrics->frames_received, 1);
	if (message->malformed || message->client_bytes > ROUTING_ID_MAX) {
		bad_frame(service, "not one part behind a routing id of at most 32 bytes");
		return;
	}
	if (dxi_frame_open(&reader, message->frame, message->bytes) != DXH_OK) {
		bad_frame(service, dxh_last_error());
		return;
	}
	client = find_client(service, message->client, message->client_bytes);
	while (dxi_frame_next(&reader, &record) == DXH_OK) {
		dxi_count(&metrics->records_received, 1);
		if (record.kind == DXI_HELLO) {
			take_hello(service, message, &record);
			client = find_client(service, message->client, message->client_bytes);
		} else if (!client) {
			bad_frame(service, "HELLO must be the first record");
			return;
		} else if (!take_record(client, &record)) {
			return;
		}
	}
}

static void unpark(dxh_service *service)
{
	while (service->parked) {
		dxi_client *client = service->parked;

		dequeue(client);
		enqueue(&service->answering, client, QUEUED_ANSWERING);
	}
}

static size_t on_ready(void *context, bool can_receive, bool can_send)
{
	dxh_service *service = context;
	dxi_message message;
	size_t frames = 0;

	/* A router's POLLOUT says nothing about one client: any edge is a reason to
	 * try the full ones again. */
	(void)can_send;
	unpark(service);
	while (can_receive && frames < FRAMES_PER_LOOK &&
	       dxi_socket_receive(service->socket, &message)) {
		take_frame(service, &message);
		frames++;
	}
	return frames;
}

dxh_status dxi_service_listen(dxh_service *service, const char *endpoint)
{
	dxi_socket_config config = {.type = DXI_ROUTER, .ready = on_ready, .owner = service};
	dxh_status status;

	dxi_descriptors_raise();
	status = dxi_descriptors_reserve("a service with its clients", service->config.clients_max);
	if (status == DXH_OK)
		status = dxi_socket_open(service->hub->sockets, &config, &service->socket);
	if (status != DXH_OK)
		return status;
	status = dxi_socket_bind(service->socket, endpoint, service->endpoint,
	                         sizeof service->endpoint);
	if (status != DXH_OK)
		dxi_socket_close(service->socket, 0);
	else
		service->file = dxi_endpoint_file_of(service->endpoint);
	return status;
}

/* ---- back from the user ------------------------------------------------------------------- */

static void free_when_unused(dxh_service *service)
{
	if (!service->closed || service->requests_out > 0)
		return;
	free_spares(service);
	dxi_inbox_free(service->inbox);
	free(service->buckets);
	free(service);
}

void dxi_service_take_answer(dxh_request *request)
{
	dxh_service *service = request->service;
	dxi_client *client = request->client;

	service->requests_out--;
	if (client) {
		list_remove(&client->open, request);
		queue_answer(client, request);
	} else {
		if (!request->notification)
			dxi_count(&service->hub->metrics.replies_dropped, 1);
		free_request(request);
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
		list_remove(&client->open, request);
		request->client = NULL;
		atomic_store_explicit(&request->canceled, 1, memory_order_relaxed);
		answer_now(client, DXI_ERROR, request->id, DXH_ECLOSED, text, strlen(text));
	}
	answer_now(client, DXI_GOODBYE, 0, DXH_OK, NULL, 0);
}

void dxi_service_say_farewell(dxh_service *service)
{
	service->leaving = true;
	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			answer_closed(client);
	tell_if_deserted(service);
}

static void free_inbox_rest(dxh_service *service)
{
	dxh_request *request;

	while ((request = dxi_inbox_rest(service->inbox))) {
		service->requests_out--;
		free_request(request);
	}
}

void dxi_service_free(dxh_service *service, int linger_ms)
{
	free_inbox_rest(service);
	for (uint32_t i = 0; i < service->bucket_count; i++)
		while (service->buckets[i])
			drop_client(service->buckets[i]);
	dxi_socket_close(service->socket, linger_ms);
	dxi_endpoint_file_remove(service->endpoint, service->file);
	service->socket = NULL;
	service->closed = true;
	free_when_unused(service);
}
