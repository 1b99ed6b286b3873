/* SPDX-License-Identifier: MIT */
/* Doing something at a fixed rate, without drift.
 *
 * Tick k is due at first_ns + k * period_ns / ticks_per_period, rounded down: computed
 * from the first each time, so that no error adds up, also at rates like 60 a second. Who
 * is late is told how many ticks were missed and goes on with the latest; he is not
 * made to do them all at once, unless he asks for that.
 *
 *	dxh_pacer pacer = {.period_ns = 1000000000, .ticks_per_period = 60};
 *	while (dxh_pacer_wait(&pacer, DXH_FOREVER, &pace) == DXH_OK)
 *		...
 */
#ifndef DXH_PACER_H
#define DXH_PACER_H

#include <dxh/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set the first four members, the rest to zero. Lives where the caller puts it; nothing
 * needs to be closed. Thread: owner. */
typedef struct dxh_pacer {
	int64_t period_ns;
	int64_t ticks_per_period; /* 0: 1 */
	int64_t first_ns;         /* when tick 0 is due, CLOCK_MONOTONIC; 0: at the first call */
	int catch_up;             /* not 0: missed ticks are handed out too, one a call */
	uint64_t next_tick;       /* the next to be handed out */
	uint64_t missed;          /* ticks that never were, in all */
} dxh_pacer;

/* A tick that was handed out. */
typedef struct dxh_pace {
	uint64_t tick;
	int64_t due_ns;
	int64_t late_ns; /* how long after due_ns it was handed out */
	uint64_t missed; /* ticks right before it that were not */
} dxh_pace;

/* Sleep until a tick is due, and take it. One that is due already is taken at once.
 *
 * Thread:  owner. Units: deadline_ns absolute; DXH_NOW only asks.
 * Blocks:  until the tick, or until the deadline when that comes first.
 * Returns: DXH_EWAIT: the next tick is due after the deadline; nothing was taken.
 *          DXH_EINVAL: no period, more than one tick a nanosecond, or numbers whose
 *          product does not fit 63 bits.
 */
DXH_API DXH_NODISCARD dxh_status dxh_pacer_wait(dxh_pacer *pacer, int64_t deadline_ns,
                                                dxh_pace *pace);

/* The same without a clock: take what is due at now_ns. For event loops, with a timer set
 * to dxh_pacer_due_ns(), and for time that is made up.
 * Returns: DXH_EWAIT: nothing is due. DXH_EINVAL as above. */
DXH_API DXH_NODISCARD dxh_status dxh_pacer_next(dxh_pacer *pacer, int64_t now_ns, dxh_pace *pace);

/* When the next tick is due: absolute; 0, which is over, before a first call that is to
 * set first_ns, and for what is no pacer. */
DXH_API int64_t dxh_pacer_due_ns(const dxh_pacer *pacer);

#ifdef __cplusplus
}
#endif
#endif
