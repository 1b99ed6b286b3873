/* SPDX-License-Identifier: MIT */
/* Subscribing, receiving and closing, as user threads see a subscription. */
#include "runtime/notes.h"

#include "base/futex.h"
#include "base/status.h"
#include "queue/doorbell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INBOX_DEFAULT = 1024, INBOX_MAX = 1 << 20, INBOX_BYTES_DEFAULT = 4 << 20 };

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
	subscription->inbox = dxi_inbox_open(config->inbox_max + 1);
	if (!subscription->inbox) {
		free(subscription);
		return dxi_fail(DXH_ENOMEM, "no memory for an inbox of %u", config->inbox_max);
	}
	subscription->peer = peer;
	subscription->inbox_max = config->inbox_max;
	subscription->tells_gaps = config->tell_gaps != 0;
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
	if (peer->link && dxh_peer_state_get(peer) == DXH_PEER_READY)
		dxi_link_touch(peer->link);
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

		switch (word & ((1u << DXI_SUBSCRIPTION_STATE_BITS) - 1)) {
		case DXI_SUBSCRIPTION_STANDING:
			return DXH_OK;
		case DXI_SUBSCRIPTION_REFUSED:
			status = (dxh_status)(word >> DXI_SUBSCRIPTION_STATE_BITS);
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
	/* release: its place in the ring is free again. */
	if (((dxi_note *)item)->is_mark)
		atomic_store_explicit(&subscription->is_marked, false, memory_order_release);
	*told = &((dxi_note *)item)->told;
	return DXH_OK;
}

void dxh_note_release(const dxh_note *told)
{
	dxi_note *released = (dxi_note *)(uintptr_t)told;
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
void dxi_subscription_free(dxh_subscription *subscription)
{
	dxi_note *left;

	dxi_inbox_close(subscription->inbox);
	while ((left = dxi_inbox_rest(subscription->inbox))) {
		free(left);
		/* relaxed: a figure for people. */
		atomic_fetch_add_explicit(&subscription->peer->hub->metrics->notes_unread, 1,
		                          memory_order_relaxed);
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
	dxi_subscription_ended(closing);
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
	dxi_subscription_free(closing);
	return status;
}
