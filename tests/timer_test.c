/* SPDX-License-Identifier: MIT */
/* The wheel of timers against a plain array that is searched from end to end. */
#include "runtime/timer.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

static const int64_t TICK = DXI_WHEEL_TICK_NS;
enum { MANY = 100000 };

static dxi_wheel wheel;

/* splitmix64: the same numbers in every run. */
static uint64_t random_state;

static uint64_t random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* When the wheel may hand a timer out first: the tick that begins at or after
 * its deadline. */
static int64_t due_ns(int64_t start_ns, int64_t deadline_ns)
{
	int64_t after = deadline_ns <= start_ns ? 0 : deadline_ns - start_ns;

	return start_ns + (after + TICK - 1) / TICK * TICK;
}

Test(timer, zeroed_is_disarmed, .timeout = 30)
{
	dxi_timer timer = {0};

	cr_expect_not(dxi_timer_armed(&timer));
}

Test(timer, an_empty_wheel_has_nothing_to_wait_for, .timeout = 30)
{
	dxi_wheel_init(&wheel, 0);
	cr_expect_eq(dxi_wheel_next_ns(&wheel), DXH_FOREVER);
	cr_expect_null(dxi_wheel_expire(&wheel, INT64_MAX));
}

Test(timer, is_not_handed_out_before_its_deadline, .timeout = 30)
{
	dxi_timer timer = {0};

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &timer, 5 * TICK + 1);
	cr_expect_null(dxi_wheel_expire(&wheel, 5 * TICK));
	cr_expect_null(dxi_wheel_expire(&wheel, 6 * TICK - 1));
	cr_expect_eq(dxi_wheel_expire(&wheel, 6 * TICK), &timer);
	cr_expect_not(dxi_timer_armed(&timer));
}

Test(timer, comes_exactly_once, .timeout = 30)
{
	dxi_timer timer = {0};

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &timer, TICK);
	cr_expect_eq(dxi_wheel_expire(&wheel, 9 * TICK), &timer);
	cr_expect_null(dxi_wheel_expire(&wheel, 9 * TICK));
	cr_expect_eq(dxi_wheel_next_ns(&wheel), DXH_FOREVER);
}

Test(timer, a_deadline_in_the_past_is_due_at_once, .timeout = 30)
{
	dxi_timer timer = {0};

	dxi_wheel_init(&wheel, 100 * TICK);
	cr_assert_null(dxi_wheel_expire(&wheel, 300 * TICK));
	for (int64_t deadline = DXH_NOW; deadline <= 300 * TICK; deadline += 50 * TICK) {
		dxi_wheel_arm(&wheel, &timer, deadline);
		cr_expect_leq(dxi_wheel_next_ns(&wheel), 300 * TICK);
		cr_expect_eq(dxi_wheel_expire(&wheel, 300 * TICK), &timer);
	}
	dxi_wheel_arm(&wheel, &timer, INT64_MIN);
	cr_expect_eq(dxi_wheel_expire(&wheel, 300 * TICK), &timer);
}

Test(timer, a_disarmed_one_does_not_come, .timeout = 30)
{
	dxi_timer first = {0}, second = {0};

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &first, TICK);
	dxi_wheel_arm(&wheel, &second, TICK);
	dxi_wheel_disarm(&wheel, &first);
	dxi_wheel_disarm(&wheel, &first);
	cr_expect_eq(dxi_wheel_expire(&wheel, TICK), &second);
	cr_expect_null(dxi_wheel_expire(&wheel, INT64_MAX));
}

Test(timer, armed_anew_it_comes_at_the_new_deadline_only, .timeout = 30)
{
	dxi_timer timer = {0};

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &timer, TICK);
	dxi_wheel_arm(&wheel, &timer, 7000 * TICK);
	cr_expect_null(dxi_wheel_expire(&wheel, 6999 * TICK));
	cr_expect_eq(dxi_wheel_expire(&wheel, 7000 * TICK), &timer);
	cr_expect_null(dxi_wheel_expire(&wheel, INT64_MAX));
}

Test(timer, forever_disarms, .timeout = 30)
{
	dxi_timer timer = {0};

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &timer, TICK);
	dxi_wheel_arm(&wheel, &timer, DXH_FOREVER);
	cr_expect_not(dxi_timer_armed(&timer));
	cr_expect_null(dxi_wheel_expire(&wheel, INT64_MAX));
}

Test(timer, the_last_deadline_but_forever_is_kept, .timeout = 30)
{
	dxi_timer timer = {0};
	int64_t next;

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &timer, DXH_FOREVER - 1);
	next = dxi_wheel_next_ns(&wheel);
	cr_expect_lt(next, DXH_FOREVER);
	/* Its tick would begin beyond the end of time: all the wheel can do is
	 * keep it and never hand it out early. */
	while (next < DXH_FOREVER - 1) {
		cr_assert_null(dxi_wheel_expire(&wheel, next));
		next = dxi_wheel_next_ns(&wheel);
	}
	cr_expect(dxi_timer_armed(&timer));
	dxi_wheel_disarm(&wheel, &timer);
	cr_expect_eq(dxi_wheel_next_ns(&wheel), DXH_FOREVER);
}

Test(timer, those_of_one_tick_come_in_order_of_arming, .timeout = 30)
{
	dxi_timer timers[5] = {{0}};

	dxi_wheel_init(&wheel, 0);
	for (int i = 0; i < 5; i++)
		dxi_wheel_arm(&wheel, &timers[i], 5000 * TICK - i);
	for (int i = 0; i < 5; i++)
		cr_expect_eq(dxi_wheel_expire(&wheel, 5000 * TICK), &timers[i]);
}

Test(timer, may_be_armed_again_while_others_are_handed_out, .timeout = 30)
{
	dxi_timer beat = {0}, other = {0};
	int beats = 0;
	dxi_timer *due;

	dxi_wheel_init(&wheel, 0);
	dxi_wheel_arm(&wheel, &beat, 10 * TICK);
	dxi_wheel_arm(&wheel, &other, 55 * TICK);
	for (int64_t now = 0; now <= 100 * TICK; now += TICK)
		while ((due = dxi_wheel_expire(&wheel, now))) {
			if (due == &other)
				continue;
			beats++;
			dxi_wheel_arm(&wheel, &beat, now + 10 * TICK);
		}
	cr_expect_eq(beats, 10);
	cr_expect_not(dxi_timer_armed(&other));
}

Test(timer, a_clock_that_steps_back_hands_out_nothing_early, .timeout = 30)
{
	dxi_timer timer = {0};

	dxi_wheel_init(&wheel, 0);
	cr_assert_null(dxi_wheel_expire(&wheel, 128 * TICK));
	dxi_wheel_arm(&wheel, &timer, 130 * TICK);
	cr_expect_null(dxi_wheel_expire(&wheel, 10 * TICK));
	cr_expect_null(dxi_wheel_expire(&wheel, 129 * TICK));
	cr_expect_eq(dxi_wheel_expire(&wheel, 130 * TICK), &timer);
}

/* Ticks at which something happens in the wheel: digits roll over. */
static const int64_t edges[] = {0, 1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 262143, 262144};
enum { EDGES = sizeof edges / sizeof *edges };

/* Three timers armed at every combination of edges, the wheel standing at every
 * edge; then the clock visits each edge in turn. */
static void visit_edges(int64_t at, const int64_t *deadlines, size_t count)
{
	dxi_timer timers[3] = {{0}};
	size_t come = 0, expected = 0;

	dxi_wheel_init(&wheel, 0);
	cr_assert_null(dxi_wheel_expire(&wheel, at * TICK));
	for (size_t i = 0; i < count; i++)
		dxi_wheel_arm(&wheel, &timers[i], deadlines[i] * TICK);
	for (size_t e = 0; e < EDGES; e++) {
		int64_t now = edges[e] < at ? at : edges[e];
		dxi_timer *due;

		while ((due = dxi_wheel_expire(&wheel, now * TICK))) {
			cr_assert_leq(due->deadline_ns, now * TICK);
			come++;
		}
		expected = 0;
		for (size_t i = 0; i < count; i++)
			expected += deadlines[i] <= now;
		cr_assert_eq(come, expected);
	}
	cr_assert_eq(come, count);
}

Test(timer, every_three_edges_come_in_time_from_every_edge, .timeout = 60)
{
	for (size_t at = 0; at < EDGES; at++)
		for (size_t a = 0; a < EDGES; a++)
			for (size_t b = 0; b < EDGES; b++)
				for (size_t c = 0; c < EDGES; c++)
					visit_edges(edges[at],
					            (int64_t[]){edges[a], edges[b], edges[c]}, 3);
}

Test(timer, next_is_never_late_and_reaches_any_timer_in_a_few_steps, .timeout = 30)
{
	for (size_t at = 0; at < EDGES; at++) {
		for (int64_t deadline = 1; deadline < INT64_C(1) << 60; deadline *= 3) {
			dxi_timer timer = {0}, *due = NULL;
			int steps = 0;

			dxi_wheel_init(&wheel, 0);
			(void)dxi_wheel_expire(&wheel, edges[at] * TICK);
			dxi_wheel_arm(&wheel, &timer, deadline);
			while (!due) {
				int64_t next = dxi_wheel_next_ns(&wheel);

				cr_assert(next <= due_ns(0, deadline) || next <= edges[at] * TICK);
				due = dxi_wheel_expire(&wheel, next);
				cr_assert_leq(++steps, DXI_WHEEL_LEVELS);
			}
			cr_assert_eq(due, &timer);
		}
	}
}

/* ---- against a model ---- */

enum { MODEL_TIMERS = 200, MODEL_STEPS = 100000 };

static struct {
	dxi_timer timers[MODEL_TIMERS];
	bool armed[MODEL_TIMERS];
	int64_t deadline_ns[MODEL_TIMERS];
	int64_t start_ns, now_ns;
} model;

static void model_arm(void)
{
	size_t i = random_u64() % MODEL_TIMERS;
	/* Spread over all magnitudes, a few of them in the past. */
	int64_t span = (int64_t)(random_u64() >> (20 + random_u64() % 40));

	model.deadline_ns[i] = model.now_ns + span - (random_u64() % 8 == 0 ? 2 * span : 0);
	model.armed[i] = true;
	dxi_wheel_arm(&wheel, &model.timers[i], model.deadline_ns[i]);
}

static void model_disarm(void)
{
	size_t i = random_u64() % MODEL_TIMERS;

	model.armed[i] = false;
	dxi_wheel_disarm(&wheel, &model.timers[i]);
}

static void model_expire(void)
{
	int64_t next = dxi_wheel_next_ns(&wheel);
	dxi_timer *due;

	model.now_ns += (int64_t)(random_u64() >> (28 + random_u64() % 36));
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		int64_t at = due_ns(model.start_ns, model.deadline_ns[i]);

		if (model.armed[i])
			cr_assert(next <= at || next <= model.now_ns);
	}
	while ((due = dxi_wheel_expire(&wheel, model.now_ns))) {
		size_t i = (size_t)(due - model.timers);

		cr_assert(model.armed[i]);
		cr_assert_leq(due_ns(model.start_ns, model.deadline_ns[i]), model.now_ns);
		model.armed[i] = false;
	}
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		cr_assert_eq(model.armed[i], dxi_timer_armed(&model.timers[i]));
		if (model.armed[i])
			cr_assert_gt(due_ns(model.start_ns, model.deadline_ns[i]), model.now_ns);
	}
}

Test(timer, agrees_with_an_array_over_many_random_steps, .timeout = 60)
{
	random_state = 1;
	model.start_ns = model.now_ns = 123456789;
	dxi_wheel_init(&wheel, model.start_ns);
	for (int step = 0; step < MODEL_STEPS; step++) {
		switch (random_u64() % 8) {
		case 0:
		case 1:
			model_expire();
			break;
		case 2:
			model_disarm();
			break;
		default:
			model_arm();
		}
	}
}

Test(timer, a_hundred_thousand_come_in_order_and_in_time, .timeout = 60)
{
	dxi_timer *timers = calloc(MANY, sizeof *timers), *due;
	int64_t last = 0;
	size_t come = 0;

	cr_assert_not_null(timers);
	random_state = 2;
	dxi_wheel_init(&wheel, 0);
	for (size_t i = 0; i < MANY; i++)
		dxi_wheel_arm(&wheel, &timers[i],
		              (int64_t)(random_u64() % (10000 * (uint64_t)TICK)));
	for (int64_t now = 0; now <= 10000 * TICK; now += TICK / 2)
		while ((due = dxi_wheel_expire(&wheel, now))) {
			cr_assert_leq(due->deadline_ns, now);
			cr_assert_gt(due->deadline_ns, now - TICK);
			cr_assert_geq(due_ns(0, due->deadline_ns), last);
			last = due_ns(0, due->deadline_ns);
			come++;
		}
	cr_expect_eq(come, MANY);
	free(timers);
}

Test(timer, a_hundred_thousand_of_one_slot_come_all, .timeout = 60)
{
	dxi_timer *timers = calloc(MANY, sizeof *timers);
	size_t come = 0;

	cr_assert_not_null(timers);
	dxi_wheel_init(&wheel, 0);
	for (size_t i = 0; i < MANY; i++)
		dxi_wheel_arm(&wheel, &timers[i], 3600000 * TICK);
	cr_expect_null(dxi_wheel_expire(&wheel, 3600000 * TICK - 1));
	while (dxi_wheel_expire(&wheel, 3600000 * TICK))
		come++;
	cr_expect_eq(come, MANY);
	free(timers);
}
