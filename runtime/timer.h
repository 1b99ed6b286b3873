/* SPDX-License-Identifier: MIT */
/* Deadlines of the I/O thread: a hierarchical wheel of 1 ms ticks.
 *
 * Arm and disarm are O(1) and allocate nothing: the node lies in the thing that
 * waits. A timer is never handed out early, and late by less than one tick
 * beyond the delay of the call that asks. Time is an argument everywhere, so a
 * made-up clock drives it as well as the real one.
 *
 * Thread: owner, of the wheel and of all its timers.
 */
#ifndef DXI_TIMER_H
#define DXI_TIMER_H

#include <dxh/base.h>

#include <stdbool.h>

/* Eight levels of 64 slots: 2^48 ticks, more than an int64_t of nanoseconds
 * counts, so that every deadline has its slot. */
enum { DXI_WHEEL_LEVELS = 8, DXI_WHEEL_SLOTS = 64, DXI_WHEEL_TICK_NS = 1000000 };

/* Zeroed is disarmed. An armed timer must not move and must not be freed. */
typedef struct dxi_timer {
	struct dxi_timer *previous, *next;
	int64_t deadline_ns;
} dxi_timer;

/* Invariant: a timer stands on the level of the highest 6-bit digit in which
 * its tick and `tick` differ, in the slot that its own digit names. So all of a
 * level are due before any of the next, and within a level the lowest slot is
 * due first. Must not move once initialised. */
typedef struct dxi_wheel {
	int64_t start_ns;                    /* when tick 0 was */
	uint64_t tick;                       /* all before it have been handed out */
	uint64_t occupied[DXI_WHEEL_LEVELS]; /* bit per slot: its list is not empty */
	dxi_timer slots[DXI_WHEEL_LEVELS][DXI_WHEEL_SLOTS]; /* heads of circular lists */
} dxi_wheel;

void dxi_wheel_init(dxi_wheel *wheel, int64_t now_ns);

/* Arm, or arm anew. A deadline in the past is due at once; DXH_FOREVER disarms. */
void dxi_wheel_arm(dxi_wheel *wheel, dxi_timer *timer, int64_t deadline_ns);

/* Nothing happens to a timer that is not armed. */
void dxi_wheel_disarm(dxi_wheel *wheel, dxi_timer *timer);

bool dxi_timer_armed(const dxi_timer *timer);

/* One timer that is due, disarmed, or NULL; call until NULL. They come in order
 * of their ticks, and in order of arming within a tick. */
dxi_timer *dxi_wheel_expire(dxi_wheel *wheel, int64_t now_ns);

/* When to call expire next: never later than a timer is due, sometimes earlier,
 * when timers only move to a finer level (a few times for each). DXH_FOREVER:
 * nothing is armed. O(1). */
int64_t dxi_wheel_next_ns(const dxi_wheel *wheel);

#endif
