/* SPDX-License-Identifier: MIT */
/* One publication, many subscribers: its bytes are kept once and counted; each
 * client has a ring of what it is still to be sent, and loses its oldest when that
 * is full. A note carries the number and the sequence of its subscription, so that
 * who gets it sees what is missing. */
#include "runtime/publish.h"

#include "base/status.h"
#include "runtime/operation.h"

#include <dxh/subscribe.h>

#include <stdlib.h>
#include <string.h>

enum { NOTES_FIRST = 16 };

typedef struct publication {
	dxi_task task; /* kind DXI_TASK_PUBLISH */
	dxh_service *service;
	uint32_t references; /* I/O thread */
	uint8_t topic_bytes;
	size_t body_bytes;
	char storage[]; /* topic, body */
} publication;

typedef struct dxi_subscriber {
	dxi_topic topic; /* first: what dxi_topics_match() hands out is this */
	dxi_client *client;
	struct dxi_subscriber *next; /* of the client */
	uint32_t number;
	uint64_t sequence; /* of its last note */
} dxi_subscriber;

struct dxi_waiting_note {
	publication *publication;
	uint64_t sequence;
	uint32_t number;
};

static size_t bytes_of(const publication *published)
{
	return sizeof *published + published->topic_bytes + published->body_bytes;
}

static void let_go(publication *published)
{
	if (--published->references > 0)
		return;
	dxi_count_down(&published->service->hub->metrics->memory_bytes, bytes_of(published));
	free(published);
}

/* ---- any thread ---------------------------------------------------------------------- */

/* A publication does not travel in parts: it must fit in a frame. */
static uint64_t largest_body(const dxh_hub *hub)
{
	const uint64_t fits = DXI_MESSAGE_BYTES_MAX - 1024; /* header and topic beside it */

	return hub->config.body_bytes_max < fits ? hub->config.body_bytes_max : fits;
}

dxh_status
dxh_service_publish(dxh_service *service, const char *topic, const void *body, size_t body_bytes)
{
	publication *made;
	size_t topic_bytes;
	dxh_status status;

	if (!service || (!body && body_bytes > 0))
		return dxi_fail(DXH_EINVAL,
		                "dxh_service_publish needs a service, and a body for its length");
	status = dxi_hub_check_open(service->hub);
	if (status == DXH_OK)
		status = dxi_subject_check(topic, &topic_bytes);
	if (status != DXH_OK)
		return status;
	if (body_bytes > largest_body(service->hub))
		return dxi_fail(DXH_ETOOBIG, "a body of %zu bytes; this hub publishes at most %llu",
		                body_bytes, (unsigned long long)largest_body(service->hub));
	/* relaxed: who subscribes at this moment may get it or not. */
	if (atomic_load_explicit(&service->subscribers, memory_order_relaxed) == 0)
		return DXH_OK;
	if (!dxi_credit_take(&service->publications, (dxi_amount){.things = 1}))
		return dxi_fail(DXH_EFULL,
		                "%u publications wait to be handed on: publish slower, or raise "
		                "publish_max",
		                service->config.publish_max);
	made = malloc(sizeof *made + topic_bytes + body_bytes);
	if (!made) {
		dxi_credit_give(&service->publications, (dxi_amount){.things = 1});
		return dxi_fail(DXH_ENOMEM, "no memory for a body of %zu bytes", body_bytes);
	}
	*made = (publication){.task.kind = DXI_TASK_PUBLISH,
	                      .service = service,
	                      .references = 1,
	                      .topic_bytes = (uint8_t)topic_bytes,
	                      .body_bytes = body_bytes};
	memcpy(made->storage, topic, topic_bytes);
	if (body_bytes > 0)
		memcpy(made->storage + topic_bytes, body, body_bytes);
	dxi_hub_push(service->hub, &made->task, &made->task);
	return DXH_OK;
}

/* ---- notes of a client ------------------------------------------------------------------ */

static struct dxi_waiting_note *note_at(const dxi_notes *notes, uint32_t index)
{
	return &notes->ring[(notes->first + index) % notes->capacity];
}

static void drop_oldest(dxi_client *client)
{
	dxi_notes *notes = &client->notes;
	publication *oldest = note_at(notes, 0)->publication;

	notes->bytes -= bytes_of(oldest);
	notes->first = (notes->first + 1) % notes->capacity;
	notes->count--;
	let_go(oldest);
}

/* Twice as much room, up to publish_max. false: there is none. */
static bool grow(dxi_client *client)
{
	dxi_notes *notes = &client->notes;
	uint32_t max = client->service->config.publish_max;
	uint32_t capacity = notes->capacity ? notes->capacity * 2 : NOTES_FIRST;
	struct dxi_waiting_note *ring;

	capacity = capacity > max ? max : capacity;
	ring = capacity > notes->capacity ? malloc(capacity * sizeof *ring) : NULL;
	if (!ring)
		return false;
	for (uint32_t i = 0; i < notes->count; i++)
		ring[i] = *note_at(notes, i);
	free(notes->ring);
	notes->ring = ring;
	notes->first = 0;
	notes->capacity = capacity;
	return true;
}

static void queue_note(void *context, dxi_topic *topic)
{
	dxi_subscriber *subscriber = (dxi_subscriber *)topic;
	publication *published = context;
	dxi_client *client = subscriber->client;
	dxi_notes *notes = &client->notes;
	dxi_metrics *metrics = client->service->hub->metrics;

	subscriber->sequence++;
	dxi_count(&metrics->notes_published, 1);
	while (notes->count > 0 &&
	       (notes->bytes + bytes_of(published) > client->service->config.publish_bytes ||
	        (notes->count == notes->capacity && !grow(client)))) {
		drop_oldest(client);
		dxi_count(&metrics->notes_dropped, 1);
	}
	if (notes->capacity == 0 && !grow(client)) {
		dxi_count(&metrics->notes_dropped, 1); /* the gap tells */
		return;
	}
	notes->count++;
	notes->bytes += bytes_of(published);
	*note_at(notes, notes->count - 1) = (struct dxi_waiting_note){
		.publication = published,
		.sequence = subscriber->sequence,
		.number = subscriber->number,
	};
	published->references++;
	dxi_client_has_something(client);
}

/* The service has said farewell: nobody reads any more. */
static void drop_note(void *context, dxi_topic *topic)
{
	dxi_metrics *metrics = ((publication *)context)->service->hub->metrics;

	(void)topic;
	dxi_count(&metrics->notes_published, 1);
	dxi_count(&metrics->notes_dropped, 1);
}

void dxi_publication_arrived(dxi_task *task)
{
	publication *published = (publication *)(void *)task;
	dxh_service *service = published->service;

	dxi_credit_give(&service->publications, (dxi_amount){.things = 1});
	dxi_count(&service->hub->metrics->memory_bytes, bytes_of(published));
	dxi_topics_match(&service->topics, published->storage, published->topic_bytes,
	                 service->leaving ? drop_note : queue_note, published);
	let_go(published);
}

void dxi_notes_encode(dxi_client *client, dxi_frame_writer *writer)
{
	dxi_notes *notes = &client->notes;

	while (notes->count > 0 && writer->used < client->frame_bytes) {
		const struct dxi_waiting_note *note = note_at(notes, 0);
		const publication *published = note->publication;

		if (writer->records > 0)
			writer->capacity = client->frame_bytes;
		if (!dxi_frame_append(writer, &(dxi_record){.kind = DXI_NOTIFY,
		                                            .id = note->sequence,
		                                            .budget_us = note->number,
		                                            .subject = published->storage,
		                                            .subject_bytes = published->topic_bytes,
		                                            .body = published->storage +
		                                                    published->topic_bytes,
		                                            .body_bytes = published->body_bytes}))
			return;
		dxi_count(&client->service->hub->metrics->notes_sent, 1);
		drop_oldest(client);
	}
}

/* ---- subscribing ---------------------------------------------------------------------------- */

static void answer(dxi_client *client, uint32_t number, dxh_status status)
{
	dxi_answer_now(client, DXI_SUBSCRIBE, number, status, NULL, 0);
}

void dxi_client_subscribe(dxi_client *client, const dxi_record *record)
{
	dxh_service *service = client->service;
	dxi_subscriber *subscriber;
	dxh_status status;

	if (service->leaving)
		return;
	status = service->gate.admit
	                 ? service->gate.admit(service->gate.context, &client->caller->told,
	                                       record->subject, record->subject_bytes)
	                 : DXH_OK;
	if (status != DXH_OK) {
		answer(client, record->budget_us, status);
		return;
	}
	dxi_client_unsubscribe(client, record->budget_us); /* the same number again */
	if (client->subscriber_count >= service->config.subscriptions_max) {
		answer(client, record->budget_us, DXH_ELIMIT);
		return;
	}
	subscriber = calloc(1, sizeof *subscriber);
	if (!subscriber) {
		answer(client, record->budget_us, DXH_EOVERLOADED);
		return;
	}
	subscriber->client = client;
	subscriber->number = record->budget_us;
	subscriber->next = client->subscribers;
	client->subscribers = subscriber;
	client->subscriber_count++;
	dxi_topics_add(&service->topics, &subscriber->topic, record->subject,
	               record->subject_bytes);
	/* relaxed: see dxh_service_publish(). */
	atomic_fetch_add_explicit(&service->subscribers, 1, memory_order_relaxed);
	answer(client, record->budget_us, DXH_OK);
}

static void free_subscriber(dxi_client *client, dxi_subscriber **at)
{
	dxi_subscriber *gone = *at;

	*at = gone->next;
	dxi_topics_remove(&client->service->topics, &gone->topic);
	client->subscriber_count--;
	atomic_fetch_sub_explicit(&client->service->subscribers, 1, memory_order_relaxed);
	free(gone);
}

void dxi_client_unsubscribe(dxi_client *client, uint32_t number)
{
	/* At most subscriptions_max. Notes that wait are sent; nobody reads them. */
	for (dxi_subscriber **at = &client->subscribers; *at; at = &(*at)->next)
		if ((*at)->number == number) {
			free_subscriber(client, at);
			return;
		}
}

void dxi_notes_drop(dxi_client *client)
{
	dxi_count(&client->service->hub->metrics->notes_dropped, client->notes.count);
	while (client->notes.count > 0)
		drop_oldest(client);
	free(client->notes.ring);
	while (client->subscribers)
		free_subscriber(client, &client->subscribers);
}
