/* SPDX-License-Identifier: MIT */
/* Both tables within one process: tickets, losses to the digit, aborts, sizes,
 * order of calls, zones and latches.
 */
#include "tests/shm_pair.h"

#include "base/clock.h"

#include <pthread.h>
#include <sys/mman.h>

static void abort_one(void)
{
	dxh_write_slot slot;

	must(dxh_write_begin(producer, DXH_NOW, &slot));
	must(dxh_write_abort(&slot));
}

TestSuite(ring, .init = open_usual, .fini = close_both, .timeout = 5);

Test(ring, items_come_in_order_and_whole)
{
	for (uint64_t ticket = 0; ticket < 100; ticket++) {
		publish_items(producer, ticket, 1);
		expect_item(ticket);
		cr_expect_eq(info.lost, 0);
		cr_expect_leq(info.timestamp_ns, dxh_now_ns());
		cr_expect_gt(info.timestamp_ns, 0);
	}
	expect_status(read_now(), DXH_EWAIT);
}

Test(ring, every_length_comes_back)
{
	unsigned char out[128], in[128];

	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (unsigned char)(i + 1);
	for (size_t length = 0; length <= sizeof out; length++) {
		memset(in, 0, sizeof in);
		must(dxh_publish(producer, out, length, DXH_NOW));
		must(dxh_read_next(consumer, in, length, DXH_NOW, &info));
		cr_expect_eq(info.bytes, length);
		cr_expect_eq(memcmp(in, out, length), 0);
		cr_expect(length == sizeof in || in[length] == 0, "wrote behind the copy");
	}
}

Test(ring, an_overtaken_reader_learns_exactly_what_it_lost)
{
	publish_items(producer, 0, 20);
	expect_status(read_now(), DXH_ELAPPED);
	cr_expect_eq(info.lost, 16);
	cr_expect_eq(info.lost_first, 0);
	cr_expect_eq(info.lost_last, 15);
	for (uint64_t ticket = 16; ticket < 20; ticket++)
		expect_item(ticket);
	expect_status(read_now(), DXH_EWAIT);
}

/* item.lost_* tell of one loss, the stats of all. */
Test(ring, the_first_and_the_last_ticket_lost_stay_known)
{
	dxh_consumer_stats stats;

	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect(stats.lost == 0 && stats.lost_first == 0 && stats.lost_last == 0);
	publish_items(producer, 0, 2);
	expect_item(0);
	publish_items(producer, 2, 8); /* keeps 6 .. 9 */
	expect_status(read_now(), DXH_ELAPPED);
	for (uint64_t ticket = 6; ticket < 10; ticket++)
		expect_item(ticket);
	publish_items(producer, 10, 20); /* keeps 26 .. 29 */
	expect_status(read_now(), DXH_ELAPPED);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.lost, 5 + 16);
	cr_expect_eq(stats.lost_first, 1);
	cr_expect_eq(stats.lost_last, 25);
}

/* Every lag from none to five rounds, and every reading on after it. */
Test(ring, the_account_is_exact_at_every_lag)
{
	uint64_t ticket = 0, delivered = 0, lost = 0;

	for (uint64_t lag = 0; lag < 30; lag++) {
		publish_items(producer, ticket, lag);
		ticket += lag;
		for (dxh_status status; (status = read_now()) != DXH_EWAIT;) {
			cr_assert(status == DXH_OK || status == DXH_ELAPPED);
			if (status == DXH_OK)
				cr_expect(is_item_of(info.ticket, &got));
			delivered += status == DXH_OK;
			lost += info.lost;
			expect_exact(consumer, 0);
		}
		cr_expect_eq(delivered + lost, ticket);
	}
}

Test(ring, four_kept_items_are_never_lost)
{
	publish_items(producer, 0, 4);
	for (uint64_t ticket = 0; ticket < 4; ticket++)
		expect_item(ticket);
	publish_items(producer, 4, 4);
	for (uint64_t ticket = 4; ticket < 8; ticket++)
		expect_item(ticket);
}

/* The two spare slots: while one item is written, all kept ones are whole. */
Test(ring, an_open_write_costs_no_kept_item)
{
	dxh_write_slot slot;

	publish_items(producer, 0, 4);
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	for (uint64_t ticket = 0; ticket < 4; ticket++)
		expect_item(ticket);
	expect_status(read_now(), DXH_EWAIT);
	must(dxh_write_commit(&slot, 0));
	must(read_now());
	cr_expect_eq(info.bytes, 0);
}

Test(ring, an_aborted_ticket_is_neither_read_nor_lost)
{
	dxh_consumer_stats stats;
	dxh_producer_stats own;

	publish_items(producer, 0, 1);
	abort_one();
	publish_items(producer, 2, 1);
	expect_item(0);
	expect_item(2);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.skipped, 1);
	cr_expect_eq(stats.lost, 0);
	must(dxh_producer_stats_get(producer, &own));
	cr_expect_eq(own.aborted, 1);
	cr_expect_eq(own.items, 2);
	cr_expect_eq(own.bytes, 2 * sizeof(struct item));
}

/* Nobody looks at what is gone, nor a latest reader at what it passes over. */
Test(ring, an_aborted_ticket_that_nobody_looked_at_counts_as_lost)
{
	dxh_consumer *newest = open_consumer(producer->block.paths.name,
	                                     (dxh_consumer_config){.discipline = DXH_LATEST});
	dxh_consumer_stats stats;

	abort_one();
	publish_items(producer, 1, 1);
	must(dxh_read_next(newest, &got, sizeof got, DXH_NOW, &info));
	cr_expect_eq(info.ticket, 1);
	must(dxh_consumer_stats_get(newest, &stats));
	cr_expect(stats.lost == 1 && stats.skipped == 0);
	expect_exact(newest, 0);
	must(dxh_consumer_close(&newest));
	publish_items(producer, 2, 8); /* keeps 6 .. 9 */
	expect_status(read_now(), DXH_ELAPPED);
	cr_expect_eq(info.lost, 6);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect(stats.lost == 6 && stats.skipped == 0);
}

Test(ring, a_raw_slot_of_the_same_rounded_capacity_is_the_same)
{
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(100), .slot_count = 4};
	char raw[32];
	dxh_producer *one;

	snprintf(raw, sizeof raw, "%s", new_name());
	one = open_producer(raw, config);
	must(dxh_producer_close(&one));
	config.slot.bytes = 129;
	expect_status(dxh_producer_open(raw, &config, &one), DXH_ESIZE);
	config.slot.bytes = 101;
	one = open_producer(raw, config);
	must(dxh_producer_close(&one));
	must(dxh_block_unlink(NULL, raw));
}

Test(ring, a_long_run_of_aborts_is_stepped_over)
{
	for (int i = 0; i < 4; i++)
		abort_one();
	expect_status(read_now(), DXH_EWAIT);
	publish_items(producer, 4, 1);
	expect_item(4);
}

Test(ring, writes_keep_their_order_of_calls)
{
	dxh_write_slot slot, other;

	must(dxh_write_begin(producer, DXH_NOW, &slot));
	cr_expect_eq((uintptr_t)slot.data % 64, 0);
	cr_expect_eq(slot.capacity_bytes, 128);
	expect_status(dxh_write_begin(producer, DXH_NOW, &other), DXH_ESTATE);
	expect_status(dxh_publish(producer, "x", 1, DXH_NOW), DXH_ESTATE);
	expect_status(dxh_write_commit(&slot, 129), DXH_ESIZE);
	expect_status(read_now(), DXH_EWAIT);
	must(dxh_write_commit(&slot, 128));
	expect_status(dxh_write_commit(&slot, 128), DXH_ESTATE);
	expect_status(dxh_write_abort(&slot), DXH_ESTATE);
	must(dxh_write_begin(producer, DXH_NOW, &other));
	expect_status(dxh_write_commit(&slot, 1), DXH_ESTATE);
	must(dxh_write_abort(&other));
	expect_status(dxh_publish(producer, &got, 129, DXH_NOW), DXH_ESIZE);
	expect_status(dxh_publish(producer, NULL, 1, DXH_NOW), DXH_EINVAL);
}

Test(ring, too_small_a_copy_consumes_nothing)
{
	publish_items(producer, 0, 1);
	expect_status(dxh_read_next(consumer, &got, 64, DXH_NOW, &info), DXH_ESIZE);
	cr_expect_eq(info.bytes, sizeof got);
	cr_expect_eq(info.ticket, 0);
	expect_exact(consumer, 0);
	expect_item(0);
	expect_status(dxh_read_next(consumer, &got, 64, DXH_NOW, NULL), DXH_EINVAL);
}

Test(ring, closing_leaves_what_is_published_and_then_says_closed)
{
	producer->unlink_on_close = false;
	publish_items(producer, 0, 2);
	must(dxh_producer_close(&producer));
	expect_item(0);
	expect_item(1);
	expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info), DXH_ECLOSED);
	expect_status(read_now(), DXH_ECLOSED);
	/* And on, with a successor. */
	producer = open_producer(consumer->block.paths.name, usual_config());
	producer->unlink_on_close = true;
	expect_status(read_now(), DXH_EWAIT);
	publish_items(producer, 2, 1);
	expect_item(2);
	cr_expect_eq(info.epoch, 1);
}

Test(ring, an_open_write_is_aborted_by_close)
{
	dxh_consumer_stats stats;
	dxh_write_slot slot;

	producer->unlink_on_close = false;
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	must(dxh_producer_close(&producer));
	expect_status(read_now(), DXH_ECLOSED);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.skipped, 1);
	producer = open_producer(consumer->block.paths.name, usual_config());
	producer->unlink_on_close = true;
}

Test(ring, an_unlinked_block_says_so_at_once_and_always)
{
	publish_items(producer, 0, 1);
	must(dxh_producer_close(&producer));
	expect_item(0);
	for (int i = 0; i < 2; i++)
		expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info),
		              DXH_EUNLINKED);
	expect_error_says("attach again");
	open_both(usual_config(), (dxh_consumer_config){0});
}

static void *publish_one(void *unused)
{
	(void)unused;
	/* No time is right or wrong here: whether the reader sleeps already or
	 * comes later, it gets the item. */
	publish_items(producer, 0, 1);
	return NULL;
}

Test(ring, a_sleeping_reader_is_woken)
{
	pthread_t thread;

	pthread_create(&thread, NULL, publish_one, NULL);
	must(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info));
	cr_expect(is_item_of(0, &got));
	pthread_join(thread, NULL);
}

Test(ring, a_wait_ends_at_its_deadline)
{
	int64_t begin = dxh_now_ns();

	expect_status(dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(30), &info), DXH_EWAIT);
	cr_expect_geq(dxh_now_ns() - begin, 30000000);
}

/* ---- latest, starts, no_wait ---- */

static void use(dxh_block_config config, dxh_consumer_config reader)
{
	close_both();
	open_both(config, reader);
}

Test(ring, latest_gives_the_newest_and_counts_what_it_passed)
{
	use(usual_config(), (dxh_consumer_config){.discipline = DXH_LATEST});
	publish_items(producer, 0, 3);
	expect_item(2);
	cr_expect_eq(info.lost, 2);
	cr_expect_eq(info.lost_first, 0);
	cr_expect_eq(info.lost_last, 1);
	expect_status(read_now(), DXH_EWAIT);
	publish_items(producer, 3, 20);
	expect_item(22);
	cr_expect_eq(info.lost, 19);
	publish_items(producer, 23, 1);
	expect_item(23);
	cr_expect_eq(info.lost, 0);
}

Test(ring, latest_goes_back_over_aborted_tickets)
{
	dxh_consumer_stats stats;

	use(usual_config(), (dxh_consumer_config){.discipline = DXH_LATEST});
	publish_items(producer, 0, 2);
	abort_one();
	abort_one();
	expect_item(1);
	cr_expect_eq(info.lost, 1);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.skipped, 2);
	for (int i = 0; i < 10; i++)
		abort_one();
	expect_status(read_now(), DXH_EWAIT);
	publish_items(producer, 14, 1);
	expect_item(14);
	/* Six of the ten were overwritten: what they were nobody knows. */
	cr_expect_eq(info.lost, 6);
	expect_exact(consumer, 0);
}

Test(ring, latest_too_consumes_nothing_with_too_small_a_copy)
{
	use(usual_config(), (dxh_consumer_config){.discipline = DXH_LATEST});
	publish_items(producer, 0, 2);
	expect_status(dxh_read_next(consumer, &got, 1, DXH_NOW, &info), DXH_ESIZE);
	expect_item(1);
	cr_expect_eq(info.lost, 1);
}

static void reattach(dxh_consumer_config config)
{
	char name[DXH_BLOCK_NAME_MAX + 1];

	strcpy(name, consumer->block.paths.name);
	must(dxh_consumer_close(&consumer));
	consumer = open_consumer(name, config);
}

Test(ring, readers_start_where_they_are_told)
{
	publish_items(producer, 0, 10);
	reattach((dxh_consumer_config){.start = DXH_START_OLDEST});
	expect_item(6);
	reattach((dxh_consumer_config){.start = DXH_START_NEWEST});
	expect_item(9);
	reattach((dxh_consumer_config){.start = DXH_START_NEXT});
	expect_status(read_now(), DXH_EWAIT);
	reattach((dxh_consumer_config){.start = DXH_START_TICKET, .start_ticket = 7});
	expect_item(7);
	reattach((dxh_consumer_config){.start = DXH_START_TICKET, .start_ticket = 2});
	expect_status(read_now(), DXH_ELAPPED);
	cr_expect_eq(info.lost, 4);
	cr_expect_eq(info.lost_first, 2);
	reattach((dxh_consumer_config){.start = DXH_START_TICKET, .start_ticket = 11});
	expect_status(read_now(), DXH_EWAIT);
	publish_items(producer, 10, 2);
	expect_item(11);
}

Test(ring, starts_that_are_none_are_refused)
{
	const char *name = consumer->block.paths.name;
	dxh_consumer_config config = {.start_ticket = 1};
	dxh_consumer *other;

	expect_status(dxh_consumer_open(name, &config, &other), DXH_EINVAL);
	config = (dxh_consumer_config){.start = DXH_START_TICKET, .start_ticket = UINT64_MAX};
	expect_status(dxh_consumer_open(name, &config, &other), DXH_EINVAL);
	config = (dxh_consumer_config){.start = (dxh_start)9};
	expect_status(dxh_consumer_open(name, &config, &other), DXH_EINVAL);
	config = (dxh_consumer_config){.discipline = (dxh_discipline)9};
	expect_status(dxh_consumer_open(name, &config, &other), DXH_EINVAL);
}

Test(ring, without_wakes_readers_poll)
{
	dxh_block_config config = usual_config();
	dxh_producer_stats stats;
	pthread_t thread;

	publish_items(producer, 0, 1);
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.wakes, 1);
	config.no_wait = 1;
	use(config, (dxh_consumer_config){.start = DXH_START_NEXT});
	pthread_create(&thread, NULL, publish_one, NULL);
	must(dxh_read_next(consumer, &got, sizeof got, DXH_FOREVER, &info));
	pthread_join(thread, NULL);
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.wakes, 0);
}

Test(ring, without_time_stamps_items_say_no_time)
{
	dxh_block_config config = usual_config();
	dxh_consumer_stats stats;

	config.no_timestamps = 1;
	use(config, (dxh_consumer_config){.start = DXH_START_OLDEST});
	publish_items(producer, 0, 2);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect(stats.lag == 2 && stats.lag_ns == 0);
	expect_item(0);
	cr_expect_eq(info.timestamp_ns, 0);
}

/* The clock is looked at for one item in 64: what depends on it comes all the same. */
Test(ring, without_a_time_for_each_item_the_clock_offset_is_refreshed)
{
	dxh_block_config config = usual_config();
	_Atomic int64_t *offset;

	config.no_wait = config.no_timestamps = 1;
	use(config, (dxh_consumer_config){.start = DXH_START_NEXT});
	offset = &dxi_block_header(&producer->block)->clock_offset_ns;
	publish_items(producer, 0, 1);
	atomic_store(offset, 0);
	producer->refreshed_ns -= 2 * (int64_t)DXI_NS_PER_S;
	publish_items(producer, 1, 63);
	cr_expect_eq(atomic_load(offset), 0);
	publish_items(producer, 64, 1);
	cr_expect_neq(atomic_load(offset), 0);
}

Test(ring, large_slots_take_the_path_with_more_fences)
{
	enum { LARGE = 256 * 1024 };
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(LARGE), .slot_count = 4};
	unsigned char *out = malloc(LARGE), *in = malloc(LARGE);
	dxh_write_slot slot;

	use(config, (dxh_consumer_config){0});
	for (unsigned turn = 0; turn < 8; turn++) {
		for (size_t i = 0; i < LARGE; i++)
			out[i] = (unsigned char)(i * 31 + turn);
		must(dxh_write_begin(producer, DXH_NOW, &slot));
		memcpy(slot.data, out, LARGE);
		must(dxh_write_commit(&slot, LARGE - turn));
		must(dxh_read_next(consumer, in, LARGE, DXH_NOW, &info));
		cr_expect_eq(info.bytes, LARGE - turn);
		cr_expect_eq(memcmp(in, out, LARGE - turn), 0);
	}
	free(out);
	free(in);
}

Test(ring, one_write_in_sixty_four_is_measured)
{
	dxh_producer_stats stats;
	dxh_write_slot slot;
	int64_t begin;

	must(dxh_write_begin(producer, DXH_NOW, &slot)); /* ticket 0 is one of them */
	begin = dxh_now_ns();
	while (dxh_now_ns() - begin < 2000000)
		;
	must(dxh_write_commit(&slot, 0));
	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_geq(stats.write_max_ns, 2000000);
}

/* ---- zones ---- */

Test(ring, a_zone_is_one_memory_for_all)
{
	struct telemetry *own;
	const struct telemetry *theirs;

	must(dxh_zone(producer, telemetry, &own));
	must(dxh_zone_view(consumer, telemetry, &theirs));
	cr_expect_neq((const void *)own, (const void *)theirs);
	atomic_store(&own->frames, 42);
	own->gain = 1.5;
	cr_expect_eq(theirs->frames, 42);
	cr_expect_eq(theirs->gain, 1.5);
}

Test(ring, a_zone_is_checked_three_ways)
{
	dxh_schema other = *DXH_SCHEMA_OF(telemetry);
	dxh_field fields[3];
	const void *zone;
	void *own;

	memcpy(fields, other.fields, sizeof fields);
	fields[1].type = DXH_TYPE_U64;
	other.fields = fields;
	expect_status(dxh_consumer_zone(consumer, "nowhere", NULL, 1, &zone), DXH_EZONE);
	expect_error_says("telemetry, position, notes");
	expect_status(dxh_consumer_zone(consumer, "notes", NULL, 99, &zone), DXH_ESIZE);
	expect_error_says("here 99 bytes, in the block 100");
	expect_status(
		dxh_consumer_zone(consumer, "telemetry", &other, sizeof(struct telemetry), &zone),
		DXH_ESCHEMA);
	expect_error_says("member 1 differs");
	expect_status(dxh_producer_zone(producer, "position", NULL, sizeof(struct position), &own),
	              DXH_ESTATE);
	expect_status(dxh_consumer_zone(consumer, "notes", NULL, 100, &zone), DXH_OK);
	expect_status(
		dxh_producer_zone(producer, "telemetry", NULL, sizeof(struct telemetry), &own),
		DXH_OK);
	expect_status(dxh_producer_zone(producer, NULL, NULL, 1, &own), DXH_EINVAL);
}

static struct position *begin_position(void)
{
	void *data;

	must(dxh_latch_begin(producer, "position", sizeof(struct position), &data));
	return data;
}

static struct position read_position(void)
{
	struct position copy;

	must(dxh_latch_read(consumer, "position", &copy, sizeof copy));
	return copy;
}

Test(ring, a_latch_changes_only_at_commit)
{
	for (int i = 1; i < 6; i++) {
		struct position *spare = begin_position();

		cr_expect_eq(spare->x, i - 1, "begin does not hand out the current value");
		spare->x = i;
		cr_expect_eq(read_position().x, i - 1);
		must(dxh_latch_commit(producer, "position"));
		cr_expect_eq(read_position().x, i);
	}
}

Test(ring, latches_keep_their_order_of_calls)
{
	struct position copy;
	void *data;

	expect_status(dxh_latch_commit(producer, "position"), DXH_ESTATE);
	begin_position();
	expect_status(dxh_latch_begin(producer, "position", sizeof copy, &data), DXH_ESTATE);
	must(dxh_latch_commit(producer, "position"));
	expect_status(dxh_latch_begin(producer, "telemetry", sizeof(struct telemetry), &data),
	              DXH_ESTATE);
	expect_status(dxh_latch_begin(producer, "nowhere", 1, &data), DXH_EZONE);
	expect_status(dxh_latch_begin(producer, "position", 1, &data), DXH_ESIZE);
	expect_status(dxh_latch_commit(producer, "nowhere"), DXH_EZONE);
	expect_status(dxh_latch_read(consumer, "nowhere", &copy, 1), DXH_EZONE);
	expect_status(dxh_latch_read(consumer, "position", &copy, 1), DXH_ESIZE);
	expect_status(dxh_latch_read(consumer, "notes", &copy, 100), DXH_ESTATE);
}

/* A copy whose two pages are never open at once: each pass over it faults on both,
 * and the fault makes the latch new. So every read meets a writer that was faster,
 * on any machine and under any load. */
static struct {
	unsigned char *pages;
	size_t page_bytes;
	_Atomic uint64_t *seq;
	unsigned passes, passes_disturbed;
} trap;

static void on_fault(int signal_number, siginfo_t *fault, void *context)
{
	unsigned char *at = fault->si_addr, *second = trap.pages + trap.page_bytes;

	(void)context;
	if (at < trap.pages || at >= second + trap.page_bytes) {
		signal(signal_number, SIG_DFL); /* a fault that is none of ours */
		return;
	}
	mprotect(trap.pages, 2 * trap.page_bytes, PROT_NONE);
	mprotect(at < second ? trap.pages : second, trap.page_bytes, PROT_READ | PROT_WRITE);
	if (at >= second && trap.passes++ < trap.passes_disturbed)
		atomic_fetch_add(trap.seq, 1);
}

static void set_trap(unsigned passes_disturbed)
{
	trap.passes = 0;
	trap.passes_disturbed = passes_disturbed;
	mprotect(trap.pages, 2 * trap.page_bytes, PROT_NONE);
}

Test(ring, a_latch_that_never_rests_is_busy)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	size_t bytes = 2 * (size_t)sysconf(_SC_PAGESIZE);
	dxh_block_config config = {.zones = {{.name = "large", .bytes = bytes, .latch = 1}}};

	use(config, (dxh_consumer_config){0});
	trap.page_bytes = bytes / 2;
	trap.pages = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert(trap.pages != MAP_FAILED);
	trap.seq = (_Atomic uint64_t *)(producer->block.base + producer->block.zones[0].offset);
	sigaction(SIGSEGV, &action, NULL);

	set_trap(8);
	expect_status(dxh_latch_read(consumer, "large", trap.pages, bytes), DXH_EBUSY);
	cr_expect_eq(trap.passes, 8, "%u tries, not 8", trap.passes);
	/* Seven are not enough to give up. */
	set_trap(7);
	must(dxh_latch_read(consumer, "large", trap.pages, bytes));
	cr_expect_eq(trap.passes, 8);
	munmap(trap.pages, bytes);
}
