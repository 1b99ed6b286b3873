/* SPDX-License-Identifier: MIT */
/* The wake word of a block: consumers sleep on it in their read-only mapping, the
 * producer wakes them all. Blocks without it are looked at in timed steps.
 */
#ifndef DXI_WAKE_H
#define DXI_WAKE_H

#include "base/futex.h"
#include "shm/segment.h"

/* Wake every consumer, after what they wait for is published. */
void dxi_wake(const dxi_block *block);

/* Read before looking for news; then a wait with it cannot miss a wake. */
uint32_t dxi_wake_seen(const dxi_block *block);

/* The word, for who sleeps on several. */
dxi_futex_word dxi_wake_word(const dxi_block *block, uint32_t seen);

/* Sleep until a wake since `seen`, or `deadline_ns`; may return early. Without
 * wakes: until the next step, which begin at 50 us and end at 1.6 ms; `steps`
 * counts those made in this wait and begins at 0. */
void dxi_wake_wait(const dxi_block *block, uint32_t seen, int64_t deadline_ns, unsigned *steps);

#endif
