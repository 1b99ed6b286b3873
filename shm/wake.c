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

static bool is_quiet(const dxi_quiet *quiet, int64_t now_ns)
{
	if (now_ns >= quiet->until_ns)
		return false;
	/* A time from before the item may be old by as much as this thread was held up:
	 * only a later one shows that the item was published within the quiet. */
	return quiet->until_ticks != 0 ? dxi_ticks_now() < quiet->until_ticks
	                               : dxh_now_ns() < quiet->until_ns;
}

/* In its epoch, so that nobody believes this of a successor that does not say it. */
static uint32_t loud_now(const dxi_block *block)
{
	const struct dxi_layout_header *header = dxi_block_header(block);

	return (uint32_t)atomic_load_explicit(&header->producer.epoch, memory_order_relaxed) + 1;
}

static void tell(const dxi_block *block, uint32_t loud)
{
	/* relaxed: to be loud may be known at any time behind; that it is over is known to
	 * whoever sees the wake that follows, whose step is seq_cst. */
	atomic_store_explicit(&dxi_block_header(block)->loud, loud, memory_order_relaxed);
}

void dxi_wake(const dxi_block *block)
{
	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return;
	tell(block, 0);
	bump(block);
	call(block);
}

/* Wake all. Nobody there: nobody may go on believing that each item will be told of. Who
 * looked before that was taken back either sleeps by now, or finds that the word has
 * changed. */
static bool call_loudly(const dxi_block *block)
{
	bool is_loud = dxi_wake_is_loud(block);
	bool woken = call(block) > 0;

	if (!woken && is_loud) {
		tell(block, 0);
		bump(block);
		woken = call(block) > 0;
		is_loud = false;
	}
	if (woken && !is_loud)
		tell(block, loud_now(block));
	return woken;
}

void dxi_wake_for_item(const dxi_block *block, int64_t now_ns, dxi_quiet *quiet)
{
	if (block->fixed.wake_mode == DXI_WAKE_NONE)
		return;
	bump(block);
	if (is_quiet(quiet, now_ns))
		return;
	quiet->until_ns = 0;
	if (call_loudly(block))
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

bool dxi_wake_is_loud(const dxi_block *block)
{
	/* relaxed: behind the acquire of the word. If it was taken back meanwhile, the word has
	 * changed, or is about to before a call. */
	return atomic_load_explicit(&dxi_block_header(block)->loud, memory_order_relaxed) ==
	       loud_now(block);
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
	return steps->made == 0 && !dxi_wake_is_loud(block) ? DXI_WAKE_FIRST_NS : INT64_MAX;
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
