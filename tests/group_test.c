/* SPDX-License-Identifier: MIT */
/* Groups: any, N, all; each event once; the descriptor. */
#include "tests/support/slots.h"

#include <poll.h>
#include <pthread.h>

Test(group, an_empty_group_says_so_at_once, .timeout = 10)
{
	dxh_group *group;
	dxh_event event;
	size_t count;

	must(dxh_group_open(&group));
	must_be(dxh_group_wait(group, 1, &event, 1, DXH_FOREVER, &count), DXH_EEMPTY, "post");
	must_be(dxh_group_wait(group, 2, &event, 1, DXH_NOW, &count), DXH_EINVAL, NULL);
	must_be(dxh_group_wait(NULL, 1, &event, 1, DXH_NOW, &count), DXH_EINVAL, NULL);
	must(dxh_group_close(&group));
	must_be(dxh_group_close(&group), DXH_EINVAL, NULL);
	cr_expect_eq(dxh_group_fd(NULL), -1);
}

Test(group, hands_each_out_once_in_the_order_of_their_ends, .timeout = 10)
{
	enum { COUNT = 5 };
	dxi_pool *pool = open_pool(COUNT);
	dxi_slot *slots[COUNT];
	dxh_completion done[COUNT];
	dxh_event events[COUNT];
	dxh_group *group;
	size_t count;

	must(dxh_group_open(&group));
	for (int i = 0; i < COUNT; i++) {
		slots[i] = begin(pool, group, &done[i]);
		dxi_completion_claim(slots[i]);
	}
	must_be(dxh_group_wait(group, 1, events, COUNT, DXH_NOW, &count), DXH_EWAIT, NULL);
	for (int i = 0; i < 3; i++)
		complete(slots[2 - i], DXH_OK);
	must(dxh_group_wait(group, 2, events, 2, DXH_FOREVER, &count));
	cr_assert_eq(count, 2);
	cr_expect_eq(events[0].completion, done[2]);
	cr_expect_eq(events[1].completion, done[1]);
	must_be(dxh_group_wait(group, 2, events, COUNT, dxh_in_ms(1), &count), DXH_EWAIT, NULL);
	cr_expect_eq(count, 1, "what came is handed out all the same");
	complete(slots[3], DXH_OK);
	complete(slots[4], DXH_OK);
	must(dxh_group_wait(group, COUNT, events, COUNT, DXH_FOREVER, &count));
	cr_expect_eq(count, 2, "nothing more is outstanding");
	must_be(dxh_group_wait(group, 1, events, 1, DXH_FOREVER, &count), DXH_EEMPTY, NULL);
	for (int i = 0; i < COUNT; i++)
		must(dxh_release(done[i]));
	must(dxh_group_close(&group));
	cr_expect_eq(dxi_pool_out(pool), 0);
}

Test(group, a_released_completion_is_not_handed_out, .timeout = 10)
{
	dxi_pool *pool = open_pool(2);
	dxh_completion done;
	dxh_event event;
	dxh_group *group;
	size_t count;
	dxi_slot *slot;

	must(dxh_group_open(&group));
	slot = begin(pool, group, &done);
	dxi_completion_claim(slot);
	complete(slot, DXH_OK);
	must(dxh_release(done));
	cr_expect_eq(dxi_pool_out(pool), 1, "the group still points at it");
	must_be(dxh_group_wait(group, 1, &event, 1, DXH_NOW, &count), DXH_EEMPTY, NULL);
	cr_expect_eq(dxi_pool_out(pool), 0);
	must(dxh_group_close(&group));
}

Test(group, a_cancelled_completion_comes_home_too, .timeout = 10)
{
	dxi_pool *pool = open_pool(2);
	dxh_completion done;
	dxh_event event;
	dxh_group *group;
	size_t count;
	dxi_slot *slot;

	must(dxh_group_open(&group));
	slot = begin(pool, group, &done);
	must(dxh_cancel(done, NULL));
	must(dxh_group_wait(group, 1, &event, 1, DXH_FOREVER, &count));
	cr_expect_eq(event.reply.status, DXH_ECANCELED);
	must(dxh_release(done));
	dxi_completion_claim(slot);
	must(dxh_group_close(&group));
	cr_expect_eq(dxi_pool_out(pool), 0);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

Test(group, its_descriptor_is_readable_while_events_wait, .timeout = 10)
{
	dxi_pool *pool = open_pool(2);
	dxh_completion done[2];
	dxh_event event;
	dxh_group *group;
	dxi_slot *slots[2];
	size_t count;
	int fd;

	must(dxh_group_open(&group));
	fd = dxh_group_fd(group);
	cr_assert_neq(fd, -1);
	cr_expect_eq(dxh_group_fd(group), fd);
	for (int i = 0; i < 2; i++) {
		slots[i] = begin(pool, group, &done[i]);
		dxi_completion_claim(slots[i]);
	}
	must_be(dxh_group_wait(group, 1, &event, 1, DXH_NOW, &count), DXH_EWAIT, NULL);
	cr_expect_not(is_readable(fd));
	complete(slots[0], DXH_OK);
	complete(slots[1], DXH_OK);
	cr_expect(is_readable(fd));
	must(dxh_group_wait(group, 1, &event, 1, DXH_NOW, &count));
	cr_expect(is_readable(fd), "one more waits");
	must(dxh_group_wait(group, 1, &event, 1, DXH_NOW, &count));
	must_be(dxh_group_wait(group, 1, &event, 1, DXH_NOW, &count), DXH_EEMPTY, NULL);
	cr_expect_not(is_readable(fd), "nothing waits any more");
	for (int i = 0; i < 2; i++)
		must(dxh_release(done[i]));
	/* And it tells of the next one. */
	slots[0] = begin(pool, group, &done[0]);
	dxi_completion_claim(slots[0]);
	cr_expect_not(is_readable(fd));
	complete(slots[0], DXH_OK);
	cr_expect(is_readable(fd));
	must(dxh_group_close(&group));
}

static void *unexpect(void *group)
{
	dxi_group_unexpect(group, 1);
	return NULL;
}

Test(group, who_waits_hears_that_nothing_was_posted_after_all, .timeout = 20)
{
	dxh_event event;
	dxh_group *group;
	pthread_t thread;
	size_t count;

	for (int i = 0; i < 200; i++) {
		must(dxh_group_open(&group));
		must(dxi_group_expect(group, 1));
		pthread_create(&thread, NULL, unexpect, group);
		must_be(dxh_group_wait(group, 1, &event, 1, DXH_FOREVER, &count), DXH_EEMPTY, NULL);
		pthread_join(thread, NULL);
		must(dxh_group_close(&group));
	}
}

static void *complete_many(void *context)
{
	dxi_slot **slots = context;

	for (int i = 0; i < 1000; i++) {
		dxi_completion_complete(slots[i], DXH_OK, DXH_REPLIED, NULL, 0, false, &wakes);
		if (i % 7 == 0)
			dxi_wakes_issue(&wakes);
	}
	dxi_wakes_issue(&wakes);
	return NULL;
}

Test(group, sleeping_for_any_misses_none_of_a_thousand, .timeout = 60)
{
	static dxi_slot *slots[1000];
	dxi_pool *pool = open_pool(1000);
	dxh_group *group;
	pthread_t thread;
	size_t seen = 0, count;
	dxh_event events[16];
	dxh_status status;

	must(dxh_group_open(&group));
	for (int i = 0; i < 1000; i++) {
		dxh_completion done;

		slots[i] = begin(pool, group, &done);
		dxi_completion_claim(slots[i]);
	}
	pthread_create(&thread, NULL, complete_many, slots);
	while ((status = dxh_group_wait(group, 1, events, 16, DXH_FOREVER, &count)) == DXH_OK)
		for (size_t i = 0; i < count; i++, seen++)
			must(dxh_release(events[i].completion));
	cr_expect_eq(status, DXH_EEMPTY);
	cr_expect_eq(seen, 1000);
	pthread_join(thread, NULL);
	must(dxh_group_close(&group));
	cr_expect_eq(dxi_pool_out(pool), 0);
}

Test(group, closing_it_leaves_its_completions_alone, .timeout = 10)
{
	dxi_pool *pool = open_pool(2);
	dxh_completion ended, open;
	dxh_group *group;
	dxi_slot *slots[2];

	must(dxh_group_open(&group));
	slots[0] = begin(pool, group, &ended);
	slots[1] = begin(pool, group, &open);
	dxi_completion_claim(slots[0]);
	dxi_completion_claim(slots[1]);
	complete(slots[0], DXH_OK);
	must(dxh_group_close(&group));
	must(dxh_await(ended, DXH_NOW, NULL));
	complete(slots[1], DXH_OK);
	must(dxh_await(open, DXH_NOW, NULL));
	must(dxh_release(ended));
	must(dxh_release(open));
	cr_expect_eq(dxi_pool_out(pool), 0);
}
