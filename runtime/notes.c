/* SPDX-License-Identifier: MIT */
/* Asking a service for subscriptions, and notes on their way from the connection to
 * who receives them.
 *
 * What is lost is never looked for: notes of one subscription are numbered by the
 * service, and whatever is missing before the next one in the inbox was lost,
 * there or here.
 */
#include "runtime/notes.h"

#include "base/futex.h"
#include "queue/doorbell.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void set_standing(dxh_subscription *subscription, uint32_t state, dxh_status refusal)
{
	/* release: pairs with the acquire in dxh_subscription_await(). */
	atomic_store_explicit(&subscription->standing,
	                      (uint32_t)refusal << DXI_SUBSCRIPTION_STATE_BITS | state,
	                      memory_order_release);
	dxi_futex_wake(&subscription->standing, INT_MAX, DXI_FUTEX_PRIVATE);
}

static uint32_t state_of(const dxh_subscription *subscription)
{
	/* relaxed: only we write it. */
	return atomic_load_explicit(&subscription->standing, memory_order_relaxed) &
	       ((1u << DXI_SUBSCRIPTION_STATE_BITS) - 1);
}

void dxi_subscriptions_renew(dxh_peer *peer, bool supported)
{
	dxi_subscriptions *all = &peer->subscriptions;

	all->supported = supported;
	if (supported)
		return; /* dxi_subscriptions_encode() asks for what is due */
	for (dxh_subscription *each = all->first; each; each = each->next)
		set_standing(each, DXI_SUBSCRIPTION_REFUSED, DXH_EUNSUPPORTED);
	all->due = 0;
}

void dxi_subscriptions_interrupt(dxh_peer *peer)
{
	dxi_subscriptions *all = &peer->subscriptions;

	all->due = 0;
	all->ended_count = all->ended_in_frame = 0; /* the service forgets with the connection */
	for (dxh_subscription *each = all->first; each; each = each->next) {
		each->was_standing =
			each->was_standing || state_of(each) == DXI_SUBSCRIPTION_STANDING;
		each->reconnected = each->was_standing;
		each->sequence = 0;
		set_standing(each, DXI_SUBSCRIPTION_ASKED, DXH_OK);
		all->due++;
	}
}

void dxi_subscriptions_encode(dxh_peer *peer, dxi_frame_writer *writer)
{
	dxi_subscriptions *all = &peer->subscriptions;

	all->ended_in_frame = 0;
	while (all->ended_in_frame < all->ended_count &&
	       dxi_frame_append(writer,
	                        &(dxi_record){.kind = DXI_UNSUBSCRIBE,
	                                      .budget_us = all->ended[all->ended_in_frame]}))
		all->ended_in_frame++;
	if (all->due == 0 || !all->supported)
		return;
	for (dxh_subscription *each = all->first; each; each = each->next)
		each->is_in_frame =
			state_of(each) == DXI_SUBSCRIPTION_ASKED &&
			dxi_frame_append(writer,
		                         &(dxi_record){.kind = DXI_SUBSCRIBE,
		                                       .budget_us = each->number,
		                                       .subject = each->prefix,
		                                       .subject_bytes = each->prefix_bytes});
}

void dxi_subscriptions_sent(dxh_peer *peer)
{
	dxi_subscriptions *all = &peer->subscriptions;

	all->ended_count -= all->ended_in_frame;
	memmove(all->ended, all->ended + all->ended_in_frame,
	        all->ended_count * sizeof *all->ended);
	all->ended_in_frame = 0;
	for (dxh_subscription *each = all->due > 0 ? all->first : NULL; each; each = each->next) {
		if (!each->is_in_frame)
			continue;
		each->is_in_frame = false;
		set_standing(each, DXI_SUBSCRIPTION_SENT, DXH_OK);
		all->due--;
	}
}

void dxi_subscription_ended(dxh_subscription *subscription)
{
	dxi_subscriptions *all = &subscription->peer->subscriptions;

	if (state_of(subscription) == DXI_SUBSCRIPTION_ASKED)
		all->due--; /* the service has not heard of it */
	/* If there is no room for the word, its notes are dropped here: no harm. */
	else if (all->ended_count < DXI_SUBSCRIPTIONS_ENDED)
		all->ended[all->ended_count++] = subscription->number;
}

static dxh_subscription *find(dxh_peer *peer, uint32_t number)
{
	dxh_subscription *found = peer->subscriptions.first;

	while (found && found->number != number)
		found = found->next;
	return found;
}

/* What the caller can do something about. */
static dxh_status refusal_of(const dxi_record *record)
{
	return record->status == DXH_ELIMIT || record->status == DXH_EOVERLOADED ||
	                       record->status == DXH_EACCESS
	               ? (dxh_status)record->status
	               : DXH_EREJECTED;
}

static void tell_at_end_of_turn(dxh_subscription *subscription)
{
	dxi_subscriptions *all = &subscription->peer->subscriptions;

	if (subscription->is_fresh)
		return;
	subscription->is_fresh = true;
	subscription->next_fresh = all->fresh;
	all->fresh = subscription;
}

static void count_in(dxh_subscription *subscription, dxi_note *kept)
{
	kept->subscription = subscription;
	/* relaxed: published with the item by the ring. */
	atomic_fetch_add_explicit(&subscription->references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&subscription->bytes, kept->bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&subscription->waiting, 1, memory_order_relaxed);
}

static void count_out(dxh_subscription *subscription, const dxi_note *kept)
{
	atomic_fetch_sub_explicit(&subscription->references, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&subscription->bytes, kept->bytes, memory_order_relaxed);
	atomic_fetch_sub_explicit(&subscription->waiting, 1, memory_order_relaxed);
}

/* From here on something is missing: said in its place among the notes, for which a place
 * is kept. One that still waits there says it for this loss, too. false: it is not said. */
static bool put_mark(dxh_subscription *subscription, bool reconnected)
{
	dxi_note *mark;

	/* acquire: pairs with the release in dxh_subscription_receive(). */
	if (!subscription->tells_gaps)
		return false;
	if (atomic_load_explicit(&subscription->is_marked, memory_order_acquire))
		return true;
	mark = calloc(1, sizeof *mark + 1);
	if (!mark)
		return false; /* the next note says it */
	mark->told = (dxh_note){
		.topic = mark->storage, .body = mark->storage, .reconnected = reconnected};
	mark->bytes = sizeof *mark + 1;
	mark->is_mark = true;
	count_in(subscription, mark);
	/* relaxed: the receiver clears it behind the ring, which publishes it. */
	atomic_store_explicit(&subscription->is_marked, true, memory_order_relaxed);
	if (dxi_inbox_put(subscription->inbox, mark)) {
		tell_at_end_of_turn(subscription);
		return true;
	}
	atomic_store_explicit(&subscription->is_marked, false, memory_order_relaxed);
	count_out(subscription, mark);
	free(mark);
	return false;
}

void dxi_subscriptions_confirmed(dxh_peer *peer, const dxi_record *record)
{
	dxh_subscription *subscription = find(peer, record->budget_us);

	if (!subscription || state_of(subscription) != DXI_SUBSCRIPTION_SENT)
		return;
	if (record->status != DXH_OK) {
		set_standing(subscription, DXI_SUBSCRIPTION_REFUSED, refusal_of(record));
		(void)put_mark(subscription, true);
		return;
	}
	set_standing(subscription, DXI_SUBSCRIPTION_STANDING, DXH_OK);
	if (!subscription->was_standing)
		return;
	dxi_count(&subscription->renewals, 1);
	if (put_mark(subscription, true))
		subscription->reconnected = false;
}

static dxi_note *make_note(const dxi_record *record)
{
	size_t body_at = ((size_t)record->subject_bytes + 1 + 7) / 8 * 8;
	dxi_note *made = malloc(sizeof *made + body_at + record->body_bytes);

	if (!made)
		return NULL;
	memcpy(made->storage, record->subject, record->subject_bytes);
	made->storage[record->subject_bytes] = '\0';
	if (record->body_bytes > 0)
		memcpy(made->storage + body_at, record->body, record->body_bytes);
	made->told = (dxh_note){.topic = made->storage,
	                        .body = made->storage + body_at,
	                        .body_bytes = record->body_bytes,
	                        .sequence = record->id};
	made->bytes = sizeof *made + body_at + record->body_bytes;
	made->is_mark = false;
	return made;
}

/* Into the inbox, if there is room. */
static bool keep(dxh_subscription *subscription, dxi_note *kept)
{
	uint64_t bytes = atomic_load_explicit(&subscription->bytes, memory_order_relaxed);

	if (!kept || bytes + kept->bytes > subscription->inbox_bytes_max ||
	    atomic_load_explicit(&subscription->waiting, memory_order_relaxed) >=
	            subscription->inbox_max)
		return false;
	kept->told.lost = kept->told.sequence - subscription->sequence - 1;
	kept->told.reconnected = subscription->reconnected;
	count_in(subscription, kept);
	if (dxi_inbox_put(subscription->inbox, kept))
		return true;
	count_out(subscription, kept);
	return false;
}

void dxi_subscriptions_notified(dxh_peer *peer, const dxi_record *record)
{
	dxh_subscription *subscription = find(peer, record->budget_us);
	dxi_note *made;

	/* Of one that was closed meanwhile; or numbers that do not go up. */
	if (!subscription || state_of(subscription) != DXI_SUBSCRIPTION_STANDING ||
	    record->id <= subscription->sequence) {
		dxi_count(&peer->hub->metrics->notes_stray, 1);
		return;
	}
	made = make_note(record);
	if (!keep(subscription, made)) {
		dxi_count(&peer->hub->metrics->notes_refused, 1);
		free(made); /* the next one that is kept tells of it */
		(void)put_mark(subscription, false);
		return;
	}
	dxi_count(&subscription->lost, record->id - subscription->sequence - 1);
	dxi_count(&subscription->received, 1);
	dxi_count(&peer->hub->metrics->notes_received, 1);
	subscription->sequence = record->id;
	subscription->reconnected = false;
	tell_at_end_of_turn(subscription);
}

void dxi_subscriptions_signal(dxh_peer *peer)
{
	while (peer->subscriptions.fresh) {
		dxh_subscription *fresh = peer->subscriptions.fresh;
		int fd;

		peer->subscriptions.fresh = fresh->next_fresh;
		fresh->is_fresh = false;
		dxi_inbox_signal(fresh->inbox);
		/* acquire: pairs with the release in dxh_subscription_fd(). */
		fd = atomic_load_explicit(&fresh->fd, memory_order_acquire);
		if (fd != -1)
			dxi_doorbell_ring(fd);
	}
}

void dxi_subscriptions_free(dxh_peer *peer)
{
	while (peer->subscriptions.first) {
		dxh_subscription *closing = peer->subscriptions.first;

		peer->subscriptions.first = closing->next;
		dxi_subscription_free(closing);
	}
}
