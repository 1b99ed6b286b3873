/* SPDX-License-Identifier: MIT */
/* Whether a short time has passed yet, for less than half of what the clock costs: by the
 * processor's own counter, whose speed is measured beside the clock.
 */
#ifndef DXI_TICKS_H
#define DXI_TICKS_H

#include <stdbool.h>
#include <stdint.h>

/* A moment by the clock and by the counter, from which its speed is told later. */
typedef struct dxi_ticks_base {
	int64_t ns;
	uint64_t ticks;
} dxi_ticks_base;

/* Now; 0 where there is no such counter. May be read a little before what stands in front
 * of it is done, by what a processor does ahead: less than a microsecond. */
static inline uint64_t dxi_ticks_now(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/* Begin to measure. */
dxi_ticks_base dxi_ticks_begin(void);

/* What the counter shows at `when_ns`, by the clock, or before, but never behind; 0: it is
 * not known, because `base` is less than a millisecond old or the counter is none that
 * the kernel itself reads the time from. */
uint64_t dxi_ticks_at(const dxi_ticks_base *base, int64_t when_ns);

#endif
