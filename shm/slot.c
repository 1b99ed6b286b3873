/* SPDX-License-Identifier: MIT */
/* Writer: odd, fence, payload, even. Reader: even, payload, fence, same even. */
#include "shm/slot.h"

#include "shm/copy.h"

#include <string.h>

static void load_sum(const struct dxi_layout_slot *slot, uint64_t sum[DXI_CHECKSUM_WORDS])
{
	/* relaxed: as all that is in front of the payload. */
	for (int i = 0; i < DXI_CHECKSUM_WORDS; i++)
		sum[i] = atomic_load_explicit(&slot->checksum[i], memory_order_relaxed);
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

const char dxi_rule_sum_differs[] = "the checksum of the item differs";

/* Apart, so that what has no sum does not pay for the room of one. */
static __attribute__((noinline)) bool sum_differs(const dxi_ring *ring, uint64_t ticket,
                                                  const void *payload,
                                                  const dxi_slot_content *content)
{
	uint64_t sum[DXI_CHECKSUM_WORDS];

	dxi_checksum_of(&ring->checksum, ticket, payload, content->bytes, sum);
	return memcmp(sum, content->sum, sizeof sum) != 0;
}

/* The front of a slot, and a copy of its payload if it is wanted and fits; but for the sum. */
static inline dxi_slot_state take(const dxi_ring *ring, const struct dxi_layout_slot *slot,
                                  uint64_t ticket, void *copy, size_t capacity_bytes,
                                  dxi_slot_content *content)
{
	uint32_t flags;

	/* Pairs with the release in dxi_slot_commit(). */
	content->seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
	if (content->seq != dxi_seq_published(ticket))
		return content->seq < dxi_seq_published(ticket) ? DXI_SLOT_NOT_YET
		                                                : DXI_SLOT_LAPPED;

	/* relaxed: believed only if seq is still the same behind the fence. */
	flags = atomic_load_explicit(&slot->flags, memory_order_relaxed);
	content->bytes = atomic_load_explicit(&slot->length, memory_order_relaxed);
	content->timestamp_ns = atomic_load_explicit(&slot->timestamp_ns, memory_order_relaxed);
	content->checked = flags & DXI_SLOT_CHECKED;
	if (content->checked)
		load_sum(slot, content->sum);
	if (copy && content->bytes <= ring->slot_bytes && content->bytes <= capacity_bytes &&
	    !(flags & DXI_SLOT_ABORTED))
		dxi_copy_item_out(copy, slot + 1, content->bytes);
	if (!dxi_slot_holds(slot, ticket))
		return DXI_SLOT_TORN;

	/* Nothing can be wrong with most. */
	if (flags == 0 && content->bytes <= capacity_bytes && content->bytes <= ring->slot_bytes &&
	    ring->checksum.kind == DXI_CHECKSUM_NONE)
		return DXI_SLOT_IS_WHOLE;
	content->rule = broken_rule(ring, content, flags);
	if (content->rule)
		return DXI_SLOT_BROKEN;
	if (flags & DXI_SLOT_ABORTED)
		return DXI_SLOT_IS_SKIPPED;
	return content->bytes > capacity_bytes ? DXI_SLOT_IS_LONGER : DXI_SLOT_IS_WHOLE;
}

dxi_slot_state dxi_slot_read(const dxi_ring *ring, const struct dxi_layout_slot *slot,
                             uint64_t ticket, void *copy, size_t capacity_bytes,
                             dxi_slot_content *content)
{
	dxi_slot_state state = take(ring, slot, ticket, copy, capacity_bytes, content);

	if (state != DXI_SLOT_IS_WHOLE || !content->checked ||
	    !sum_differs(ring, ticket, copy, content))
		return state;
	content->rule = dxi_rule_sum_differs;
	return DXI_SLOT_BROKEN;
}

dxi_slot_state dxi_slot_look(const dxi_ring *ring, const struct dxi_layout_slot *slot,
                             uint64_t ticket, const void **payload, dxi_slot_content *content)
{
	dxi_slot_state state = take(ring, slot, ticket, NULL, ring->slot_bytes, content);

	if (state != DXI_SLOT_IS_WHOLE)
		return state;
	*payload = slot + 1;
	if (!content->checked || !sum_differs(ring, ticket, *payload, content))
		return DXI_SLOT_IS_WHOLE;
	if (!dxi_slot_holds(slot, ticket))
		return DXI_SLOT_TORN;
	content->rule = dxi_rule_sum_differs;
	return DXI_SLOT_BROKEN;
}

int64_t dxi_slot_published_ns(const dxi_ring *ring, uint64_t ticket)
{
	dxi_slot_content content;

	switch (take(ring, dxi_slot_at(ring, ticket), ticket, NULL, 0, &content)) {
	case DXI_SLOT_IS_WHOLE:
	case DXI_SLOT_IS_LONGER:
	case DXI_SLOT_IS_SKIPPED:
		return content.timestamp_ns;
	default:
		return 0;
	}
}
