/* SPDX-License-Identifier: MIT */
/* Who is attached and how far behind, as producers, consumers and tools see it. */
#include "tests/shm_pair.h"

#include "base/clock.h"

static dxh_reader_info readers[4];
static size_t count;
static char name[32];

static void setup(void)
{
	dxh_block_config config = usual_config();

	config.readers_max = 3;
	config.evict = 1;
	config.unlink_on_close = 1;
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, config);
	consumer = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
}

TestSuite(readers, .init = setup, .fini = close_both, .timeout = 60);

static void list(void)
{
	static dxh_reader_info same[4];
	size_t as_many;

	must(dxh_producer_readers(producer, readers, 4, &count));
	must(dxh_block_readers(NULL, name, same, 4, &as_many));
	cr_assert_eq(as_many, count);
	for (size_t i = 0; i < count; i++) {
		cr_expect_eq(same[i].row, readers[i].row);
		cr_expect_eq(same[i].next_ticket, readers[i].next_ticket);
		cr_expect_geq(same[i].lag_ns, readers[i].lag_ns);
	}
}

Test(readers, rows_tell_who_and_how_far)
{
	publish_items(producer, 0, 3);
	must(read_now());
	list();
	cr_assert_eq(count, 1);
	cr_expect_eq(readers[0].row, 0);
	cr_expect_eq(readers[0].pid, (uint32_t)getpid());
	cr_expect_eq(readers[0].uid, (uint32_t)geteuid());
	cr_expect_eq(readers[0].next_ticket, 1);
	cr_expect_eq(readers[0].read, 1);
	cr_expect_eq(readers[0].lost, 0);
	cr_expect_eq(readers[0].lag, 2);
	cr_expect_gt(readers[0].lag_ns, 0);
	cr_expect_eq(readers[0].evicted, 0);
}

Test(readers, who_has_read_all_does_not_lag)
{
	publish_items(producer, 0, 2);
	must(read_now());
	must(read_now());
	list();
	cr_expect_eq(readers[0].lag, 0);
	cr_expect_eq(readers[0].lag_ns, 0);
}

Test(readers, only_readers_with_rows_are_listed_and_only_while_they_live)
{
	dxh_consumer *second =
		open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	dxh_consumer *follower = open_consumer(name, (dxh_consumer_config){0});

	list();
	cr_expect_eq(count, 2);
	must(dxh_consumer_close(&second));
	must(dxh_consumer_close(&follower));
	list();
	cr_expect_eq(count, 1);
}

static void child_dies_with_a_row(const char *block)
{
	dxh_consumer *own;

	if (dxh_consumer_open(block, &(dxh_consumer_config){.discipline = DXH_LOSSLESS}, &own) ==
	    DXH_OK)
		die_here();
}

Test(readers, the_dead_are_not_listed)
{
	cr_assert(WIFSIGNALED(run_child(child_dies_with_a_row, name)));
	list();
	cr_expect_eq(count, 1);
}

Test(readers, who_was_evicted_is_marked_until_it_is_back)
{
	publish_items(producer, 0, 6);
	list();
	cr_expect_neq(readers[0].evicted, 0);
	expect_status(read_now(), DXH_EEVICTED);
	list();
	cr_expect_eq(readers[0].evicted, 0);
	cr_expect_eq(readers[0].next_ticket, 6);
}

Test(readers, there_may_be_more_than_are_asked_for)
{
	dxh_consumer *second =
		open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});

	must(dxh_producer_readers(producer, NULL, 0, &count));
	cr_expect_eq(count, 2);
	must(dxh_producer_readers(producer, readers, 1, &count));
	cr_expect_eq(count, 2);
	must(dxh_consumer_close(&second));
}

Test(readers, a_block_without_rows_has_none)
{
	dxh_producer *plain;
	dxh_block_config config = usual_config();

	config.unlink_on_close = 1;
	plain = open_producer(new_name(), config);
	must(dxh_producer_readers(plain, readers, 4, &count));
	cr_expect_eq(count, 0);
	must(dxh_block_readers(NULL, plain->block.paths.name, readers, 4, &count));
	cr_expect_eq(count, 0);
	must(dxh_producer_close(&plain));
}

Test(readers, asking_amiss_is_refused)
{
	expect_status(dxh_producer_readers(NULL, readers, 4, &count), DXH_EINVAL);
	expect_status(dxh_producer_readers(producer, NULL, 4, &count), DXH_EINVAL);
	expect_status(dxh_producer_readers(producer, readers, 4, NULL), DXH_EINVAL);
	expect_status(dxh_block_readers(NULL, name, readers, 4, NULL), DXH_EINVAL);
	expect_status(dxh_block_readers(NULL, "there-is-no-such", readers, 4, &count),
	              DXH_ENOTFOUND);
	cr_assert_eq(unlink(producer->block.paths.control), 0);
	expect_status(dxh_block_readers(NULL, name, readers, 4, &count), DXH_ENOTFOUND);
}

/* ---- lag and clock of a consumer ------------------------------------------------- */

Test(readers, a_followers_lag_is_the_age_of_the_oldest_item_kept)
{
	dxh_consumer *follower = open_consumer(name, (dxh_consumer_config){0});
	dxh_consumer_stats stats;
	int64_t before_ns, kept_ns;

	must(dxh_consumer_stats_get(follower, &stats));
	cr_expect_eq(stats.lag_ns, 0);
	publish_items(producer, 0, 4);
	kept_ns = dxh_now_ns();
	publish_items(producer, 4, 4);
	must(dxh_consumer_stats_get(follower, &stats));
	cr_expect_eq(stats.lag, 8);
	cr_expect_gt(stats.lag_ns, 0);
	/* Ticket 4 is the oldest that is kept: 0 to 3 do not count. */
	cr_expect_leq(stats.lag_ns, dxh_now_ns() - kept_ns);
	before_ns = dxh_now_ns();
	must(dxh_consumer_seek(follower, DXH_START_NEXT, 0));
	publish_items(producer, 8, 1);
	must(dxh_consumer_stats_get(follower, &stats));
	cr_expect_eq(stats.lag, 1);
	cr_expect_leq(stats.lag_ns, dxh_now_ns() - before_ns);
	must(dxh_consumer_close(&follower));
	while (read_now() != DXH_EWAIT)
		;
}

static int64_t real_ns(void)
{
	struct timespec real;

	clock_gettime(CLOCK_REALTIME, &real);
	return real.tv_sec * INT64_C(1000000000) + real.tv_nsec;
}

/* Between two readings of the wall clock; a clock that is set meanwhile is tried again. */
Test(readers, time_stamps_become_the_time_of_day)
{
	int64_t before_ns, after_ns, at_ns = 0;
	dxh_block_info facts;
	bool between = false;

	for (uint64_t i = 0; i < 5 && !between; i++) {
		before_ns = real_ns();
		producer->refreshed_ns = 0; /* as if a second had passed */
		publish_items(producer, i, 1);
		after_ns = real_ns();
		must(read_now());
		must(dxh_consumer_info(consumer, &facts));
		at_ns = info.timestamp_ns + facts.clock_offset_ns;
		/* The offset is taken by two readings, one after the other. */
		between = at_ns > before_ns - DXI_NS_PER_S && at_ns < after_ns + DXI_NS_PER_S;
	}
	cr_expect(between, "%lld", (long long)at_ns);
}
