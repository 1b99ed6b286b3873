/* SPDX-License-Identifier: MIT */
/* The state word of a completion: who may do what with a slot, and when.
 *
 * The word holds the generation (high half) and flags (low half, the futex).
 * Every change is one atomic read-modify-write, so all parties agree on one
 * order of events, and the change that makes a slot nobody's gives it back.
 *
 *   flag         set by          means
 *   CLAIMED      I/O thread      unlinked from the submission queue
 *   DONE         I/O thread, or a cancel that comes before CLAIMED: the end
 *   NEVER_LEFT   that cancel     the result is canceled / not sent; the fields of
 *                                the slot were not written
 *   WAITER       await()         wake the futex at DONE
 *   CANCEL       cancel()        its node is on the way to the I/O thread
 *   CANCEL_SEEN  I/O thread      that node has arrived
 *   RELEASED     release()       the user has given the handle back
 *   GROUPED      post            the group has not handed it out yet
 *   FREE         the pool        nobody's
 *   PIN          await()         counts those who read the text of an error just now
 *
 * A slot goes home when DONE, CLAIMED and RELEASED are set, GROUPED is not, no
 * cancel node is on the way, and nobody has it pinned.
 *
 *   field                    written by    read by           order
 *   state                    all           all               acq_rel RMW / acquire
 *   status, body, certainty  complete()    await(), groups   relaxed, published by DONE; who
 *                                                            is late finds out in was_live()
 */
#ifndef DXI_COMPLETION_H
#define DXI_COMPLETION_H

#include "queue/pool.h"

#include <dxh/completion.h>

enum {
	DXI_STATE_CLAIMED = 1u << 0,
	DXI_STATE_DONE = 1u << 1,
	DXI_STATE_NEVER_LEFT = 1u << 2,
	DXI_STATE_WAITER = 1u << 3,
	DXI_STATE_CANCEL = 1u << 4,
	DXI_STATE_CANCEL_SEEN = 1u << 5,
	DXI_STATE_RELEASED = 1u << 6,
	DXI_STATE_GROUPED = 1u << 7,
	DXI_STATE_FREE = 1u << 8,
	DXI_STATE_PIN = 1u << 16 /* the upper half of the flags is a count: 65535 threads */
};
#define DXI_STATE_PINS ((uint64_t)0xffff * DXI_STATE_PIN)

static inline uint64_t dxi_state_free(uint32_t generation)
{
	return (uint64_t)generation << 32 | DXI_STATE_FREE;
}

/* Wakes that are due once the whole batch has been completed: waking one by one
 * lets each waiter preempt the I/O thread. Slots are never unmapped, so a wake
 * that comes after its slot went on to another life is only a spare one. */
enum { DXI_WAKES_MAX = 256 };
typedef struct dxi_wakes {
	_Atomic uint32_t *words[DXI_WAKES_MAX];
	struct dxh_group *groups[DXI_WAKES_MAX];
	uint32_t word_count;
	uint32_t group_count;
	uint64_t issued; /* futex calls so far */
} dxi_wakes;

/* Set in a thread that must not wait. */
extern _Thread_local bool dxi_may_not_wait;

/* Make a slot an operation under way; returns its handle. Its record begins with
 * the dxi_task that dxh_cancel() pushes. Thread: who took the slot. */
dxh_completion dxi_completion_begin(dxi_slot *slot, struct dxh_group *group, void *user);

/* Keep an ended operation from going home while its result is read, also when it is
 * released meanwhile. false: it is not this one's any more. Thread: any. */
bool dxi_completion_pin(dxi_slot *slot, dxh_completion done);
void dxi_completion_unpin(dxi_slot *slot);

/* Undo begin() of an operation that was not posted after all. */
void dxi_completion_abandon(dxi_slot *slot);

static inline dxh_completion dxi_completion_of(const dxi_slot *slot)
{
	/* relaxed: the generation does not change while the slot is somebody's. */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);

	return (state & ~(uint64_t)UINT32_MAX) | slot->index;
}

/* I/O thread: the operation was taken from the queue. false: it had been
 * cancelled, and may be gone now. */
bool dxi_completion_claim(dxi_slot *slot);

/* I/O thread: the terminal event of a claimed operation. The slot may be gone
 * when this returns. `body` is NULL, or lies in the slot, or becomes the slot's
 * own (malloc) when `body_is_own`. Returns whether a cancel node is on its way,
 * which then keeps the slot until dxi_completion_cancel_seen(). */
bool dxi_completion_complete(dxi_slot *slot, dxh_status status, dxh_certainty certainty,
                             const void *body, size_t body_bytes, bool body_is_own,
                             dxi_wakes *wakes);

/* I/O thread: the node of a cancel has arrived. Returns whether the operation
 * is still open; if not, the slot may be gone. */
bool dxi_completion_cancel_seen(dxi_slot *slot);

/* I/O thread: the slot of an operation that it has claimed and not completed, by
 * a handle that came from outside; NULL with *late telling whether it was one of
 * this pool's once. */
dxi_slot *dxi_completion_find_open(const dxi_pool *pool, dxh_completion done, bool *late);

/* A group has handed the completion out: false: it was released before, and is
 * gone. */
bool dxi_completion_ungroup(dxi_slot *slot);

/* The result of a slot whose DONE was seen. */
dxh_reply dxi_completion_result(const dxi_slot *slot);

/* I/O thread: issue what has gathered. */
void dxi_wakes_issue(dxi_wakes *wakes);

#endif
