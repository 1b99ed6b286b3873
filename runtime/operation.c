/* SPDX-License-Identifier: MIT */
/* Operations on the I/O thread: arriving, in the list of their place, expiring, ending. */
#include "runtime/operation.h"

#include "base/clock.h"
#include "base/probe.h"
#include "runtime/allowance.h"
#include "runtime/peer.h"

#include <stdlib.h>
#include <string.h>

static void release_body(const dxi_operation *operation)
{
	dxi_body *body =
		operation->kind == DXI_OP_REQUEST ? dxi_operation_held_body(operation) : NULL;

	if (body)
		dxi_body_release(body);
}

static uint64_t heap_bytes(const dxi_operation *operation)
{
	if (operation->kind != DXI_OP_REQUEST || !dxi_operation_held_body(operation))
		return 0;
	return (uint64_t)operation->subject_bytes + operation->body_bytes;
}

static dxi_operation_list *list_of(dxi_operation *operation)
{
	dxh_peer *peer = operation->peer;

	switch ((dxi_place)operation->place) {
	case DXI_IN_LANE:
		return &peer->lane;
	case DXI_IN_SENT:
		return operation->kind == DXI_OP_REQUEST ? &peer->sent : &peer->flushing;
	case DXI_IN_REST:
		return &peer->retries.resting;
	case DXI_IN_FLUSHES:
		return &peer->flushes;
	case DXI_IN_LARGE_LANE:
		return &peer->transfers.waiting;
	case DXI_IN_TRANSFER:
		return &peer->transfers.under_way;
	case DXI_NOWHERE:
		break;
	}
	return NULL;
}

uint64_t dxi_operation_id(dxi_operation *operation)
{
	return dxi_completion_of(dxi_slot_of(operation)) ^ operation->peer->hub->incarnation;
}

/* Its body counts in the window that the service grants. */
static bool is_in_window(const dxi_operation *operation)
{
	return operation->kind == DXI_OP_REQUEST &&
	       (operation->place == DXI_IN_SENT || operation->place == DXI_IN_TRANSFER);
}

void dxi_operation_append(dxi_operation_list *list, dxi_operation *operation, dxi_place place)
{
	operation->place = (uint8_t)place;
	operation->previous = list->last;
	operation->next = NULL;
	if (list->last)
		list->last->next = operation;
	else
		list->first = operation;
	list->last = operation;
	list->count++;
	if (is_in_window(operation))
		operation->peer->open_bytes += operation->body_bytes;
}

void dxi_operation_prepend_all(dxi_operation_list *list, dxi_operation_list *from, dxi_place place)
{
	for (dxi_operation *each = from->first; each; each = each->next)
		each->place = (uint8_t)place;
	if (!from->first)
		return;
	from->last->next = list->first;
	if (list->first)
		list->first->previous = from->last;
	else
		list->last = from->last;
	list->first = from->first;
	list->count += from->count;
	*from = (dxi_operation_list){NULL, NULL, 0};
}

void dxi_operation_remove(dxi_operation *operation)
{
	dxi_operation_list *list = list_of(operation);

	if (!list)
		return;
	if (is_in_window(operation))
		operation->peer->open_bytes -= operation->body_bytes;
	if (operation->previous)
		operation->previous->next = operation->next;
	else
		list->first = operation->next;
	if (operation->next)
		operation->next->previous = operation->previous;
	else
		list->last = operation->previous;
	list->count--;
	operation->place = DXI_NOWHERE;
}

static void
count_end(dxi_metrics *metrics, dxh_status status, dxh_certainty certainty, bool is_flush)
{
	dxi_count_down(&metrics->open_now, 1);
	if (certainty == DXH_REPLIED && status != DXH_OK)
		dxi_count(&metrics->errors, 1);
	else if (status == DXH_OK)
		dxi_count(is_flush ? &metrics->flushed : &metrics->done, 1);
	else if (status == DXH_EEXPIRED)
		dxi_count(&metrics->expired, 1);
	else if (status == DXH_ECANCELED)
		dxi_count(&metrics->canceled, 1);
	else if (status == DXH_ELOST)
		dxi_count(&metrics->lost, 1);
	else if (status == DXH_ECLOSED)
		dxi_count(&metrics->closed, 1);
	else
		dxi_count(&metrics->unsendable, 1);
}

static void note_arrival(dxh_hub *hub, dxi_operation *operation)
{
	int64_t now_ns;

	operation->cancel.number = (uint32_t)(hub->now_ns / DXI_NS_PER_MS);
	if (operation->kind != DXI_OP_REQUEST || operation->post.number == 0)
		return;
	now_ns = dxh_now_ns();
	dxi_histogram_add(&hub->latency[DXH_STAGE_QUEUE],
	                  dxi_stamp_age_ns(operation->post.number, now_ns));
	operation->post.number = dxi_stamp_of(now_ns);
}

void dxi_operation_was_sent(dxi_operation *operation)
{
	dxh_hub *hub = operation->peer->hub;
	int64_t now_ns;

	DXI_PROBE(send, dxi_completion_of(dxi_slot_of(operation)), operation->peer->endpoint,
	          operation->attempt);
	if (operation->kind != DXI_OP_REQUEST || operation->post.number == 0)
		return;
	now_ns = dxh_now_ns();
	dxi_histogram_add(&hub->latency[DXH_STAGE_LANE],
	                  dxi_stamp_age_ns(operation->post.number, now_ns));
	operation->post.number = dxi_stamp_of(now_ns);
}

static void note_end(dxh_hub *hub, const dxi_operation *operation, dxh_certainty certainty)
{
	if (operation->kind != DXI_OP_REQUEST || operation->post.number == 0 ||
	    certainty != DXH_REPLIED)
		return;
	dxi_histogram_add(&hub->latency[DXH_STAGE_SERVICE],
	                  dxi_stamp_age_ns(operation->post.number, dxh_now_ns()));
	hub->sampled_ended = true;
}

void dxi_operation_arrived(dxh_hub *hub, dxi_operation *operation)
{
	dxh_peer *peer = operation->peer;
	bool is_request = operation->kind == DXI_OP_REQUEST;
	dxi_body *body = is_request ? dxi_operation_held_body(operation) : NULL;
	dxi_amount amount = dxi_allowance_of(operation);

	dxi_count(&hub->metrics->posted, 1);
	if (!dxi_completion_claim(dxi_slot_of(operation))) {
		/* Cancelled on its way: it ended there, only the books are left. The slot
		 * may be gone; what is needed of it was read before. */
		if (body)
			dxi_body_release(body);
		dxi_count(&hub->metrics->canceled, 1);
		if (is_request)
			dxi_allowance_give(peer, amount);
		return;
	}
	dxi_count(&hub->metrics->open_now, 1);
	dxi_count(&hub->metrics->memory_bytes, heap_bytes(operation));
	note_arrival(hub, operation);
	if (operation->timer.deadline_ns <= hub->now_ns) {
		dxi_operation_end(operation, DXH_EEXPIRED, DXH_NOT_SENT, NULL, 0);
		return;
	}
	if (atomic_load_explicit(&hub->state, memory_order_relaxed) == DXI_HUB_CLOSED) {
		dxi_operation_end(operation, DXH_ECLOSED, DXH_NOT_SENT, NULL, 0);
		return;
	}
	dxi_wheel_arm(&hub->deadlines, &operation->timer, operation->timer.deadline_ns);
	if (is_request)
		dxi_retries_earn(peer);
	dxi_peer_take(peer, operation);
}

/* Where the result lies: in the record itself if it fits, else on the heap. */
static const void *keep_body(dxi_operation *operation, const void *body, size_t bytes, bool *own)
{
	void *copy;

	*own = false;
	if (bytes == 0)
		return NULL;
	if (bytes <= DXI_INLINE_BYTES) {
		memmove(operation->inline_bytes, body, bytes);
		return operation->inline_bytes;
	}
	copy = malloc(bytes);
	if (copy)
		memcpy(copy, body, bytes);
	*own = copy != NULL;
	return copy;
}

/* The result, and where it lies: NULL, in the operation, or in memory that becomes the
 * completion's own. */
typedef struct result {
	dxh_status status;
	dxh_certainty certainty;
	const void *body;
	size_t body_bytes;
	bool own;
} result;

/* The service keeps its answer, or what became of it, for the case that it comes again. */
static bool is_kept_by_service(const dxi_operation *operation)
{
	return operation->kind == DXI_OP_REQUEST && (operation->idempotent || operation->hold) &&
	       operation->peer->memory != 0 &&
	       (operation->place == DXI_IN_SENT || operation->attempt > 0);
}

/* What the operation held goes; the slot is the completion's then. */
static void let_go(dxi_operation *operation, dxh_certainty certainty)
{
	dxh_peer *peer = operation->peer;

	if (is_kept_by_service(operation))
		dxi_acks_add(peer, dxi_operation_id(operation));
	dxi_operation_remove(operation);
	note_end(peer->hub, operation, certainty);
	dxi_wheel_disarm(&peer->hub->deadlines, &operation->timer);
	if (peer->arriving.count > 0)
		dxi_reply_parts_drop(peer, dxi_operation_id(operation));
	dxi_count_down(&peer->hub->metrics->memory_bytes, heap_bytes(operation));
	release_body(operation);
}

static void complete(dxi_operation *operation, dxi_amount amount, result ended)
{
	dxh_peer *peer = operation->peer;
	dxh_hub *hub = peer->hub;
	bool is_request = operation->kind == DXI_OP_REQUEST;

	count_end(hub->metrics, ended.status, ended.certainty, !is_request);
	if (dxi_completion_complete(dxi_slot_of(operation), ended.status, ended.certainty,
	                            ended.body, ended.body_bytes, ended.own, &hub->wakes))
		hub->cancels_under_way++;
	if (is_request)
		dxi_allowance_give(peer, amount);
}

void dxi_operation_end(dxi_operation *operation, dxh_status status, dxh_certainty certainty,
                       const void *body, size_t body_bytes)
{
	dxi_amount amount = dxi_allowance_of(operation);
	result ended = {.status = status, .certainty = certainty};

	let_go(operation, certainty);
	ended.body = keep_body(operation, body, body_bytes, &ended.own);
	if (body_bytes > 0 && !ended.body)
		ended.status = DXH_ENOMEM;
	else
		ended.body_bytes = body_bytes;
	complete(operation, amount, ended);
}

void dxi_operation_end_with(dxi_operation *operation, void *reply, size_t bytes)
{
	dxi_amount amount = dxi_allowance_of(operation);

	let_go(operation, DXH_REPLIED);
	complete(operation, amount,
	         (result){.status = DXH_OK,
	                  .certainty = DXH_REPLIED,
	                  .body = reply,
	                  .body_bytes = bytes,
	                  .own = true});
}

void dxi_operation_end_all(dxi_operation_list *list, dxh_status status, dxh_certainty certainty,
                           const char *reason)
{
	while (list->first) {
		bool sent_before = list->first->attempt > 0;

		dxi_operation_end(list->first, status, sent_before ? DXH_MAYBE_EXECUTED : certainty,
		                  reason, strlen(reason));
	}
}

dxh_certainty dxi_operation_certainty(const dxi_operation *operation)
{
	/* One that is to be sent again was sent before. */
	return operation->place == DXI_IN_SENT || operation->attempt > 0 ? DXH_MAYBE_EXECUTED
	                                                                 : DXH_NOT_SENT;
}

void dxi_operation_cancel_arrived(dxh_hub *hub, dxi_operation *operation)
{
	dxi_slot *slot = dxi_slot_of(operation);

	if (!dxi_completion_cancel_seen(slot)) {
		hub->cancels_under_way--;
		return;
	}
	if (operation->kind == DXI_OP_REQUEST &&
	    (operation->place == DXI_IN_SENT || dxi_transfer_is_half_sent(operation)))
		dxi_peer_tell_canceled(operation->peer, dxi_operation_id(operation));
	dxi_operation_end(operation, DXH_ECANCELED, dxi_operation_certainty(operation), NULL, 0);
}

/* If there is no connection, that is why. */
static void end_expired(dxi_operation *operation)
{
	dxh_peer *peer = operation->peer;
	const char *reason = peer->reason;
	uint64_t id = dxi_operation_id(operation);

	/* The service knows the deadline; but a body that is on its way is stopped. */
	if (operation->kind == DXI_OP_REQUEST &&
	    (dxi_transfer_is_half_sent(operation) || dxi_assembly_find(&peer->arriving, id)))
		dxi_peer_tell_canceled(peer, id);
	dxi_operation_end(operation, DXH_EEXPIRED, dxi_operation_certainty(operation), reason,
	                  strlen(reason));
}

size_t dxi_operation_expire(dxh_hub *hub)
{
	size_t count = 0;
	dxi_timer *timer;

	while ((timer = dxi_wheel_expire(&hub->deadlines, hub->now_ns))) {
		dxi_operation *operation =
			(dxi_operation *)(void *)((char *)timer - offsetof(dxi_operation, timer));

		end_expired(operation);
		count++;
	}
	return count;
}
