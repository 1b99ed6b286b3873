/* SPDX-License-Identifier: MIT */
/* The pacer by a clock that the test makes up, and a little by the real one. */
#include "tests/support/support.h"

#include <dxh/pacer.h>

enum { MS = 1000000, S = 1000000000 };

static dxh_pace pace;

static dxh_pacer each_ms(void)
{
	return (dxh_pacer){.period_ns = MS, .first_ns = 5 * MS};
}

static void expect_tick(dxh_pacer *pacer, int64_t now_ns, uint64_t tick, uint64_t missed)
{
	must(dxh_pacer_next(pacer, now_ns, &pace));
	cr_expect_eq(pace.tick, tick, "tick %d at %d", (int)pace.tick, (int)now_ns);
	cr_expect_eq(pace.missed, missed, "%d missed at %d", (int)pace.missed, (int)now_ns);
}

Test(pacer, each_tick_comes_when_it_is_due_and_not_before)
{
	dxh_pacer pacer = each_ms();

	must_be(dxh_pacer_next(&pacer, 5 * MS - 1, &pace), DXH_EWAIT, "tick 0");
	for (uint64_t tick = 0; tick < 10; tick++) {
		int64_t due_ns = (5 + (int64_t)tick) * MS;

		cr_expect_eq(dxh_pacer_due_ns(&pacer), due_ns);
		must_be(dxh_pacer_next(&pacer, due_ns - 1, &pace), DXH_EWAIT, NULL);
		expect_tick(&pacer, due_ns, tick, 0);
		cr_expect_eq(pace.due_ns, due_ns);
		cr_expect_eq(pace.late_ns, 0);
	}
}

Test(pacer, being_late_moves_no_later_tick)
{
	dxh_pacer pacer = each_ms();

	expect_tick(&pacer, 5 * MS + 999999, 0, 0);
	cr_expect_eq(pace.late_ns, 999999);
	expect_tick(&pacer, 6 * MS, 1, 0);
	cr_expect_eq(pace.late_ns, 0);
}

Test(pacer, what_was_missed_is_told_and_not_made_up_for)
{
	dxh_pacer pacer = each_ms();

	expect_tick(&pacer, 5 * MS, 0, 0);
	expect_tick(&pacer, 9 * MS + 1, 4, 3);
	must_be(dxh_pacer_next(&pacer, 10 * MS - 1, &pace), DXH_EWAIT, NULL);
	expect_tick(&pacer, 10 * MS, 5, 0);
	expect_tick(&pacer, 105 * MS, 100, 94);
	cr_expect_eq(pacer.missed, 97);
	cr_expect_eq(pacer.next_tick, 101);
}

Test(pacer, who_asks_for_it_gets_every_tick)
{
	dxh_pacer pacer = each_ms();

	pacer.catch_up = 1;
	for (uint64_t tick = 0; tick <= 4; tick++)
		expect_tick(&pacer, 9 * MS, tick, 0);
	cr_expect_eq(pace.late_ns, 0);
	must_be(dxh_pacer_next(&pacer, 9 * MS, &pace), DXH_EWAIT, NULL);
	cr_expect_eq(pacer.missed, 0);
}

/* 60 a second: after a day exactly 60 * 86400 ticks, none early, none more than one
 * nanosecond late by rounding. */
Test(pacer, rates_that_are_no_whole_period_do_not_drift)
{
	dxh_pacer pacer = {.period_ns = S, .ticks_per_period = 60, .first_ns = 1};

	for (uint64_t tick = 0; tick < 180; tick++) {
		int64_t due_ns = dxh_pacer_due_ns(&pacer);

		cr_expect_leq((uint64_t)(due_ns - 1) * 60, tick * S);
		cr_expect_gt((uint64_t)due_ns * 60, tick * S);
		must_be(dxh_pacer_next(&pacer, due_ns - 1, &pace), DXH_EWAIT, NULL);
		expect_tick(&pacer, due_ns, tick, 0);
	}
	expect_tick(&pacer, INT64_C(86400) * S + 1, UINT64_C(60) * 86400,
	            UINT64_C(60) * 86400 - 180);
	cr_expect_eq(pace.late_ns, 0);
}

/* Every small rate, every moment: the tick taken is the last one that is due. */
Test(pacer, the_tick_taken_is_always_the_latest)
{
	for (int64_t period = 1; period <= 12; period++)
		for (int64_t ticks = 1; ticks <= period; ticks++)
			for (int64_t now = 1; now < 40; now++) {
				dxh_pacer pacer = {.period_ns = period,
				                   .ticks_per_period = ticks,
				                   .first_ns = 1};
				int64_t tick = 0;

				while (1 + (tick + 1) * period / ticks <= now)
					tick++;
				expect_tick(&pacer, now, (uint64_t)tick, (uint64_t)tick);
				cr_expect_eq(pace.due_ns, 1 + tick * period / ticks);
			}
}

Test(pacer, the_first_call_is_tick_zero_unless_told)
{
	dxh_pacer pacer = {.period_ns = MS};

	cr_expect_eq(dxh_pacer_due_ns(&pacer), 0);
	expect_tick(&pacer, 77, 0, 0);
	cr_expect_eq(dxh_pacer_due_ns(&pacer), 77 + MS);
}

Test(pacer, the_end_of_time_is_never_passed)
{
	dxh_pacer pacer = {.period_ns = INT64_MAX, .first_ns = MS};

	expect_tick(&pacer, MS, 0, 0);
	cr_expect_eq(dxh_pacer_due_ns(&pacer), INT64_MAX);
	must_be(dxh_pacer_next(&pacer, INT64_MAX - 1, &pace), DXH_EWAIT, NULL);
}

Test(pacer, rates_that_are_none_are_refused)
{
	static const dxh_pacer none[] = {
		{.period_ns = 0},
		{.period_ns = -1},
		{.period_ns = MS, .ticks_per_period = -1},
		{.period_ns = 10, .ticks_per_period = 11},
		{.period_ns = INT64_MAX / 2, .ticks_per_period = 3},
		{.period_ns = MS, .first_ns = -1},
	};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		dxh_pacer pacer = none[i];

		must_be(dxh_pacer_next(&pacer, S, &pace), DXH_EINVAL, "no rate");
		must_be(dxh_pacer_wait(&pacer, S, &pace), DXH_EINVAL, "no rate");
		cr_expect_eq(dxh_pacer_due_ns(&pacer), 0);
	}
	must_be(dxh_pacer_next(NULL, S, &pace), DXH_EINVAL, "pacer");
	must_be(dxh_pacer_wait(&(dxh_pacer){.period_ns = MS}, S, NULL), DXH_EINVAL, "pace");
	cr_expect_eq(dxh_pacer_due_ns(NULL), 0);
}

/* ---- by the real clock: only what holds on any machine ---------------------------- */

Test(pacer, a_wait_ends_no_earlier_than_its_tick)
{
	dxh_pacer pacer = {.period_ns = 2 * MS};
	uint64_t told = 0, taken = 0;

	for (int i = 0; i < 20; i++) {
		must(dxh_pacer_wait(&pacer, DXH_FOREVER, &pace));
		cr_expect_geq(dxh_now_ns(), pace.due_ns);
		cr_expect_geq(pace.late_ns, 0);
		told += pace.missed;
		taken++;
	}
	cr_expect_eq(pacer.missed, told);
	cr_expect_eq(pacer.next_tick, taken + told);
}

Test(pacer, a_wait_ends_at_its_deadline_when_that_comes_first)
{
	dxh_pacer pacer = {.period_ns = INT64_C(3600) * S};
	int64_t deadline_ns;

	must(dxh_pacer_wait(&pacer, DXH_NOW, &pace));
	deadline_ns = dxh_in_ms(20);
	must_be(dxh_pacer_wait(&pacer, deadline_ns, &pace), DXH_EWAIT, "tick 1");
	cr_expect_geq(dxh_now_ns(), deadline_ns);
	must_be(dxh_pacer_wait(&pacer, DXH_NOW, &pace), DXH_EWAIT, NULL);
}
