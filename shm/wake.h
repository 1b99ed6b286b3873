/* SPDX-License-Identifier: MIT */
/* The wake word of a block: consumers sleep on it in their read-only mapping, the
 * producer wakes them all. Blocks without it are looked at in timed steps.
 */
#ifndef DXI_WAKE_H
#define DXI_WAKE_H

#include "base/clock.h"
#include "base/futex.h"
#include "base/ticks.h"
#include "shm/segment.h"

/* A publish that woke nobody is followed by this much quiet: what is published in it
 * makes no system call. So a sleep, unless nothing has changed for longer, must end by
 * itself after twice that time, and be followed by another look. Behind that look the
 * quiet in which it began is over, and a sleep may last. A producer whose publishes wake
 * somebody says that it is loud: it will not be quiet without waking all once more,
 * and until then any sleep may last. */
enum { DXI_WAKE_QUIET_NS = 50 * DXI_NS_PER_US, DXI_WAKE_FIRST_NS = 2 * DXI_WAKE_QUIET_NS };

/* Wake every consumer, after what they wait for is published: something else than an item,
 * behind which nobody is loud. */
void dxi_wake(const dxi_block *block);

/* Of a producer. */
typedef struct dxi_quiet {
	int64_t until_ns;     /* 0: there is none */
	uint64_t until_ticks; /* the same moment, or one before, by the counter; 0: not known */
	dxi_ticks_base base;
} dxi_quiet;

/* The same for items, which may come in numbers. `quiet` begins with `base` alone;
 * `now_ns` is a time from before the item was published. */
void dxi_wake_for_item(const dxi_block *block, int64_t now_ns, dxi_quiet *quiet);

/* Read before looking for news; then a wait with it cannot miss a wake. */
uint32_t dxi_wake_seen(const dxi_block *block);

/* Whether the producer, as of a word that was seen before, wakes at each item. */
bool dxi_wake_is_loud(const dxi_block *block);

/* The word, for who sleeps on several. */
dxi_futex_word dxi_wake_word(const dxi_block *block, uint32_t seen);

/* The steps of one wait; zeroed at its begin. */
typedef struct dxi_wake_steps {
	unsigned made; /* that passed without news */
	uint32_t seen;
} dxi_wake_steps;

/* Sleep until a wake since `seen`, or `deadline_ns`; may return early, and returns after
 * the first step of a producer that is not loud. Without wakes: after each step, which begin
 * at 50 us and end at 1.6 ms. */
void dxi_wake_wait(const dxi_block *block, uint32_t seen, int64_t deadline_ns,
                   dxi_wake_steps *steps);

#endif
