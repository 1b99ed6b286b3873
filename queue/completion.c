/* SPDX-License-Identifier: MIT */
/* Await, poll, cancel, release, and the one terminal event. */
#include "queue/completion.h"

#include "base/discard.h"
#include "base/forked.h"
#include "base/futex.h"
#include "base/probe.h"
#include "base/status.h"
#include "queue/group.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

_Thread_local bool dxi_may_not_wait;

/* The futex is the low half of the state word. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half comes first");

static _Atomic uint32_t *futex_of(dxi_slot *slot)
{
	return (_Atomic uint32_t *)&slot->state;
}

static bool cancel_travels(uint64_t state)
{
	return (state & DXI_STATE_CANCEL) && !(state & DXI_STATE_CANCEL_SEEN);
}

static bool is_nobodys(uint64_t state)
{
	const uint64_t ended = DXI_STATE_DONE | DXI_STATE_CLAIMED | DXI_STATE_RELEASED;

	return (state & ended) == ended && !(state & (DXI_STATE_GROUPED | DXI_STATE_PINS)) &&
	       !cancel_travels(state);
}

static void free_body(dxi_slot *slot)
{
	void *body = (void *)(uintptr_t)atomic_load_explicit(&slot->body, memory_order_relaxed);
	size_t bytes = atomic_load_explicit(&slot->body_bytes, memory_order_relaxed);

	dxi_slot_count_heap(slot, -(int64_t)bytes);
	if (dxi_may_not_wait) /* released before it came: others wait for this thread */
		dxi_discard(body, bytes);
	else
		free(body);
}

/* Give the slot back if the change from `before` to `after` made it nobody's. */
static bool recycle(dxi_slot *slot, uint64_t before, uint64_t after)
{
	if (is_nobodys(before) || !is_nobodys(after))
		return false;
	if (slot->body_is_own)
		free_body(slot);
	slot->body_is_own = 0;
	dxi_pool_give(slot);
	return true;
}

/* Set flags; returns the word as it was. Only for owners of the slot. */
static uint64_t set_flags(dxi_slot *slot, uint64_t flags)
{
	/* acq_rel: publishes what was written before, shows what others published. */
	return atomic_fetch_or_explicit(&slot->state, flags, memory_order_acq_rel);
}

dxh_completion dxi_completion_begin(dxi_slot *slot, struct dxh_group *group, void *user)
{
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
	uint64_t generation = state & ~(uint64_t)UINT32_MAX;

	slot->group = group;
	slot->user = user;
	slot->body_is_own = 0;
	/* release: a handle is only used by those it was handed to, who see this by
	 * the same way; the queue publishes the rest. */
	atomic_store_explicit(&slot->state, generation | (group ? DXI_STATE_GROUPED : 0),
	                      memory_order_release);
	return generation | slot->index;
}

void dxi_completion_abandon(dxi_slot *slot)
{
	dxi_pool_give(slot);
}

static bool is_live(uint64_t state, dxh_completion done)
{
	return state >> 32 == done >> 32 && !(state & (DXI_STATE_FREE | DXI_STATE_RELEASED));
}

static dxh_status stale(dxh_completion done)
{
	return dxi_fail(DXH_ESTALE,
	                "completion %#llx was released before, or was never issued: release "
	                "each one once, and last",
	                (unsigned long long)done);
}

/* The slot of a user's handle with its present state, or why there is none. */
static dxh_status look_up(dxh_completion done, dxi_slot **slot, uint64_t *state)
{
	*slot = dxi_slot_find((uint32_t)done);
	if (!*slot)
		return stale(done);
	if (dxi_slot_process(*slot) != dxi_process_id())
		return dxi_fail(DXH_EFORKED, "the completion belongs to the parent process: post "
		                             "again through a hub opened in this one");
	/* acquire: pairs with the RMW that set DONE. */
	*state = atomic_load_explicit(&(*slot)->state, memory_order_acquire);
	return is_live(*state, done) ? DXH_OK : stale(done);
}

dxh_reply dxi_completion_result(const dxi_slot *slot)
{
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
	const void *body;

	if (state & DXI_STATE_NEVER_LEFT)
		return (dxh_reply){.body = "", .status = DXH_ECANCELED, .certainty = DXH_NOT_SENT};
	/* relaxed: published by DONE. */
	body = atomic_load_explicit(&slot->body, memory_order_relaxed);
	return (dxh_reply){
		.body = body ? body : "",
		.body_bytes = atomic_load_explicit(&slot->body_bytes, memory_order_relaxed),
		.status = (dxh_status)atomic_load_explicit(&slot->status, memory_order_relaxed),
		.certainty = (dxh_certainty)atomic_load_explicit(&slot->certainty,
	                                                         memory_order_relaxed)};
}

/* Was what has been read of the slot still this completion's? Another thread may
 * release it at any time. */
static bool was_live(const dxi_slot *slot, dxh_completion done)
{
	/* The loads before it stay before it; who gives a slot to another life changes
	 * its generation first. Pairs with the fence in dxi_completion_complete(). */
	atomic_thread_fence(memory_order_acquire);
	return is_live(atomic_load_explicit(&slot->state, memory_order_relaxed), done);
}

bool dxi_completion_pin(dxi_slot *slot, dxh_completion done)
{
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

	do
		if (!is_live(state, done))
			return false;
	/* acquire: as in look_up(). */
	while (!atomic_compare_exchange_weak_explicit(&slot->state, &state, state + DXI_STATE_PIN,
	                                              memory_order_acq_rel, memory_order_acquire));
	return true;
}

void dxi_completion_unpin(dxi_slot *slot)
{
	/* release: what was read was read before the slot goes home. */
	uint64_t before =
		atomic_fetch_sub_explicit(&slot->state, DXI_STATE_PIN, memory_order_acq_rel);

	recycle(slot, before, before - DXI_STATE_PIN);
}

/* Word the failure of an ended operation, with the text that came with it. That text is
 * the slot's, and another thread may release the completion at any time. */
static dxh_status fail_with_its_text(dxi_slot *slot, dxh_completion done)
{
	char text[200];
	dxh_reply result;
	size_t bytes;

	if (!dxi_completion_pin(slot, done))
		return stale(done);
	result = dxi_completion_result(slot);
	bytes = result.body_bytes < sizeof text ? result.body_bytes : sizeof text;
	memcpy(text, result.body, bytes);
	dxi_completion_unpin(slot);
	return dxi_fail(result.status, "%s (%s)%s%.*s", dxh_status_text(result.status),
	                dxh_certainty_text(result.certainty), bytes ? ": " : "", (int)bytes, text);
}

/* Hand the result to the user, with a reason if it is not a good one. */
static dxh_status hand_out(dxi_slot *slot, dxh_completion done, dxh_reply *reply)
{
	dxh_reply result = dxi_completion_result(slot);

	if (!was_live(slot, done))
		return stale(done);
	if (reply)
		*reply = result;
	return result.status == DXH_OK ? DXH_OK : fail_with_its_text(slot, done);
}

static dxh_status still_open(void)
{
	return dxi_fail(DXH_EWAIT, "the operation is still in flight: wait again, or cancel it");
}

dxh_status dxh_await(dxh_completion done, int64_t deadline_ns, dxh_reply *reply)
{
	dxi_slot *slot;
	uint64_t state;
	dxh_status status = look_up(done, &slot, &state);
	bool in_time = true;

	if (status != DXH_OK)
		return status;
	if (!(state & DXI_STATE_DONE) && dxi_may_not_wait && deadline_ns != DXH_NOW)
		return dxi_fail(DXH_EDEADLK, "await on the I/O thread would wait for itself: use "
		                             "dxh_result(), or await on another thread");
	while (!(state & DXI_STATE_DONE)) {
		if (!in_time || deadline_ns == DXH_NOW)
			return still_open();
		/* On failure `state` is what it is now, with acquire as above. */
		if ((state & DXI_STATE_WAITER) ||
		    atomic_compare_exchange_weak_explicit(
			    &slot->state, &state, state | DXI_STATE_WAITER, memory_order_acq_rel,
			    memory_order_acquire)) {
			in_time = dxi_futex_wait(futex_of(slot), (uint32_t)state | DXI_STATE_WAITER,
			                         deadline_ns, DXI_FUTEX_PRIVATE);
			state = atomic_load_explicit(&slot->state, memory_order_acquire);
		}
		/* Another thread may have released it: then it is somebody else's. */
		if (!is_live(state, done))
			return stale(done);
	}
	return hand_out(slot, done, reply);
}

dxh_status dxh_result(dxh_completion done, dxh_reply *reply)
{
	dxi_slot *slot;
	uint64_t state;
	dxh_status status = look_up(done, &slot, &state);

	if (status != DXH_OK)
		return status;
	return state & DXI_STATE_DONE ? hand_out(slot, done, reply) : still_open();
}

dxh_status dxh_poll(dxh_completion done)
{
	dxi_slot *slot;
	uint64_t state;
	dxh_status status = look_up(done, &slot, &state);

	if (status != DXH_OK)
		return status;
	return state & DXI_STATE_DONE ? DXH_OK : still_open();
}

/* A cancel has won before the I/O thread claimed: tell whoever waits. */
static void end_unclaimed(dxi_slot *slot, uint64_t before, dxh_completion done)
{
	DXI_PROBE(done, done, (int)DXH_ECANCELED, (int)DXH_NOT_SENT);
	if (before & DXI_STATE_GROUPED)
		dxi_group_deliver(slot->group, slot, NULL);
	if (before & DXI_STATE_WAITER)
		dxi_futex_wake(futex_of(slot), INT_MAX, DXI_FUTEX_PRIVATE);
}

dxh_status dxh_cancel(dxh_completion done, dxh_cancel_answer *answer)
{
	dxh_cancel_answer unused;
	dxi_slot *slot;
	uint64_t state, wanted;
	dxh_status status = look_up(done, &slot, &state);

	if (status != DXH_OK)
		return status;
	if (!answer)
		answer = &unused;
	do {
		if (!is_live(state, done))
			return stale(done);
		if (state & DXI_STATE_DONE) {
			*answer = state & DXI_STATE_NEVER_LEFT ? DXH_CANCELED : DXH_CANCEL_TOO_LATE;
			return DXH_OK;
		}
		*answer = DXH_CANCEL_PENDING;
		if (state & DXI_STATE_CANCEL)
			return DXH_OK;
		wanted =
			state | (state & DXI_STATE_CLAIMED ? DXI_STATE_CANCEL
		                                           : DXI_STATE_DONE | DXI_STATE_NEVER_LEFT);
		/* One RMW decides between this cancel and the I/O thread's claim. */
	} while (!atomic_compare_exchange_weak_explicit(
		&slot->state, &state, wanted, memory_order_acq_rel, memory_order_acquire));
	DXI_PROBE(cancel, done);
	if (state & DXI_STATE_CLAIMED) {
		dxi_slot_send_cancel(slot, (dxi_task *)(void *)slot->record);
		return DXH_OK;
	}
	*answer = DXH_CANCELED;
	end_unclaimed(slot, state, done);
	return DXH_OK;
}

dxh_status dxh_release(dxh_completion done)
{
	dxi_slot *slot;
	uint64_t state;
	dxh_status status = look_up(done, &slot, &state);

	if (status != DXH_OK)
		return status;
	while (!atomic_compare_exchange_weak_explicit(&slot->state, &state,
	                                              state | DXI_STATE_RELEASED,
	                                              memory_order_acq_rel, memory_order_acquire))
		if (!is_live(state, done))
			return stale(done);
	recycle(slot, state, state | DXI_STATE_RELEASED);
	return DXH_OK;
}

bool dxi_completion_claim(dxi_slot *slot)
{
	uint64_t before = set_flags(slot, DXI_STATE_CLAIMED);

	recycle(slot, before, before | DXI_STATE_CLAIMED);
	if (before & DXI_STATE_DONE)
		return false;
	DXI_PROBE(claim, dxi_completion_of(slot));
	return true;
}

bool dxi_completion_complete(dxi_slot *slot, dxh_status status, dxh_certainty certainty,
                             const void *body, size_t body_bytes, bool body_is_own,
                             dxi_wakes *wakes)
{
	struct dxh_group *group = slot->group;
	uint64_t before;

	/* Orders the generation of this life before its result, for who still reads on
	 * behalf of the last one. Pairs with the fence in was_live(). */
	atomic_thread_fence(memory_order_release);
	/* relaxed: published by DONE. */
	atomic_store_explicit(&slot->status, (int32_t)status, memory_order_relaxed);
	atomic_store_explicit(&slot->certainty, (uint8_t)certainty, memory_order_relaxed);
	atomic_store_explicit(&slot->body, body, memory_order_relaxed);
	atomic_store_explicit(&slot->body_bytes, body_bytes, memory_order_relaxed);
	slot->body_is_own = body_is_own;
	DXI_PROBE(done, dxi_completion_of(slot), (int)status, (int)certainty);
	if (body_is_own)
		dxi_slot_count_heap(slot, (int64_t)body_bytes);
	/* Publishes the result. Pairs with the acquire in look_up(). */
	before = set_flags(slot, DXI_STATE_DONE);
	assert(!(before & DXI_STATE_DONE)); /* exactly once */
	/* From here the slot is only ours as far as `before` says: GROUPED keeps it. */
	if (before & DXI_STATE_GROUPED)
		dxi_group_deliver(group, slot, wakes);
	if (before & DXI_STATE_WAITER) {
		if (wakes->word_count == DXI_WAKES_MAX)
			dxi_wakes_issue(wakes);
		wakes->words[wakes->word_count++] = futex_of(slot);
	}
	recycle(slot, before, before | DXI_STATE_DONE);
	return cancel_travels(before);
}

bool dxi_completion_cancel_seen(dxi_slot *slot)
{
	uint64_t before = set_flags(slot, DXI_STATE_CANCEL_SEEN);

	recycle(slot, before, before | DXI_STATE_CANCEL_SEEN);
	return !(before & DXI_STATE_DONE);
}

dxi_slot *dxi_completion_find_open(const dxi_pool *pool, dxh_completion done, bool *late)
{
	dxi_slot *slot = dxi_slot_find((uint32_t)done);
	uint64_t state;

	*late = false;
	if (!slot || dxi_slot_pool(slot) != pool)
		return NULL;
	state = atomic_load_explicit(&slot->state, memory_order_acquire);
	*late = true;
	if (state >> 32 != done >> 32 || (state & DXI_STATE_FREE))
		return NULL;
	return (state & DXI_STATE_CLAIMED) && !(state & DXI_STATE_DONE) ? slot : NULL;
}

bool dxi_completion_ungroup(dxi_slot *slot)
{
	/* acq_rel: as in set_flags(). */
	uint64_t before = atomic_fetch_and_explicit(&slot->state, ~(uint64_t)DXI_STATE_GROUPED,
	                                            memory_order_acq_rel);

	if (!(before & DXI_STATE_RELEASED))
		return true;
	recycle(slot, before, before & ~(uint64_t)DXI_STATE_GROUPED);
	return false;
}

void dxi_wakes_issue(dxi_wakes *wakes)
{
	if (wakes->word_count + wakes->group_count == 0)
		return;
	DXI_PROBE(wake, wakes->word_count, wakes->group_count);
	for (uint32_t i = 0; i < wakes->word_count; i++)
		dxi_futex_wake(wakes->words[i], INT_MAX, DXI_FUTEX_PRIVATE);
	for (uint32_t i = 0; i < wakes->group_count; i++)
		dxi_group_signal(wakes->groups[i]);
	wakes->issued += wakes->word_count + wakes->group_count;
	wakes->word_count = 0;
	wakes->group_count = 0;
}

const char *dxh_certainty_text(dxh_certainty certainty)
{
	switch (certainty) {
	case DXH_NOT_SENT:
		return "not sent";
	case DXH_MAYBE_EXECUTED:
		return "maybe executed";
	case DXH_REPLIED:
		return "replied";
	}
	return "unknown";
}
