/* SPDX-License-Identifier: MIT */
/* Posting requests on any thread: what is checked, what a slot is filled with, and what is
 * undone when one of a batch cannot be posted. */
#include "runtime/operation.h"

#include "base/probe.h"
#include "base/status.h"
#include "queue/group.h"
#include "runtime/allowance.h"
#include "runtime/peer.h"

#include <string.h>

dxh_status dxi_subject_check(const char *subject, size_t *bytes)
{
	if (!subject)
		return dxi_fail(DXH_EINVAL, "the subject is NULL");
	*bytes = strnlen(subject, DXH_SUBJECT_MAX + 1);
	if (*bytes == 0 || *bytes > DXH_SUBJECT_MAX)
		return dxi_fail(DXH_EINVAL, "a subject has 1 to %d bytes, this one %s",
		                DXH_SUBJECT_MAX, *bytes == 0 ? "none" : "more");
	return DXH_OK;
}

static dxh_status check_item(const dxh_peer *peer, const dxh_request_item *item)
{
	size_t subject_bytes;
	dxh_status status = dxi_subject_check(item->subject, &subject_bytes);

	if (status != DXH_OK)
		return status;
	if (item->flags & ~(uint32_t)(DXH_IDEMPOTENT | DXH_HOLD | DXH_BORROW | DXH_TRANSFER))
		return dxi_fail(DXH_EINVAL, "flags 0x%x hold a bit that is none", item->flags);
	if ((item->flags & DXH_IDEMPOTENT) && (item->flags & DXH_HOLD))
		return dxi_fail(DXH_EINVAL,
		                "a request may be executed twice, or is held so that it "
		                "is not: DXH_IDEMPOTENT or DXH_HOLD");
	if ((item->flags & DXH_BORROW) && (item->flags & DXH_TRANSFER))
		return dxi_fail(DXH_EINVAL, "a body is borrowed or transferred, not both");
	if (!(item->flags & DXH_TRANSFER) != !item->free_fn)
		return dxi_fail(DXH_EINVAL, "free_fn is %s",
		                item->free_fn ? "there without DXH_TRANSFER"
		                              : "missing: DXH_TRANSFER needs it");
	if (!item->body && item->body_bytes > 0)
		return dxi_fail(DXH_EINVAL, "the body is NULL, its length %zu", item->body_bytes);
	if (item->body_bytes > peer->hub->config.body_bytes_max)
		return dxi_fail(DXH_ETOOBIG, "a body of %zu bytes; this hub sends at most %llu",
		                item->body_bytes,
		                (unsigned long long)peer->hub->config.body_bytes_max);
	return DXH_OK;
}

dxh_status dxi_operation_fail_no_slot(const dxh_hub *hub)
{
	uint64_t out = dxi_pool_out(hub->pool);
	uint64_t open = dxi_count_get(&hub->metrics->open_now);
	uint32_t slots = dxi_pool_slots(hub->pool);

	if (slots < hub->config.operations_max)
		return dxi_fail(DXH_ENOMEM, "no memory for more operations than %u", slots);
	return dxi_fail(DXH_EFULL,
	                "all %u operations of this hub are taken, about %llu of them have ended "
	                "and were not released: release completions, or raise operations_max",
	                hub->config.operations_max,
	                (unsigned long long)(out > open ? out - open : 0));
}

/* Is this the one in so many of this thread that is timed? */
static bool is_sampled(const dxh_hub *hub)
{
	static _Thread_local uint32_t posts;

	return hub->config.sample_one_in > 0 && posts++ % (uint32_t)hub->config.sample_one_in == 0;
}

/* Where subject and body lie: in the slot when they fit and nothing has to be given
 * back, else behind each other in memory of their own, or the body where it is. */
static bool
place_payload(dxi_operation *operation, const dxh_request_item *item, size_t subject_bytes)
{
	bool is_copied = !(item->flags & (DXH_BORROW | DXH_TRANSFER));
	size_t bytes = subject_bytes + item->body_bytes;
	size_t body_at = (subject_bytes + 7) / 8 * 8; /* a worker may read it there */
	unsigned char *copy;
	dxi_body *body;

	if (bytes <= DXI_INLINE_BYTES && !(item->flags & DXH_TRANSFER)) {
		operation->payload = operation->inline_bytes;
		copy = operation->inline_bytes + subject_bytes;
		is_copied = true;
	} else {
		body = dxi_body_make(is_copied ? body_at + item->body_bytes : subject_bytes);
		if (!body)
			return false;
		copy = body->own + body_at;
		body->bytes = is_copied ? copy : item->body;
		body->is_borrowed = (item->flags & DXH_BORROW) != 0;
		body->free_fn = item->free_fn;
		body->free_context = item->free_context;
		operation->payload = body->own;
		operation->large.body = body;
		operation->large.sent_bytes = 0;
	}
	memcpy(operation->payload, item->subject, subject_bytes);
	if (is_copied && item->body_bytes > 0)
		memcpy(copy, item->body, item->body_bytes);
	return true;
}

static void fill_request(dxi_operation *operation, dxh_peer *peer, const dxh_request_item *item,
                         size_t subject_bytes)
{
	operation->subject_bytes = (uint8_t)subject_bytes;
	operation->body_bytes = (uint32_t)item->body_bytes;
	operation->kind = DXI_OP_REQUEST;
	operation->idempotent = (item->flags & DXH_IDEMPOTENT) != 0;
	operation->hold = (item->flags & DXH_HOLD) != 0;
	operation->attempt = 0;
	operation->place = DXI_NOWHERE;
	operation->peer = peer;
	operation->timer = (dxi_timer){.deadline_ns = item->deadline_ns};
	operation->post.kind = DXI_TASK_OPERATION;
	operation->post.number = is_sampled(peer->hub) ? dxi_stamp_of(dxh_now_ns()) : 0;
	operation->cancel.kind = DXI_TASK_CANCEL;
}

/* A slot filled with the request, and its handle. */
static dxh_status make_request(dxh_peer *peer, const dxh_request_item *item, dxh_group *group,
                               dxi_operation **made, dxh_completion *done)
{
	size_t subject_bytes = strlen(item->subject);
	dxi_slot *slot = dxi_pool_take(peer->hub->pool);
	dxi_operation *operation;

	if (!slot)
		return dxi_operation_fail_no_slot(peer->hub);
	operation = dxi_operation_of(slot);
	if (!place_payload(operation, item, subject_bytes)) {
		dxi_pool_give(slot);
		return dxi_fail(DXH_ENOMEM, "no memory for a body of %zu bytes", item->body_bytes);
	}
	fill_request(operation, peer, item, subject_bytes);
	*done = dxi_completion_begin(slot, group, item->user);
	*made = operation;
	return DXH_OK;
}

/* Link `operation` in front of a private chain. */
static void chain(dxi_task **newest, dxi_task **oldest, dxi_operation *operation)
{
	operation->post.node.next = *newest ? &(*newest)->node : NULL;
	*newest = &operation->post;
	if (!*oldest)
		*oldest = *newest;
}

/* Give back a chain that is not to be posted after all. */
static void unmake(dxi_task *newest)
{
	while (newest) {
		dxi_operation *operation =
			(dxi_operation *)(void *)((char *)newest - offsetof(dxi_operation, post));
		dxi_body *body = dxi_operation_held_body(operation);

		newest = (dxi_task *)newest->node.next;
		if (body)
			dxi_body_abandon(body);
		dxi_completion_abandon(dxi_slot_of(operation));
	}
}

static dxh_status post(dxh_peer *peer, const dxh_request_item *items, size_t count,
                       dxh_group *group, dxh_completion *done)
{
	dxi_task *newest = NULL, *oldest = NULL;
	dxi_operation *operation = NULL;
	dxi_amount amount = dxi_allowance_of_items(items, count);
	dxh_status status = dxi_allowance_take(peer, amount);

	if (status != DXH_OK)
		return status;
	/* Behind the wait for credit: the group's owner waits for what is expected. */
	if (group)
		status = dxi_group_expect(group, count);
	if (status != DXH_OK)
		goto give_credit;
	for (size_t i = 0; i < count; i++) {
		status = make_request(peer, &items[i], group, &operation, &done[i]);
		if (status != DXH_OK)
			goto unmake;
		chain(&newest, &oldest, operation);
		DXI_PROBE(post, done[i], peer->endpoint, operation->body_bytes);
	}
	dxi_hub_push(peer->hub, newest, oldest);
	return DXH_OK;
unmake:
	unmake(newest);
	if (group)
		dxi_group_unexpect(group, count);
give_credit:
	dxi_allowance_give(peer, amount);
	return status;
}

dxh_status dxh_post_batch(dxh_peer *peer, const dxh_request_item *items, size_t count,
                          dxh_group *group, dxh_completion *done)
{
	dxh_status status;

	if (!peer || !items || !done || count == 0)
		return dxi_fail(DXH_EINVAL, "posting needs a peer, %s",
		                !peer    ? "which is NULL"
		                : !done  ? "and room for the completion"
		                : !items ? "and items"
		                         : "and at least one item");
	status = dxi_hub_check_open(peer->hub);
	for (size_t i = 0; status == DXH_OK && i < count; i++)
		status = check_item(peer, &items[i]);
	return status == DXH_OK ? post(peer, items, count, group, done) : status;
}

dxh_status dxh_post(dxh_peer *peer, const char *subject, const void *body, size_t body_bytes,
                    int64_t deadline_ns, dxh_completion *done)
{
	return dxh_post_batch(peer,
	                      &(dxh_request_item){.subject = subject,
	                                          .body = body,
	                                          .body_bytes = body_bytes,
	                                          .deadline_ns = deadline_ns},
	                      1, NULL, done);
}

dxh_status dxh_post_to(dxh_group *group, dxh_peer *peer, const char *subject, const void *body,
                       size_t body_bytes, int64_t deadline_ns, dxh_completion *done)
{
	if (!group)
		return dxi_fail(DXH_EINVAL, "the group is NULL");
	return dxh_post_batch(peer,
	                      &(dxh_request_item){.subject = subject,
	                                          .body = body,
	                                          .body_bytes = body_bytes,
	                                          .deadline_ns = deadline_ns},
	                      1, group, done);
}

dxh_status dxh_request_sync(dxh_peer *peer, const char *subject, const void *body,
                            size_t body_bytes, int64_t deadline_ns, void *reply,
                            size_t capacity_bytes, size_t *reply_bytes)
{
	dxh_completion done;
	dxh_reply result;
	dxh_status status;

	if (!reply && capacity_bytes > 0)
		return dxi_fail(DXH_EINVAL, "reply is NULL, its capacity %zu", capacity_bytes);
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "a synchronous request on the I/O thread would wait "
		                             "for itself: use dxh_post()");
	status = dxh_post(peer, subject, body, body_bytes, deadline_ns, &done);
	if (status != DXH_OK)
		return status;
	/* The operation's own deadline ends it, so this wait needs none. */
	status = dxh_await(done, DXH_FOREVER, &result);
	if (status == DXH_OK) {
		if (reply_bytes)
			*reply_bytes = result.body_bytes;
		if (result.body_bytes > capacity_bytes)
			status = dxi_fail(DXH_ESIZE,
			                  "the reply has %zu bytes, there is room for %zu",
			                  result.body_bytes, capacity_bytes);
		if (capacity_bytes > 0)
			memcpy(reply, result.body,
			       result.body_bytes < capacity_bytes ? result.body_bytes
			                                          : capacity_bytes);
	}
	dxh_release(done);
	return status;
}
