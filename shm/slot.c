/* SPDX-License-Identifier: MIT */
/* Writer: odd, fence, payload, even. Reader: even, payload, fence, same even. */
#include "shm/slot.h"

#include "shm/copy.h"

#include <string.h>

/* What a reader finds in front of the payload; relaxed: believed only if seq is
 * still the same behind the fence. Returns the flags. */
static uint32_t load_front(const struct dxi_layout_slot *slot, dxi_slot_content *content)
{
	uint32_t flags = atomic_load_explicit(&slot->flags, memory_order_relaxed);

	content->bytes = atomic_load_explicit(&slot->length, memory_order_relaxed);
	content->timestamp_ns = atomic_load_explicit(&slot->timestamp_ns, memory_order_relaxed);
	content->checked = flags & DXI_SLOT_CHECKED;
	for (int i = 0; content->checked && i < DXI_CHECKSUM_WORDS; i++)
		content->sum[i] = atomic_load_explicit(&slot->checksum[i], memory_order_relaxed);
	return flags;
}

static const char *
broken_rule(const dxi_ring *ring, const dxi_slot_content *content, uint32_t flags)
{
	if (content->bytes > ring->slot_bytes)
		return "the length is larger than the slot";
	if (flags & DXI_SLOT_FLAGS_REQUIRED & ~(uint32_t)DXI_SLOT_FLAGS_KNOWN)
		return "a flag that must be understood is not known";
	if (content->checked && ring->checksum.kind == DXI_CHECKSUM_NONE)
		return "a checksum in a block without";
	if (!content->checked && ring->checksum.kind != DXI_CHECKSUM_NONE &&
	    !ring->checksum.manual && !(flags & DXI_SLOT_ABORTED))
		return "no checksum in a block that enforces it";
	return NULL;
}

bool dxi_slot_holds(const dxi_ring *ring, uint64_t ticket)
{
	/* If what was read holds one byte of a later ticket, the load behind
	 * this fence sees that ticket's odd mark. Pairs with the release fence
	 * in dxi_slot_begin(). */
	atomic_thread_fence(memory_order_acquire);
	/* "Even and unchanged" would not do: only this ticket's own even mark. */
	return atomic_load_explicit(&dxi_slot_at(ring, ticket)->seq, memory_order_relaxed) ==
	       dxi_seq_published(ticket);
}

/* The front of a slot, and a copy of its payload if it is wanted and fits. */
static dxi_slot_state take(const dxi_ring *ring, uint64_t ticket, void *copy, size_t capacity_bytes,
                           dxi_slot_content *content)
{
	struct dxi_layout_slot *slot = dxi_slot_at(ring, ticket);
	uint32_t flags;

	/* Pairs with the release in dxi_slot_commit(). */
	content->seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
	content->rule = NULL;
	if (content->seq < dxi_seq_published(ticket))
		return DXI_SLOT_NOT_YET;
	if (content->seq > dxi_seq_published(ticket))
		return DXI_SLOT_LAPPED;

	flags = load_front(slot, content);
	if (copy && content->bytes <= ring->slot_bytes && content->bytes <= capacity_bytes &&
	    !(flags & DXI_SLOT_ABORTED))
		dxi_copy_item_out(copy, dxi_slot_payload(ring, ticket), content->bytes);
	if (!dxi_slot_holds(ring, ticket))
		return DXI_SLOT_TORN;

	content->rule = broken_rule(ring, content, flags);
	if (content->rule)
		return DXI_SLOT_BROKEN;
	if (flags & DXI_SLOT_ABORTED)
		return DXI_SLOT_IS_SKIPPED;
	return content->bytes > capacity_bytes ? DXI_SLOT_IS_LONGER : DXI_SLOT_IS_WHOLE;
}

static bool sum_differs(const dxi_ring *ring, uint64_t ticket, const void *payload,
                        const dxi_slot_content *content)
{
	uint64_t sum[DXI_CHECKSUM_WORDS];

	if (!content->checked)
		return false;
	dxi_checksum_of(&ring->checksum, ticket, payload, content->bytes, sum);
	return memcmp(sum, content->sum, sizeof sum) != 0;
}

const char dxi_rule_sum_differs[] = "the checksum of the item differs";

dxi_slot_state dxi_slot_read(const dxi_ring *ring, uint64_t ticket, void *copy,
                             size_t capacity_bytes, dxi_slot_content *content)
{
	dxi_slot_state state = take(ring, ticket, copy, capacity_bytes, content);

	if (state != DXI_SLOT_IS_WHOLE || !sum_differs(ring, ticket, copy, content))
		return state;
	content->rule = dxi_rule_sum_differs;
	return DXI_SLOT_BROKEN;
}

dxi_slot_state dxi_slot_look(const dxi_ring *ring, uint64_t ticket, const void **payload,
                             dxi_slot_content *content)
{
	dxi_slot_state state = take(ring, ticket, NULL, ring->slot_bytes, content);

	if (state != DXI_SLOT_IS_WHOLE)
		return state;
	*payload = dxi_slot_payload(ring, ticket);
	if (!sum_differs(ring, ticket, *payload, content))
		return DXI_SLOT_IS_WHOLE;
	if (!dxi_slot_holds(ring, ticket))
		return DXI_SLOT_TORN;
	content->rule = dxi_rule_sum_differs;
	return DXI_SLOT_BROKEN;
}

int64_t dxi_slot_published_ns(const dxi_ring *ring, uint64_t ticket)
{
	dxi_slot_content content;

	switch (take(ring, ticket, NULL, 0, &content)) {
	case DXI_SLOT_IS_WHOLE:
	case DXI_SLOT_IS_LONGER:
	case DXI_SLOT_IS_SKIPPED:
		return content.timestamp_ns;
	default:
		return 0;
	}
}
