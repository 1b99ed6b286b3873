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

struct dxi_layout_slot *dxi_slot_at(const dxi_ring *ring, uint64_t ticket);
void *dxi_slot_payload(const dxi_ring *ring, uint64_t ticket);

/* ---- writing: the one producer ---- */

/* Mark the ticket as being written; returns its payload. */
void *dxi_slot_begin(const dxi_ring *ring, uint64_t ticket);

/* Publish it. The payload must be complete; `sum` is its checksum, NULL: none. */
void dxi_slot_commit(const dxi_ring *ring, uint64_t ticket, size_t bytes, uint32_t flags,
                     int64_t timestamp_ns, const uint64_t *sum);

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

/* Copy the payload of exactly this ticket. Every byte of the slot is taken for
 * hostile: read once, clamped, believed only after validation. Never waits. */
dxi_slot_state dxi_slot_read(const dxi_ring *ring, uint64_t ticket, void *copy,
                             size_t capacity_bytes, dxi_slot_content *content);

/* The same without the copy: *payload lies in the slot and holds this ticket as
 * long as dxi_slot_holds() says so. */
dxi_slot_state dxi_slot_look(const dxi_ring *ring, uint64_t ticket, const void **payload,
                             dxi_slot_content *content);

/* When this ticket was published; 0 when it is not there, or its slot breaks a rule. */
int64_t dxi_slot_published_ns(const dxi_ring *ring, uint64_t ticket);

/* Was everything that was read of the slot until now this ticket's? */
bool dxi_slot_holds(const dxi_ring *ring, uint64_t ticket);

#endif
