/* SPDX-License-Identifier: MIT */
/* The file of reader rows, which others may write: whatever they do to it, the writer goes on,
 * and readers know what they lost.
 */
#include "tests/shm_lossless_fixture.h"

TestSuite(control_file, .init = setup, .fini = teardown, .timeout = 60);

/* ---- a control file that others may write -------------------------------------------------------- */

Test(control_file, a_truncated_control_file_stops_no_producer)
{
	must(dxh_consumer_close(&consumer));
	cr_assert_eq(truncate(file_of(name, ".ctl"), 0), 0);
	publish_items(producer, 0, 100);
	expect_status(dxh_consumer_open(name, &LOSSLESS, &consumer), DXH_ECORRUPT);
	/* A successor makes it anew. */
	must(dxh_producer_close(&producer));
	producer = open_producer(name, lossless_config());
	consumer = open_consumer(name, LOSSLESS);
}

Test(control_file, a_control_file_of_noise_holds_nobody_back)
{
	unsigned char noise[sizeof(struct dxi_layout_control) + 3 * sizeof(struct dxi_layout_row)];
	uint64_t ticket = 0;
	int fd = open(file_of(name, ".ctl"), O_RDWR);

	srand(7);
	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (unsigned char)rand();
		cr_assert_eq(pwrite(fd, noise + 256, sizeof noise - 256, 256),
		             (ssize_t)sizeof noise - 256);
		if (round == 0)
			must(dxh_consumer_close(&consumer));
		for (int i = 0; i < 9; i++)
			must(publish_one(ticket++, DXH_NOW));
	}
	close(fd);
}

Test(control_file, a_removed_or_foreign_control_file_is_made_anew_by_a_successor)
{
	dxh_block_config config = lossless_config();

	must(dxh_producer_close(&producer));
	cr_assert_eq(unlink(file_of(name, ".ctl")), 0);
	producer = open_producer(name, config);
	must(dxh_consumer_close(&consumer));
	consumer = open_consumer(name, LOSSLESS);
	publish_items(producer, 0, 4);
	expect_status(publish_one(4, DXH_NOW), DXH_EWAIT);
}

/* ---- a control file made anew beside its readers -------------------------------------------- */

static void make_control_anew(unsigned readers_max)
{
	dxh_block_config config = lossless_config();

	config.readers_max = readers_max;
	must(dxh_producer_close(&producer));
	cr_assert_eq(unlink(file_of(name, ".ctl")), 0);
	producer = open_producer(name, config);
}

Test(control_file, a_reader_moves_to_a_control_file_made_anew)
{
	size_t count = 0;

	publish_items(producer, 0, 2);
	make_control_anew(3);
	expect_items(0, 2); /* nothing was lost, nothing is told */
	must(dxh_producer_readers(producer, NULL, 0, &count));
	cr_expect_eq(count, 1);
	publish_items(producer, 2, 4);
	expect_status(publish_one(6, DXH_NOW), DXH_EWAIT);
	expect_items(2, 4);
}

Test(control_file, what_is_lost_beside_a_control_file_made_anew_is_told_exactly)
{
	dxh_consumer_stats stats;

	expect_status(read_now(), DXH_EWAIT);
	make_control_anew(3);
	publish_items(producer, 0, 20); /* waits for nobody */
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 16);
	cr_expect_eq(info.lost_first, 0);
	cr_expect_eq(info.lost_last, 15);
	must(dxh_consumer_stats_get(consumer, &stats));
	cr_expect_eq(stats.evicted, 1);
	cr_expect_eq(stats.lost, 16);
	expect_status(publish_one(20, DXH_NOW), DXH_EWAIT); /* lossless again */
	expect_items(16, 4);
	publish_items(producer, 20, 4);
	expect_status(publish_one(24, DXH_NOW), DXH_EWAIT);
	expect_items(20, 4);
}

Test(control_file, an_overwritten_control_file_is_left_for_the_new_one)
{
	static const char noise[256] = "noise";
	int fd = open(file_of(name, ".ctl"), O_RDWR);

	cr_assert_eq(pwrite(fd, noise, sizeof noise, 0), (ssize_t)sizeof noise);
	close(fd);
	must(dxh_producer_close(&producer));
	producer = open_producer(name, lossless_config());
	publish_items(producer, 0, 8);
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 4);
	expect_status(publish_one(8, DXH_NOW), DXH_EWAIT);
	expect_items(4, 4);
}

Test(control_file, without_a_row_in_the_new_control_file_a_reader_is_told_so_until_one_is_free)
{
	dxh_block_config config = lossless_config();
	dxh_consumer *thief;

	teardown();
	config.readers_max = 1;
	open_both(config);
	make_control_anew(1);
	thief = open_consumer(name, LOSSLESS);
	publish_items(producer, 0, 4);
	for (int i = 0; i < 2; i++) {
		expect_status(read_now(), DXH_ELIMIT);
		expect_error_says("reader rows");
	}
	must(dxh_consumer_close(&thief));
	publish_items(producer, 4, 4);
	expect_status(read_now(), DXH_EEVICTED);
	cr_expect_eq(info.lost, 4);
	expect_items(4, 4);
}

/* ---- rights -------------------------------------------------------------------------------- */

/* A directory that strangers may enter: that of a test run is closed to them. */
static char open_directory[128];

static void open_as_a_stranger(const char *block)
{
	dxh_consumer_config config = {
		.directory = open_directory, .owner_uid_plus1 = 1, .discipline = DXH_LOSSLESS};
	dxh_consumer *reader = NULL;

	if (setuid(65534) == -1)
		_exit(1);
	if (dxh_consumer_open(block, &config, &reader) != DXH_EACCESS ||
	    !strstr(dxh_last_error(), "which you may not"))
		_exit(2);
}

Test(control_file, a_reader_needs_the_right_to_hold_the_writer_back)
{
	dxh_block_config config = lossless_config();
	char control[160];
	dxh_producer *owner;

	if (geteuid() != 0)
		cr_skip("only root can become a stranger");
	snprintf(open_directory, sizeof open_directory, "/dev/shm/dxh-check-open-%d",
	         (int)getpid());
	cr_assert_eq(mkdir(open_directory, 0755), 0);
	config.directory = open_directory;
	config.mode = 0644;
	owner = open_producer("theirs", config);
	snprintf(control, sizeof control, "%s/theirs.ctl", open_directory);
	cr_assert_eq(chmod(control, 0600), 0);
	cr_expect_eq(run_child(open_as_a_stranger, "theirs"), 0);
	must(dxh_producer_close(&owner));
	must(dxh_block_unlink(open_directory, "theirs"));
	cr_assert_eq(rmdir(open_directory), 0);
}

static int to_parent[2], to_child[2];

/* Attaches while it may, and reads when it may no longer have a row. */
static void stay_as_a_stranger(const char *block)
{
	dxh_consumer_config config = {
		.directory = open_directory, .owner_uid_plus1 = 1, .discipline = DXH_LOSSLESS};
	dxh_consumer *reader = NULL;
	char copy[512], byte = 0;
	dxh_item item;

	if (setuid(65534) == -1 || dxh_consumer_open(block, &config, &reader) != DXH_OK)
		_exit(1);
	if (write(to_parent[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1)
		_exit(2);
	if (dxh_read_next(reader, copy, sizeof copy, DXH_NOW, &item) != DXH_EACCESS)
		_exit(3);
}

Test(control_file, without_the_right_to_the_new_control_file_a_reader_is_told_so)
{
	dxh_block_config config = lossless_config();
	dxh_producer *owner;
	char control[160], byte = 0;
	pid_t child;
	int how;

	if (geteuid() != 0)
		cr_skip("only root can become a stranger");
	snprintf(open_directory, sizeof open_directory, "/dev/shm/dxh-check-open2-%d",
	         (int)getpid());
	cr_assert_eq(mkdir(open_directory, 0755), 0);
	config.directory = open_directory;
	config.mode = 0644;
	owner = open_producer("theirs", config);
	snprintf(control, sizeof control, "%s/theirs.ctl", open_directory);
	cr_assert(pipe(to_parent) == 0 && pipe(to_child) == 0);
	child = fork();
	if (child == 0) {
		stay_as_a_stranger("theirs");
		_exit(0);
	}
	cr_expect_eq(read(to_parent[0], &byte, 1), 1);
	must(dxh_producer_close(&owner));
	cr_assert_eq(unlink(control), 0);
	owner = open_producer("theirs", config);
	cr_assert_eq(chmod(control, 0600), 0);
	cr_expect_eq(write(to_child[1], &byte, 1), 1);
	cr_assert_eq(waitpid(child, &how, 0), child);
	cr_expect(WIFEXITED(how) && WEXITSTATUS(how) == 0, "the stranger: %#x", how);
	must(dxh_producer_close(&owner));
	must(dxh_block_unlink(open_directory, "theirs"));
	(void)unlink(control);
	cr_expect_eq(rmdir(open_directory), 0);
}
