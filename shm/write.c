/* SPDX-License-Identifier: MIT */
/* One ticket after the other: begin, commit or abort, and the copying short form.
 * Slot, head, counters, wake: in this order, so that a kill between any two
 * leaves something that a takeover can finish.
 */
#include "shm/copy.h"
#include "shm/counter.h"
#include "shm/identity.h"
#include "shm/producer.h"
#include "shm/wake.h"

#include "base/clock.h"

#include <inttypes.h>

enum { MEASURED_ONE_IN = 64 };

static dxh_status check_ring(const dxh_producer *producer)
{
	dxh_status status = dxi_producer_check(producer);

	if (status == DXH_OK && producer->block.ring.physical == 0)
		return dxi_fail(DXH_ESTATE, "block \"%s\" has no slots to write, only zones",
		                producer->block.paths.name);
	return status;
}

static void *begin(dxh_producer *producer)
{
	producer->write_open = true;
	producer->begun_ns = producer->next_ticket % MEASURED_ONE_IN == 0 ? dxh_now_ns() : 0;
	return dxi_slot_begin(&producer->block.ring, producer->next_ticket);
}

/* Once a second: clocks drift apart, and a squatter may have gone. */
static void refresh(dxh_producer *producer, int64_t now_ns)
{
	struct dxi_layout_header *header = dxi_block_header(&producer->block);

	producer->refreshed_ns = now_ns;
	/* relaxed: shown to humans. */
	atomic_store_explicit(&header->clock_offset_ns, dxi_clock_offset_ns(),
	                      memory_order_relaxed);
	if (producer->beacon_is_lit)
		return;
	producer->beacon_is_lit = dxi_beacon_light(&producer->lease, producer->block.fd);
	/* Only now the lock tells. Pairs with the acquire in dxi_liveness(). */
	if (producer->beacon_is_lit)
		atomic_store_explicit(&header->producer.state, DXI_STATE_OPEN,
		                      memory_order_release);
}

static void finish(dxh_producer *producer, size_t bytes, uint32_t flags)
{
	struct dxi_layout_header *header = dxi_block_header(&producer->block);
	struct dxi_layout_counters *counters = &header->counters;
	int64_t now_ns = dxh_now_ns();

	dxi_slot_commit(&producer->block.ring, producer->next_ticket, bytes, flags, now_ns);
	producer->next_ticket++;
	producer->write_open = false;
	/* Behind the slot. Pairs with the acquire of readers. */
	atomic_store_explicit(&header->head, producer->next_ticket, memory_order_release);
	if (flags & DXI_SLOT_ABORTED) {
		dxi_counter_add(&counters->aborted, 1);
	} else {
		dxi_counter_add(&counters->items, 1);
		dxi_counter_add(&counters->bytes, bytes);
	}
	if (producer->begun_ns != 0 &&
	    (uint64_t)(now_ns - producer->begun_ns) > dxi_counter_get(&counters->write_max_ns))
		atomic_store_explicit(&counters->write_max_ns,
		                      (uint64_t)(now_ns - producer->begun_ns),
		                      memory_order_relaxed);
	dxi_wake(&producer->block);
	if (now_ns - producer->refreshed_ns >= DXI_NS_PER_S)
		refresh(producer, now_ns);
}

dxh_status dxh_write_begin(dxh_producer *producer, int64_t deadline_ns, dxh_write_slot *slot)
{
	dxh_status status = check_ring(producer);

	(void)deadline_ns; /* nothing holds this ring's writer back */
	if (status != DXH_OK)
		return status;
	if (!slot)
		return dxi_fail(DXH_EINVAL, "slot is NULL");
	if (producer->write_open)
		return dxi_fail(DXH_ESTATE, "ticket %" PRIu64 " is open: commit or abort it first",
		                producer->next_ticket);
	*slot = (dxh_write_slot){
		.data = begin(producer),
		.capacity_bytes = producer->block.ring.slot_bytes,
		.ticket = producer->next_ticket,
		.producer = producer,
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

dxh_status dxh_write_commit(dxh_write_slot *slot, size_t bytes)
{
	dxh_status status = check_open(slot);

	if (status != DXH_OK)
		return status;
	if (bytes > slot->producer->block.ring.slot_bytes)
		return fail_for_size(slot->producer, bytes);
	finish(slot->producer, bytes, 0);
	return DXH_OK;
}

dxh_status dxh_write_abort(dxh_write_slot *slot)
{
	dxh_status status = check_open(slot);

	if (status == DXH_OK)
		finish(slot->producer, 0, DXI_SLOT_ABORTED);
	return status;
}

dxh_status dxh_publish(dxh_producer *producer, const void *data, size_t bytes, int64_t deadline_ns)
{
	dxh_status status = check_ring(producer);

	(void)deadline_ns; /* nothing holds this ring's writer back */
	if (status != DXH_OK)
		return status;
	if (!data && bytes > 0)
		return dxi_fail(DXH_EINVAL, "data is NULL");
	if (producer->write_open)
		return dxi_fail(DXH_ESTATE, "ticket %" PRIu64 " is open: commit or abort it first",
		                producer->next_ticket);
	if (bytes > producer->block.ring.slot_bytes)
		return fail_for_size(producer, bytes);
	dxi_copy_in(begin(producer), data, bytes);
	finish(producer, bytes, 0);
	return DXH_OK;
}
