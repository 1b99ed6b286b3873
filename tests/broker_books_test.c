/* SPDX-License-Identifier: MIT */
/* The smaller books of a broker: what each client holds, who reads what, who does too much. */
#include "runtime/broker/consumers.h"
#include "runtime/broker/holdings.h"
#include "runtime/floods.h"

#include <criterion/criterion.h>

#include <string.h>

static const int64_t MS = 1000000;

/* splitmix64: the same numbers in every run. */
static uint64_t random_state = 3;

static uint64_t random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* ---- holdings ---- */

Test(broker_books, holdings_agree_with_an_array_in_any_order, .timeout = 30)
{
	enum { HOLDERS = 300, MOST = 3 };
	dxi_holding most = {.channels = MOST};
	uint32_t held[HOLDERS] = {0}, holders;
	dxi_holdings holdings;

	dxi_holdings_init(&holdings, most);
	for (int round = 0; round < 200000; round++) {
		uint64_t holder = random_u64() % HOLDERS;
		dxi_holding one = {.holder = holder * 64, .channels = 1};

		if (random_u64() % 2) {
			dxh_status expected = held[holder] == MOST ? DXH_ELIMIT : DXH_OK;

			cr_assert_eq(dxi_holdings_take(&holdings, &one), expected);
			held[holder] += expected == DXH_OK;
		} else if (held[holder] > 0) {
			dxi_holdings_give(&holdings, &one);
			held[holder]--;
		}
	}
	holders = 0;
	for (int i = 0; i < HOLDERS; i++) {
		dxi_holding one = {.holder = (uint64_t)i * 64, .channels = 1};

		holders += held[i] > 0;
		while (held[i]-- > 0)
			dxi_holdings_give(&holdings, &one);
	}
	cr_expect_gt(holders, 0);
	cr_expect_eq(holdings.count, 0);
	for (uint32_t i = 0; i < holdings.capacity; i++)
		cr_expect_eq(holdings.table[i].channels, 0);
	dxi_holdings_fini(&holdings);
}

Test(broker_books, each_kind_of_holding_has_its_own_limit, .timeout = 30)
{
	dxi_holding most = {.channels = 9, .consumers = 2, .schema_bytes = 100};
	dxi_holding more = {.holder = 1, .channels = 1, .consumers = 1, .schema_bytes = 60};
	dxi_holdings holdings;

	dxi_holdings_init(&holdings, most);
	cr_expect_eq(dxi_holdings_take(&holdings, &more), DXH_OK);
	cr_expect_eq(dxi_holdings_take(&holdings, &more), DXH_ELIMIT);
	cr_expect(strstr(dxh_last_error(), "60 bytes of schemas"), "%s", dxh_last_error());
	more.schema_bytes = 0;
	cr_expect_eq(dxi_holdings_take(&holdings, &more), DXH_OK);
	cr_expect_eq(dxi_holdings_take(&holdings, &more), DXH_ELIMIT);
	cr_expect(strstr(dxh_last_error(), "2 consumers"), "%s", dxh_last_error());
	more.holder = 2;
	cr_expect_eq(dxi_holdings_take(&holdings, &more), DXH_OK, "another one");
	dxi_holdings_fini(&holdings);
}

/* ---- consumers ---- */

static dxi_consumers consumers;

static dxh_status join(const char *channel, uint64_t uid, int64_t now_ms)
{
	dxi_reader_claim claim = {.info = {.uid = uid, .pid = 1}};

	strcpy(claim.channel, channel);
	return dxi_consumers_register(&consumers, &claim, now_ms * MS);
}

static void open_consumers(uint32_t max)
{
	dxi_presence_rules rules = {.beat_ms = 100, .beats_missed = 3};

	cr_assert_eq(dxi_consumers_init(&consumers, max, rules), DXH_OK);
}

Test(broker_books, consumers_of_a_channel_come_in_pages_of_any_size, .timeout = 30)
{
	enum { COUNT = 20 };
	dxh_channel_consumer page[COUNT];

	open_consumers(3 * COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		cr_assert_eq(join("a", UINT64_MAX - 7 * i % COUNT, 0), DXH_OK);
		cr_assert_eq(join("b", 1 + 7 * i % COUNT, 0), DXH_OK);
		cr_assert_eq(join("b/c", 1 + i, 0), DXH_OK);
	}
	cr_expect_eq(dxi_consumers_count(&consumers, "a"), COUNT, "also the largest number");
	cr_expect_eq(dxi_consumers_count(&consumers, "b"), COUNT);
	cr_expect_eq(dxi_consumers_count(&consumers, "b/"), 0);
	cr_expect_eq(dxi_consumers_count(&consumers, "z"), 0);
	for (size_t size = 1; size <= COUNT; size++) {
		uint64_t next = 1;
		bool more = true;

		while (more) {
			size_t count =
				dxi_consumers_page(&consumers, "b", next - 1, 0, page, size, &more);

			for (size_t i = 0; i < count; i++)
				cr_assert_eq(page[i].uid, next++);
		}
		cr_assert_eq(next, COUNT + 1);
	}
	dxi_consumers_fini(&consumers);
}

Test(broker_books, a_full_book_of_consumers_refuses_and_forgets_the_dead, .timeout = 30)
{
	dxi_reader_word word = {.channel = "a", .consumer = 1, .pid = 2};

	open_consumers(2);
	cr_expect_eq(join("a", 1, 0), DXH_OK);
	cr_expect_eq(join("a", 2, 100), DXH_OK);
	cr_expect_eq(join("a", 3, 100), DXH_ELIMIT);
	cr_expect_eq(dxi_consumers_deregister(&consumers, &word), DXH_ENOTOWNER);
	cr_expect(dxi_consumers_beat(&consumers, &word, 299 * MS));
	dxi_consumers_expire(&consumers, 401 * MS);
	cr_expect_eq(consumers.count, 1);
	word.consumer = 2;
	cr_expect_not(dxi_consumers_beat(&consumers, &word, 401 * MS));
	cr_expect_eq(join("a", 3, 401), DXH_OK);
	dxi_consumers_fini(&consumers);
}

Test(broker_books, what_another_client_says_in_the_name_of_a_consumer_is_not_believed,
     .timeout = 30)
{
	dxi_reader_claim mine = {.channel = "a", .info = {.uid = 1, .pid = 7}, .holder = 5};
	dxi_reader_claim theirs = mine;
	dxi_reader_word word = {.channel = "a", .consumer = 1, .pid = 7, .lost = 9, .corrupt = 9};
	dxh_channel_consumer seen;
	bool more;

	open_consumers(3);
	cr_assert_eq(dxi_consumers_register(&consumers, &mine, 0), DXH_OK);
	theirs.holder = word.holder = 6;
	cr_expect_eq(dxi_consumers_register(&consumers, &theirs, 0), DXH_ENOTOWNER);
	cr_expect_not(dxi_consumers_beat(&consumers, &word, 0));
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 0);
	cr_expect_eq(dxi_consumers_deregister(&consumers, &word), DXH_ENOTOWNER);
	cr_assert_eq(dxi_consumers_page(&consumers, "a", 0, 0, &seen, 1, &more), 1);
	cr_expect_eq(seen.lost + seen.corrupt, 0);
	word.holder = 5;
	cr_expect(dxi_consumers_beat(&consumers, &word, 0));
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 9);
	cr_expect_eq(dxi_consumers_deregister(&consumers, &word), DXH_OK);
	dxi_consumers_fini(&consumers);
}

Test(broker_books, broken_items_are_told_as_sums, .timeout = 30)
{
	dxi_reader_word word = {.channel = "a", .consumer = 1, .corrupt = 5};

	open_consumers(2);
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 0, "of a stranger");
	cr_expect_eq(join("a", 1, 0), DXH_OK);
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 5);
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 0);
	word.corrupt = 4;
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 0, "a sum does not fall");
	word.corrupt = 7;
	cr_expect_eq(dxi_consumers_broken(&consumers, &word), 2);
	dxi_consumers_fini(&consumers);
}

/* ---- floods ---- */

Test(broker_books, who_does_too_much_is_told_once_a_period_among_many, .timeout = 30)
{
	enum { LIMIT = 100, OTHERS = 1000 };
	dxi_floods floods = {.since_ns = 0};
	int told = 0, wrongly = 0;

	for (int i = 0; i < 10 * LIMIT; i++) {
		told += dxi_floods_count(&floods, 1, LIMIT, 1000 * MS, MS);
		for (int other = 0; other < 5; other++)
			wrongly += dxi_floods_count(&floods, 2 + random_u64() % OTHERS, LIMIT,
			                            1000 * MS, MS);
	}
	cr_expect_eq(told, 1, "a sixth of all is noticed, and said once");
	cr_expect_eq(wrongly, 0);
	for (int i = 0; i < LIMIT - 1; i++)
		cr_expect_not(dxi_floods_count(&floods, 1, LIMIT, 1000 * MS, 1001 * MS));
	cr_expect(dxi_floods_count(&floods, 1, LIMIT, 1000 * MS, 1001 * MS), "a new period");
}
