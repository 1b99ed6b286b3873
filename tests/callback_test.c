/* SPDX-License-Identifier: MIT */
/* Callbacks: on the thread that dispatches, and, where asked for, at once. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include <stdio.h>

enum { MANY = 100 };

static dxh_group *group;

static void setup(void)
{
	open_pair(test_endpoint(), NULL, NULL);
}

static void teardown(void)
{
	if (group)
		must(dxh_group_close(&group));
	close_pair();
}

TestSuite(callback, .init = setup, .fini = teardown, .timeout = 60);

static dxh_completion post_to(const char *subject, const void *body, size_t bytes)
{
	dxh_completion done;

	must(dxh_post_to(group, peer, subject, body, bytes, SOON, &done));
	return done;
}

/* ---- dispatched -------------------------------------------------------------------- */

typedef struct seen {
	_Atomic uint64_t calls;
	pthread_t thread;
	dxh_status status;
	unsigned more; /* to post from the callback */
} seen;

static void see(void *context, const dxh_event *event)
{
	seen *its = context;

	its->thread = pthread_self();
	its->status = event->reply.status;
	must(dxh_release(event->completion));
	if (its->more > 0) {
		its->more--;
		post_to("echo", "again", 5);
	}
	its->calls++;
}

Test(callback, runs_on_the_thread_that_dispatches)
{
	seen its = {0};
	size_t count = 9;

	must(dxh_group_open(&group));
	must_be(dxh_group_dispatch(group, see, &its, 8, DXH_FOREVER, &count), DXH_EEMPTY, "post");
	cr_expect_eq(count, 0);
	post_to("echo", "x", 1);
	must(dxh_group_dispatch(group, see, &its, 8, SOON, &count));
	cr_expect_eq(count, 1);
	cr_expect(pthread_equal(its.thread, pthread_self()));
	cr_expect_eq(its.status, DXH_OK);
	must_be(dxh_group_dispatch(group, NULL, &its, 8, SOON, &count), DXH_EINVAL, NULL);
	must_be(dxh_group_dispatch(group, see, &its, 0, SOON, &count), DXH_EINVAL, NULL);
	must_be(dxh_group_dispatch(NULL, see, &its, 1, SOON, &count), DXH_EINVAL, NULL);
}

Test(callback, may_post_to_the_group_it_is_dispatched_from)
{
	seen its = {.more = MANY};
	size_t count, sum = 0;

	must(dxh_group_open(&group));
	post_to("echo", "x", 1);
	while (dxh_group_dispatch(group, see, &its, 3, SOON, &count) == DXH_OK) {
		cr_expect_leq(count, 3);
		sum += count;
	}
	cr_expect_eq(sum, MANY + 1);
	cr_expect_eq(its.calls, MANY + 1);
}

Test(callback, next_hands_out_one)
{
	dxh_event event;

	must(dxh_group_open(&group));
	must_be(dxh_group_next(group, &event, DXH_FOREVER), DXH_EEMPTY, NULL);
	for (int i = 0; i < 3; i++)
		post_to("reject", "x", 1);
	for (int i = 0; i < 3; i++) {
		must(dxh_group_next(group, &event, SOON));
		cr_expect_eq(event.reply.status, DXH_EREJECTED);
		must(dxh_release(event.completion));
	}
	must_be(dxh_group_next(group, &event, DXH_FOREVER), DXH_EEMPTY, NULL);
}

/* ---- inline -------------------------------------------------------------------------- */

static dxh_status waited, polled, bound;

static void see_and_try_to_wait(void *context, const dxh_event *event)
{
	dxh_completion done;
	dxh_service *service;

	must(dxh_post(peer, "echo", "y", 1, SOON, &done));
	waited = dxh_await(done, SOON, NULL);
	polled = dxh_await(done, DXH_NOW, NULL);
	bound = dxh_service_bind(hub, "inproc://from-a-callback", NULL, &service);
	must(dxh_release(done));
	see(context, event);
}

Test(callback, an_inline_one_runs_on_the_io_thread_and_may_not_wait)
{
	seen its = {0};

	must(dxh_group_open_inline(see_and_try_to_wait, &its, &group));
	post_to("echo", "x", 1);
	test_wait_for(&its.calls, 1);
	cr_expect_not(pthread_equal(its.thread, pthread_self()));
	cr_expect_eq(waited, DXH_EDEADLK);
	cr_expect_eq(polled, DXH_EWAIT);
	cr_expect_eq(bound, DXH_EDEADLK);
	must(dxh_group_close(&group));
}

Test(callback, an_inline_one_may_post_on)
{
	seen its = {.more = MANY};

	must(dxh_group_open_inline(see, &its, &group));
	post_to("echo", "x", 1);
	test_wait_for(&its.calls, MANY + 1);
	must(dxh_group_close(&group));
	cr_expect_eq(its.calls, MANY + 1);
}

Test(callback, an_inline_group_is_not_waited_for)
{
	dxh_event event;
	size_t count;
	seen its = {0};

	must_be(dxh_group_open_inline(NULL, NULL, &group), DXH_EINVAL, NULL);
	must(dxh_group_open_inline(see, &its, &group));
	must_be(dxh_group_wait(group, 1, &event, 1, DXH_NOW, &count), DXH_ESTATE, "inline");
	must_be(dxh_group_next(group, &event, DXH_NOW), DXH_ESTATE, NULL);
	must_be(dxh_group_dispatch(group, see, &its, 1, DXH_NOW, NULL), DXH_ESTATE, NULL);
	cr_expect_eq(dxh_group_fd(group), -1);
}

static void see_slowly(void *context, const dxh_event *event)
{
	int64_t until_ns = dxh_in_ms(3);

	while (dxh_now_ns() < until_ns)
		;
	see(context, event);
}

Test(callback, a_slow_inline_one_is_counted)
{
	seen its = {0};
	dxh_hub_stats stats;

	must(dxh_group_open_inline(see_slowly, &its, &group));
	post_to("echo", "x", 1);
	test_wait_for(&its.calls, 1);
	/* Counted at the end of the turn that called, so before the next one's answer. */
	must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
	must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
	stats = test_stats(hub);
	cr_expect_eq(stats.callbacks, 1);
	cr_expect_eq(stats.callbacks_slow, 1);
}

static void close_own(void *context, const dxh_event *event)
{
	must(dxh_group_close(&group));
	see(context, event);
}

Test(callback, an_inline_group_may_be_closed_by_its_callback)
{
	seen its = {0};

	must(dxh_group_open_inline(close_own, &its, &group));
	post_to("echo", "x", 1);
	test_wait_for(&its.calls, 1);
	must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
	cr_expect_null(group);
	cr_expect_eq(its.calls, 1);
}

Test(callback, nothing_is_called_after_close)
{
	for (int round = 0; round < 200; round++) {
		seen its = {0};
		dxh_completion done[4];
		uint64_t calls;

		must(dxh_group_open_inline(see, &its, &group));
		for (int i = 0; i < 4; i++)
			done[i] = post_to("echo", "x", 1);
		if (round % 2)
			test_wait_for(&its.calls, 1);
		must(dxh_group_close(&group));
		calls = its.calls;
		/* What was not handed out is still the poster's. */
		for (int i = 0; i < 4; i++) {
			dxh_status status = dxh_await(done[i], SOON, NULL);

			cr_assert(status == DXH_OK || status == DXH_ESTALE);
			if (status == DXH_OK)
				must(dxh_release(done[i]));
		}
		cr_assert_eq(its.calls, calls);
	}
}

Test(callback, a_cancel_on_the_way_calls_inside_it)
{
	dxh_cancel_answer answer;
	int inside = 0;

	for (int round = 0; round < 500; round++) {
		seen its = {0};
		dxh_completion done;

		must(dxh_group_open_inline(see, &its, &group));
		done = post_to("echo", "x", 1);
		/* It may have ended, and been released by its callback. */
		if (dxh_cancel(done, &answer) == DXH_ESTALE)
			answer = DXH_CANCEL_TOO_LATE;
		if (answer == DXH_CANCELED) {
			cr_assert_eq(its.calls, 1, "called before cancel returned");
			cr_assert_eq(its.status, DXH_ECANCELED);
			inside++;
		}
		test_wait_for(&its.calls, 1);
		must(dxh_group_close(&group));
	}
	cr_expect_gt(inside, 0);
	printf("%d of 500 cancelled on their way\n", inside);
}
