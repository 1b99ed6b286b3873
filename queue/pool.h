/* SPDX-License-Identifier: MIT */
/* The slot table: memory for completions that is never unmapped, so that any
 * 64-bit value can be looked up and is either a live handle or nothing.
 *
 * One table a process, grown by chunks; each chunk belongs to one pool, each
 * pool to one hub. Slots come from and go back to their pool from any thread.
 *
 *   field      written by              read by            order
 *   free       take(), give()          take(), give()     CAS, acquire / release
 *   next_free  give(), before its CAS  take()             relaxed: the CAS with its
 *                                                         tag throws stale reads away
 *   table[i]   grow()                  slot_find()        release / acquire
 */
#ifndef DXI_POOL_H
#define DXI_POOL_H

#include "queue/queue.h"

#include <dxh/completion.h>

#include <assert.h>
#include <stdatomic.h>

struct dxh_group;
struct dxi_pool;

enum { DXI_SLOT_BYTES = 256, DXI_RECORD_BYTES = 192 };

/* One operation: what every completion has, then the record of its owner. */
typedef struct dxi_slot {
	_Atomic uint64_t state;     /*  0: generation << 32 | flags, see completion.h */
	_Atomic uint32_t next_free; /*  8 */
	uint32_t index;             /* 12: its place in the table */
	/* 16: the result, published by DONE in state; atomic for those who read it while
	 * others release it, and then find that it was not theirs any more. */
	const void *_Atomic body;
	_Atomic size_t body_bytes; /* 24 */
	_Atomic int32_t status;    /* 32 */
	_Atomic uint8_t certainty; /* 36 */
	uint8_t body_is_own;       /* 37: to be freed with the slot */
	uint8_t unused[2];
	struct dxh_group *group; /* 40 */
	void *user;              /* 48 */
	dxi_node group_node;     /* 56 */
	alignas(8) unsigned char record[DXI_RECORD_BYTES];
} dxi_slot;
static_assert(sizeof(dxi_slot) == DXI_SLOT_BYTES, "four cache lines");

typedef struct dxi_pool dxi_pool;

/* A pool of at most `slots_max` slots, whose cancels go to `cancels` (see
 * completion.h). NULL: out of memory. */
dxi_pool *dxi_pool_open(uint32_t slots_max, dxi_queue *cancels, int cancels_doorbell);

/* The hub goes; slots that are still out find their way home later. Waits for
 * threads that are about to ring: the doorbell may be closed then. */
void dxi_pool_close(dxi_pool *pool);

/* A slot in no state, or NULL: all are out, or there is no memory for more of them.
 * Thread: any. */
dxi_slot *dxi_pool_take(dxi_pool *pool);

/* Slots that there are by now, of slots_max. Thread: any, a snapshot. */
uint32_t dxi_pool_slots(const dxi_pool *pool);

/* Take the slot back: its generation moves on. Thread: any. */
void dxi_pool_give(dxi_slot *slot);

/* Slots that are out; memory that all slots and results on the heap take. Thread: any,
 * a snapshot. */
uint32_t dxi_pool_out(const dxi_pool *pool);
uint64_t dxi_pool_bytes(const dxi_pool *pool);

/* A result on the heap has come to a slot, or has been freed. Thread: any. */
void dxi_slot_count_heap(const dxi_slot *slot, int64_t more_bytes);

/* The slot that a handle points at, whatever its generation; NULL: none. */
dxi_slot *dxi_slot_find(uint32_t index);

/* Push the cancel of a slot to its pool's queue, and ring. The queue and the
 * doorbell stay until this returns: see dxi_pool_close(). Thread: any. */
void dxi_slot_send_cancel(const dxi_slot *slot, dxi_task *cancel);

/* The process a slot belongs to (see base/forked.h), and its pool. */
uint32_t dxi_slot_process(const dxi_slot *slot);
const dxi_pool *dxi_slot_pool(const dxi_slot *slot);

#endif
