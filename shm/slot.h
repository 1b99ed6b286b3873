/* SPDX-License-Identifier: MIT */
/* The seqlock of one slot: the order of operations that makes a torn item
 * impossible to deliver, and nothing about tickets to come, waiting or policy.
 */
#ifndef DXI_SLOT_H
#define DXI_SLOT_H

#include "shm/checksum.h"
#include "shm/layout.h"

/* A private, checked copy of where the slots lie. Physical 0: there are none. */
typedef struct dxi_ring {
	unsigned char *slots;
	uint64_t stride_bytes;
	uint64_t slot_bytes;
	uint32_t kept;
	uint32_t physical;
	dxi_checksum checksum;
} dxi_ring;

/* What seq is while the ticket is being written, and when it is published. */
static inline uint64_t dxi_seq_writing(uint64_t ticket)
{
	return 2 * ticket + 1;
}

static inline uint64_t dxi_seq_published(uint64_t ticket)
{
	return 2 * ticket + 2;
}

static inline struct dxi_layout_slot *dxi_slot_at(const dxi_ring *ring, uint64_t ticket)
{
	return (struct dxi_layout_slot *)(ring->slots +
	                                  ticket % ring->physical * ring->stride_bytes);
}

static inline void *dxi_slot_payload(const dxi_ring *ring, uint64_t ticket)
{
	return dxi_slot_at(ring, ticket) + 1;
}

/* ---- writing: the one producer; here, because they are small and each item needs them ---- */

/* From here on libc's memcpy may use non-temporal stores, which a release store
 * does not wait for on x86: these slots get stronger fences. */
enum { DXI_STREAMING_BYTES = 256 * 1024 };

/* Mark the ticket, whose slot this is, as being written; returns its payload. */
static inline void *
dxi_slot_begin(const dxi_ring *ring, struct dxi_layout_slot *slot, uint64_t ticket)
{
	/* relaxed: ordered before the payload by the fence below. */
	atomic_store_explicit(&slot->seq, dxi_seq_writing(ticket), memory_order_relaxed);
	if (ring->slot_bytes >= DXI_STREAMING_BYTES)
		/* A release fence is no instruction on x86; streaming stores
		 * of the payload would pass the odd mark without this. */
		atomic_thread_fence(memory_order_seq_cst);
	else
		/* Orders the odd mark before the payload. Pairs with the
		 * acquire fence in dxi_slot_read(). */
		atomic_thread_fence(memory_order_release);
	return slot + 1;
}

/* Streaming stores become visible before the even mark. */
static inline void dxi_drain_streaming_stores(void)
{
#ifdef __SSE__
	__builtin_ia32_sfence();
#endif
}

/* Publish it. The payload must be complete; `sum` is its checksum, NULL: none. */
static inline void dxi_slot_commit(const dxi_ring *ring, struct dxi_layout_slot *slot,
                                   uint64_t ticket, size_t bytes, uint32_t flags,
                                   int64_t timestamp_ns, const uint64_t *sum)
{
	/* relaxed: like the payload, published by seq below. */
	if (sum) {
		flags |= DXI_SLOT_CHECKED;
		for (int i = 0; i < DXI_CHECKSUM_WORDS; i++)
			atomic_store_explicit(&slot->checksum[i], sum[i], memory_order_relaxed);
	}
	atomic_store_explicit(&slot->length, bytes, memory_order_relaxed);
	atomic_store_explicit(&slot->flags, flags, memory_order_relaxed);
	atomic_store_explicit(&slot->schema_version, 1, memory_order_relaxed);
	atomic_store_explicit(&slot->timestamp_ns, timestamp_ns, memory_order_relaxed);
	if (ring->slot_bytes >= DXI_STREAMING_BYTES)
		dxi_drain_streaming_stores();
	/* Publishes the slot. Pairs with the acquire in dxi_slot_read(). */
	atomic_store_explicit(&slot->seq, dxi_seq_published(ticket), memory_order_release);
}

/* ---- reading: anybody ---- */

typedef enum dxi_slot_state {
	DXI_SLOT_IS_WHOLE,   /* copied and validated */
	DXI_SLOT_IS_SKIPPED, /* published, but aborted */
	DXI_SLOT_IS_LONGER,  /* whole, but does not fit into capacity; not copied */
	DXI_SLOT_NOT_YET,    /* unused, of an older ticket, or being written */
	DXI_SLOT_LAPPED,     /* holds a newer ticket: content->seq */
	DXI_SLOT_TORN,       /* changed during the copy */
	DXI_SLOT_BROKEN      /* whole, but breaks a rule: content->rule */
} dxi_slot_state;

typedef struct dxi_slot_content {
	uint64_t seq;
	uint64_t bytes;
	int64_t timestamp_ns;
	uint64_t sum[DXI_CHECKSUM_WORDS];
	bool checked; /* sum is set */
	const char *rule;
} dxi_slot_content;

/* The rule of an item whose sum is another. */
extern const char dxi_rule_sum_differs[];

/* Copy the payload of exactly this ticket, whose slot this is. Every byte of the slot is
 * taken for hostile: read once, clamped, believed only after validation. Never waits. */
dxi_slot_state dxi_slot_read(const dxi_ring *ring, const struct dxi_layout_slot *slot,
                             uint64_t ticket, void *copy, size_t capacity_bytes,
                             dxi_slot_content *content);

/* The same without the copy: *payload lies in the slot and holds this ticket as
 * long as dxi_slot_holds() says so. */
dxi_slot_state dxi_slot_look(const dxi_ring *ring, const struct dxi_layout_slot *slot,
                             uint64_t ticket, const void **payload, dxi_slot_content *content);

/* When this ticket was published; 0 when it is not there, or its slot breaks a rule. */
int64_t dxi_slot_published_ns(const dxi_ring *ring, uint64_t ticket);

/* Was everything that was read of the slot until now this ticket's? */
static inline bool dxi_slot_holds(const struct dxi_layout_slot *slot, uint64_t ticket)
{
	/* If what was read holds one byte of a later ticket, the load behind
	 * this fence sees that ticket's odd mark. Pairs with the release fence
	 * in dxi_slot_begin(). */
	atomic_thread_fence(memory_order_acquire);
	/* "Even and unchanged" would not do: only this ticket's own even mark. */
	return atomic_load_explicit(&slot->seq, memory_order_relaxed) == dxi_seq_published(ticket);
}

#endif
