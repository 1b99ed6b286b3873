/* SPDX-License-Identifier: MIT */
/* What callers do wrong with blocks is told, as far as it is noticed, and breaks nothing
 * of what is done right beside it.
 */
#include "tests/shm_pair.h"

#include <dxh/inspect.h>

#include <pthread.h>

static char name[32];

static void setup(void)
{
	dxh_block_config config = usual_config();

	config.readers_max = 2;
	config.unlink_on_close = 1;
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, config);
	consumer = open_consumer(name, (dxh_consumer_config){0});
}

static void teardown(void)
{
	if (consumer)
		must(dxh_consumer_close(&consumer));
	if (producer)
		must(dxh_producer_close(&producer));
}

TestSuite(misuse, .init = setup, .fini = teardown, .timeout = 60);

static dxh_write_slot begin(void)
{
	dxh_write_slot slot;

	must(dxh_write_begin(producer, DXH_NOW, &slot));
	return slot;
}

static void expect_tickets(uint64_t items, uint64_t aborted)
{
	dxh_producer_stats stats;

	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.items, items);
	cr_expect_eq(stats.aborted, aborted);
	cr_expect_eq(stats.next_ticket, items + aborted);
}

/* ---- writing ---- */

Test(misuse, a_slot_ends_once)
{
	dxh_write_slot slot = begin();

	must(dxh_write_commit(&slot, 8));
	expect_status(dxh_write_commit(&slot, 8), DXH_ESTATE);
	expect_error_says("committed or aborted");
	expect_status(dxh_write_commit_checked(&slot, 8), DXH_ESTATE);
	expect_status(dxh_write_abort(&slot), DXH_ESTATE);
	slot = begin();
	must(dxh_write_abort(&slot));
	expect_status(dxh_write_commit(&slot, 8), DXH_ESTATE);
	expect_status(dxh_write_abort(&slot), DXH_ESTATE);
	expect_tickets(1, 1);
}

Test(misuse, a_slot_that_ended_does_not_end_another)
{
	dxh_write_slot old = begin(), slot;

	must(dxh_write_commit(&old, 8));
	slot = begin();
	expect_status(dxh_write_commit(&old, 8), DXH_ESTATE);
	expect_status(dxh_write_abort(&old), DXH_ESTATE);
	must(dxh_write_commit(&slot, 8));
	expect_tickets(2, 0);
}

static dxh_status fill_and_publish(void *context, void *data, size_t capacity_bytes, size_t *bytes)
{
	struct item item = item_of(0);

	(void)context;
	expect_status(dxh_publish(producer, &item, sizeof item, DXH_NOW), DXH_ESTATE);
	memset(data, 1, capacity_bytes);
	*bytes = capacity_bytes;
	return DXH_OK;
}

Test(misuse, writes_are_not_nested)
{
	dxh_write_slot slot = begin(), second;
	struct item item = item_of(0);
	dxh_publish_item one = {&item, sizeof item};

	expect_status(dxh_write_begin(producer, DXH_NOW, &second), DXH_ESTATE);
	expect_error_says("commit or abort it first");
	expect_status(dxh_publish(producer, &item, sizeof item, DXH_NOW), DXH_ESTATE);
	expect_status(dxh_publish_n(producer, &one, 1, DXH_NOW, NULL), DXH_ESTATE);
	expect_status(dxh_with_write(producer, DXH_NOW, fill_and_publish, NULL), DXH_ESTATE);
	must(dxh_write_commit(&slot, 8));
	must(dxh_with_write(producer, DXH_NOW, fill_and_publish, NULL));
	expect_tickets(2, 0);
}

Test(misuse, a_slot_is_of_its_producer)
{
	dxh_block_config config = usual_config();
	dxh_write_slot mine = begin(), foreign;
	dxh_producer *other;

	config.unlink_on_close = 1;
	other = open_producer(new_name(), config);
	must(dxh_write_begin(other, DXH_NOW, &foreign));
	cr_assert_eq(foreign.ticket, mine.ticket);
	foreign.producer = producer;
	expect_status(dxh_write_commit(&foreign, 8), DXH_ESTALE);
	expect_error_says("another producer");
	expect_status(dxh_write_abort(&foreign), DXH_ESTALE);
	foreign.producer = other;
	must(dxh_write_commit(&foreign, 8));
	must(dxh_write_commit(&mine, 8));
	must(dxh_producer_close(&other));
}

Test(misuse, a_slot_does_not_outlive_its_producer)
{
	dxh_block_config config = usual_config();
	dxh_write_slot old = begin(), slot;

	must(dxh_producer_close(&producer));
	config.readers_max = 2;
	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	slot = begin();
	expect_status(dxh_write_commit(&old, 8), DXH_ESTALE);
	expect_status(dxh_write_abort(&old), DXH_ESTALE);
	must(dxh_write_commit(&slot, 8));
}

static void *commit_elsewhere(void *slot)
{
	return dxh_write_commit(slot, 8) == DXH_OK ? slot : NULL;
}

/* That is no misuse: an owner may hand on what it has, by what orders the two. */
Test(misuse, a_slot_may_be_handed_to_another_thread)
{
	dxh_write_slot slot = begin();
	pthread_t thread;
	void *done;

	cr_assert_eq(pthread_create(&thread, NULL, commit_elsewhere, &slot), 0);
	cr_assert_eq(pthread_join(thread, &done), 0);
	cr_expect_eq(done, &slot);
	expect_tickets(1, 0);
}

Test(misuse, latch_writes_are_begun_once_and_committed_once)
{
	void *data;

	expect_status(dxh_latch_commit(producer, "position"), DXH_ESTATE);
	must(dxh_latch_begin(producer, "position", sizeof(struct position), &data));
	expect_status(dxh_latch_begin(producer, "position", sizeof(struct position), &data),
	              DXH_ESTATE);
	must(dxh_latch_commit(producer, "position"));
	expect_status(dxh_latch_commit(producer, "position"), DXH_ESTATE);
}

/* ---- after the end ---- */

Test(misuse, a_closed_producer_is_told_to_be_one)
{
	dxh_producer *closed = producer, *again = producer;
	struct item item = item_of(0);
	dxh_publish_item one = {&item, sizeof item};
	int fds[DXH_BLOCK_FDS];
	dxh_producer_stats stats;
	dxh_reader_info reader;
	dxh_block_info facts;
	dxh_write_slot slot;
	size_t count;
	void *data;

	must(dxh_producer_close(&producer));
	expect_status(dxh_producer_close(&producer), DXH_EINVAL);
	expect_status(dxh_producer_close(&again), DXH_ESTALE);
	cr_expect_null(again);
	expect_status(dxh_write_begin(closed, DXH_NOW, &slot), DXH_ESTALE);
	expect_error_says("was closed");
	expect_status(dxh_publish(closed, &item, sizeof item, DXH_NOW), DXH_ESTALE);
	expect_status(dxh_publish_n(closed, &one, 1, DXH_NOW, &count), DXH_ESTALE);
	expect_status(dxh_with_write(closed, DXH_NOW, fill_and_publish, NULL), DXH_ESTALE);
	expect_status(dxh_producer_zone(closed, "notes", NULL, 100, &data), DXH_ESTALE);
	expect_status(dxh_latch_begin(closed, "position", sizeof(struct position), &data),
	              DXH_ESTALE);
	expect_status(dxh_latch_commit(closed, "position"), DXH_ESTALE);
	expect_status(dxh_producer_readers(closed, &reader, 1, &count), DXH_ESTALE);
	expect_status(dxh_producer_stats_get(closed, &stats), DXH_ESTALE);
	expect_status(dxh_producer_info(closed, &facts), DXH_ESTALE);
	expect_status(dxh_producer_fds(closed, fds, &count), DXH_ESTALE);
	cr_expect_null(dxh_producer_schema(closed, &count));
}

Test(misuse, a_closed_consumer_is_told_to_be_one)
{
	dxh_consumer *closed = consumer, *again = consumer;
	struct position position;
	dxh_consumer_stats stats;
	dxh_block_info facts;
	struct item copy;
	dxh_item item;
	dxh_peek peek;
	size_t count;
	const void *view;
	int fd;

	publish_items(producer, 0, 1);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	must(dxh_consumer_close(&consumer));
	expect_status(dxh_consumer_close(&consumer), DXH_EINVAL);
	expect_status(dxh_consumer_close(&again), DXH_ESTALE);
	cr_expect_null(again);
	cr_expect_eq(dxh_peek_holds(&peek), 0);
	expect_status(dxh_peek_end(&peek), DXH_ESTALE);
	expect_error_says("was closed");
	expect_status(dxh_peek_begin(closed, DXH_NOW, &peek), DXH_ESTALE);
	expect_status(dxh_read_next(closed, &copy, sizeof copy, DXH_NOW, &item), DXH_ESTALE);
	expect_status(dxh_read_n(closed, &copy, sizeof copy, 1, DXH_NOW, &item, &count),
	              DXH_ESTALE);
	expect_status(dxh_consumer_seek(closed, DXH_START_NEWEST, 0), DXH_ESTALE);
	expect_status(dxh_consumer_fd(closed, &fd), DXH_ESTALE);
	expect_status(dxh_consumer_zone(closed, "notes", NULL, 100, &view), DXH_ESTALE);
	expect_status(dxh_latch_read(closed, "position", &position, sizeof position), DXH_ESTALE);
	expect_status(dxh_consumer_stats_get(closed, &stats), DXH_ESTALE);
	expect_status(dxh_consumer_info(closed, &facts), DXH_ESTALE);
	cr_expect_null(dxh_consumer_schema(closed, &count));
}

/* ---- looking at items in place ---- */

static void expect_consumed(dxh_consumer *which, uint64_t tickets)
{
	dxh_consumer_stats stats;

	must(dxh_consumer_stats_get(which, &stats));
	cr_expect_eq(stats.next_ticket, tickets);
	cr_expect_eq(stats.lost, 0);
}

Test(misuse, a_look_ends_once_and_alone)
{
	dxh_peek peek, second, ended;
	struct item copy;
	dxh_item item;

	publish_items(producer, 0, 2);
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	ended = peek;
	expect_status(dxh_peek_begin(consumer, DXH_NOW, &second), DXH_ESTATE);
	expect_status(dxh_read_next(consumer, &copy, sizeof copy, DXH_NOW, &item), DXH_ESTATE);
	must(dxh_peek_end(&peek));
	expect_status(dxh_peek_end(&peek), DXH_ESTATE);
	expect_status(dxh_peek_end(&ended), DXH_ESTATE);
	expect_consumed(consumer, 1);
}

Test(misuse, what_was_ended_does_not_end_another)
{
	dxh_peek peek, ended;

	publish_items(producer, 0, 2);
	must(dxh_peek_begin(consumer, DXH_NOW, &ended));
	peek = ended;
	must(dxh_peek_end(&peek));
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	cr_expect_eq(dxh_peek_holds(&ended), 0);
	expect_status(dxh_peek_end(&ended), DXH_ESTATE);
	cr_expect_neq(dxh_peek_holds(&peek), 0);
	must(dxh_peek_end(&peek));
	expect_consumed(consumer, 2);
}

Test(misuse, a_borrow_is_released_by_who_has_it)
{
	dxh_consumer *lossless =
		open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	dxh_consumer *other =
		open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	dxh_peek mine, foreign;
	struct item item = item_of(4);

	publish_items(producer, 0, 4);
	must(dxh_peek_begin(lossless, DXH_NOW, &mine));
	must(dxh_peek_begin(other, DXH_NOW, &foreign));
	foreign.consumer = lossless;
	expect_status(dxh_peek_end(&foreign), DXH_ESTATE);
	expect_error_says("another consumer's");
	cr_expect_eq(dxh_peek_holds(&foreign), 0);
	/* Both still hold the writer back. */
	expect_status(dxh_publish(producer, &item, sizeof item, DXH_NOW), DXH_EWAIT);
	must(dxh_peek_end(&mine));
	foreign.consumer = other;
	foreign.data = &item;
	must(dxh_peek_end(&foreign));
	must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
	must(dxh_consumer_close(&lossless));
	must(dxh_consumer_close(&other));
}

/* ---- in a child ---- */

static dxh_write_slot slot_of_parent;
static dxh_peek peek_of_parent;

static void use_what_is_the_parents(const char *block)
{
	struct item copy = item_of(0);
	dxh_item item;

	(void)block;
	if (dxh_write_commit(&slot_of_parent, 8) != DXH_EFORKED)
		_exit(1);
	if (dxh_write_abort(&slot_of_parent) != DXH_EFORKED)
		_exit(2);
	if (dxh_publish(producer, &copy, sizeof copy, DXH_NOW) != DXH_EFORKED)
		_exit(3);
	if (dxh_peek_end(&peek_of_parent) != DXH_EFORKED)
		_exit(4);
	if (dxh_read_next(consumer, &copy, sizeof copy, DXH_NOW, &item) != DXH_EFORKED)
		_exit(5);
}

Test(misuse, what_the_parent_began_it_ends)
{
	publish_items(producer, 0, 1);
	slot_of_parent = begin();
	must(dxh_peek_begin(consumer, DXH_NOW, &peek_of_parent));
	cr_expect_eq(run_child(use_what_is_the_parents, name), 0);
	must(dxh_peek_end(&peek_of_parent));
	must(dxh_write_commit(&slot_of_parent, 8));
	expect_tickets(2, 0);
}
