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
