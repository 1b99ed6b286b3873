/* SPDX-License-Identifier: MIT */
/* What recover does and does not do: each repair once, none without `apply`, none to
 * a block that lives, and never an odd seq made even.
 */
#include "tests/shm_inspect.h"

#include "shm/consumer.h"
#include "shm/lease.h"

static char name[32];

static void setup(void)
{
	strcpy(name, new_name());
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void teardown(void)
{
	must(dxh_block_unlink(NULL, name));
}

TestSuite(recover, .init = setup, .fini = teardown, .timeout = 60);

static dxh_report *recover(int apply)
{
	dxh_report *report = NULL;

	must(dxh_block_recover(name, &(dxh_recover_config){.apply = apply}, &report));
	return report;
}

static uint32_t count_repairs(const dxh_report *report, dxh_repair repair)
{
	uint32_t count = 0;

	for (size_t i = 0; i < report->finding_count; i++)
		count += report->findings[i].repair == repair;
	return count;
}

/* The rule is found; without apply nothing changes; with it it is repaired once; after
 * it it is gone, and again nothing changes. */
static void expect_repaired(dxh_rule rule)
{
	snapshot before = take_snapshot(name);
	dxh_report *report = recover(0);
	uint64_t recoveries = report->recoveries;

	cr_assert(find_rule(report, rule), "no finding %s", dxh_rule_name(rule));
	cr_expect_eq(find_rule(report, rule)->repair, DXH_REPAIR_RECOVER);
	dxh_report_free(&report);
	expect_unchanged(name, before);

	report = recover(1);
	cr_assert(find_rule(report, rule));
	cr_expect_eq(find_rule(report, rule)->repair, DXH_REPAIR_DONE);
	cr_expect_eq(count_repairs(report, DXH_REPAIR_DONE), 1);
	dxh_report_free(&report);

	before = take_snapshot(name);
	report = recover(1);
	cr_expect_null(find_rule(report, rule));
	cr_expect_eq(count_repairs(report, DXH_REPAIR_DONE), 0);
	cr_expect_eq(report->recoveries, recoveries + 1, "counted once");
	cr_expect_gt(report->recovered_ns, INT64_C(1600000000000000000));
	dxh_report_free(&report);
	expect_unchanged(name, before);
}

/* A producer finds all in order and goes on with ticket `next`. */
static void expect_taken_over(uint64_t next)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_producer_stats stats;

	must(dxh_producer_stats_get(producer, &stats));
	cr_expect_eq(stats.next_ticket, next);
	publish_items(producer, next, 1);
	expect_nothing(name);
	must(dxh_producer_close(&producer));
	expect_nothing(name);
}

static void make_closed(void)
{
	dxh_producer *producer = open_producer(name, full_config());

	publish_items(producer, 0, 9);
	must(dxh_producer_close(&producer));
}

/* ---- each repair ---- */

Test(recover, what_was_published_is_announced)
{
	dxh_consumer *consumer;
	struct item got;
	dxh_item item;

	expect_killed(run_child(die_announcing, name));
	consumer = open_consumer(name, (dxh_consumer_config){.start = DXH_START_NEWEST});
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	cr_expect_eq(item.ticket, 1, "head did not tell of ticket 2");
	must(dxh_consumer_close(&consumer));
	expect_repaired(DXH_RULE_HEAD_LAGS);
	consumer = open_consumer(name, (dxh_consumer_config){.start = DXH_START_NEWEST});
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	cr_expect_eq(item.ticket, 2);
	cr_expect(is_item_of(2, &got));
	must(dxh_consumer_close(&consumer));
	expect_taken_over(3);
}

Test(recover, rows_of_dead_readers_are_cleared)
{
	make_closed();
	expect_killed(run_child(die_reading, name));
	expect_repaired(DXH_RULE_ROW_STALE);
	expect_taken_over(9);
}

static char control[256], lock[256];

static void name_files(void)
{
	snprintf(control, sizeof control, "%s", file_of(name, ".ctl"));
	snprintf(lock, sizeof lock, "%s", file_of(name, ".lock"));
}

Test(recover, a_control_file_is_made_again)
{
	struct stat data, made;
	dxh_consumer *consumer;

	make_closed();
	name_files();
	cr_assert_eq(chmod(file_of(name, ".dxh"), 0604), 0);
	cr_assert_eq(unlink(control), 0);
	expect_repaired(DXH_RULE_CONTROL_MISSING);
	cr_assert(stat(file_of(name, ".dxh"), &data) == 0 && stat(control, &made) == 0);
	cr_expect_eq(made.st_uid, data.st_uid);
	cr_expect_eq(made.st_gid, data.st_gid);
	cr_expect_eq(made.st_mode & 0777, 0606, "writable for those who may read the block");
	consumer = open_consumer(name, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	must(dxh_consumer_close(&consumer));
	cr_assert_eq(truncate(control, 10), 0);
	expect_repaired(DXH_RULE_CONTROL_BROKEN);
	expect_taken_over(9);
}

Test(recover, a_lock_file_is_made_again)
{
	make_closed();
	name_files();
	cr_assert_eq(unlink(lock), 0);
	expect_repaired(DXH_RULE_LOCK_MISSING);
	expect_taken_over(9);
}

static void change_header(uint32_t state, uint32_t held)
{
	image it = load_image(name);

	atomic_store(&header_of(it)->producer.state, state);
	atomic_store(&header_of(it)->held, held);
	store_image(name, it.bytes, it.length);
	free(it.bytes);
}

Test(recover, what_the_dead_left_in_the_header_is_cleared)
{
	dxh_block_info facts;

	make_closed();
	change_header(DXI_STATE_CLOSED, 1);
	expect_repaired(DXH_RULE_WAIT_STALE);
	change_header(DXI_STATE_UNLIT, 0);
	must(dxh_block_stat(NULL, name, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_UNKNOWN);
	expect_repaired(DXH_RULE_BEACON_STALE);
	must(dxh_block_stat(NULL, name, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_DEAD);
	expect_taken_over(9);
}

Test(recover, all_that_was_left_is_put_in_order_at_once)
{
	dxh_report *report;

	expect_killed(run_child(die_announcing, name));
	expect_killed(run_child(die_reading, name));
	expect_killed(run_child(die_reading, name)); /* the same row again */
	change_header(DXI_STATE_UNLIT, 1);
	name_files();
	cr_assert_eq(unlink(lock), 0);
	report = recover(1);
	cr_expect_eq(count_repairs(report, DXH_REPAIR_DONE), 5);
	dxh_report_free(&report);
	expect_found(name, DXH_RULE_PRODUCER_DEAD);
	expect_taken_over(3);
}

/* ---- what it does not do ---- */

Test(recover, what_was_being_written_stays_unpublished)
{
	snapshot before;
	dxh_report *report;
	image it;

	expect_killed(run_child(die_writing, name));
	before = take_snapshot(name);
	report = recover(1);
	cr_assert(find_rule(report, DXH_RULE_SLOT_UNFINISHED));
	cr_expect_eq(count_repairs(report, DXH_REPAIR_DONE), 0);
	dxh_report_free(&report);
	expect_unchanged(name, before);
	it = load_image(name);
	cr_expect_eq(atomic_load(&slot_of(it, 2)->seq), 2 * 2 + 1);
	free(it.bytes);
	expect_taken_over(2);
}

Test(recover, a_live_producer_is_named_and_not_disturbed)
{
	dxh_producer *producer = open_producer(name, full_config());
	dxh_report *report = NULL;
	snapshot before;
	char pid[32];

	publish_items(producer, 0, 2);
	atomic_store(&dxi_block_header(&producer->block)->held, 1); /* as if it waited */
	before = take_snapshot(name);
	snprintf(pid, sizeof pid, "pid %d", (int)getpid());
	for (int apply = 0; apply < 2; apply++) {
		dxh_recover_config config = {.apply = apply};

		expect_status(dxh_block_recover(name, &config, &report), DXH_EBUSY);
		expect_error_says(pid);
		cr_expect_null(report);
	}
	expect_unchanged(name, before);
	atomic_store(&dxi_block_header(&producer->block)->held, 0);
	must(dxh_producer_close(&producer));
}

/* Without its lock file a producer still shows that it lives: by its beacon. */
Test(recover, a_live_producer_without_lock_file_is_not_disturbed)
{
	dxh_producer *producer = open_producer(name, full_config()), *second = NULL;
	dxh_block_config config = full_config();
	dxh_report *report = NULL;

	name_files();
	cr_assert_eq(unlink(lock), 0);
	expect_status(dxh_block_recover(name, &(dxh_recover_config){.apply = 1}, &report),
	              DXH_EBUSY);
	cr_expect_eq(access(lock, F_OK), -1, "a lock file was made that its producer has not");
	/* And no second producer comes in by that way. */
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	publish_items(producer, 0, 1);
	must(dxh_producer_close(&producer));
}

Test(recover, another_recovery_is_not_disturbed)
{
	dxh_block_config config = full_config();
	dxh_producer *producer = NULL;
	dxh_report *report = NULL;
	dxi_paths paths;
	dxi_lease lease;

	make_closed();
	change_header(DXI_STATE_CLOSED, 1);
	must(dxi_paths_of(NULL, name, &paths));
	must(dxi_lease_take(&paths, 0, &lease));
	must(dxi_lease_take_recovery(&lease));
	expect_status(dxh_block_recover(name, &(dxh_recover_config){.apply = 1}, &report),
	              DXH_EBUSY);
	expect_error_says("recovered or removed");
	expect_status(dxh_producer_open(name, &config, &producer), DXH_EBUSY);
	expect_error_says("recovered or removed");
	dxi_lease_release(&lease);
	expect_repaired(DXH_RULE_WAIT_STALE);
}

static void expect_left_alone(dxh_rule rule)
{
	snapshot before = take_snapshot(name);
	dxh_report *report = recover(1);

	cr_expect(find_rule(report, rule));
	cr_expect_eq(count_repairs(report, DXH_REPAIR_DONE), 0);
	dxh_report_free(&report);
	expect_unchanged(name, before);
}

Test(recover, what_is_broken_is_left_alone)
{
	image it;

	make_closed();
	it = load_image(name);
	it.bytes[16] ^= 1;
	store_image(name, it.bytes, it.length);
	expect_left_alone(DXH_RULE_HEADER_CHECKSUM);
	it.bytes[16] ^= 1;
	store_image(name, it.bytes, it.length - 1);
	expect_left_alone(DXH_RULE_FILE_SIZE);
	/* The largest ticket cannot be told any more, and so no head. */
	atomic_store(&slot_of(it, 1)->seq, 2 * 13 + 2);
	atomic_store(&header_of(it)->head, 8);
	store_image(name, it.bytes, it.length);
	expect_left_alone(DXH_RULE_SLOT_SEQ);
	free(it.bytes);
}

Test(recover, what_cannot_be_recovered_is_a_status)
{
	dxh_report *report = NULL;

	expect_status(dxh_block_recover(name, NULL, &report), DXH_ENOTFOUND);
	name_files();
	cr_expect_eq(access(lock, F_OK), -1, "a lock file was made for nothing");
	make_closed();
	expect_status(dxh_block_recover(name, NULL, NULL), DXH_EINVAL);
	expect_status(dxh_block_recover("/x", NULL, &report), DXH_EINVAL);
	cr_expect_null(report);
}

static void recover_as_stranger(const char *block)
{
	dxh_report *report = NULL;
	dxh_recover_config config = {.apply = 1, .owner_uid_plus1 = 1};

	if (setegid(65534) != 0 || seteuid(65534) != 0)
		_exit(60);
	if (dxh_block_recover(block, &config, &report) != DXH_EACCESS)
		_exit(61);
	if (!strstr(dxh_last_error(), "opening "))
		_exit(62);
}

Test(recover, who_may_not_write_is_told)
{
	if (geteuid() != 0)
		return;
	make_closed();
	cr_assert_eq(chmod(file_of(name, ".dxh"), 0644), 0);
	change_header(DXI_STATE_CLOSED, 1);
	cr_expect_eq(run_child(recover_as_stranger, name), 0);
}

/* As root, a block of somebody else: what is made beside it is its owner's. */
Test(recover, what_root_makes_belongs_to_the_owner)
{
	dxh_recover_config config = {.apply = 1, .owner_uid_plus1 = 12346};
	dxh_report *report = NULL;
	struct stat made;

	if (geteuid() != 0)
		return;
	make_closed();
	name_files();
	cr_assert_eq(chown(file_of(name, ".dxh"), 12345, 12345), 0);
	cr_assert(unlink(lock) == 0 && unlink(control) == 0);
	must(dxh_block_recover(name, &config, &report));
	cr_expect_eq(count_repairs(report, DXH_REPAIR_DONE), 2);
	dxh_report_free(&report);
	cr_assert_eq(stat(lock, &made), 0);
	cr_expect_eq(made.st_uid, 12345);
	cr_assert_eq(stat(control, &made), 0);
	cr_expect_eq(made.st_uid, 12345);
	cr_expect_eq(made.st_gid, 12345);
	cr_assert(chown(lock, 0, 0) == 0 && chown(control, 0, 0) == 0);
}

/* ---- killed anywhere, and run again ---- */

static void recover_and_die_soon(const char *block)
{
	dxh_report *report = NULL;

	while (dxh_block_recover(block, &(dxh_recover_config){.apply = 1}, &report) == DXH_OK)
		dxh_report_free(&report);
	_exit(63);
}

Test(recover, it_may_be_killed_at_any_time_and_run_again)
{
	for (int turn = 0; turn < 60; turn++) {
		dxh_report *report;
		pid_t child;
		int status;

		expect_killed(run_child(die_announcing, name));
		expect_killed(run_child(die_reading, name));
		change_header(DXI_STATE_UNLIT, 1);
		name_files();
		cr_assert_eq(unlink(control), 0);
		child = fork();
		cr_assert_neq(child, -1);
		if (child == 0)
			recover_and_die_soon(name);
		usleep((useconds_t)(turn * 20)); /* any moment will do */
		kill(child, SIGKILL);
		cr_assert_eq(waitpid(child, &status, 0), child);
		expect_killed(status);
		report = recover(1);
		dxh_report_free(&report);
		expect_found(name, DXH_RULE_PRODUCER_DEAD);
		expect_taken_over(3);
		must(dxh_block_unlink(NULL, name));
	}
	make_closed(); /* for the teardown */
}
