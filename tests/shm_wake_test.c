/* SPDX-License-Identifier: MIT */
/* Which publishes ask the kernel to wake somebody, and which sleeps end by themselves.
 * That together they miss nothing is shown by tests/model/wake.pml. */
#include "tests/shm_pair.h"

#include "shm/wake.h"

#include <pthread.h>

static const int64_t HOUR_NS = (int64_t)3600 * DXI_NS_PER_S;

static uint64_t calls(void)
{
	dxh_producer_stats stats;

	must(dxh_producer_stats_get(producer, &stats));
	return stats.wakes;
}

Test(shm_wake, a_call_that_wakes_nobody_begins_a_quiet_from_before_the_item, .timeout = 20)
{
	int64_t now_ns = dxh_now_ns() - HOUR_NS;
	dxi_quiet quiet = {0};
	uint64_t before;
	uint32_t word;

	open_usual();
	before = calls();
	word = dxi_wake_seen(&producer->block);
	dxi_wake_for_item(&producer->block, now_ns, &quiet);
	cr_expect_eq(calls(), before + 1);
	cr_expect_eq(quiet.until_ns, now_ns + DXI_WAKE_QUIET_NS);
	cr_expect_eq(dxi_wake_seen(&producer->block), word + 1);
	close_both();
}

Test(shm_wake, in_the_quiet_the_word_changes_without_a_call, .timeout = 20)
{
	int64_t now_ns = dxh_now_ns();
	dxi_quiet quiet = {.until_ns = now_ns + HOUR_NS};
	uint64_t before;
	uint32_t word;

	open_usual();
	before = calls();
	word = dxi_wake_seen(&producer->block);
	for (int i = 0; i < 10; i++)
		dxi_wake_for_item(&producer->block, now_ns, &quiet);
	cr_expect_eq(calls(), before);
	cr_expect_eq(dxi_wake_seen(&producer->block), word + 10);
	close_both();
}

/* Where the counter is known it decides, whatever the clock would say. */
Test(shm_wake, by_the_counter_a_quiet_ends_and_lasts, .timeout = 20)
{
	int64_t now_ns = dxh_now_ns();
	dxi_quiet quiet = {.until_ns = now_ns + HOUR_NS, .until_ticks = UINT64_MAX};
	uint64_t before;

	open_usual();
	before = calls();
	dxi_wake_for_item(&producer->block, now_ns, &quiet);
	cr_expect_eq(calls(), before);
	quiet.until_ticks = 1;
	dxi_wake_for_item(&producer->block, now_ns, &quiet);
	cr_expect_eq(calls(), before + (dxi_ticks_now() > 0 ? 1 : 0));
	close_both();
}

Test(shm_wake, a_time_from_before_the_item_does_not_show_that_it_is_quiet_still, .timeout = 20)
{
	int64_t old_ns = dxh_now_ns() - HOUR_NS;
	dxi_quiet quiet = {.until_ns = old_ns + DXI_NS_PER_S};
	uint64_t before;

	open_usual();
	before = calls();
	dxi_wake_for_item(&producer->block, old_ns, &quiet);
	cr_expect_eq(calls(), before + 1);
	close_both();
}

Test(shm_wake, the_first_sleep_ends_by_itself_and_again_after_news, .timeout = 20)
{
	dxi_wake_steps steps = {0};
	uint32_t seen;

	open_usual();
	for (int i = 0; i < 3; i++) {
		/* Behind news: FOREVER is over soon, and is then a step that was made. */
		seen = dxi_wake_seen(&consumer->block);
		while (steps.made == 0 || steps.seen != seen)
			dxi_wake_wait(&consumer->block, seen, DXH_FOREVER, &steps);
		cr_expect_eq(steps.made, 1);
		dxi_wake(&producer->block);
	}
	close_both();
}

static void *read_one(void *unused)
{
	(void)unused;
	must(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info));
	return NULL;
}

Test(shm_wake, who_sleeps_gets_the_next_item_whenever_it_comes, .timeout = 60)
{
	enum { ROUNDS = 2000 };
	dxh_block_config config = usual_config();
	pthread_t thread;

	open_both(config, (dxh_consumer_config){0});
	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct item next = item_of(i);

		pthread_create(&thread, NULL, read_one, NULL);
		for (uint64_t spin = 0; spin < i * 37 % 500; spin++)
			(void)dxh_now_ns();
		must(dxh_publish(producer, &next, sizeof next, DXH_NOW));
		pthread_join(thread, NULL);
		cr_assert_eq(info.ticket, i);
	}
	close_both();
}

/* ---- loud producers ---- */

static _Atomic bool is_enough;

static void *sleep_again_and_again(void *unused)
{
	(void)unused;
	while (!atomic_load(&is_enough))
		(void)dxi_futex_wait(&dxi_block_header(&consumer->block)->wake,
		                     dxi_wake_seen(&consumer->block), dxh_in_ms(1),
		                     DXI_FUTEX_SHARED);
	return NULL;
}

/* Items that come long after each other, until one of them wakes somebody. */
static void become_loud(void)
{
	pthread_t sleeper;

	atomic_store(&is_enough, false);
	pthread_create(&sleeper, NULL, sleep_again_and_again, NULL);
	while (!dxi_wake_is_loud(&producer->block))
		dxi_wake_for_item(&producer->block, dxh_now_ns(), &(dxi_quiet){0});
	atomic_store(&is_enough, true);
	pthread_join(sleeper, NULL);
}

Test(shm_wake, a_producer_is_loud_from_when_it_woke_somebody, .timeout = 20)
{
	dxi_quiet quiet = {0};

	open_usual();
	cr_expect_not(dxi_wake_is_loud(&consumer->block));
	dxi_wake_for_item(&producer->block, dxh_now_ns(), &quiet);
	cr_expect_not(dxi_wake_is_loud(&consumer->block), "nobody was there");
	become_loud();
	cr_expect(dxi_wake_is_loud(&consumer->block));
	close_both();
}

Test(shm_wake, who_is_loud_changes_the_word_and_calls_once_more_before_a_quiet, .timeout = 20)
{
	dxi_quiet quiet = {0};
	uint64_t before;
	uint32_t word;

	open_usual();
	become_loud();
	before = calls();
	word = dxi_wake_seen(&producer->block);
	dxi_wake_for_item(&producer->block, dxh_now_ns(), &quiet);
	cr_expect_eq(calls(), before + 2);
	cr_expect_eq(dxi_wake_seen(&producer->block), word + 2);
	cr_expect_not(dxi_wake_is_loud(&consumer->block));
	cr_expect_neq(quiet.until_ns, 0);
	/* It is taken back once. */
	dxi_wake_for_item(&producer->block, dxh_now_ns(), &(dxi_quiet){0});
	cr_expect_eq(calls(), before + 3);
	cr_expect_eq(dxi_wake_seen(&producer->block), word + 3);
	close_both();
}

Test(shm_wake, no_sleep_ends_by_itself_while_the_producer_is_loud, .timeout = 20)
{
	dxi_wake_steps steps = {0};
	int64_t deadline_ns;

	open_usual();
	become_loud();
	deadline_ns = dxh_in_ns(20 * DXI_WAKE_FIRST_NS);
	dxi_wake_wait(&consumer->block, dxi_wake_seen(&consumer->block), deadline_ns, &steps);
	cr_expect_geq(dxh_now_ns(), deadline_ns);
	close_both();
}

Test(shm_wake, a_successor_is_not_loud_because_its_predecessor_was, .timeout = 20)
{
	dxh_block_config config = usual_config();
	const char *name = new_name();

	producer = open_producer(name, config);
	consumer = open_consumer(name, (dxh_consumer_config){0});
	become_loud();
	must(dxh_producer_close(&producer));
	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	cr_expect_not(dxi_wake_is_loud(&consumer->block));
	close_both();
}

/* Who comes behind the close must not wait for a wake. */
Test(shm_wake, a_producer_that_closed_is_not_loud, .timeout = 20)
{
	const char *name = new_name();

	producer = open_producer(name, usual_config());
	consumer = open_consumer(name, (dxh_consumer_config){0});
	become_loud();
	must(dxh_producer_close(&producer));
	cr_expect_not(dxi_wake_is_loud(&consumer->block));
	cr_expect_eq(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info), DXH_ECLOSED);
	must(dxh_consumer_close(&consumer));
	must(dxh_block_unlink(NULL, name));
}

Test(shm_wake, who_sleeps_without_an_end_is_told_of_a_death, .timeout = 20)
{
	open_usual();
	become_loud();
	/* As a killed one: no wake, and a beacon that is out. */
	dxi_beacon_extinguish(&producer->lease);
	cr_expect_eq(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info), DXH_EDEAD);
	close_both();
}
