/* SPDX-License-Identifier: MIT */
/* Readers that the writer waits for: nothing is lost, nobody waits for the dead,
 * and who is gone on without is told.
 */
#include "tests/shm_lossless_fixture.h"

#include <pthread.h>

TestSuite(lossless, .init = setup, .fini = teardown, .timeout = 60);

/* ---- waiting for a reader ------------------------------------------------------- */

Test(lossless, a_full_ring_holds_the_writer_back_and_names_who)
{
	dxh_producer_stats stats;
	char pid[32];

	publish_items(producer, 0, 4);
	expect_status(publish_one(4, DXH_NOW), DXH_EWAIT);
	snprintf(pid, sizeof pid, "pid %d, 4 items behind", (int)getpid());
	expect_error_says("row 0");
	expect_error_says(pid);
	expect_items(0, 1);
	must(publish_one(4, DXH_NOW));
	expect_status(publish_one(5, DXH_NOW), DXH_EWAIT);
	expect_items(1, 4);
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.held, 2);
	cr_expect_eq(stats.evicted, 0);
}

Test(lossless, all_ways_to_write_wait)
{
	struct item item = item_of(0);
	dxh_publish_item list[6];
	dxh_write_slot slot;
	size_t published;

	for (int i = 0; i < 6; i++)
		list[i] = (dxh_publish_item){&item, sizeof item};
	expect_status(dxh_publish_n(producer, list, 6, DXH_NOW, &published), DXH_EWAIT);
	cr_expect_eq(published, 4);
	expect_status(dxh_write_begin(producer, DXH_NOW, &slot), DXH_EWAIT);
	must(read_now());
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	must(dxh_write_abort(&slot));
	for (int i = 0; i < 3; i++)
		must(read_now());
	expect_status(read_now(), DXH_EWAIT);
	must(dxh_publish_n(producer, list, 4, DXH_NOW, &published));
	cr_expect_eq(published, 4);
}

Test(lossless, a_wait_ends_at_its_deadline_and_not_before)
{
	int64_t deadline_ns = dxh_in_ms(30);

	publish_items(producer, 0, 4);
	expect_status(publish_one(4, deadline_ns), DXH_EWAIT);
	cr_expect_geq(dxh_now_ns(), deadline_ns);
}

enum { LONG_RUN = 20000 };

static void *read_all(void *context)
{
	dxh_consumer *reader = context;
	struct item item;
	dxh_item told;

	for (uint64_t ticket = 0; ticket < LONG_RUN; ticket++) {
		must(dxh_read_next(reader, &item, sizeof item, dxh_in_ms(SOON_MS), &told));
		cr_assert_eq(told.ticket, ticket);
		cr_assert(is_item_of(ticket, &item));
	}
	return NULL;
}

Test(lossless, two_readers_of_a_fast_writer_miss_nothing)
{
	dxh_consumer *other = open_consumer(name, LOSSLESS);
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, read_all, consumer);
	pthread_create(&threads[1], NULL, read_all, other);
	for (uint64_t ticket = 0; ticket < LONG_RUN; ticket++)
		must(publish_one(ticket, dxh_in_ms(SOON_MS)));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	must(dxh_consumer_close(&other));
}

/* Joins and leaves while the writer runs: from its first item on nothing may be
 * missing. */
static void *come_and_go(void *context)
{
	dxh_consumer_config config = LOSSLESS;
	unsigned *rounds = context;
	struct item item;
	dxh_item told;

	config.start = DXH_START_NEXT;
	while (*rounds > 0) {
		dxh_consumer *reader = open_consumer(name, config);
		uint64_t expected = UINT64_MAX;

		for (int i = 0; i < 7; i++) {
			dxh_status status = dxh_read_next(reader, &item, sizeof item,
			                                  dxh_in_ms(SOON_MS), &told);

			if (status == DXH_ECLOSED)
				break;
			cr_assert_eq(status, DXH_OK, "%s", dxh_last_error());
			cr_assert(expected == UINT64_MAX || told.ticket == expected);
			cr_assert(is_item_of(told.ticket, &item));
			expected = told.ticket + 1;
		}
		must(dxh_consumer_close(&reader));
		--*rounds;
	}
	return NULL;
}

Test(lossless, who_joins_a_running_writer_misses_nothing_from_its_first_item_on)
{
	unsigned rounds[2] = {500, 500};
	uint64_t ticket = 0;
	pthread_t threads[2];

	must(dxh_consumer_close(&consumer));
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, come_and_go, &rounds[i]);
	for (; *(volatile unsigned *)&rounds[0] + *(volatile unsigned *)&rounds[1] > 0; ticket++)
		must(publish_one(ticket, dxh_in_ms(SOON_MS)));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_expect_gt(ticket, 1000);
}

/* ---- going on without ------------------------------------------------------------- */

Test(lossless, who_is_evicted_learns_how_much_and_goes_on_from_now)
{
	dxh_producer_stats producer_stats;
	dxh_consumer_stats stats;

	reopen_evicting();
	publish_items(producer, 0, 4);
	expect_items(0, 1);
	must(publish_one(4, DXH_NOW));
	must(publish_one(5, DXH_NOW)); /* goes on without it */
	must(publish_one(6, DXH_NOW));
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 6);
	cr_expect_eq(info.lost_first, 1);
	cr_expect_eq(info.lost_last, 6);
	/* It is waited for again, until it is too far behind again. */
	publish_items(producer, 7, 4);
	expect_items(7, 4);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.evicted, 1);
	cr_expect_eq(stats.lost, 6);
	must(dxh_producer_stats_get(producer, &producer_stats));
	cr_expect_eq(producer_stats.evicted, 1);
}

Test(lossless, only_those_that_hold_the_writer_are_evicted)
{
	dxh_consumer *other;

	reopen_evicting();
	other = open_consumer(name, LOSSLESS);
	publish_items(producer, 0, 4);
	expect_items(0, 2);
	must(publish_one(4, DXH_NOW));
	expect_items(2, 3);
	expect_status(dxh_read_next(other, &got, sizeof got, DXH_NOW, &info), DXH_EEVICTED);
	must(dxh_consumer_close(&other));
}

Test(lossless, an_eviction_waits_for_the_deadline)
{
	int64_t deadline_ns = dxh_in_ms(30);

	reopen_evicting();
	publish_items(producer, 0, 4);
	must(publish_one(4, deadline_ns));
	cr_expect_geq(dxh_now_ns(), deadline_ns);
	expect_status(read_now(), DXH_EEVICTED);
}

/* ---- borrowing ----------------------------------------------------------------------- */

Test(lossless, a_borrowed_item_stays_as_it_is)
{
	dxh_peek peek;

	publish_items(producer, 0, 4);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	expect_status(publish_one(4, DXH_NOW), DXH_EWAIT);
	cr_expect(dxh_peek_holds(&peek));
	cr_expect(is_item_of(0, peek.data));
	must(dxh_peek_end(&peek));
	must(publish_one(4, DXH_NOW));
	expect_items(1, 4);
}

Test(lossless, a_borrow_that_was_gone_on_without_says_so_at_its_end)
{
	dxh_peek peek;

	reopen_evicting();
	publish_items(producer, 0, 4);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	publish_items(producer, 4, 3);
	cr_expect_not(dxh_peek_holds(&peek));
	expect_status(dxh_peek_end(&peek), DXH_EEVICTED);
	cr_expect_eq(peek.item.lost, 1);
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 6);
}

/* ---- rows --------------------------------------------------------------------------------- */

Test(lossless, rows_are_given_back_and_run_out)
{
	dxh_consumer *more[3] = {NULL};

	more[0] = open_consumer(name, LOSSLESS);
	more[1] = open_consumer(name, LOSSLESS);
	expect_status(dxh_consumer_open(name, &LOSSLESS, &more[2]), DXH_ELIMIT);
	expect_error_says("all 3 reader rows");
	must(dxh_consumer_close(&more[0]));
	more[2] = open_consumer(name, LOSSLESS);
	must(dxh_consumer_close(&more[1]));
	must(dxh_consumer_close(&more[2]));
}

Test(lossless, who_closes_holds_nobody_back)
{
	publish_items(producer, 0, 4);
	must(dxh_consumer_close(&consumer));
	publish_items(producer, 4, 100);
}

Test(lossless, a_block_without_rows_or_slots_has_no_lossless_readers)
{
	dxh_block_config config = usual_config();
	const char *other = new_name();
	dxh_consumer *none = NULL;
	dxh_producer *owner = open_producer(other, config);

	expect_status(dxh_consumer_open(other, &LOSSLESS, &none), DXH_ESTATE);
	expect_error_says("readers_max");
	must(dxh_producer_close(&owner));
	must(dxh_block_unlink(NULL, other));
	config.slot = (dxh_slot_spec){0}, config.slot_count = 0;
	owner = open_producer(other, config);
	expect_status(dxh_consumer_open(other, &LOSSLESS, &none), DXH_ESTATE);
	must(dxh_producer_close(&owner));
	must(dxh_block_unlink(NULL, other));
}

Test(lossless, configs_that_make_no_sense_are_refused)
{
	dxh_block_config config = lossless_config();
	dxh_producer *none = NULL;

	config.readers_max = DXH_READERS_MAX + 1;
	expect_status(dxh_producer_open(new_name(), &config, &none), DXH_EINVAL);
	config = usual_config();
	config.evict = 1;
	expect_status(dxh_producer_open(new_name(), &config, &none), DXH_EINVAL);
	config = usual_config();
	config.readers_max = 1, config.slot_count = 0, config.slot = (dxh_slot_spec){0};
	expect_status(dxh_producer_open(new_name(), &config, &none), DXH_EINVAL);
}

Test(lossless, disciplines_mix_on_one_block)
{
	dxh_consumer *follower = open_consumer(name, (dxh_consumer_config){0});
	dxh_consumer *latest = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LATEST});

	publish_items(producer, 0, 4);
	expect_items(0, 4);
	must(dxh_read_next(latest, &got, sizeof got, DXH_NOW, &info));
	cr_expect_eq(info.ticket, 3);
	publish_items(producer, 4, 4);
	expect_status(dxh_read_next(follower, &got, sizeof got, DXH_NOW, &info), DXH_ELAPPED);
	expect_items(4, 4);
	must(dxh_consumer_close(&follower));
	must(dxh_consumer_close(&latest));
}

/* ---- life and death -------------------------------------------------------------------------- */

/* A child that has a row and then does as it is told. */
static pid_t start_reader(void)
{
	int ready[2];
	char byte;
	pid_t child;

	cr_assert_eq(pipe(ready), 0);
	child = fork();
	cr_assert_neq(child, -1);
	if (child == 0) {
		dxh_consumer *reader = open_consumer(name, LOSSLESS);

		if (reader && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void end_reader(pid_t child)
{
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

Test(lossless, a_killed_reader_holds_nobody_back)
{
	pid_t child;

	must(dxh_consumer_close(&consumer));
	child = start_reader();
	publish_items(producer, 0, 4);
	expect_status(publish_one(4, DXH_NOW), DXH_EWAIT);
	end_reader(child);
	publish_items(producer, 4, 100);
	consumer = open_consumer(name, LOSSLESS);
}

static void *kill_it(void *child)
{
	kill(*(pid_t *)child, SIGKILL);
	return NULL;
}

Test(lossless, a_writer_that_sleeps_notices_that_its_reader_died)
{
	pthread_t killer;
	pid_t child;

	must(dxh_consumer_close(&consumer));
	child = start_reader();
	publish_items(producer, 0, 4);
	pthread_create(&killer, NULL, kill_it, &child);
	must(publish_one(4, dxh_in_ms(SOON_MS)));
	pthread_join(killer, NULL);
	waitpid(child, NULL, 0);
}

Test(lossless, a_stopped_reader_holds_the_writer_until_it_goes_on)
{
	pid_t child;

	must(dxh_consumer_close(&consumer));
	child = start_reader();
	kill(child, SIGSTOP);
	publish_items(producer, 0, 4);
	expect_status(publish_one(4, dxh_in_ms(10)), DXH_EWAIT);
	end_reader(child);
	must(publish_one(4, DXH_NOW));
}

Test(lossless, a_child_that_closes_leaves_the_row_alone)
{
	pid_t child = fork();

	if (child == 0) {
		expect_status(dxh_consumer_close(&consumer), DXH_OK);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, NULL, 0), child);
	publish_items(producer, 0, 4);
	expect_status(publish_one(4, DXH_NOW), DXH_EWAIT);
	expect_items(0, 4);
}

Test(lossless, readers_stay_held_over_a_takeover)
{
	publish_items(producer, 0, 4);
	must(dxh_producer_close(&producer));
	producer = open_producer(name, lossless_config());
	expect_status(publish_one(4, DXH_NOW), DXH_EWAIT);
	expect_items(0, 4);
	publish_items(producer, 4, 4);
	expect_items(4, 4);
}

Test(lossless, another_number_of_rows_is_no_takeover)
{
	dxh_block_config config = lossless_config();
	dxh_producer *none = NULL;

	must(dxh_producer_close(&producer));
	config.readers_max = 2;
	expect_status(dxh_producer_open(name, &config, &none), DXH_ESIZE);
	expect_error_says("readers_max: here 2, in the block 3");
}

/* ---- seeking ----------------------------------------------------------------------------- */

Test(lossless, who_begins_or_seeks_before_what_is_kept_is_told_as_an_eviction)
{
	dxh_consumer_config config = LOSSLESS;

	for (uint64_t ticket = 0; ticket < 10; ticket++) {
		publish_items(producer, ticket, 1);
		expect_items(ticket, 1);
	}
	must(dxh_consumer_seek(consumer, DXH_START_TICKET, 1));
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 5);
	expect_items(6, 4);
	must(dxh_consumer_close(&consumer));
	config.start = DXH_START_TICKET;
	config.start_ticket = 2;
	consumer = open_consumer(name, config);
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 4);
	expect_items(6, 4);
}

Test(lossless, who_seeks_after_an_eviction_loses_nothing_that_was_sought)
{
	reopen_evicting();
	publish_items(producer, 0, 10);
	must(dxh_consumer_seek(consumer, DXH_START_OLDEST, 0));
	expect_items(6, 4);
	publish_items(producer, 10, 4);
	expect_items(10, 4);
	expect_status(read_now(), DXH_EWAIT);
}
