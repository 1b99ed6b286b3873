/* SPDX-License-Identifier: MIT */
/* Three ways to wait for what was posted: each in turn, all of a window, whichever
 * comes first. Each runs at a pace that leaves the machine to others. */
#include "demo_client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* A round is what a style does between two sleeps. */
enum {
	ONE_ROUND_MS = 4,
	ALL_ROUND_MS = 50,
	ANY_ROUND_MS = 20,
	ANY_WINDOW = 8,
	MARKS_PER_BURST = 8
};

struct pace {
	int64_t due_ns;
	int64_t period_ns;
	uint64_t round;
};

/* Sleep until the next round; one that is over already is left out. */
static void next_round(struct pace *pace)
{
	int64_t now_ns = dxh_now_ns();
	struct timespec due;

	pace->round++;
	pace->due_ns += pace->period_ns;
	if (pace->due_ns < now_ns)
		pace->due_ns = now_ns;
	due.tv_sec = pace->due_ns / 1000000000;
	due.tv_nsec = pace->due_ns % 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static struct pace start_pace(const struct demo_worker *worker, int period_ms)
{
	/* Threads of one style start spread over the period. */
	struct pace pace = {.period_ns = (int64_t)period_ms * 1000000};

	pace.due_ns = dxh_now_ns() + pace.period_ns * worker->number / DEMO_THREADS;
	return pace;
}

static bool goes_on(const struct demo_worker *worker)
{
	return !atomic_load_explicit(&worker->facts->stop_client, memory_order_relaxed);
}

/* Notifications in a burst: they travel packed. */
static void mark(struct demo_worker *worker)
{
	struct demo_client *own = worker->own;

	for (unsigned i = 0; i < MARKS_PER_BURST; i++) {
		uint64_t number = worker->marks << 8 | worker->number;
		dxh_status status = dxh_notify(worker->peer, "event.mark", &number, sizeof number);

		if (status == DXH_OK) {
			worker->marks++;
			demo_add(&own->marks, 1);
			demo_add(&own->marks_sum, number);
			continue;
		}
		if (status != DXH_EFULL)
			demo_say("a notification was not accepted: %s", dxh_last_error());
		demo_add(&own->marks_refused, 1);
	}
}

/* ---- one by one ---------------------------------------------------------------------- */

static void make_rate(struct demo_worker *worker, struct demo_operation *operation, bool good)
{
	uint32_t rate = worker->facts->config.rate_hz;

	/* There and back, by a tenth. */
	if (worker->sequence / 250 % 2 == 0 && rate >= 10)
		rate -= rate / 10;
	operation->expect = good ? DEMO_EXPECT_ACCEPTED : DEMO_EXPECT_REJECTED;
	operation->body_bytes = (size_t)snprintf((char *)operation->body, sizeof operation->body,
	                                         "%u", good ? rate : 10u * DEMO_RATE_MAX);
	worker->sequence++;
}

static void make_stats(struct demo_worker *worker, struct demo_operation *operation)
{
	operation->expect = DEMO_EXPECT_STATS;
	operation->body_bytes = 0;
	worker->sequence++;
}

static void cancel(struct demo_worker *worker, struct demo_operation *operation)
{
	if (dxh_cancel(operation->done, NULL) != DXH_OK)
		demo_add(&worker->own->bad_handle, 1);
}

/* This wait ends before the request does, which goes on. */
static void wait_briefly(struct demo_worker *worker, const struct demo_operation *operation)
{
	if (dxh_await(operation->done, dxh_in_us(1), NULL) == DXH_EWAIT)
		demo_add(&worker->own->waits_over, 1);
}

static void one_request(struct demo_worker *worker)
{
	struct demo_operation *operation = &worker->operation[0];
	unsigned turn = (unsigned)(worker->sequence % 50);
	int64_t deadline_ns = dxh_in_ms(DEMO_REQUEST_MS);

	if (turn == 37)
		make_stats(worker, operation);
	else if (turn == 41 && worker->number == 0)
		make_rate(worker, operation, true);
	else if (turn == 43 && worker->number == 0)
		make_rate(worker, operation, false);
	else
		demo_make_echo(worker, operation);
	operation->hasty = turn == 7;
	if (operation->hasty)
		deadline_ns = dxh_in_us(1);
	if (!demo_post(worker, operation, NULL, deadline_ns))
		return;
	if (turn == 17)
		cancel(worker, operation);
	if (turn == 27)
		wait_briefly(worker, operation);
	demo_settle(worker, operation);
}

void demo_style_one_by_one(struct demo_worker *worker)
{
	struct pace pace = start_pace(worker, ONE_ROUND_MS);

	while (goes_on(worker)) {
		one_request(worker);
		if (pace.round % 25 == 0)
			mark(worker);
		next_round(&pace);
	}
}

/* ---- all of a window ------------------------------------------------------------------- */

/* Wait for N: what the group hands out at once is the whole window. */
static void settle_group(struct demo_worker *worker, dxh_group *group)
{
	dxh_event events[DEMO_WINDOW];
	size_t count = 0;
	dxh_status status;

	do {
		status = dxh_group_wait(group, DEMO_WINDOW, events, DEMO_WINDOW,
		                        dxh_in_ms(DEMO_REQUEST_MS), &count);
		for (size_t i = 0; i < count && (status == DXH_OK || status == DXH_EWAIT); i++)
			demo_settle_event(worker, events[i].user, &events[i]);
	} while (status == DXH_OK);
	/* Only what the group did not bring home is still open. */
	for (size_t i = 0; i < DEMO_WINDOW; i++)
		demo_settle(worker, &worker->operation[i]);
}

void demo_style_all(struct demo_worker *worker)
{
	struct pace pace = start_pace(worker, ALL_ROUND_MS);
	dxh_group *group = NULL;

	if (dxh_group_open(&group) != DXH_OK) {
		demo_say("cannot open a group: %s", dxh_last_error());
		return;
	}
	while (goes_on(worker)) {
		bool grouped = pace.round % 2 == 1;

		for (size_t i = 0; i < DEMO_WINDOW; i++)
			demo_make_echo(worker, &worker->operation[i]);
		if (demo_post_window(worker, DEMO_WINDOW, grouped ? group : NULL,
		                     dxh_in_ms(DEMO_REQUEST_MS))) {
			if (grouped)
				settle_group(worker, group);
			else
				for (size_t i = 0; i < DEMO_WINDOW; i++)
					demo_settle(worker, &worker->operation[i]);
		}
		if (pace.round % 2 == 0)
			mark(worker);
		next_round(&pace);
	}
	dxh_group_close(&group);
}

/* ---- whichever comes first ---------------------------------------------------------------- */

static struct demo_operation *find(struct demo_worker *worker, dxh_completion done)
{
	for (size_t i = 0; i < ANY_WINDOW; i++)
		if (worker->operation[i].open && worker->operation[i].done == done)
			return &worker->operation[i];
	return NULL;
}

static void settle_any(struct demo_worker *worker, dxh_group *group)
{
	dxh_event events[ANY_WINDOW];
	size_t count = 0;

	while (dxh_group_wait(group, 1, events, ANY_WINDOW, dxh_in_ms(2 * DEMO_REQUEST_MS),
	                      &count) == DXH_OK) {
		for (size_t i = 0; i < count; i++) {
			struct demo_operation *operation = find(worker, events[i].completion);

			if (operation != NULL)
				demo_settle_event(worker, operation, &events[i]);
			else
				demo_add(&worker->own->ended_twice, 1);
		}
	}
	for (size_t i = 0; i < ANY_WINDOW; i++)
		demo_settle(worker, &worker->operation[i]);
}

void demo_style_any(struct demo_worker *worker)
{
	struct pace pace = start_pace(worker, ANY_ROUND_MS);
	dxh_group *group = NULL;

	if (dxh_group_open(&group) != DXH_OK) {
		demo_say("cannot open a group: %s", dxh_last_error());
		return;
	}
	while (goes_on(worker)) {
		for (size_t i = 0; i < ANY_WINDOW; i++) {
			demo_make_echo(worker, &worker->operation[i]);
			demo_post(worker, &worker->operation[i], group, dxh_in_ms(DEMO_REQUEST_MS));
		}
		settle_any(worker, group);
		if (pace.round % 5 == 0)
			mark(worker);
		next_round(&pace);
	}
	dxh_group_close(&group);
}
