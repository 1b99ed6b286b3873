/* SPDX-License-Identifier: MIT */
/* The tickets in the slots are the journal: the largest seq tells all. An odd one
 * is never made even, because that would publish what was torn; its ticket is
 * written again.
 */
#include "shm/takeover.h"

#include "base/probe.h"
#include "base/status.h"
#include "shm/counter.h"
#include "shm/identity.h"
#include "shm/scan.h"
#include "shm/wake.h"

#include <inttypes.h>
#include <unistd.h>

static uint64_t seq_of(const dxi_block *block, uint64_t index)
{
	/* Pairs with the release in dxi_slot_commit(), of whoever died. */
	return atomic_load_explicit(&dxi_slot_at(&block->ring, index)->seq, memory_order_acquire);
}

static dxh_status refuse(const dxi_block *block, uint64_t index, const char *rule)
{
	return dxi_fail(DXH_ECORRUPT, "offset %" PRIu64 ": slot %" PRIu64 ": %s",
	                block->fixed.slots_offset + index * block->ring.stride_bytes, index, rule);
}

static dxh_status find_largest(const dxi_block *block, uint64_t *largest)
{
	*largest = 0;
	for (uint64_t i = 0; i < block->ring.physical; i++) {
		uint64_t seq = seq_of(block, i);
		const char *rule = dxi_seq_rule(seq, i, block->ring.physical);

		if (rule)
			return refuse(block, i, rule);
		if (seq > *largest)
			*largest = seq;
	}
	return DXH_OK;
}

static dxh_status check_others(const dxi_block *block, uint64_t largest)
{
	for (uint64_t i = 0; i < block->ring.physical; i++) {
		const char *rule =
			dxi_seq_rule_beside(seq_of(block, i), i, block->ring.physical, largest);

		if (rule)
			return refuse(block, i, rule);
	}
	return DXH_OK;
}

static dxh_status announce(dxi_block *block, uint64_t next)
{
	_Atomic uint64_t *head = &dxi_block_header(block)->head;
	uint64_t found = atomic_load_explicit(head, memory_order_acquire);

	if (found > next)
		return dxi_fail(DXH_ECORRUPT,
		                "offset 384: head %" PRIu64 " is ahead of the slots (%" PRIu64 ")",
		                found, next);
	/* The dead one had published the slot and not yet this. Pairs with the
	 * acquire of readers. */
	if (found < next)
		atomic_store_explicit(head, next, memory_order_release);
	return DXH_OK;
}

dxh_status dxi_repair_head(dxi_block *block, uint64_t *largest)
{
	dxh_status status;

	*largest = 0;
	if (block->ring.physical == 0)
		return DXH_OK;
	if ((status = find_largest(block, largest)) != DXH_OK ||
	    (status = check_others(block, *largest)) != DXH_OK)
		return status;
	/* Odd 2t+1: t again; even 2t+2: t+1. */
	return announce(block, *largest / 2);
}

void dxi_repair_wait(dxi_block *block)
{
	/* The dead one may have been waiting for readers. relaxed: a spare wake is all
	 * that it costs. */
	atomic_store_explicit(&dxi_block_header(block)->held, 0, memory_order_relaxed);
}

void dxi_producer_state_open(dxi_block *block, bool beacon_is_lit)
{
	struct dxi_layout_header *header = dxi_block_header(block);

	dxi_identity_write(&header->producer);
	/* relaxed: shown to humans. */
	atomic_store_explicit(&header->clock_offset_ns, dxi_clock_offset_ns(),
	                      memory_order_relaxed);
	/* Behind epoch: who reads this state and then the old epoch knows that
	 * it looked in between. Pairs with the acquire in dxi_liveness(). */
	atomic_store_explicit(&header->producer.state,
	                      beacon_is_lit ? DXI_STATE_OPEN : DXI_STATE_UNLIT,
	                      memory_order_release);
}

void dxi_count_repair(dxi_block *block)
{
	struct dxi_layout_counters *counters = &dxi_block_header(block)->counters;

	/* relaxed: shown to humans. */
	atomic_store_explicit(&counters->recovered_ns, dxh_now_ns() + dxi_clock_offset_ns(),
	                      memory_order_relaxed);
	atomic_store_explicit(&counters->recovered_by, (uint32_t)getpid(), memory_order_relaxed);
	dxi_counter_add(&counters->recoveries, 1);
}

dxh_status dxi_takeover(dxi_block *block, bool beacon_is_lit, uint64_t *next_ticket)
{
	struct dxi_layout_header *header = dxi_block_header(block);
	uint64_t head = atomic_load_explicit(&header->head, memory_order_acquire);
	uint64_t largest, epoch;
	dxh_status status = dxi_repair_head(block, &largest);

	if (status != DXH_OK)
		return status;
	*next_ticket = largest / 2;
	epoch = atomic_load_explicit(&header->producer.epoch, memory_order_relaxed);
	/* Pairs with the acquire of readers. */
	atomic_store_explicit(&header->producer.epoch, epoch + 1, memory_order_release);
	DXI_PROBE(takeover, block->paths.name, epoch + 1, *next_ticket);
	dxi_repair_wait(block);
	dxi_producer_state_open(block, beacon_is_lit);
	if (largest % 2 == 1 || (block->ring.physical > 0 && head != *next_ticket))
		dxi_count_repair(block);
	dxi_wake(block);
	return DXH_OK;
}
