/* SPDX-License-Identifier: MIT */
/* Who is connected to a service: clients by routing id, from HELLO to the end. */
#include "runtime/answer_transfer.h"
#include "runtime/parcel.h"
#include "runtime/publish.h"
#include "runtime/repeat.h"
#include "runtime/request_assembly.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/hash.h"
#include "base/status.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	PROBES_PER_HELLO = 8,
	/* Of one process, or from one address: a peer comes back a hundred times at most. */
	HELLOS_MANY = 500
};

static const int64_t HELLOS_PERIOD_NS = 10 * (int64_t)DXI_NS_PER_S;

/* FNV-1a, 32 bits (Fowler, Noll, Vo). */
static dxi_client **bucket_of(dxh_service *service, const unsigned char *id, size_t bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ id[i]) * 16777619u;
	return &service->buckets[hash & (service->bucket_count - 1)];
}

dxi_client *dxi_client_find(dxh_service *service, const void *id, size_t bytes)
{
	dxi_client *client = *bucket_of(service, id, bytes);

	while (client && (client->id_bytes != bytes || memcmp(client->id, id, bytes) != 0))
		client = client->next_in_bucket;
	return client;
}

/* Whoever closes the service waits for its clients to leave. */
void dxi_service_tell_if_deserted(dxh_service *service)
{
	if (!service->leaving || service->client_count > 0)
		return;
	/* release: the wait of the closing thread ends; it reads nothing else. */
	atomic_store_explicit(&service->deserted, 1, memory_order_release);
	dxi_futex_wake(&service->deserted, INT_MAX, DXI_FUTEX_PRIVATE);
}

/* The client is gone: nobody reads its answers. */
void dxi_client_drop(dxi_client *client)
{
	dxh_service *service = client->service;
	dxi_client **at = bucket_of(service, client->id, client->id_bytes);

	while (*at != client)
		at = &(*at)->next_in_bucket;
	*at = client->next_in_bucket;
	dxi_client_dequeue(client);
	dxi_turns_move(&service->turns, &client->backlog, &service->leavings);
	/* What workers still answer of it goes nowhere, and is counted here. */
	dxi_count(&service->hub->metrics->replies_dropped, client->replies + client->open.count);
	for (dxh_request *request = client->open.first; request; request = request->next) {
		request->client = NULL;
		/* relaxed: a hint to the worker. What is kept may be asked for again. */
		if (!request->kept)
			atomic_store_explicit(&request->canceled, 1, memory_order_relaxed);
	}
	while (client->answers.first) {
		dxh_request *request = client->answers.first;

		dxi_request_remove(&client->answers, request);
		dxi_request_free(request);
	}
	dxi_parcels_orphan(client);
	dxi_request_parts_drop(client);
	dxi_answer_parts_drop(client);
	dxi_notes_drop(client);
	dxi_client_went(client);
	service->client_count--;
	dxi_caller_release(client->caller);
	free(client);
	dxi_service_tell_if_deserted(service);
}

/* ---- HELLO ------------------------------------------------------------------------------ */

static void
refuse_hello(dxh_service *service, const dxi_message *message, dxh_status status, const char *text)
{
	dxi_log(DXH_LOG_INFO, "'%s' refuses a client: %s", service->endpoint, text);
	dxi_answer_past_queue(service, message->client, message->client_bytes,
	                      (dxi_record){.kind = DXI_ERROR,
	                                   .status = (int32_t)status,
	                                   .body = text,
	                                   .body_bytes = strlen(text)});
}

/* What a client is filed under: its incarnation; with a key, a number of both, so that nobody
 * with another key comes by what is filed of it. */
static uint64_t filed_under(const char *key, uint64_t incarnation)
{
	unsigned char both[DXI_KEY_TEXT_BYTES + sizeof incarnation] = {0}, hash[DXI_HASH_BYTES];

	if (key[0] == '\0')
		return incarnation;
	memcpy(both, key, strnlen(key, DXI_KEY_TEXT_BYTES));
	memcpy(both + DXI_KEY_TEXT_BYTES, &incarnation, sizeof incarnation);
	dxi_hash(both, sizeof both, hash);
	memcpy(&incarnation, hash, sizeof incarnation);
	return incarnation;
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

bool dxi_client_is_idle(const dxi_client *client)
{
	return client->open.count + client->answers.count + client->notes.count +
	               client->arriving.count + client->large.count + client->departing.count ==
	       0;
}

/* The client without open requests that was silent longest. */
static dxi_client *quietest(dxh_service *service)
{
	dxi_client *found = NULL;

	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			if (dxi_client_is_idle(client) &&
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
		if (dxi_answer_past_queue(service, client->id, client->id_bytes,
		                          (dxi_record){.kind = DXI_BEAT}) == DXI_SENT_NEVER)
			dxi_client_drop(client);
		else
			client->heard_ns = service->hub->now_ns;
	}
	return service->client_count < service->config.clients_max;
}

static dxi_client *
add_client(dxh_service *service, const dxi_message *message, const dxi_hello *hello)
{
	dxi_client *client = calloc(1, sizeof *client);
	dxi_client **bucket = bucket_of(service, message->client, message->client_bytes);
	dxi_sender sender = dxi_link_sender(service->link);

	if (!client)
		return NULL;
	client->caller =
		dxi_caller_make(hello->name, sender.key, sender.address, hello->incarnation);
	if (!client->caller) {
		free(client);
		return NULL;
	}
	client->service = service;
	client->id_bytes = (uint8_t)message->client_bytes;
	memcpy(client->id, message->client, message->client_bytes);
	client->next_in_bucket = *bucket;
	*bucket = client;
	service->client_count++;
	return client;
}

/* Who connects again and again is bounded by clients_max, and named. */
static void notice_floods(dxi_client *client)
{
	const dxh_client_info *told = &client->caller->told;
	dxh_service *service = client->service;
	uint64_t who = 14695981039346656037u; /* FNV-1a, 64 bits */

	for (const char *at = told->address; *at; at++)
		who = (who ^ (unsigned char)*at) * 1099511628211u;
	if (dxi_floods_count(&service->hellos, who, HELLOS_MANY, HELLOS_PERIOD_NS,
	                     service->hub->now_ns))
		dxi_log(DXH_LOG_WARNING,
		        "'%s': floods: '%s' at %s connected %d times within ten seconds",
		        service->endpoint, told->name,
		        told->address[0] ? told->address : "this hub", HELLOS_MANY);
}

void dxi_client_floods(const dxi_client *client, dxi_floods *floods, uint32_t many,
                       const char *what)
{
	const dxh_client_info *told = &client->caller->told;
	dxh_service *service = client->service;

	if (dxi_floods_count(floods, client->incarnation, many, DXI_NS_PER_S, service->hub->now_ns))
		dxi_log(DXH_LOG_WARNING, "'%s': floods: '%s'%s%s sent %u %s in a second",
		        service->endpoint, told->name, told->address[0] ? " at " : "",
		        told->address, (unsigned)many, what);
}

static void welcome(dxi_client *client)
{
	dxh_service *service = client->service;
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = service->hub->incarnation,
	                   .frame_bytes = service->hub->config.frame_bytes,
	                   .features = DXI_FEATURE_SUBSCRIBE | DXI_FEATURE_BEAT |
	                               DXI_FEATURE_CREDIT | DXI_FEATURE_PARTS |
	                               (client->memory ? DXI_FEATURE_KEEP : 0),
	                   .window_bytes = service->config.client_bytes,
	                   .notify_bytes = client->notify_window,
	                   .memory = client->memory_token,
	                   .window_records = service->config.client_window};
	unsigned char body[DXI_HELLO_BYTES_MAX];

	memcpy(hello.name, service->hub->name, sizeof hello.name);
	dxi_answer_now(client, DXI_WELCOME, 0, DXH_OK, body,
	               dxi_hello_write(&hello, body, sizeof body));
}

/* The same client on a new connection: its old one is dead. What a router reads of two
 * connections it reads in any order, so the dead one's HELLO may come last. */
static bool is_outdated(const dxi_client *known, const dxi_hello *hello)
{
	return known && hello->connection < known->connection;
}

/* What is to be known of who has said this. */
static void introduce(dxi_client *client, const dxi_hello *hello, uint64_t filed)
{
	dxh_service *service = client->service;

	client->incarnation = filed;
	client->connection = hello->connection;
	memcpy(client->name, hello->name, sizeof client->name);
	client->heard_ns = service->hub->now_ns;
	client->takes_parts = (hello->features & DXI_FEATURE_PARTS) != 0;
	client->frame_bytes = service->hub->config.frame_bytes;
	if (hello->features & DXI_FEATURE_CREDIT)
		client->notify_window = service->config.notify_bytes;
	if (hello->features & DXI_FEATURE_KEEP)
		dxi_client_remember(client);
	welcome(client);
	notice_floods(client);
}

void dxi_client_take_hello(dxh_service *service, const dxi_message *message,
                           const dxi_record *record)
{
	dxi_client *old, *client;
	dxi_hello hello;
	uint64_t filed;
	dxh_status status;

	/* A second HELLO on one connection would be a way round the window. */
	if (dxi_client_find(service, message->client, message->client_bytes)) {
		dxi_count(&service->hub->metrics->frames_bad, 1);
		return;
	}
	status = dxi_hello_read(record->body, record->body_bytes, &hello);
	if (status != DXH_OK) {
		refuse_hello(service, message, status, dxh_last_error());
		return;
	}
	if (service->leaving) {
		refuse_hello(service, message, DXH_ECLOSED, "the service is closing");
		return;
	}
	filed = filed_under(dxi_link_sender(service->link).key, hello.incarnation);
	old = find_incarnation(service, filed);
	if (is_outdated(old, &hello)) {
		refuse_hello(service, message, DXH_EPROTO, "this client has a newer connection");
		return;
	}
	if (old)
		dxi_client_drop(old);
	if (!make_room(service)) {
		refuse_hello(service, message, DXH_EOVERLOADED,
		             "clients_max clients are connected: try again later");
		return;
	}
	client = add_client(service, message, &hello);
	if (!client)
		refuse_hello(service, message, DXH_EOVERLOADED, "the service is out of memory");
	else
		introduce(client, &hello, filed);
}
