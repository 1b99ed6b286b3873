/* SPDX-License-Identifier: MIT */
/* Credits and the inbox: bounded, nothing lost, nobody left asleep. */
#include "queue/credit.h"
#include "queue/inbox.h"
#include "tests/support/support.h"

#include <pthread.h>

static dxi_credit credit;

Test(credit, is_refused_below_zero_and_given_back, .timeout = 5)
{
	dxi_credit_init(&credit, (dxi_amount){3, 10});
	cr_expect(dxi_credit_take(&credit, (dxi_amount){2, 2}));
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){2, 2}));
	cr_expect(dxi_credit_take(&credit, (dxi_amount){1, 1}));
	cr_expect_not(dxi_credit_take_until(&credit, (dxi_amount){1, 1}, DXH_NOW));
	cr_expect_not(dxi_credit_take_until(&credit, (dxi_amount){1, 1}, dxh_in_us(50)));
	dxi_credit_give(&credit, (dxi_amount){3, 3});
	cr_expect(dxi_credit_take(&credit, (dxi_amount){3, 3}));
}

static void *take_ten_thousand(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10000; i++) {
		cr_assert(dxi_credit_take_until(&credit, (dxi_amount){1, 1}, DXH_FOREVER));
		dxi_credit_give(&credit, (dxi_amount){1, 1});
	}
	return NULL;
}

Test(credit, nobody_waits_for_credit_that_is_there, .timeout = 60)
{
	pthread_t threads[6];

	dxi_credit_init(&credit, (dxi_amount){2, 2});
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, take_ten_thousand, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	cr_expect(dxi_credit_take(&credit, (dxi_amount){2, 2}));
}

static dxi_inbox *inbox;

Test(inbox, holds_what_it_was_opened_for_and_says_when_it_is_full, .timeout = 5)
{
	int items[9];
	int put = 0;
	void *item;

	inbox = dxi_inbox_open(8);
	while (dxi_inbox_put(inbox, &items[put % 9]))
		put++;
	cr_expect_geq(put, 8);
	must(dxi_inbox_take(inbox, DXH_NOW, &item));
	cr_expect_eq(item, &items[0]);
	cr_expect(dxi_inbox_put(inbox, &items[0]));
	dxi_inbox_free(inbox);
}

Test(inbox, take_waits_until_its_deadline, .timeout = 5)
{
	void *item;

	inbox = dxi_inbox_open(8);
	must_be(dxi_inbox_take(inbox, DXH_NOW, &item), DXH_EWAIT, NULL);
	must_be(dxi_inbox_take(inbox, dxh_in_us(100), &item), DXH_EWAIT, NULL);
	dxi_inbox_free(inbox);
}

static void *take_until_closed(void *taken)
{
	void *item;

	while (dxi_inbox_take(inbox, DXH_FOREVER, &item) == DXH_OK)
		++*(_Atomic uint64_t *)taken;
	return NULL;
}

Test(inbox, many_takers_get_each_item_once_and_leave_at_close, .timeout = 60)
{
	enum { ITEMS = 100000 };
	static _Atomic uint64_t taken;
	pthread_t threads[6];
	int item;

	inbox = dxi_inbox_open(64);
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, take_until_closed, (void *)&taken);
	for (int i = 0; i < ITEMS;) {
		if (dxi_inbox_put(inbox, &item))
			i++;
		dxi_inbox_signal(inbox);
	}
	test_wait_for(&taken, ITEMS);
	dxi_inbox_close(inbox);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(taken, ITEMS);
	cr_expect_null(dxi_inbox_rest(inbox));
	dxi_inbox_free(inbox);
}

/* Some take one by one, some in steps; each item is a number, and is seen once. */
enum { NUMBERS = 200000, STEP = 7 };
static _Atomic uint32_t seen[NUMBERS];
static _Atomic uint64_t seen_in_all;

static void see(uintptr_t first, void *const *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uintptr_t number = (uintptr_t)items[i] - 1;

		/* What one step takes is in order, and behind what it took before. */
		cr_assert(number < NUMBERS && number >= first);
		first = number + 1;
		atomic_fetch_add(&seen[number], 1);
	}
	atomic_fetch_add(&seen_in_all, count);
}

static void *take_steps_until_closed(void *step)
{
	void *items[1 + STEP];

	while (dxi_inbox_take(inbox, DXH_FOREVER, &items[0]) == DXH_OK)
		see(0, items, 1 + dxi_inbox_take_more(inbox, items + 1, (uint32_t)(uintptr_t)step));
	return NULL;
}

Test(inbox, steps_take_each_item_once_and_in_order, .timeout = 60)
{
	pthread_t threads[4];

	inbox = dxi_inbox_open(64);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, take_steps_until_closed,
		               (void *)(i == 0 ? (uintptr_t)0 : (uintptr_t)STEP));
	for (uintptr_t i = 0; i < NUMBERS;) {
		if (dxi_inbox_put(inbox, (void *)(i + 1)))
			i++;
		dxi_inbox_signal(inbox);
	}
	test_wait_for(&seen_in_all, NUMBERS);
	dxi_inbox_close(inbox);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < NUMBERS; i++)
		cr_assert_eq(seen[i], 1);
	dxi_inbox_free(inbox);
}
