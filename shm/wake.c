/* SPDX-License-Identifier: MIT */
/* wake_always: one FUTEX_WAKE per publish, because a read-only consumer cannot
 * count itself as waiting.
 */
#include "shm/wake.h"

#include "base/clock.h"
#include "shm/counter.h"

#include <limits.h>

enum { STEP_FIRST_NS = 50 * DXI_NS_PER_US, STEPS_DOUBLED = 5 };

void dxi_wake(const dxi_block *block)
{
	struct dxi_layout_header *header = dxi_block_header(block);

	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return;
	/* seq_cst: a counted mode will load the number of waiters behind it,
	 * and that load must not move in front of this store. Pairs with the
	 * acquire in dxi_wake_seen(). */
	atomic_fetch_add_explicit(&header->wake, 1, memory_order_seq_cst);
	dxi_futex_wake(&header->wake, INT_MAX, DXI_FUTEX_SHARED);
	dxi_counter_add(&header->counters.wakes, 1);
}

uint32_t dxi_wake_seen(const dxi_block *block)
{
	/* Whoever sees a wake sees what it announces. Pairs with dxi_wake(). */
	return atomic_load_explicit(&dxi_block_header(block)->wake, memory_order_acquire);
}

dxi_futex_word dxi_wake_word(const dxi_block *block, uint32_t seen)
{
	return (dxi_futex_word){&dxi_block_header(block)->wake, seen, DXI_FUTEX_SHARED};
}

void dxi_wake_wait(const dxi_block *block, uint32_t seen, int64_t deadline_ns, unsigned *steps)
{
	unsigned doubled = *steps < STEPS_DOUBLED ? *steps : STEPS_DOUBLED;
	int64_t step_ns = dxh_in_ns((int64_t)STEP_FIRST_NS << doubled);

	/* Without wakes the word never changes: the wait is a plain sleep. */
	if (block->fixed.wake_mode == DXI_WAKE_NONE && step_ns < deadline_ns)
		deadline_ns = step_ns;
	++*steps;
	dxi_futex_wait(&dxi_block_header(block)->wake, seen, deadline_ns, DXI_FUTEX_SHARED);
}
