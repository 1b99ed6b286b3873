/* SPDX-License-Identifier: MIT */
/* Time as the library counts it: nanoseconds of CLOCK_MONOTONIC. */
#ifndef DXI_CLOCK_H
#define DXI_CLOCK_H

#include <dxh/base.h>

#include <time.h>

enum { DXI_NS_PER_US = 1000, DXI_NS_PER_MS = 1000000, DXI_NS_PER_S = 1000000000 };

/* The timespec of an absolute or relative count of nanoseconds >= 0. */
struct timespec dxi_timespec(int64_t ns);

/* dxh_now_ns() as it was at the last tick, 1 to 10 ms ago at the most, for a fifth of the
 * time. */
int64_t dxi_clock_coarse_ns(void);

#endif
