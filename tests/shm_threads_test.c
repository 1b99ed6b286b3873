/* SPDX-License-Identifier: MIT */
/* One block, one process, many users: a consumer a thread, one consumer passed between
 * threads, and locks that no close in the same process gives away. With classic POSIX
 * locks the closes below would do just that.
 */
#include "tests/shm_fixture.h"

#include "shm/producer.h"

#include <pthread.h>

enum { SOON_MS = 20000, ITEMS = 20000, READERS = 6 };

static char name[32];
static dxh_producer *producer;

static dxh_block_config shared_config(void)
{
	dxh_block_config config = {.slot = DXH_SLOT(item),
	                           .slot_count = 64,
	                           .readers_max = READERS,
	                           .unlink_on_close = 1};

	return config;
}

static void setup(void)
{
	snprintf(name, sizeof name, "%s", new_name());
	producer = open_producer(name, shared_config());
}

static void teardown(void)
{
	must(dxh_producer_close(&producer));
}

TestSuite(threads, .init = setup, .fini = teardown, .timeout = 60);

/* ---- reading -------------------------------------------------------------------- */

static pthread_barrier_t all_attached;

/* Returns what went wrong, or NULL; the discipline is the argument. */
static void *read_all(void *argument)
{
	dxh_discipline discipline = (dxh_discipline)(intptr_t)argument;
	dxh_consumer *own = open_consumer(name, (dxh_consumer_config){.discipline = discipline});
	uint64_t wanted = 0, lost = 0;
	const char *wrong = NULL;
	dxh_status status;
	struct item got;
	dxh_item item;

	pthread_barrier_wait(&all_attached);
	while (!wrong && wanted < ITEMS) {
		status = dxh_read_next(own, &got, sizeof got, dxh_in_ms(SOON_MS), &item);
		lost += item.lost;
		wanted += item.lost;
		if (status == DXH_ELAPPED)
			continue;
		if (status != DXH_OK)
			wrong = dxh_status_name(status);
		else if (item.ticket != wanted++)
			wrong = "a ticket is missing";
		else if (!is_item_of(item.ticket, &got))
			wrong = "an item is torn";
	}
	if (discipline == DXH_LOSSLESS && lost > 0)
		wrong = "a lossless reader lost something";
	expect_exact(own, 0);
	must(dxh_consumer_close(&own));
	return (void *)(uintptr_t)wrong;
}

Test(threads, each_with_a_consumer_of_its_own_reads_as_its_discipline_says)
{
	static const dxh_discipline each[READERS] = {DXH_LOSSLESS, DXH_LOSSLESS, DXH_LOSSLESS,
	                                             DXH_FOLLOW,   DXH_FOLLOW,   DXH_LATEST};
	pthread_t threads[READERS];
	void *wrong;

	pthread_barrier_init(&all_attached, NULL, READERS + 1);
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_all, (void *)(intptr_t)each[i]),
		             0);
	pthread_barrier_wait(&all_attached);
	for (uint64_t ticket = 0; ticket < ITEMS; ticket++) {
		struct item item = item_of(ticket);

		must(dxh_publish(producer, &item, sizeof item, dxh_in_ms(SOON_MS)));
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], &wrong);
		cr_expect_null(wrong, "reader %d: %s", i, (const char *)wrong);
	}
	pthread_barrier_destroy(&all_attached);
}

/* ---- one consumer, several threads in turn -------------------------------------- */

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static dxh_consumer *passed;
static uint64_t passed_next;

static void *read_in_turn(void *argument)
{
	bool over = false;
	struct item got;
	dxh_item item;

	(void)argument;
	while (!over) {
		pthread_mutex_lock(&turn);
		over = passed_next == ITEMS;
		if (!over) {
			must(dxh_read_next(passed, &got, sizeof got, dxh_in_ms(SOON_MS), &item));
			cr_expect_eq(item.ticket, passed_next++);
			cr_expect(is_item_of(item.ticket, &got));
		}
		pthread_mutex_unlock(&turn);
	}
	return NULL;
}

Test(threads, one_consumer_may_be_passed_from_thread_to_thread)
{
	pthread_t threads[3];

	passed_next = 0;
	passed = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_in_turn, NULL), 0);
	for (uint64_t ticket = 0; ticket < ITEMS; ticket++) {
		struct item item = item_of(ticket);

		must(dxh_publish(producer, &item, sizeof item, dxh_in_ms(SOON_MS)));
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	must(dxh_consumer_close(&passed));
}

/* ---- locks ---------------------------------------------------------------------- */

/* Everything of the library that opens and closes the files of this block. */
static void open_and_close_all(void)
{
	dxh_block_config config = shared_config();
	dxh_producer *second;
	dxh_block_info info;
	dxh_consumer *own;

	for (int i = 0; i < 3; i++) {
		own = open_consumer(name, (dxh_consumer_config){.discipline = DXH_FOLLOW});
		must(dxh_consumer_close(&own));
		own = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
		must(dxh_consumer_close(&own));
		must(dxh_block_stat(NULL, name, &info));
		expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
		expect_status(dxh_block_unlink(NULL, name), DXH_EBUSY);
	}
}

static void expect_alive(void)
{
	dxh_block_info info;

	must(dxh_block_stat(NULL, name, &info));
	cr_expect_eq(info.producer, DXH_PRODUCER_ALIVE);
}

/* The ring is full for `reader`: the writer waits if, and only if, its row counts. */
static void expect_held(uint64_t ticket)
{
	struct item item = item_of(ticket);

	expect_status(dxh_publish(producer, &item, sizeof item, DXH_NOW), DXH_EWAIT);
}

Test(threads, no_close_in_the_same_process_gives_the_producers_lock_away)
{
	open_and_close_all();
	expect_alive();
}

Test(threads, no_close_in_the_same_process_gives_a_row_away)
{
	dxh_consumer *first =
		open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	dxh_consumer *second =
		open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	struct item got;
	dxh_item item;

	publish_items(producer, 0, 64);
	expect_held(64);
	open_and_close_all();
	expect_held(64);
	/* The second lets go, the first holds on, also when the second is closed. */
	for (int i = 0; i < 64; i++)
		must(dxh_read_next(second, &got, sizeof got, DXH_NOW, &item));
	expect_held(64);
	must(dxh_consumer_close(&second));
	expect_held(64);
	must(dxh_consumer_close(&first));
	publish_items(producer, 64, 200);
}

Test(threads, rows_of_one_process_are_told_apart)
{
	dxh_consumer *own[READERS], *more;

	for (int i = 0; i < READERS; i++)
		own[i] = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	expect_status(
		dxh_consumer_open(name, &(dxh_consumer_config){.discipline = DXH_LOSSLESS}, &more),
		DXH_ELIMIT);
	must(dxh_consumer_close(&own[2]));
	own[2] = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	for (int i = 0; i < READERS; i++)
		must(dxh_consumer_close(&own[i]));
}

/* ---- fork ----------------------------------------------------------------------- */

static dxh_consumer *inherited;

static void child_closes_what_it_inherited(const char *unused)
{
	(void)unused;
	if (dxh_consumer_close(&inherited) != DXH_OK || dxh_producer_close(&producer) != DXH_OK)
		_exit(1);
}

static void child_opens_and_closes(const char *block)
{
	dxh_consumer *own;

	if (dxh_consumer_open(block, &(dxh_consumer_config){.discipline = DXH_LOSSLESS}, &own) !=
	            DXH_OK ||
	    dxh_consumer_close(&own) != DXH_OK)
		_exit(1);
}

static void child_just_ends(const char *unused)
{
	(void)unused;
}

static void child_is_killed(const char *unused)
{
	(void)unused;
	die_here();
}

Test(threads, no_child_gives_a_lock_of_its_parent_away)
{
	static void (*const acts[])(const char *) = {child_closes_what_it_inherited,
	                                             child_opens_and_closes, child_just_ends,
	                                             child_is_killed};

	inherited = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	publish_items(producer, 0, 64);
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		int status = run_child(acts[i], name);

		cr_expect(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "child %zu", i);
		expect_alive();
		expect_held(64);
	}
	must(dxh_consumer_close(&inherited));
	publish_items(producer, 64, 1);
}
