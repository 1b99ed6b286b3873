/* SPDX-License-Identifier: MIT */
/* One ticket after the other: begin, commit or abort, and the copying short forms
 * of one and of many. Slot, head, counters, wake: in this order, so that a kill
 * between any two leaves something that a takeover can finish.
 */
#include "base/probe.h"
#include "shm/copy.h"
#include "shm/counter.h"
#include "shm/identity.h"
#include "shm/producer.h"
#include "shm/wake.h"

#include "base/clock.h"

#include <inttypes.h>

enum { MEASURED_ONE_IN = 64 };

static inline dxh_status check_ring(const dxh_producer *producer)
{
	dxh_status status = dxi_producer_check(producer);

	if (status == DXH_OK && producer->block.ring.physical == 0)
		return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots to write, only zones",
		                producer->block.paths.name);
	return status;
}

/* May the next ticket be written, or does a lossless reader need what it would
 * overwrite? */
static inline dxh_status wait_for_room(dxh_producer *producer, int64_t deadline_ns)
{
	if (dxi_hold_is_free(&producer->hold, &producer->block, producer->next_ticket))
		return DXH_OK;
	return dxi_hold_wait(&producer->hold, &producer->block, producer->next_ticket, deadline_ns,
	                     producer->evict);
}

/* Of the next ticket: dxi_slot_at(), without a division. */
static inline struct dxi_layout_slot *slot_of(const dxh_producer *producer)
{
	const dxi_ring *ring = &producer->block.ring;

	return (struct dxi_layout_slot *)(ring->slots + producer->next_index * ring->stride_bytes);
}

/* The next ticket was published. */
static inline void advance(dxh_producer *producer)
{
	producer->next_ticket++;
	if (++producer->next_index == producer->block.ring.physical)
		producer->next_index = 0;
}

/* Mark the next ticket as being written; returns where its payload goes. */
static inline void *begin(dxh_producer *producer)
{
	if (producer->next_ticket % MEASURED_ONE_IN == 0)
		producer->begun_ns = dxh_now_ns();
	return dxi_slot_begin(&producer->block.ring, slot_of(producer), producer->next_ticket);
}

static DXI_COLD void measure(dxh_producer *producer, int64_t now_ns)
{
	_Atomic uint64_t *longest = &dxi_block_header(&producer->block)->counters.write_max_ns;
	int64_t took_ns = now_ns - producer->begun_ns;

	producer->begun_ns = 0;
	/* Many in one call share a time that lies before the begin of most. */
	if (took_ns > 0 && (uint64_t)took_ns > dxi_counter_get(longest))
		atomic_store_explicit(longest, (uint64_t)took_ns, memory_order_relaxed);
}

static bool enforces_checksums(const dxh_producer *producer)
{
	const dxi_checksum *checksum = &producer->block.ring.checksum;

	return checksum->kind != DXI_CHECKSUM_NONE && !checksum->manual;
}

/* The time, if this item needs it. */
static inline int64_t time_for(const dxh_producer *producer)
{
	return producer->needs_time || producer->begun_ns != 0 || !producer->beacon_is_lit
	               ? dxh_now_ns()
	               : 0;
}

/* A function of its own, so that what has no sum does not pay for the room of one. */
static __attribute__((noinline)) void commit_checked(const dxh_producer *producer,
                                                     const void *payload, size_t bytes,
                                                     int64_t timestamp_ns)
{
	const dxi_ring *ring = &producer->block.ring;
	uint64_t sum[DXI_CHECKSUM_WORDS];

	dxi_checksum_of(&ring->checksum, producer->next_ticket, payload, bytes, sum);
	dxi_slot_commit(ring, slot_of(producer), producer->next_ticket, bytes, 0, timestamp_ns,
	                sum);
}

/* Make the open ticket a published one, with the sum of `payload` if `checked`:
 * that is the slot's own, or what was copied into it. */
static DXI_INLINE void publish_slot(dxh_producer *producer, const void *payload, size_t bytes,
                                    bool checked, int64_t now_ns)
{
	int64_t timestamp_ns = producer->stamps ? now_ns : 0;

	if (checked)
		commit_checked(producer, payload, bytes, timestamp_ns);
	else
		dxi_slot_commit(&producer->block.ring, slot_of(producer), producer->next_ticket,
		                bytes, 0, timestamp_ns, NULL);
	DXI_PROBE(publish, producer->block.paths.name, producer->next_ticket, bytes);
	advance(producer);
	if (producer->begun_ns != 0)
		measure(producer, now_ns);
}

/* Nobody else would: those who have the block go on. */
static void tell_unlinked(dxh_producer *producer)
{
	if (producer->is_told_unlinked || !dxi_segment_is_unlinked(&producer->block))
		return;
	producer->is_told_unlinked = true;
	dxi_log(DXH_LOG_WARNING,
	        "block %s was unlinked while in use (rm, or systemd RemoveIPC): new consumers do "
	        "not find it; close it and open it again",
	        producer->block.paths.name);
}

/* Once a second, as far as items are published and the clock is read: without time stamps
 * and wakes that is one item in 64. Clocks drift apart, and a squatter may have gone. */
static DXI_COLD void refresh(dxh_producer *producer, int64_t now_ns)
{
	struct dxi_layout_header *header = dxi_block_header(&producer->block);

	producer->refreshed_ns = now_ns;
	/* relaxed: shown to humans. */
	atomic_store_explicit(&header->clock_offset_ns, dxi_clock_offset_ns(),
	                      memory_order_relaxed);
	tell_unlinked(producer);
	if (producer->beacon_is_lit)
		return;
	producer->beacon_is_lit = dxi_beacon_light(&producer->lease, producer->block.fd);
	/* Only now the lock tells. Pairs with the acquire in dxi_liveness(). */
	if (producer->beacon_is_lit)
		atomic_store_explicit(&header->producer.state, DXI_STATE_OPEN,
		                      memory_order_release);
}

/* What was published becomes known. */
static inline void announce(dxh_producer *producer)
{
	/* Behind the slots. Pairs with the acquire of readers. */
	atomic_store_explicit(&dxi_block_header(&producer->block)->head, producer->next_ticket,
	                      memory_order_release);
}

static inline void wake(dxh_producer *producer, int64_t now_ns)
{
	if (producer->block.fixed.wake_mode != DXI_WAKE_NONE)
		dxi_wake_for_item(&producer->block, now_ns, &producer->quiet);
	if (now_ns - producer->refreshed_ns >= DXI_NS_PER_S)
		refresh(producer, now_ns);
}

static inline void count(dxh_producer *producer, uint64_t items, uint64_t bytes)
{
	struct dxi_layout_counters *counters = &dxi_block_header(&producer->block)->counters;

	dxi_counter_add(&counters->items, items);
	dxi_counter_add(&counters->bytes, bytes);
}

static DXI_INLINE void
finish(dxh_producer *producer, const void *payload, size_t bytes, bool checked)
{
	int64_t now_ns = time_for(producer);

	publish_slot(producer, payload, bytes, checked, now_ns);
	announce(producer);
	count(producer, 1, bytes);
	wake(producer, now_ns);
}

/* ---- one write ---- */

static inline dxh_status check_closed(const dxh_producer *producer)
{
	dxh_status status = check_ring(producer);

	if (status == DXH_OK && producer->write_open)
		return dxi_fail(DXH_ESTATE, "ticket %" PRIu64 " is open: commit or abort it first",
		                producer->next_ticket);
	return status;
}

dxh_status dxh_write_begin(dxh_producer *producer, int64_t deadline_ns, dxh_write_slot *slot)
{
	dxh_status status = check_closed(producer);

	if (status == DXH_OK && !slot)
		status = dxi_fail(DXH_EINVAL, "slot is NULL");
	if (status == DXH_OK)
		status = wait_for_room(producer, deadline_ns);
	if (status != DXH_OK)
		return status;
	producer->write_open = true;
	*slot = (dxh_write_slot){
		.data = begin(producer),
		.capacity_bytes = producer->block.ring.slot_bytes,
		.ticket = producer->next_ticket,
		.producer = producer,
		.serial = producer->serial,
	};
	return DXH_OK;
}

/* Is this the one open write of its producer? */
static dxh_status check_open(const dxh_write_slot *slot)
{
	dxh_status status;

	if (!slot)
		return dxi_fail(DXH_EINVAL, "slot is NULL");
	status = check_ring(slot->producer);
	if (status == DXH_OK && slot->serial != slot->producer->serial)
		return dxi_fail(DXH_ESTALE, "ticket %" PRIu64 " was begun on another producer",
		                slot->ticket);
	if (status == DXH_OK &&
	    (!slot->producer->write_open || slot->ticket != slot->producer->next_ticket))
		return dxi_fail(DXH_ESTATE,
		                "ticket %" PRIu64 " is not open: it was committed or aborted",
		                slot->ticket);
	return status;
}

static dxh_status fail_for_size(const dxh_producer *producer, size_t bytes)
{
	return dxi_fail(DXH_ESIZE, "%zu bytes do not fit: a slot of \"%s\" holds %" PRIu64, bytes,
	                producer->block.paths.name, producer->block.ring.slot_bytes);
}

static dxh_status commit(dxh_write_slot *slot, size_t bytes, bool checked)
{
	dxh_producer *producer = slot->producer;

	if (bytes > producer->block.ring.slot_bytes)
		return fail_for_size(producer, bytes);
	producer->write_open = false;
	/* Not slot->data, which is the user's to change. */
	finish(producer, slot_of(producer) + 1, bytes, checked);
	return DXH_OK;
}

dxh_status dxh_write_commit(dxh_write_slot *slot, size_t bytes)
{
	dxh_status status = check_open(slot);

	return status == DXH_OK ? commit(slot, bytes, enforces_checksums(slot->producer)) : status;
}

dxh_status dxh_write_commit_checked(dxh_write_slot *slot, size_t bytes)
{
	dxh_status status = check_open(slot);

	if (status != DXH_OK)
		return status;
	if (slot->producer->block.ring.checksum.kind == DXI_CHECKSUM_NONE)
		return dxi_fail(DXH_ESTATE,
		                "block \"%s\" has no checksums: make it with config.checksum, or "
		                "use dxh_write_commit()",
		                slot->producer->block.paths.name);
	return commit(slot, bytes, true);
}

dxh_status dxh_write_abort(dxh_write_slot *slot)
{
	dxh_status status = check_open(slot);
	dxh_producer *producer;
	int64_t now_ns = dxh_now_ns();

	if (status != DXH_OK)
		return status;
	producer = slot->producer;
	dxi_slot_commit(&producer->block.ring, slot_of(producer), producer->next_ticket, 0,
	                DXI_SLOT_ABORTED, producer->stamps ? now_ns : 0, NULL);
	advance(producer);
	producer->write_open = false;
	producer->begun_ns = 0;
	announce(producer);
	dxi_counter_add(&dxi_block_header(&producer->block)->counters.aborted, 1);
	wake(producer, now_ns);
	return DXH_OK;
}

/* ---- copying ---- */

static inline dxh_status check_item(const dxh_producer *producer, const void *data, size_t bytes)
{
	if (!data && bytes > 0)
		return dxi_fail(DXH_EINVAL, "data is NULL");
	if (bytes > producer->block.ring.slot_bytes)
		return fail_for_size(producer, bytes);
	return DXH_OK;
}

dxh_status dxh_publish(dxh_producer *producer, const void *data, size_t bytes, int64_t deadline_ns)
{
	dxh_status status = check_closed(producer);

	if (status == DXH_OK)
		status = check_item(producer, data, bytes);
	if (status == DXH_OK)
		status = wait_for_room(producer, deadline_ns);
	if (status != DXH_OK)
		return status;
	dxi_copy_item_in(begin(producer), data, bytes);
	finish(producer, data, bytes, enforces_checksums(producer));
	return DXH_OK;
}

/* Slot by slot, so that at most one is odd and it is the largest; head and wake
 * are shared. As many as there is room for without waiting, and never more at a
 * time than are kept: readers believe no ticket that is further ahead of head. */
static size_t publish_some(dxh_producer *producer, const dxh_publish_item *items, size_t max)
{
	const dxi_block *block = &producer->block;
	bool checked = enforces_checksums(producer);
	int64_t now_ns = dxh_now_ns();
	uint64_t bytes = 0;
	size_t some = 0;

	while (some < max && some < block->ring.kept &&
	       dxi_hold_is_free(&producer->hold, block, producer->next_ticket)) {
		dxi_copy_item_in(begin(producer), items[some].data, items[some].bytes);
		publish_slot(producer, items[some].data, items[some].bytes, checked, now_ns);
		bytes += items[some].bytes;
		some++;
	}
	announce(producer);
	count(producer, some, bytes);
	wake(producer, now_ns);
	return some;
}

dxh_status dxh_publish_n(dxh_producer *producer, const dxh_publish_item *items, size_t item_count,
                         int64_t deadline_ns, size_t *published)
{
	dxh_status status = check_closed(producer);
	size_t done = 0;

	if (status == DXH_OK && !items && item_count > 0)
		status = dxi_fail(DXH_EINVAL, "items is NULL");
	for (size_t i = 0; status == DXH_OK && i < item_count; i++)
		status = check_item(producer, items[i].data, items[i].bytes);
	while (status == DXH_OK && done < item_count) {
		status = wait_for_room(producer, deadline_ns);
		if (status == DXH_OK)
			done += publish_some(producer, items + done, item_count - done);
	}
	if (published)
		*published = done;
	return status;
}

dxh_status
dxh_with_write(dxh_producer *producer, int64_t deadline_ns, dxh_fill_fn fill, void *context)
{
	dxh_write_slot slot;
	size_t bytes = 0;
	dxh_status status, filled;

	if (!fill)
		return dxi_fail(DXH_EINVAL, "fill is NULL");
	status = dxh_write_begin(producer, deadline_ns, &slot);
	if (status != DXH_OK)
		return status;
	filled = fill(context, slot.data, slot.capacity_bytes, &bytes);
	if (filled == DXH_OK)
		filled = dxh_write_commit(&slot, bytes);
	if (filled != DXH_OK && producer->write_open)
		dxh_write_abort(&slot);
	return filled;
}
