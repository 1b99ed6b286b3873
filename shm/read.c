/* SPDX-License-Identifier: MIT */
/* From one look at the slots to an item or an exact account of what is missing.
 * Whatever the slots say, a look ends: each loop is bounded by the ring's size or
 * by a constant, and each ticket is accounted for once.
 */
#include "shm/consumer.h"

#include "base/probe.h"

#include <inttypes.h>
#include <string.h>

/* A look at the newest item starts again when the writer was faster. */
enum { LATEST_TRIES_MAX = 8 };

static uint64_t epoch_of(const dxh_consumer *consumer)
{
	/* Pairs with the release in dxi_takeover(). */
	return atomic_load_explicit(&dxi_block_header(&consumer->block)->producer.epoch,
	                            memory_order_acquire);
}

/* False: no ticket number can be so large. */
static bool load_head(const dxh_consumer *consumer, uint64_t *head)
{
	/* Below head all slots are published. Pairs with the release in
	 * write.c and in dxi_takeover(). */
	*head = atomic_load_explicit(&dxi_block_header(&consumer->block)->head,
	                             memory_order_acquire);
	return *head < DXI_TICKET_MAX;
}

/* ---- accounting ---- */

static void lose(dxh_consumer *consumer, uint64_t first, uint64_t count)
{
	if (count == 0)
		return;
	if (consumer->lost == 0)
		consumer->lost_first = first;
	consumer->lost_last = first + count - 1;
	consumer->lost += count;
	if (consumer->untold == 0)
		consumer->untold_first = first;
	consumer->untold += count;
	consumer->untold_last = first + count - 1;
}

static inline void tell_loss(dxh_consumer *consumer, dxh_item *item)
{
	*item = (dxh_item){.ticket = consumer->next, .epoch = epoch_of(consumer)};
	if (consumer->untold == 0)
		return;
	item->lost = consumer->untold;
	item->lost_first = consumer->untold_first;
	item->lost_last = consumer->untold_last;
	consumer->untold = 0;
}

void dxi_consumer_tell_loss(dxh_consumer *consumer, dxh_item *item)
{
	tell_loss(consumer, item);
}

static DXI_INLINE dxh_status deliver(dxh_consumer *consumer, uint64_t ticket, uint64_t next,
                                     const dxi_slot_content *content, dxh_item *item)
{
	tell_loss(consumer, item);
	item->ticket = ticket;
	item->bytes = content->bytes;
	item->timestamp_ns = content->timestamp_ns;
	consumer->next = next;
	consumer->read++;
	consumer->read_bytes += content->bytes;
	consumer->overtaken = 0;
	consumer->told = DXH_OK;
	DXI_PROBE(read, consumer->block.paths.name, ticket, content->bytes);
	return DXH_OK;
}

static dxh_status fail_for_size(const dxh_consumer *consumer, uint64_t ticket,
                                const dxi_slot_content *content, const dxi_want *want,
                                dxh_item *item)
{
	memset(item, 0, sizeof *item);
	item->ticket = ticket;
	item->bytes = content->bytes;
	item->timestamp_ns = content->timestamp_ns;
	item->epoch = epoch_of(consumer);
	return dxi_fail(DXH_ESIZE, "ticket %" PRIu64 " has %" PRIu64 " bytes, the copy takes %zu",
	                ticket, content->bytes, want->capacity_bytes);
}

/* The slot of `ticket` breaks a rule: everything up to it is lost. */
static dxh_status
give_up(dxh_consumer *consumer, uint64_t ticket, uint64_t next, const char *rule, dxh_item *item)
{
	const dxi_ring *ring = &consumer->block.ring;
	uint64_t offset =
		(uint64_t)((unsigned char *)dxi_slot_at(ring, ticket) - consumer->block.base);

	lose(consumer, consumer->next, ticket + 1 - consumer->next);
	consumer->corrupt++;
	consumer->next = next;
	tell_loss(consumer, item);
	return dxi_fail(DXH_ECORRUPT, "offset %" PRIu64 ": slot of ticket %" PRIu64 ": %s", offset,
	                ticket, rule);
}

static dxh_status fail_for_head(dxh_consumer *consumer, uint64_t head, dxh_item *item)
{
	tell_loss(consumer, item);
	return dxi_fail(DXH_ECORRUPT, "offset 384: head %" PRIu64 " is beyond any ticket", head);
}

static DXI_INLINE dxi_slot_state take(dxh_consumer *consumer, uint64_t ticket, dxi_want *want,
                                      dxi_slot_content *content)
{
	const dxi_ring *ring = &consumer->block.ring;
	const struct dxi_layout_slot *slot = dxi_consumer_slot(consumer, ticket);

	if (want->in_place)
		return dxi_slot_look(ring, slot, ticket, &want->payload, content);
	return dxi_slot_read(ring, slot, ticket, want->copy, want->capacity_bytes, content);
}

/* ---- eviction ---- */

static dxh_status fail_for_eviction(dxh_consumer *consumer, dxh_item *item)
{
	tell_loss(consumer, item);
	return dxi_fail(
		DXH_EEVICTED,
		"the writer went on without this reader, or before it was where it is: %" PRIu64
		" items are lost",
		item->lost);
}

/* Everything up to head is lost. */
static bool go_to_head(dxh_consumer *consumer, uint64_t *head)
{
	if (!load_head(consumer, head))
		return false;
	*head = *head > consumer->next ? *head : consumer->next;
	lose(consumer, consumer->next, *head - consumer->next);
	consumer->next = *head;
	return true;
}

static bool is_evicted(const dxh_consumer *consumer)
{
	return consumer->row.fd != -1 && dxi_row_is_evicted(&consumer->row, &consumer->block);
}

/* The writer went on without us. From now on it waits again: "now" is a head that is
 * seen behind the new generation, as what was published before that was not held. */
static dxh_status rejoin(dxh_consumer *consumer, dxh_item *item)
{
	uint64_t head;

	if (!go_to_head(consumer, &head))
		return fail_for_head(consumer, head, item);
	consumer->evicted++;
	dxi_row_rejoin(&consumer->row, head);
	if (!go_to_head(consumer, &head))
		return fail_for_head(consumer, head, item);
	dxi_row_advance(&consumer->row, &consumer->block, head);
	return fail_for_eviction(consumer, item);
}

/* The control file was made anew: from here on the new one says where we are. False:
 * *status is why there is no row in it, at this call and at each until there is. What the
 * writer overwrote meanwhile is noticed where it is missing. */
static bool move_row(dxh_consumer *consumer, dxh_item *item, dxh_status *status)
{
	*status = dxi_row_move(&consumer->row, &consumer->block, consumer->next);
	if (*status == DXH_OK)
		return true;
	tell_loss(consumer, item);
	return false;
}

/* ---- follow ---- */

/* May a slot hold this, which is newer than what was looked for? */
static bool is_plausible(const dxi_ring *ring, uint64_t seq, uint64_t wanted, uint64_t head)
{
	uint64_t ticket = (seq - 1) / 2;

	return ticket < DXI_TICKET_MAX && ticket % ring->physical == wanted % ring->physical &&
	       ticket <= head + ring->physical;
}

/* The writer was here already. Go on at the oldest item kept, and at ever newer
 * ones when that happens again and again: who is slower than the writer would
 * otherwise never be in time. */
static dxh_status jump(dxh_consumer *consumer, uint64_t seq, dxh_item *item)
{
	const dxi_ring *ring = &consumer->block.ring;
	uint64_t next = consumer->next, head, behind;

	if (!load_head(consumer, &head))
		return fail_for_head(consumer, head, item);
	if (!is_plausible(ring, seq, next, head))
		return give_up(consumer, next, next + 1, "seq is of a ticket that cannot be here",
		               item);
	behind = consumer->overtaken < 16 ? ring->kept >> consumer->overtaken : 0;
	behind = behind > 0 ? behind : 1;
	consumer->overtaken++;
	next = head > behind && head - behind > next ? head - behind : next + 1;
	lose(consumer, consumer->next, next - consumer->next);
	consumer->next = next;
	if (consumer->discipline == DXH_LOSSLESS) {
		consumer->evicted++;
		return fail_for_eviction(consumer, item);
	}
	tell_loss(consumer, item);
	DXI_PROBE(lapped, consumer->block.paths.name, item->lost_first, item->lost);
	return dxi_fail(DXH_ELAPPED,
	                "%" PRIu64 " items, tickets %" PRIu64 " to %" PRIu64
	                ", were overwritten before they were read",
	                item->lost, item->lost_first, item->lost_last);
}

static dxh_status lapped(dxh_consumer *consumer, uint64_t seq, dxh_item *item)
{
	dxh_status status;

	/* The mark came before what overwrote the item. */
	if (is_evicted(consumer))
		return rejoin(consumer, item);
	if (consumer->row.fd != -1 && dxi_row_has_lost_its_file(&consumer->row, &consumer->block) &&
	    !move_row(consumer, item, &status))
		return status;
	return jump(consumer, seq, item);
}

static bool follow(dxh_consumer *consumer, dxi_want *want, dxh_item *item, dxh_status *status)
{
	const dxi_ring *ring = &consumer->block.ring;
	bool promised = false, torn = false; /* of the ticket looked at */
	uint64_t skips = 0, head;
	dxi_slot_content *content = &consumer->content;

	/* Each turn skips a ticket or sets one of the two, or ends the loop. */
	while (skips <= ring->physical) {
		uint64_t ticket = consumer->next;

		switch (take(consumer, ticket, want, content)) {
		case DXI_SLOT_IS_WHOLE:
			*status = deliver(consumer, ticket, ticket + 1, content, item);
			return true;
		case DXI_SLOT_IS_LONGER:
			*status = fail_for_size(consumer, ticket, content, want, item);
			return true;
		case DXI_SLOT_IS_SKIPPED:
			consumer->skipped++;
			consumer->next++;
			skips++;
			promised = torn = false;
			break;
		case DXI_SLOT_TORN:
			consumer->retries++;
			if (torn) {
				*status = give_up(consumer, ticket, ticket + 1, "seq went back",
				                  item);
				return true;
			}
			torn = true;
			break;
		case DXI_SLOT_NOT_YET:
			if (promised) {
				*status = give_up(consumer, ticket, ticket + 1,
				                  "head says published, seq says not", item);
				return true;
			}
			if (!load_head(consumer, &head)) {
				*status = fail_for_head(consumer, head, item);
				return true;
			}
			if (head <= ticket)
				return false;
			promised = true; /* published meanwhile: look again */
			break;
		case DXI_SLOT_LAPPED:
			if (!load_head(consumer, &head)) {
				*status = fail_for_head(consumer, head, item);
				return true;
			}
			/* Nonsense where nothing was published yet is not counted as
			 * lost: such tickets never were, and there is no end of them. */
			if (head <= ticket && !is_plausible(ring, content->seq, ticket, head))
				return false;
			*status = lapped(consumer, content->seq, item);
			return true;
		case DXI_SLOT_BROKEN:
			*status = give_up(consumer, ticket, ticket + 1, content->rule, item);
			return true;
		}
	}
	return false;
}

/* ---- latest ---- */

typedef enum walk_result { WALK_DECIDED, WALK_NOTHING, WALK_AGAIN } walk_result;

/* From the newest ticket backwards over aborted ones. */
static walk_result
walk_back(dxh_consumer *consumer, uint64_t head, dxi_want *want, dxh_item *item, dxh_status *status)
{
	const dxi_ring *ring = &consumer->block.ring;
	uint64_t oldest = head > ring->kept ? head - ring->kept : 0;
	dxi_slot_content *content = &consumer->content;
	uint64_t ticket = head;

	if (oldest < consumer->next)
		oldest = consumer->next;
	while (ticket > oldest) {
		switch (take(consumer, --ticket, want, content)) {
		case DXI_SLOT_IS_WHOLE:
			lose(consumer, consumer->next, ticket - consumer->next);
			consumer->skipped += head - 1 - ticket;
			*status = deliver(consumer, ticket, head, content, item);
			return WALK_DECIDED;
		case DXI_SLOT_IS_LONGER:
			*status = fail_for_size(consumer, ticket, content, want, item);
			return WALK_DECIDED;
		case DXI_SLOT_IS_SKIPPED:
			break;
		case DXI_SLOT_TORN:
		case DXI_SLOT_LAPPED:
			consumer->retries++;
			return WALK_AGAIN;
		case DXI_SLOT_NOT_YET:
			content->rule = "head says published, seq says not";
			/* fall through */
		case DXI_SLOT_BROKEN:
			consumer->skipped += head - 1 - ticket;
			*status = give_up(consumer, ticket, head, content->rule, item);
			return WALK_DECIDED;
		}
	}
	lose(consumer, consumer->next, oldest - consumer->next);
	consumer->skipped += head - oldest;
	consumer->next = head;
	return WALK_NOTHING;
}

static bool latest(dxh_consumer *consumer, dxi_want *want, dxh_item *item, dxh_status *status)
{
	uint64_t head;
	walk_result result = WALK_AGAIN;

	for (int i = 0; i < LATEST_TRIES_MAX && result == WALK_AGAIN; i++) {
		if (!load_head(consumer, &head)) {
			*status = fail_for_head(consumer, head, item);
			return true;
		}
		if (head <= consumer->next)
			return false;
		result = walk_back(consumer, head, want, item, status);
	}
	return result == WALK_DECIDED;
}

/* ---- lossless ---- */

void dxi_consumer_let_go(dxh_consumer *consumer)
{
	if (consumer->row.fd == -1)
		return;
	dxi_row_show(&consumer->row, consumer->read, consumer->lost, consumer->retries);
	dxi_row_advance(&consumer->row, &consumer->block, consumer->next);
}

static bool lossless(dxh_consumer *consumer, dxi_want *want, dxh_item *item, dxh_status *status)
{
	bool decided;

	if (dxi_row_is_orphan(&consumer->row, &consumer->block) &&
	    !move_row(consumer, item, status))
		return true;
	if (is_evicted(consumer)) {
		*status = rejoin(consumer, item);
		return true;
	}
	decided = follow(consumer, want, item, status);
	/* What is handed out in place is let go by dxh_peek_end(). */
	if (!want->in_place || !decided || *status != DXH_OK)
		dxi_consumer_let_go(consumer);
	return decided;
}

static DXI_INLINE bool
look(dxh_consumer *consumer, dxi_want *want, dxh_item *item, dxh_status *status)
{
	dxi_slot_state state;

	if (consumer->discipline == DXH_LATEST)
		return latest(consumer, want, item, status);
	if (consumer->discipline == DXH_LOSSLESS)
		return lossless(consumer, want, item, status);
	/* follow(), where the next item is there. */
	state = take(consumer, consumer->next, want, &consumer->content);
	consumer->retries += state == DXI_SLOT_TORN;
	if (state != DXI_SLOT_IS_WHOLE)
		return follow(consumer, want, item, status);
	*status = deliver(consumer, consumer->next, consumer->next + 1, &consumer->content, item);
	return true;
}

bool dxi_consumer_look(dxh_consumer *consumer, dxi_want *want, dxh_item *item, dxh_status *status)
{
	bool decided = look(consumer, want, item, status);

	dxi_consumer_show(consumer);
	return decided;
}

dxh_status dxi_consumer_take_back(dxh_consumer *consumer, dxh_item *item)
{
	bool evicted = consumer->discipline == DXH_LOSSLESS;
	uint64_t ticket = item->ticket;

	consumer->read--;
	consumer->read_bytes -= item->bytes;
	lose(consumer, ticket, 1);
	tell_loss(consumer, item);
	return dxi_fail(evicted ? DXH_EEVICTED : DXH_ELAPPED,
	                "ticket %" PRIu64 " was overwritten while it was looked at: discard what "
	                "was derived from it",
	                ticket);
}
