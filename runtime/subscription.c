/* SPDX-License-Identifier: MIT */
/* Subscribing, and notes on their way from the connection to who receives them.
 *
 *   asked ──SUBSCRIBE sent──> sent ──answered──> standing or refused
 *     ^                                             │
 *     └────────────── the connection ended ─────────┘
 *
 * What is lost is never looked for: notes of one subscription are numbered by the
 * service, and whatever is missing before the next one in the inbox was lost,
 * there or here.
 */
#include "runtime/peer.h"

#include "base/futex.h"
#include "base/status.h"
#include "queue/doorbell.h"
#include "queue/inbox.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INBOX_DEFAULT = 1024, INBOX_MAX = 1 << 20, INBOX_BYTES_DEFAULT = 4 << 20 };

/* The low bits of `standing`, a futex word; the rest is a refusal's status. */
enum { ASKED = 0, SENT = 1, STANDING = 2, REFUSED = 3, STATE_BITS = 2 };

struct dxh_subscription {
	/* any thread */
	dxh_peer *peer;
	dxi_inbox *inbox;
	uint64_t inbox_bytes_max;
	_Atomic uint64_t bytes;      /* in the inbox and with users */
	_Atomic uint64_t waiting;    /* in the inbox */
	_Atomic uint64_t references; /* itself, and each note that is out */
	_Atomic uint32_t standing;
	_Atomic int fd; /* -1 until asked for */
	_Atomic uint64_t received, lost, renewals;

	/* the I/O thread alone */
	struct dxh_subscription *next;
	struct dxh_subscription *next_fresh;
	bool is_fresh;
	bool is_in_frame; /* being sent */
	uint32_t number;
	uint64_t sequence; /* of the last note that came into the inbox */
	bool reconnected;  /* since then */
	bool was_standing;
	uint8_t prefix_bytes;
	char prefix[DXH_SUBJECT_MAX];
};

/* A note as it lies in memory. */
typedef struct note {
	dxh_note told; /* first: what the user has is this */
	dxh_subscription *subscription;
	size_t bytes;
	char storage[]; /* topic, NUL, padding, body */
} note;

static void let_go(dxh_subscription *subscription)
{
	int fd;

	/* acq_rel: the last one sees all that the others did before. */
	if (atomic_fetch_sub_explicit(&subscription->references, 1, memory_order_acq_rel) != 1)
		return;
	fd = atomic_load_explicit(&subscription->fd, memory_order_relaxed);
	if (fd != -1)
		close(fd);
	free(subscription);
}

/* ---- any thread ------------------------------------------------------------------ */

static dxh_status check(const dxh_subscription *subscription)
{
	if (!subscription)
		return dxi_fail(DXH_EINVAL, "the subscription is NULL");
	return dxi_hub_check_process(subscription->peer->hub);
}

static dxh_status check_prefix(const char *prefix, size_t *bytes)
{
	if (!prefix)
		return dxi_fail(DXH_EINVAL, "the prefix is NULL: \"\" subscribes to everything");
	*bytes = strnlen(prefix, DXH_SUBJECT_MAX + 1);
	if (*bytes > DXH_SUBJECT_MAX)
		return dxi_fail(DXH_EINVAL, "a prefix has at most %d bytes, this one more",
		                DXH_SUBJECT_MAX);
	return DXH_OK;
}

static dxh_status make(dxh_peer *peer, const char *prefix, size_t prefix_bytes,
                       const dxh_subscription_config *config, dxh_subscription **made)
{
	dxh_subscription *subscription = calloc(1, sizeof *subscription);

	if (!subscription)
		return dxi_fail(DXH_ENOMEM, "no memory for a subscription");
	subscription->inbox = dxi_inbox_open(config->inbox_max);
	if (!subscription->inbox) {
		free(subscription);
		return dxi_fail(DXH_ENOMEM, "no memory for an inbox of %u", config->inbox_max);
	}
	subscription->peer = peer;
	subscription->inbox_bytes_max = config->inbox_bytes;
	atomic_init(&subscription->references, 1);
	atomic_init(&subscription->fd, -1);
	subscription->prefix_bytes = (uint8_t)prefix_bytes;
	memcpy(subscription->prefix, prefix, prefix_bytes);
	*made = subscription;
	return DXH_OK;
}

static void touch(dxh_peer *peer)
{
	if (peer->socket && dxh_peer_state_get(peer) == DXH_PEER_READY)
		dxi_socket_touch(peer->socket);
}

static dxh_status attach(void *context)
{
	dxh_subscription *subscription = context;
	dxi_subscriptions *all = &subscription->peer->subscriptions;

	/* Never 0, and not one that is in use: wrapping takes 2^32 subscriptions. */
	subscription->number = ++all->last_number ? all->last_number : ++all->last_number;
	subscription->next = all->first;
	all->first = subscription;
	all->due++;
	if (dxh_peer_state_get(subscription->peer) == DXH_PEER_READY)
		dxi_subscriptions_renew(subscription->peer, all->supported);
	touch(subscription->peer);
	return DXH_OK;
}

dxh_status dxh_subscribe_sized(size_t config_bytes, dxh_peer *peer, const char *prefix,
                               const dxh_subscription_config *given,
                               dxh_subscription **subscription)
{
	dxh_subscription_config config;
	dxh_subscription *made = NULL;
	size_t prefix_bytes = 0;
	dxh_status status = dxi_config_read(&config, sizeof config, given, config_bytes);

	if (status == DXH_OK && (!peer || !subscription))
		status = dxi_fail(DXH_EINVAL,
		                  "dxh_subscribe needs a peer and room for the subscription");
	if (status == DXH_OK)
		status = check_prefix(prefix, &prefix_bytes);
	if (status == DXH_OK && config.inbox_max > INBOX_MAX)
		status = dxi_fail(DXH_EINVAL, "inbox_max is at most %d", INBOX_MAX);
	if (status == DXH_OK)
		status = dxi_hub_check_open(peer->hub);
	if (status != DXH_OK)
		return status;
	config.inbox_max = config.inbox_max ? config.inbox_max : INBOX_DEFAULT;
	config.inbox_bytes = config.inbox_bytes ? config.inbox_bytes : INBOX_BYTES_DEFAULT;
	status = make(peer, prefix, prefix_bytes, &config, &made);
	if (status != DXH_OK)
		return status;
	status = dxi_hub_call(peer->hub, attach, made);
	if (status == DXH_OK) {
		*subscription = made;
	} else {
		dxi_inbox_free(made->inbox);
		free(made);
	}
	return status;
}

dxh_status dxh_subscription_await(dxh_subscription *subscription, int64_t deadline_ns)
{
	dxh_status status = check(subscription);
	bool in_time = true;

	if (status != DXH_OK)
		return status;
	if (dxi_may_not_wait && deadline_ns != DXH_NOW)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for its own answer");
	for (;;) {
		/* acquire: pairs with the release in set_standing(). */
		uint32_t word = atomic_load_explicit(&subscription->standing, memory_order_acquire);

		switch (word & ((1u << STATE_BITS) - 1)) {
		case STANDING:
			return DXH_OK;
		case REFUSED:
			status = (dxh_status)(word >> STATE_BITS);
			return dxi_fail(status,
			                "the service refuses the subscription to '%.*s': %s",
			                subscription->prefix_bytes, subscription->prefix,
			                dxh_status_text(status));
		default:
			break;
		}
		if (!in_time || deadline_ns == DXH_NOW)
			return dxi_fail(DXH_EWAIT, "the service has not confirmed yet: wait again");
		in_time = dxi_futex_wait(&subscription->standing, word, deadline_ns,
		                         DXI_FUTEX_PRIVATE);
	}
}

dxh_status
dxh_subscription_receive(dxh_subscription *subscription, int64_t deadline_ns, const dxh_note **told)
{
	dxh_status status = check(subscription);
	void *item;
	int fd;

	if (status != DXH_OK)
		return status;
	if (!told)
		return dxi_fail(DXH_EINVAL, "note is NULL");
	if (dxi_may_not_wait && deadline_ns != DXH_NOW)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for notes");
	status = dxi_inbox_take(subscription->inbox, DXH_NOW, &item);
	fd = atomic_load_explicit(&subscription->fd, memory_order_acquire);
	if (status == DXH_EWAIT && fd != -1) {
		/* Empty: what comes behind this rings again. */
		dxi_doorbell_clear(fd);
		status = dxi_inbox_take(subscription->inbox, DXH_NOW, &item);
	}
	if (status == DXH_EWAIT && deadline_ns != DXH_NOW)
		status = dxi_inbox_take(subscription->inbox, deadline_ns, &item);
	if (status == DXH_ECLOSED)
		return dxi_fail(status, "the subscription was stopped, or is being closed");
	if (status != DXH_OK)
		return dxi_fail(status, "no note came: wait again");
	/* relaxed: a figure. */
	atomic_fetch_sub_explicit(&subscription->waiting, 1, memory_order_relaxed);
	*told = &((note *)item)->told;
	return DXH_OK;
}

void dxh_note_release(const dxh_note *told)
{
	note *released = (note *)(uintptr_t)told;
	dxh_subscription *subscription;

	if (!told)
		return;
	subscription = released->subscription;
	/* relaxed: only makes room. */
	atomic_fetch_sub_explicit(&subscription->bytes, released->bytes, memory_order_relaxed);
	free(released);
	let_go(subscription);
}

int dxh_subscription_fd(dxh_subscription *subscription)
{
	int fd, none = -1;

	if (check(subscription) != DXH_OK)
		return -1;
	fd = atomic_load_explicit(&subscription->fd, memory_order_acquire);
	if (fd != -1 || dxi_doorbell_open(&fd) != DXH_OK)
		return fd;
	/* acq_rel: pairs with the acquire in dxi_subscriptions_signal(). Two threads may
	 * ask at once. */
	if (!atomic_compare_exchange_strong_explicit(&subscription->fd, &none, fd,
	                                             memory_order_acq_rel, memory_order_acquire)) {
		close(fd);
		return none;
	}
	dxi_doorbell_ring(fd); /* something may wait already */
	return fd;
}

dxh_status
dxh_subscription_stats_get(const dxh_subscription *subscription, dxh_subscription_stats *stats)
{
	dxh_status status = check(subscription);

	if (status == DXH_OK && !stats)
		status = dxi_fail(DXH_EINVAL, "stats is NULL");
	if (status != DXH_OK)
		return status;
	*stats = (dxh_subscription_stats){.received = dxi_count_get(&subscription->received),
	                                  .lost = dxi_count_get(&subscription->lost),
	                                  .waiting = dxi_count_get(&subscription->waiting),
	                                  .renewals = dxi_count_get(&subscription->renewals)};
	return DXH_OK;
}

dxh_status dxh_subscription_stop(dxh_subscription *subscription)
{
	dxh_status status = check(subscription);

	if (status == DXH_OK)
		dxi_inbox_stop(subscription->inbox);
	return status;
}

/* What nobody received goes with the subscription. */
static void free_subscription(dxh_subscription *subscription)
{
	note *left;

	dxi_inbox_close(subscription->inbox);
	while ((left = dxi_inbox_rest(subscription->inbox))) {
		free(left);
		atomic_fetch_sub_explicit(&subscription->references, 1, memory_order_relaxed);
	}
	dxi_inbox_free(subscription->inbox);
	let_go(subscription);
}

static dxh_status detach(void *context)
{
	dxh_subscription *closing = context;
	dxh_peer *peer = closing->peer;
	dxi_subscriptions *all = &peer->subscriptions;

	for (dxh_subscription **at = &all->first; *at; at = &(*at)->next)
		if (*at == closing) {
			*at = closing->next;
			break;
		}
	for (dxh_subscription **at = &all->fresh; *at; at = &(*at)->next_fresh)
		if (*at == closing) {
			*at = closing->next_fresh;
			break;
		}
	/* If there is no room for the word, its notes are dropped here: no harm. */
	if (all->ended_count < DXI_SUBSCRIPTIONS_ENDED)
		all->ended[all->ended_count++] = closing->number;
	touch(peer);
	return DXH_OK;
}

dxh_status dxh_subscription_close(dxh_subscription **subscription)
{
	dxh_subscription *closing;
	dxh_status status;

	if (!subscription || !*subscription)
		return dxi_fail(DXH_EINVAL, "the subscription is closed already");
	closing = *subscription;
	status = check(closing);
	if (status != DXH_OK)
		return status;
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for receivers");
	*subscription = NULL;
	status = dxi_hub_call(closing->peer->hub, detach, closing);
	free_subscription(closing);
	return status;
}

/* ---- the I/O thread ------------------------------------------------------------------ */

static void set_standing(dxh_subscription *subscription, uint32_t state, dxh_status refusal)
{
	/* release: pairs with the acquire in dxh_subscription_await(). */
	atomic_store_explicit(&subscription->standing, (uint32_t)refusal << STATE_BITS | state,
	                      memory_order_release);
	dxi_futex_wake(&subscription->standing, INT_MAX, DXI_FUTEX_PRIVATE);
}

static uint32_t state_of(const dxh_subscription *subscription)
{
	/* relaxed: only we write it. */
	return atomic_load_explicit(&subscription->standing, memory_order_relaxed) &
	       ((1u << STATE_BITS) - 1);
}

void dxi_subscriptions_renew(dxh_peer *peer, bool supported)
{
	dxi_subscriptions *all = &peer->subscriptions;

	all->supported = supported;
	if (supported)
		return; /* dxi_subscriptions_encode() asks for what is due */
	for (dxh_subscription *each = all->first; each; each = each->next)
		set_standing(each, REFUSED, DXH_EUNSUPPORTED);
	all->due = 0;
}

void dxi_subscriptions_interrupt(dxh_peer *peer)
{
	dxi_subscriptions *all = &peer->subscriptions;

	all->due = 0;
	all->ended_count = all->ended_in_frame = 0; /* the service forgets with the connection */
	for (dxh_subscription *each = all->first; each; each = each->next) {
		each->was_standing = each->was_standing || state_of(each) == STANDING;
		each->reconnected = each->was_standing;
		each->sequence = 0;
		set_standing(each, ASKED, DXH_OK);
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
		if (state_of(each) == ASKED &&
		    dxi_frame_append(writer, &(dxi_record){.kind = DXI_SUBSCRIBE,
		                                           .budget_us = each->number,
		                                           .subject = each->prefix,
		                                           .subject_bytes = each->prefix_bytes}))
			each->is_in_frame = true;
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
		set_standing(each, SENT, DXH_OK);
		all->due--;
	}
}

static dxh_subscription *find(dxh_peer *peer, uint32_t number)
{
	dxh_subscription *found = peer->subscriptions.first;

	while (found && found->number != number)
		found = found->next;
	return found;
}

void dxi_subscriptions_confirmed(dxh_peer *peer, const dxi_record *record)
{
	dxh_subscription *subscription = find(peer, record->budget_us);

	if (!subscription || state_of(subscription) != SENT)
		return;
	if (record->status != DXH_OK) {
		set_standing(subscription, REFUSED,
		             record->status == DXH_ELIMIT ? DXH_ELIMIT : DXH_EREJECTED);
		return;
	}
	if (subscription->was_standing)
		dxi_count(&subscription->renewals, 1);
	set_standing(subscription, STANDING, DXH_OK);
}

static note *make_note(const dxi_record *record)
{
	size_t body_at = ((size_t)record->subject_bytes + 1 + 7) / 8 * 8;
	note *made = malloc(sizeof *made + body_at + record->body_bytes);

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
	return made;
}

/* Into the inbox, if there is room. */
static bool keep(dxh_subscription *subscription, note *kept)
{
	uint64_t bytes = atomic_load_explicit(&subscription->bytes, memory_order_relaxed);

	if (!kept || bytes + kept->bytes > subscription->inbox_bytes_max)
		return false;
	kept->subscription = subscription;
	kept->told.lost = kept->told.sequence - subscription->sequence - 1;
	kept->told.reconnected = subscription->reconnected;
	/* relaxed: published with the item by the ring. */
	atomic_fetch_add_explicit(&subscription->references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&subscription->bytes, kept->bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&subscription->waiting, 1, memory_order_relaxed);
	if (dxi_inbox_put(subscription->inbox, kept))
		return true;
	atomic_fetch_sub_explicit(&subscription->references, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&subscription->bytes, kept->bytes, memory_order_relaxed);
	atomic_fetch_sub_explicit(&subscription->waiting, 1, memory_order_relaxed);
	return false;
}

void dxi_subscriptions_notified(dxh_peer *peer, const dxi_record *record)
{
	dxi_subscriptions *all = &peer->subscriptions;
	dxh_subscription *subscription = find(peer, record->budget_us);
	note *made;

	/* Of one that was closed meanwhile; or numbers that do not go up. */
	if (!subscription || state_of(subscription) != STANDING ||
	    record->id <= subscription->sequence)
		return;
	made = make_note(record);
	if (!keep(subscription, made)) {
		free(made); /* the next one that is kept tells of it */
		return;
	}
	dxi_count(&subscription->lost, record->id - subscription->sequence - 1);
	dxi_count(&subscription->received, 1);
	subscription->sequence = record->id;
	subscription->reconnected = false;
	if (!subscription->is_fresh) {
		subscription->is_fresh = true;
		subscription->next_fresh = all->fresh;
		all->fresh = subscription;
	}
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
		free_subscription(closing);
	}
}
