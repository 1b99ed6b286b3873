/* SPDX-License-Identifier: MIT */
/* Deadlines without overflow. */
#include "base/clock.h"

struct timespec dxi_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / DXI_NS_PER_S, .tv_nsec = ns % DXI_NS_PER_S};
}

int64_t dxh_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * DXI_NS_PER_S + now.tv_nsec;
}

int64_t dxi_clock_coarse_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * DXI_NS_PER_S + now.tv_nsec;
}

static int64_t in_units(int64_t count, int64_t unit_ns)
{
	int64_t span, deadline;

	if (count <= 0)
		return dxh_now_ns();
	if (__builtin_mul_overflow(count, unit_ns, &span) ||
	    __builtin_add_overflow(dxh_now_ns(), span, &deadline))
		return DXH_FOREVER;
	return deadline;
}

int64_t dxh_in_ns(int64_t ns)
{
	return in_units(ns, 1);
}

int64_t dxh_in_us(int64_t us)
{
	return in_units(us, DXI_NS_PER_US);
}

int64_t dxh_in_ms(int64_t ms)
{
	return in_units(ms, DXI_NS_PER_MS);
}
