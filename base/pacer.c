/* SPDX-License-Identifier: MIT */
/* Which tick is due: whole periods first, then the ticks of the one that is going on, so
 * that no product is larger than period times ticks, which was seen to fit.
 */
#include "base/clock.h"
#include "base/status.h"

#include <dxh/pacer.h>

#include <errno.h>
#include <inttypes.h>
#include <time.h>

static int64_t ticks_of(const dxh_pacer *pacer)
{
	return pacer->ticks_per_period != 0 ? pacer->ticks_per_period : 1;
}

static bool is_usable(const dxh_pacer *pacer)
{
	int64_t product;

	return pacer->period_ns > 0 && ticks_of(pacer) > 0 && ticks_of(pacer) <= pacer->period_ns &&
	       pacer->first_ns >= 0 &&
	       !__builtin_mul_overflow(pacer->period_ns, ticks_of(pacer), &product);
}

static int64_t due_ns(const dxh_pacer *pacer, uint64_t tick)
{
	uint64_t ticks = (uint64_t)ticks_of(pacer);
	uint64_t whole, due;

	/* A tick beyond the end of time is due at that end. */
	if (__builtin_mul_overflow(tick / ticks, (uint64_t)pacer->period_ns, &whole) ||
	    __builtin_add_overflow(whole, tick % ticks * (uint64_t)pacer->period_ns / ticks,
	                           &due) ||
	    __builtin_add_overflow(due, (uint64_t)pacer->first_ns, &due) || due > INT64_MAX)
		return INT64_MAX;
	return (int64_t)due;
}

/* The last tick that is due at now_ns, which is not before the first. */
static uint64_t latest(const dxh_pacer *pacer, int64_t now_ns)
{
	uint64_t passed = (uint64_t)now_ns - (uint64_t)pacer->first_ns;
	uint64_t period = (uint64_t)pacer->period_ns, ticks = (uint64_t)ticks_of(pacer);

	/* The largest k of this period with k * period / ticks, rounded down, at most what
	 * has passed of it. */
	return passed / period * ticks + ((passed % period + 1) * ticks - 1) / period;
}

static dxh_status check(const dxh_pacer *pacer, const dxh_pace *pace)
{
	if (!pacer || !pace)
		return dxi_fail(DXH_EINVAL, "%s is NULL", pacer ? "pace" : "pacer");
	if (!is_usable(pacer))
		return dxi_fail(DXH_EINVAL,
		                "%" PRId64 " ticks in %" PRId64 " ns from %" PRId64 " are no rate",
		                pacer->ticks_per_period, pacer->period_ns, pacer->first_ns);
	return DXH_OK;
}

static dxh_status take(dxh_pacer *pacer, int64_t now_ns, dxh_pace *pace)
{
	uint64_t tick;

	if (pacer->first_ns == 0)
		pacer->first_ns = now_ns;
	if (now_ns < due_ns(pacer, pacer->next_tick))
		return DXH_EWAIT;
	tick = pacer->catch_up ? pacer->next_tick : latest(pacer, now_ns);
	*pace = (dxh_pace){
		.tick = tick,
		.due_ns = due_ns(pacer, tick),
		.late_ns = now_ns - due_ns(pacer, tick),
		.missed = tick - pacer->next_tick,
	};
	pacer->missed += pace->missed;
	pacer->next_tick = tick + 1;
	return DXH_OK;
}

static dxh_status fail_for_early(const dxh_pacer *pacer)
{
	return dxi_fail(DXH_EWAIT, "tick %" PRIu64 " is not due yet", pacer->next_tick);
}

dxh_status dxh_pacer_next(dxh_pacer *pacer, int64_t now_ns, dxh_pace *pace)
{
	dxh_status status = check(pacer, pace);

	if (status != DXH_OK)
		return status;
	return take(pacer, now_ns, pace) == DXH_OK ? DXH_OK : fail_for_early(pacer);
}

static void sleep_until(int64_t until_ns)
{
	struct timespec until = dxi_timespec(until_ns);
	int error;

	/* Ends when no signal comes in between. */
	do
		error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	while (error == EINTR);
}

dxh_status dxh_pacer_wait(dxh_pacer *pacer, int64_t deadline_ns, dxh_pace *pace)
{
	dxh_status status = check(pacer, pace);
	int64_t next_ns;

	if (status != DXH_OK)
		return status;
	if (take(pacer, dxh_now_ns(), pace) == DXH_OK)
		return DXH_OK;
	next_ns = due_ns(pacer, pacer->next_tick);
	if (next_ns > deadline_ns) {
		if (deadline_ns > 0)
			sleep_until(deadline_ns);
		return fail_for_early(pacer);
	}
	sleep_until(next_ns);
	return take(pacer, dxh_now_ns(), pace);
}

int64_t dxh_pacer_due_ns(const dxh_pacer *pacer)
{
	if (!pacer || !is_usable(pacer) || pacer->first_ns == 0)
		return 0;
	return due_ns(pacer, pacer->next_tick);
}
