/* SPDX-License-Identifier: MIT */
/* The inside of a consumer, for the files of this room and for the channel. */
#ifndef DXI_CONSUMER_H
#define DXI_CONSUMER_H

#include "base/forked.h"
#include "base/status.h"
#include "shm/bridge.h"
#include "shm/follow.h"
#include "shm/row.h"

#include <pthread.h>

/* Who looks at a consumer from another thread: the I/O thread, for the broker.
 *
 *   field    written by          read by        order
 *   figures  the owner, a look   the observer   relaxed: each whole for itself
 *   block    the owner, rarely   the observer   under `lock`, which the observer only tries */
typedef struct dxi_observer {
	_Atomic uint64_t next, read, lost, corrupt;
	pthread_mutex_t lock;         /* held while the consumer's block is another one's */
	void (*leave)(void *context); /* NULL: nobody looks */
	void *context;
} dxi_observer;

/* Invariant: read + lost + skipped == next - start. */
struct dxh_consumer {
	dxi_block block;
	uint32_t process; /* 0: closed, see retired.h */
	dxh_discipline discipline;
	uint64_t start; /* ticket begun at */
	uint64_t next;  /* ticket to look at */

	/* The last ticket looked at, and its slot: the next one follows without a division.
	 * At first ticket 0 and slot 0. */
	uint64_t place_ticket;
	uint32_t place_index;
	dxi_slot_content content; /* of the slot that is looked at */
	uint64_t read, read_bytes, lost, skipped, retries, corrupt, evicted;
	dxi_observer observer;
	uint64_t lost_first, lost_last; /* of all losses, once there was one */
	dxi_row row;                    /* of a lossless reader */
	dxi_watch *watch;               /* NULL: no event loop waits for this reader */
	dxi_follow *follow;             /* NULL: it stays with its block */

	/* Lost and not yet told. */
	uint64_t untold, untold_first, untold_last;

	unsigned overtaken; /* times in a row without an item in between */
	dxh_status kept;    /* what dxh_read_n() found behind its items; else DXH_OK */
	dxh_item kept_item;
	char kept_text[256];
	char nothing_text[DXH_BLOCK_NAME_MAX + 32]; /* the last error where nothing new is */
	uint64_t peeking;    /* between dxh_peek_begin() and _end(): that one's serial */
	uint64_t serial;     /* of the last peek; begins where no other consumer's does */
	int64_t asked_ns;    /* when it was last asked whether the producer lives, about */
	unsigned asks_left;  /* until that has become another */
	dxh_status told;     /* DXH_EDEAD or DXH_ECLOSED, once told; else DXH_OK */
	uint64_t told_epoch; /* of which producer */

	void (*closing)(void *context);
	void *closing_context;
};

/* Have `closing` called once, at the beginning of dxh_consumer_close(). */
void dxi_consumer_attach_owner(dxh_consumer *consumer, void (*closing)(void *context),
                               void *context);

/* From now on somebody looks, until `leave` has returned, which is called once, at the
 * beginning of dxh_consumer_close(). */
void dxi_consumer_observe(dxh_consumer *consumer, void (*leave)(void *context), void *context);

void dxi_consumer_unobserve(dxh_consumer *consumer); /* without calling it */

/* Owner: in between the block, and what it maps, may change. */
static inline void dxi_consumer_hide_block(dxh_consumer *consumer)
{
	if (consumer->observer.leave)
		pthread_mutex_lock(&consumer->observer.lock);
}

static inline void dxi_consumer_show_block(dxh_consumer *consumer)
{
	if (consumer->observer.leave)
		pthread_mutex_unlock(&consumer->observer.lock);
}

/* Owner: after any change of the figures. */
static inline void dxi_consumer_show(dxh_consumer *consumer)
{
	dxi_observer *shown = &consumer->observer;

	if (!shown->leave)
		return;
	atomic_store_explicit(&shown->next, consumer->next, memory_order_relaxed);
	atomic_store_explicit(&shown->read, consumer->read, memory_order_relaxed);
	atomic_store_explicit(&shown->lost, consumer->lost, memory_order_relaxed);
	atomic_store_explicit(&shown->corrupt, consumer->corrupt, memory_order_relaxed);
}

/* Is a block of this description what the config expects? Its bytes are anybody's.
 * Returns: DXH_ESCHEMA or DXH_ESIZE, naming the first difference; DXH_ECORRUPT; DXH_ENOMEM. */
dxh_status dxi_consumer_check_schema(const dxh_consumer_config *config, const void *schema,
                                     size_t schema_bytes, uint64_t slot_bytes);

/* Is that a place to start at? Go on there. */
dxh_status dxi_consumer_check_start(dxh_start start, uint64_t ticket);
dxh_status dxi_consumer_choose(dxh_consumer *consumer, dxh_start start, uint64_t ticket);

/* How an item is to be handed out. */
typedef struct dxi_want {
	void *copy;
	size_t capacity_bytes;
	bool in_place;       /* not copied: */
	const void *payload; /* where it lies, provisional */
} dxi_want;

/* Look once, without waiting. False: nothing new. True: the call is decided,
 * *status is DXH_OK, DXH_ELAPPED, DXH_ESIZE or DXH_ECORRUPT and item is filled. */
bool dxi_consumer_look(dxh_consumer *consumer, dxi_want *want, dxh_item *item, dxh_status *status);

/* What is kept from before, or wait, when the first look found nothing. */
dxh_status
dxi_consumer_wait_on(dxh_consumer *consumer, dxi_want *want, int64_t deadline_ns, dxh_item *item);

/* Look until something is decided or the deadline passes: dxh_read_next(). */
static inline dxh_status
dxi_consumer_wait(dxh_consumer *consumer, dxi_want *want, int64_t deadline_ns, dxh_item *item)
{
	dxh_status status = DXH_OK;

	if (consumer->kept == DXH_OK && dxi_consumer_look(consumer, want, item, &status))
		return status;
	return dxi_consumer_wait_on(consumer, want, deadline_ns, item);
}

/* Nobody produces, and nothing is left to read: go on in another block if there is one.
 * Returns: DXH_OK: there is none; DXH_EMOVED; why it cannot be attached. */
dxh_status dxi_consumer_follow(dxh_consumer *consumer);

/* Has this been told, of this producer? From now on it has. */
bool dxi_consumer_is_told(dxh_consumer *consumer, dxh_status status);

/* Would a call find more to say than that nothing is there? And the words for that. */
bool dxi_consumer_has_news(const dxh_consumer *consumer);
dxh_status dxi_consumer_fail_for_nothing(const dxh_consumer *consumer, dxh_status why);

/* What was lost and not told yet, in an item that is none. */
void dxi_consumer_tell_loss(dxh_consumer *consumer, dxh_item *item);

/* Everything before the next ticket is done with: a lossless reader's writer may
 * have it. */
void dxi_consumer_let_go(dxh_consumer *consumer);

/* What was handed out in place did not hold: it counts as lost instead. */
dxh_status dxi_consumer_take_back(dxh_consumer *consumer, dxh_item *item);

static inline const struct dxi_layout_slot *
dxi_consumer_slot(dxh_consumer *consumer, uint64_t ticket)
{
	const dxi_ring *ring = &consumer->block.ring;

	if (ticket == consumer->place_ticket + 1)
		consumer->place_index =
			consumer->place_index + 1 < ring->physical ? consumer->place_index + 1 : 0;
	else if (ticket != consumer->place_ticket)
		consumer->place_index = (uint32_t)(ticket % ring->physical);
	consumer->place_ticket = ticket;
	return (const struct dxi_layout_slot *)(ring->slots +
	                                        consumer->place_index * ring->stride_bytes);
}

static inline dxh_status dxi_consumer_check(const dxh_consumer *consumer)
{
	if (!consumer)
		return dxi_fail(DXH_EINVAL, "consumer is NULL");
	if (consumer->process == dxi_process_id())
		return DXH_OK;
	if (consumer->process == 0)
		return dxi_fail(DXH_ESTALE, "this consumer was closed: open it again");
	return dxi_fail(DXH_EFORKED,
	                "the consumer of \"%s\" belongs to the parent process: open one here",
	                consumer->block.paths.name);
}

/* Why it may not read items, if so. */
DXI_COLD dxh_status dxi_consumer_fail_ring(const dxh_consumer *consumer);

/* May this consumer read items? DXH_EINVAL, DXH_EFORKED, DXH_ESTATE. */
static inline dxh_status dxi_consumer_check_ring(const dxh_consumer *consumer)
{
	return consumer && consumer->process == dxi_process_id() &&
	                       consumer->block.ring.physical > 0 && consumer->peeking == 0
	               ? DXH_OK
	               : dxi_consumer_fail_ring(consumer);
}

#endif
