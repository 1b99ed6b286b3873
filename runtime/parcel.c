/* SPDX-License-Identifier: MIT */
/* Copying the notifications of a frame into one piece of memory, and counting them
 * out of it. */
#include "runtime/parcel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Parcels of full frames are kept for the next: memory of that size goes back to
	 * the system at each free, and comes again page by page. */
	KEPT_BYTES = 65536,
	KEPT_FROM_BYTES = 8192,
	KEPT_MAX = 32
};

static dxi_parcel *take_spare(dxh_service *service)
{
	dxi_parcel *parcel = service->spare_parcels;

	if (!parcel)
		return NULL;
	service->spare_parcels = (dxi_parcel *)(void *)parcel->task.node.next;
	service->spare_parcel_count--;
	return parcel;
}

dxi_parcel *dxi_parcel_make(dxh_service *service, size_t bytes)
{
	bool kept = bytes >= KEPT_FROM_BYTES && bytes <= KEPT_BYTES;
	dxi_parcel *parcel = kept ? take_spare(service) : NULL;

	if (kept)
		bytes = KEPT_BYTES;
	if (!parcel) {
		parcel = malloc(sizeof *parcel + bytes);
		if (!parcel)
			return NULL;
		dxi_count(&service->hub->metrics->memory_bytes, sizeof *parcel + bytes);
	}
	*parcel = (dxi_parcel){.task.kind = DXI_TASK_PARCEL, .service = service, .capacity = bytes};
	return parcel;
}

static void free_parcel(dxi_parcel *parcel)
{
	dxi_count_down(&parcel->service->hub->metrics->memory_bytes,
	               sizeof *parcel + parcel->capacity);
	free(parcel);
}

void dxi_parcel_free(dxi_parcel *parcel)
{
	dxh_service *service = parcel->service;

	dxi_caller_release(parcel->caller);
	parcel->caller = NULL;
	if (parcel->capacity != KEPT_BYTES || service->spare_parcel_count == KEPT_MAX) {
		free_parcel(parcel);
		return;
	}
	parcel->task.node.next = service->spare_parcels ? &service->spare_parcels->task.node : NULL;
	service->spare_parcels = parcel;
	service->spare_parcel_count++;
}

void dxi_parcel_free_spares(dxh_service *service)
{
	dxi_parcel *parcel;

	while ((parcel = take_spare(service)))
		free_parcel(parcel);
}

dxi_note *dxi_parcel_add(dxi_parcel *parcel, const dxi_record *record)
{
	unsigned char *at = parcel->bytes + parcel->used;
	unsigned char *body = at + dxi_note_body_at(record->subject_bytes);
	size_t bytes = dxi_record_bytes(record->subject_bytes, record->body_bytes);
	dxi_note *note = (dxi_note *)(void *)at;

	assert(parcel->used + bytes <= parcel->capacity);
	*note = (dxi_note){
		.task = {.kind = DXI_TASK_NOTE,
	                 .number = (uint32_t)record->body_bytes << 8 | record->subject_bytes},
		.parcel = parcel};
	memcpy(body - 1 - record->subject_bytes, record->subject, record->subject_bytes);
	body[-1] = '\0';
	if (record->body_bytes > 0)
		memcpy(body, record->body, record->body_bytes);
	parcel->used += bytes;
	parcel->record_bytes += bytes;
	parcel->count++;
	return note;
}

void dxi_parcel_seal(dxi_parcel *parcel, dxi_client *client)
{
	parcel->client = client;
	parcel->caller = dxi_caller_acquire(client->caller);
	parcel->next = client->parcels;
	if (parcel->next)
		parcel->next->previous = parcel;
	client->parcels = parcel;
	client->notify_out += parcel->record_bytes;
	/* relaxed: the hand-over to the workers publishes it. */
	atomic_store_explicit(&parcel->open, parcel->count, memory_order_relaxed);
}

void dxi_parcel_hold(dxi_parcel *parcel)
{
	/* relaxed: as in dxi_parcel_seal(). */
	atomic_store_explicit(&parcel->open, parcel->count + 1, memory_order_relaxed);
}

bool dxi_parcel_release(dxi_parcel *parcel)
{
	return atomic_fetch_sub_explicit(&parcel->open, 1, memory_order_acq_rel) == 1;
}

static void unlink_from_client(dxi_parcel *parcel)
{
	if (parcel->previous)
		parcel->previous->next = parcel->next;
	else
		parcel->client->parcels = parcel->next;
	if (parcel->next)
		parcel->next->previous = parcel->previous;
}

void dxi_parcel_close(dxi_parcel *parcel)
{
	if (parcel->client) {
		unlink_from_client(parcel);
		parcel->client->notify_out -= parcel->record_bytes;
		dxi_parcel_credit(parcel->client, parcel->record_bytes);
	}
	dxi_parcel_free(parcel);
}

void dxi_parcels_orphan(dxi_client *client)
{
	for (dxi_parcel *parcel = client->parcels; parcel; parcel = parcel->next)
		parcel->client = NULL;
}

/* ---- what the client may send ---------------------------------------------------- */

void dxi_parcel_credit(dxi_client *client, uint64_t bytes)
{
	client->notify_taken += bytes;
	if (dxi_parcel_credit_is_due(client))
		dxi_client_has_something(client);
}

bool dxi_parcel_credit_is_due(const dxi_client *client)
{
	/* A client that is held has a quarter and more out: it is told in the end. */
	return client->notify_window > 0 &&
	       client->notify_taken - client->notify_told >= client->notify_window / 4;
}

void dxi_parcel_credit_encode(dxi_client *client, dxi_frame_writer *writer)
{
	if (dxi_parcel_credit_is_due(client) &&
	    dxi_frame_append(writer, &(dxi_record){.kind = DXI_CREDIT, .id = client->notify_taken}))
		client->notify_told = client->notify_taken;
}
