/* SPDX-License-Identifier: MIT */
/* A read-only consumer cannot count itself as waiting, so the producer learns from the
 * kernel whether anybody sleeps: by waking, but not at every item of many.
 */
#include "shm/wake.h"

#include "shm/counter.h"

#include <limits.h>

enum { STEP_FIRST_NS = 50 * DXI_NS_PER_US, STEPS_DOUBLED = 5 };

static void bump(const dxi_block *block)
{
	/* seq_cst: before the clock is read, or the kernel asked, whoever looks now sees it.
	 * Pairs with the acquire in dxi_wake_seen(). */
	atomic_fetch_add_explicit(&dxi_block_header(block)->wake, 1, memory_order_seq_cst);
}

static int call(const dxi_block *block)
{
	struct dxi_layout_header *header = dxi_block_header(block);

	dxi_counter_add(&header->counters.wakes, 1);
	return dxi_futex_wake(&header->wake, INT_MAX, DXI_FUTEX_SHARED);
}

void dxi_wake(const dxi_block *block)
{
	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return;
	bump(block);
	call(block);
}

static bool is_quiet(const dxi_quiet *quiet, int64_t now_ns)
{
	if (now_ns >= quiet->until_ns)
		return false;
	/* A time from before the item may be old by as much as this thread was held up:
	 * only a later one shows that the item was published within the quiet. */
	return quiet->until_ticks != 0 ? dxi_ticks_now() < quiet->until_ticks
	                               : dxh_now_ns() < quiet->until_ns;
}

void dxi_wake_for_item(const dxi_block *block, int64_t now_ns, dxi_quiet *quiet)
{
	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return;
	bump(block);
	if (is_quiet(quiet, now_ns))
		return;
	quiet->until_ns = 0;
	if (call(block) > 0)
		return;
	/* From before the item, for the call may come long after it: by then a reader may
	 * have seen it, slept its first sleep, and be about to begin one that lasts. */
	quiet->until_ns = now_ns + DXI_WAKE_QUIET_NS;
	quiet->until_ticks = dxi_ticks_at(&quiet->base, quiet->until_ns);
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

/* How long this step may be. */
static int64_t step_of(const dxi_block *block, const dxi_wake_steps *steps)
{
	unsigned doubled = steps->made < STEPS_DOUBLED ? steps->made : STEPS_DOUBLED;

	/* Without wakes the word never changes: the wait is a plain sleep. */
	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return (int64_t)STEP_FIRST_NS << doubled;
	return steps->made == 0 ? DXI_WAKE_FIRST_NS : INT64_MAX;
}

void dxi_wake_wait(const dxi_block *block, uint32_t seen, int64_t deadline_ns,
                   dxi_wake_steps *steps)
{
	int64_t step_ns;

	if (seen != steps->seen)
		*steps = (dxi_wake_steps){.seen = seen};
	step_ns = dxh_in_ns(step_of(block, steps));
	if (step_ns < deadline_ns)
		deadline_ns = step_ns;
	if (!dxi_futex_wait(&dxi_block_header(block)->wake, seen, deadline_ns, DXI_FUTEX_SHARED))
		steps->made++;
}
