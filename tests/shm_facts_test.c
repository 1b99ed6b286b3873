/* SPDX-License-Identifier: MIT */
/* What dxh_block_facts() tells: of blocks that live, ended and died, of copies, of broken
 * ones; and that it changes nothing.
 */
#include "tests/shm_inspect.h"

#include "base/clock.h"
#include "shm/consumer.h"
#include "shm/counter.h"

static char name[32], copy[256];

static void setup(void)
{
	strcpy(name, new_name());
	snprintf(copy, sizeof copy, "%s", file_of(name, ".copy"));
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void teardown(void)
{
	unlink(copy);
	must(dxh_block_unlink(NULL, name));
}

TestSuite(facts, .init = setup, .fini = teardown, .timeout = 60);

static dxh_facts *look(void)
{
	dxh_facts *facts = NULL;

	must(dxh_block_facts(name, NULL, &facts));
	return facts;
}

Test(facts, a_live_block_tells_its_tables)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_facts *facts = look();
	size_t bytes;

	cr_expect_str_eq(facts->block.name, name);
	cr_expect_str_eq(facts->path, file_of(name, ".dxh"));
	cr_expect_eq(facts->uid, geteuid());
	cr_expect_eq(facts->mode, 0640);
	cr_assert_eq(facts->block.zone_count, 3);
	cr_expect_str_eq(facts->zones[0].name, "telemetry");
	cr_expect_str_eq(facts->zones[0].schema, "telemetry");
	cr_expect_eq(facts->zones[0].bytes, sizeof(struct telemetry));
	cr_expect_eq(facts->zones[0].align, 8);
	cr_expect(!facts->zones[0].latch && !facts->zones[0].shared);
	cr_expect(facts->zones[1].latch);
	cr_expect_str_eq(facts->zones[2].name, "notes");
	cr_expect_str_eq(facts->zones[2].schema, "");
	cr_expect_str_eq(facts->slot_schema, "item");
	cr_expect_eq(facts->policy, DXH_POLICY_RING);
	cr_expect_eq(facts->slots_physical, 6);
	cr_expect_eq(facts->checksum, DXH_CHECKSUM_XXH3);
	cr_expect(!facts->checksum_manual && !facts->checksum_keyed && !facts->no_wait);
	cr_expect_eq(facts->no_timestamps, 0);
	cr_expect_eq(facts->zones_writable, 0);
	cr_expect_eq(facts->readers_max, 3);
	cr_expect(memcmp(facts->schema, dxh_producer_schema(producer, &bytes),
	                 facts->block.schema_bytes) == 0);
	cr_expect_eq(bytes, facts->block.schema_bytes);
	dxh_facts_free(&facts);
	cr_expect_null(facts);
	must(dxh_producer_close(&producer));
}

Test(facts, other_ways_to_make_a_block_are_told)
{
	static const unsigned char key[DXH_CHECKSUM_KEY_BYTES] = {1};
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_facts *facts;

	config.slot_count = 1;
	config.no_wait = config.no_timestamps = 1;
	config.zones[1] = (dxh_zone_spec)DXH_ZONE(position);
	config.zones_writable = 1;
	config.checksum = DXH_CHECKSUM_BLAKE2B;
	config.checksum_key = key;
	config.checksum_manual = 1;
	config.mode = 0600;
	producer = open_producer(name, config);
	must(dxh_block_facts(name, &(dxh_inspect_config){.checksum_key = key}, &facts));
	cr_expect_eq(facts->policy, DXH_POLICY_SINGLE);
	cr_expect_eq(facts->checksum, DXH_CHECKSUM_BLAKE2B);
	cr_expect(facts->checksum_keyed && facts->checksum_manual && facts->no_wait);
	cr_expect(facts->no_timestamps);
	cr_expect(facts->zones_writable && facts->zones[0].shared);
	cr_expect_eq(facts->mode, 0600);
	cr_expect_eq(facts->readers_max, 0);
	cr_expect_eq(facts->readers_status, DXH_OK);
	dxh_facts_free(&facts);
	facts = look(); /* the key is for who verifies items */
	cr_expect(facts->checksum_keyed);
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
}

Test(facts, what_was_counted_is_told)
{
	dxh_producer *producer = open_producer(name, full_config());
	int64_t before_ns = dxh_now_ns();
	dxh_producer_stats stats;
	dxh_write_slot slot;
	dxh_facts *facts;

	publish_items(producer, 0, 9);
	must(dxh_write_begin(producer, DXH_NOW, &slot));
	must(dxh_write_abort(&slot));
	must(dxh_producer_stats_get(producer, &stats));
	facts = look();
	cr_expect_eq(facts->block.head, 10);
	cr_expect_eq(facts->oldest, 6, "four are kept");
	cr_expect_geq(facts->oldest_ns, before_ns);
	cr_expect_geq(facts->newest_ns, facts->oldest_ns);
	cr_expect_leq(facts->newest_ns, dxh_now_ns());
	cr_expect_eq(facts->items, 9);
	cr_expect_eq(facts->bytes, 9 * sizeof(struct item));
	cr_expect_eq(facts->aborted, 1);
	cr_expect_eq(facts->wakes, stats.wakes);
	cr_expect_gt(facts->write_max_ns, 0, "ticket 0 is one of those that are measured");
	cr_expect_eq(facts->write_max_ns, stats.write_max_ns);
	cr_expect_eq(facts->recoveries, 0);
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
}

Test(facts, the_producer_is_told_from_others_with_its_pid)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_facts *facts = look();
	struct timespec since_boot;
	char boot[40] = "";
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	cr_assert(file && fscanf(file, "%36s", boot) == 1);
	fclose(file);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	cr_expect_eq(facts->block.producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(facts->block.producer_pid, getpid());
	cr_expect_str_eq(facts->producer_boot_id, boot);
	cr_expect_eq(facts->same_boot, 1);
	cr_expect_gt(facts->producer_started_ns, 0);
	cr_expect_leq(facts->producer_started_ns / DXI_NS_PER_S, since_boot.tv_sec);
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
	facts = look();
	cr_expect_eq(facts->block.producer, DXH_PRODUCER_CLOSED);
	dxh_facts_free(&facts);
}

static const dxh_reader_row *only_row(const dxh_facts *facts)
{
	cr_assert_eq(facts->readers_status, DXH_OK);
	cr_assert_eq(facts->reader_count, 1);
	return &facts->readers[0];
}

static void expect_reader(dxh_reader_state state, uint64_t lag)
{
	dxh_facts *facts = look();
	const dxh_reader_row *row = only_row(facts);

	cr_expect_eq(row->state, state);
	cr_expect_eq(row->reader.lag, lag);
	cr_expect_eq(row->reader.lag_ns > 0, lag > 0);
	cr_expect_eq(row->reader.pid, (uint32_t)getpid());
	dxh_facts_free(&facts);
}

Test(facts, readers_go_from_active_to_lagging_to_evicted)
{
	dxh_block_config config = full_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	struct item got;
	dxh_item item;

	config.evict = 1;
	producer = open_producer(name, config);
	consumer = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	expect_reader(DXH_READER_ACTIVE, 0);
	publish_items(producer, 0, 3);
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	expect_reader(DXH_READER_ACTIVE, 2);
	publish_items(producer, 3, 2);
	expect_reader(DXH_READER_LAGGING, 4);
	publish_items(producer, 5, 1);
	expect_reader(DXH_READER_EVICTED, 5);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
}

Test(facts, the_rows_of_the_dead_are_told_too)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_facts *facts;

	must(dxh_producer_close(&producer));
	expect_killed(run_child(die_reading, name));
	facts = look();
	cr_expect_eq(only_row(facts)->state, DXH_READER_DEAD);
	dxh_facts_free(&facts);
}

Test(facts, rows_that_cannot_be_looked_at_leave_the_rest)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_facts *facts;

	must(dxh_producer_close(&producer));
	cr_assert_eq(truncate(file_of(name, ".ctl"), 10), 0);
	facts = look();
	cr_expect_eq(facts->readers_status, DXH_ECORRUPT);
	cr_expect_eq(facts->reader_count, 0);
	dxh_facts_free(&facts);
	cr_assert_eq(unlink(file_of(name, ".ctl")), 0);
	facts = look();
	cr_expect_eq(facts->readers_status, DXH_ENOTFOUND);
	cr_expect_eq(facts->block.head, 0);
	dxh_facts_free(&facts);
}

static void make_copy(void)
{
	image it = load_image(name);
	int fd = open(copy, O_WRONLY | O_CREAT | O_EXCL, 0600);

	cr_assert(fd != -1 && write(fd, it.bytes, it.length) == (ssize_t)it.length);
	close(fd);
	free(it.bytes);
}

Test(facts, a_copy_tells_the_same_but_who_lives_and_reads)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_facts *facts = NULL;

	publish_items(producer, 0, 3);
	make_copy();
	must(dxh_block_facts(NULL, &(dxh_inspect_config){.file = copy}, &facts));
	cr_expect_str_eq(facts->block.name, name);
	cr_expect_str_eq(facts->path, copy);
	cr_expect_eq(facts->block.producer, DXH_PRODUCER_UNKNOWN);
	cr_expect_eq(facts->items, 3);
	cr_expect_eq(facts->oldest, 0);
	cr_expect_eq(facts->readers_status, DXH_ESTATE);
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
}

/* /proc leads to what has no name any more, and to what never had one. */
Test(facts, the_links_of_the_kernel_are_followed)
{
	dxh_block_config config = full_config();
	int fds[DXH_BLOCK_FDS];
	dxh_producer *producer;
	char link[64];
	dxh_facts *facts;
	size_t count;

	producer = open_producer(name, config);
	snprintf(link, sizeof link, "/proc/self/fd/%d", producer->block.fd);
	cr_assert_eq(unlink(file_of(name, ".dxh")), 0);
	must(dxh_block_facts(NULL, &(dxh_inspect_config){.file = link}, &facts));
	cr_expect_str_eq(facts->block.name, name);
	cr_expect_eq(facts->block.producer, DXH_PRODUCER_ALIVE);
	cr_expect_neq(facts->block.unlinked, 0);
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
	config.memfd = 1;
	producer = open_producer("memory", config);
	publish_items(producer, 0, 2);
	must(dxh_producer_fds(producer, fds, &count));
	snprintf(link, sizeof link, "/proc/self/fd/%d", fds[0]);
	must(dxh_block_facts(NULL, &(dxh_inspect_config){.file = link}, &facts));
	cr_expect_str_eq(facts->block.name, "memory");
	cr_expect_eq(facts->block.unlinked, 0, "it never had a name");
	cr_expect_eq(facts->items, 2);
	dxh_facts_free(&facts);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	must(dxh_producer_close(&producer));
	producer = open_producer(name, full_config()); /* for the teardown */
	must(dxh_producer_close(&producer));
}

Test(facts, a_dead_producer_and_its_repairs_are_told)
{
	dxh_report *report = NULL;
	dxh_facts *facts;

	expect_killed(run_child(die_announcing, name));
	facts = look();
	cr_expect_eq(facts->block.producer, DXH_PRODUCER_DEAD);
	cr_expect_eq(facts->block.head, 2);
	cr_expect_eq(facts->recovered_ns, 0);
	dxh_facts_free(&facts);
	must(dxh_block_recover(name, &(dxh_recover_config){.apply = 1}, &report));
	dxh_report_free(&report);
	facts = look();
	cr_expect_eq(facts->block.head, 3);
	cr_expect_eq(facts->recoveries, 1);
	cr_expect_eq(facts->recovered_by, (uint32_t)getpid());
	cr_expect_gt(facts->recovered_ns, 0);
	dxh_facts_free(&facts);
}

Test(facts, what_the_producer_has_locked_is_its_own_word)
{
	dxh_block_config config = full_config();
	dxh_producer_stats stats;
	dxh_producer *producer;
	dxh_facts *facts;

	config.lock_memory = 1;
	producer = open_producer(name, config);
	must(dxh_producer_stats_get(producer, &stats));
	facts = look();
	cr_expect_eq(facts->locked_bytes, stats.locked_bytes);
	cr_expect_eq(facts->huge_bytes, 0);
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
	config.lock_memory = 0;
	producer = open_producer(name, config);
	facts = look();
	cr_expect_eq(facts->locked_bytes, 0, "that of a predecessor");
	dxh_facts_free(&facts);
	must(dxh_producer_close(&producer));
}

Test(facts, nothing_is_changed)
{
	snapshot before;
	dxh_facts *facts;

	expect_killed(run_child(die_announcing, name));
	expect_killed(run_child(die_reading, name));
	before = take_snapshot(name);
	facts = look();
	dxh_facts_free(&facts);
	expect_unchanged(name, before);
}

static dxh_status look_at_changed(size_t offset, unsigned char flip)
{
	image it = load_image(name);
	dxh_facts *facts = NULL;
	dxh_status status;

	it.bytes[offset] ^= flip;
	store_image(name, it.bytes, it.length);
	free(it.bytes);
	status = dxh_block_facts(name, NULL, &facts);
	if (status != DXH_OK)
		cr_expect_null(facts);
	dxh_facts_free(&facts);
	return status;
}

Test(facts, broken_blocks_are_refused_with_offset_and_rule)
{
	dxh_producer *producer = open_producer(name, full_config());

	must(dxh_producer_close(&producer));
	expect_status(look_at_changed(16, 1), DXH_ECORRUPT);
	expect_error_says("offset 224");
	expect_status(look_at_changed(4, 2), DXH_EVERSION);
	expect_status(look_at_changed(4, 2), DXH_ECORRUPT); /* back again, but for byte 16 */
	must(look_at_changed(16, 1));
	/* Words that change may hold anything. */
	must(look_at_changed(384 + 7, 0xff));
	must(look_at_changed(528 + 7, 0xff));
	must(look_at_changed(640 + 7, 0xff));
}

Test(facts, wrong_calls_are_refused)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_facts *facts = NULL;

	expect_status(dxh_block_facts(name, NULL, NULL), DXH_EINVAL);
	expect_status(dxh_block_facts(NULL, NULL, &facts), DXH_EINVAL);
	expect_status(dxh_block_facts(name, &(dxh_inspect_config){.file = copy}, &facts),
	              DXH_EINVAL);
	expect_status(dxh_block_facts("nobody.made.this", NULL, &facts), DXH_ENOTFOUND);
	cr_expect_null(facts);
	dxh_facts_free(&facts);
	dxh_facts_free(NULL);
	must(dxh_producer_close(&producer));
}
