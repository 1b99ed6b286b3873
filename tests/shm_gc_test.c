/* SPDX-License-Identifier: MIT */
/* What gc finds and removes, and all that it leaves alone: the living, the used, the
 * files of strangers.
 */
#include "tests/shm_inspect.h"

#include "shm/lease.h"

#include <errno.h>
#include <sys/mman.h>

/* A directory of its own, so that nothing of other tests is found or removed; where
 * strangers may look. A run that was killed is swept by the next. */
static char directory[128], path[256];

static void setup(void)
{
	snprintf(directory, sizeof directory, "/dev/shm/dxh-check-gc-%d", (int)getpid());
	cr_assert_eq(mkdir(directory, 0755), 0);
	cr_assert_eq(chmod(directory, 0755), 0);
	cr_assert_eq(setenv("DXH_SHM_DIR", directory, 1), 0);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void teardown(void)
{
	char command[300];

	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(gc, .init = setup, .fini = teardown, .timeout = 60);

static const char *in_directory(const char *file)
{
	snprintf(path, sizeof path, "%s/%s", directory, file);
	return path;
}

static bool exists(const char *file)
{
	struct stat found;

	return lstat(in_directory(file), &found) == 0;
}

static dxh_gc_report *collect(int apply)
{
	dxh_gc_report *report = NULL;

	must(dxh_block_gc(&(dxh_gc_config){.apply = apply}, &report));
	return report;
}

static const dxh_gc_entry *entry_of(const dxh_gc_report *report, const char *name)
{
	for (size_t i = 0; i < report->entry_count; i++)
		if (strcmp(report->entries[i].name, name) == 0)
			return &report->entries[i];
	return NULL;
}

static void expect_kept(const char *name, dxh_garbage kind, const char *why)
{
	dxh_gc_report *report = collect(1);
	const dxh_gc_entry *entry = entry_of(report, name);

	cr_assert(entry, "no entry for %s", name);
	cr_expect_eq(entry->verdict, DXH_GC_KEPT);
	cr_expect_eq(entry->kind, kind);
	cr_expect(strstr(entry->reason, why), "no \"%s\" in: %s", why, entry->reason);
	cr_expect_eq(report->removed, 0);
	dxh_gc_report_free(&report);
}

static void make_closed(const char *name)
{
	dxh_block_config config = full_config();
	dxh_producer *producer;

	config.zones_writable = 1;
	producer = open_producer(name, config);

	publish_items(producer, 0, 2);
	must(dxh_producer_close(&producer));
}

/* ---- what goes ---- */

Test(gc, dead_and_closed_blocks_that_nobody_uses_go)
{
	dxh_gc_report *report;

	expect_killed(run_child(die_writing, "dead"));
	make_closed("lab/closed");
	for (int turn = 0; turn < 2; turn++) { /* a dry run changes nothing */
		report = collect(0);
		cr_assert_eq(report->entry_count, 2);
		cr_expect_eq(report->removable, 2);
		cr_expect_eq(report->removed, 0);
		cr_expect_gt(report->bytes, 4096);
		cr_expect_str_eq(report->entries[0].name, "dead");
		cr_expect(strstr(report->entries[0].reason, "died"));
		cr_expect_str_eq(report->entries[1].name, "lab/closed");
		cr_expect(strstr(report->entries[1].reason, "closed it"));
		cr_expect_eq(report->entries[1].kind, DXH_GARBAGE_BLOCK);
		dxh_gc_report_free(&report);
	}
	cr_expect(exists("dead.dxh") && exists("dead.ctl") && exists("dead.lock"));
	report = collect(1);
	cr_expect_eq(report->removed, 2);
	dxh_gc_report_free(&report);
	cr_expect_null(report);
	cr_expect_eq(rmdir(directory), 0, "something was left");
	cr_assert_eq(mkdir(directory, 0700), 0);
	report = collect(1);
	cr_expect_eq(report->entry_count, 0);
	dxh_gc_report_free(&report);
}

Test(gc, closed_blocks_can_be_kept)
{
	dxh_gc_config config = {.apply = 1, .keep_closed = 1, .directory = directory};
	dxh_gc_report *report;

	make_closed("closed");
	expect_killed(run_child(die_idle, "dead"));
	must(dxh_block_gc(&config, &report));
	cr_expect_eq(report->removed, 1);
	cr_expect_eq(report->kept, 1);
	cr_expect_eq(entry_of(report, "closed")->verdict, DXH_GC_KEPT);
	dxh_gc_report_free(&report);
	cr_expect(exists("closed.dxh") && !exists("dead.dxh"));
}

Test(gc, a_block_with_broken_content_goes_too)
{
	dxh_gc_report *report;

	make_closed("broken");
	cr_assert_eq(truncate(in_directory("broken.dxh"), 100), 0);
	report = collect(1);
	cr_expect_eq(report->removed, 1);
	dxh_gc_report_free(&report);
	cr_expect(!exists("broken.dxh") && !exists("broken.lock"));
}

/* A creator that died before its block had a name, or a removal that died half way. */
Test(gc, control_and_lock_files_without_a_block_go)
{
	dxh_gc_report *report;

	make_closed("both");
	make_closed("lock");
	make_closed("control");
	cr_assert_eq(unlink(in_directory("both.dxh")), 0);
	cr_assert_eq(unlink(in_directory("lock.dxh")), 0);
	cr_assert_eq(unlink(in_directory("lock.ctl")), 0);
	cr_assert_eq(unlink(in_directory("lock.zones")), 0);
	make_closed("zones");
	cr_assert_eq(unlink(in_directory("zones.dxh")), 0);
	cr_assert_eq(unlink(in_directory("zones.ctl")), 0);
	cr_assert_eq(unlink(in_directory("zones.lock")), 0);
	cr_assert_eq(unlink(in_directory("control.dxh")), 0);
	cr_assert_eq(unlink(in_directory("control.lock")), 0);
	report = collect(0);
	cr_expect_eq(report->removable, 4);
	cr_expect_eq(report->entries[0].kind, DXH_GARBAGE_LEFTOVER);
	dxh_gc_report_free(&report);
	report = collect(1);
	cr_expect_eq(report->removed, 4);
	dxh_gc_report_free(&report);
	cr_expect_eq(rmdir(directory), 0, "something was left");
	cr_assert_eq(mkdir(directory, 0700), 0);
}

/* ---- what stays ---- */

Test(gc, the_living_are_left_alone)
{
	dxh_producer *producer = open_producer("alive", full_config());
	char pid[32];

	snprintf(pid, sizeof pid, "pid %d, lives", (int)getpid());
	publish_items(producer, 0, 1);
	expect_kept("alive", DXH_GARBAGE_BLOCK, pid);
	/* Also without its lock file. */
	cr_assert_eq(unlink(in_directory("alive.lock")), 0);
	expect_kept("alive", DXH_GARBAGE_BLOCK, pid);
	publish_items(producer, 1, 1);
	must(dxh_producer_close(&producer));
}

Test(gc, a_producer_that_is_just_starting_is_left_alone)
{
	dxi_paths paths;
	dxi_lease lease;

	must(dxi_paths_of(NULL, "starting", &paths));
	must(dxi_lease_take(&paths, 0, &lease));
	expect_kept("starting", DXH_GARBAGE_LEFTOVER, "a producer holds its lock");
	dxi_lease_release(&lease);
}

Test(gc, a_block_that_somebody_reads_is_left_alone)
{
	dxh_consumer *consumer;
	struct item got;
	dxh_item item;
	void *map;
	int fd;

	make_closed("read");
	consumer = open_consumer("read", (dxh_consumer_config){0});
	expect_kept("read", DXH_GARBAGE_BLOCK, "somebody has it open");
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item));
	must(dxh_consumer_close(&consumer));
	/* A mapping without a descriptor. */
	fd = open(in_directory("read.dxh"), O_RDONLY);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert(map != MAP_FAILED);
	close(fd);
	expect_kept("read", DXH_GARBAGE_BLOCK, "somebody has it open");
	munmap(map, 4096);
}

static void write_file(const char *file, const char *content)
{
	FILE *out = fopen(in_directory(file), "w");

	cr_assert(out && fputs(content, out) >= 0 && fclose(out) == 0);
}

Test(gc, files_of_strangers_are_left_alone)
{
	static const char *const files[] = {
		"notes.dxh", "empty.dxh",    "apt.lock",   "zero.lock", "old.ctl",
		"link.dxh",  "dangling.dxh", "folder.dxh", "README",    ".hidden.dxh",
		"+bad.dxh",  "x y.dxh",      "target",     "lock.lock", "old.zones"};
	dxh_gc_report *report;

	write_file("notes.dxh", "my notes");
	write_file("empty.dxh", "");
	write_file("apt.lock", "1234\n");
	write_file("zero.lock", "");
	write_file("old.ctl", "x");
	write_file("old.zones", "x");
	write_file("README", "DXHB");
	write_file(".hidden.dxh", "DXHB");
	write_file("+bad.dxh", "DXHB");
	write_file("x y.dxh", "DXHB");
	write_file("target", "DXHB, and then some");
	cr_assert_eq(symlink("target", in_directory("link.dxh")), 0);
	cr_assert_eq(symlink("target", in_directory("lock.lock")), 0);
	cr_assert_eq(symlink("nowhere", in_directory("dangling.dxh")), 0);
	cr_assert_eq(mkdir(in_directory("folder.dxh"), 0700), 0);
	report = collect(1);
	cr_expect_eq(report->removed, 0);
	cr_expect_eq(report->removable, 0);
	for (size_t i = 0; i < report->entry_count; i++)
		cr_expect_eq(report->entries[i].kind, DXH_GARBAGE_NOT_OURS, "%s",
		             report->entries[i].name);
	cr_expect_eq(report->entry_count, 9, "%zu", report->entry_count);
	dxh_gc_report_free(&report);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		cr_expect(exists(files[i]), "%s is gone", files[i]);
}

Test(gc, a_block_beside_files_of_strangers_is_left_alone)
{
	make_closed("a");
	write_file("a.lock", "somebody's");
	expect_kept("a", DXH_GARBAGE_NOT_OURS, "no lock file");
	cr_assert_eq(unlink(in_directory("a.lock")), 0);
	write_file("a.ctl", "somebody's");
	expect_kept("a", DXH_GARBAGE_NOT_OURS, "no control file");
	cr_assert_eq(unlink(in_directory("a.ctl")), 0);
	write_file("a.zones", "somebody's");
	expect_kept("a", DXH_GARBAGE_NOT_OURS, "no zones file");
}

static void collect_as_stranger(const char *name)
{
	dxh_gc_report *report = NULL;

	(void)name;
	if (setegid(65534) != 0 || seteuid(65534) != 0)
		_exit(60);
	if (dxh_block_gc(&(dxh_gc_config){.directory = directory, .apply = 1}, &report) != DXH_OK)
		_exit(61);
	if (report->entry_count != 1 || report->removed != 0 ||
	    !strstr(report->entries[0].reason, "belongs to user 0"))
		_exit(62);
	dxh_gc_report_free(&report);
}

Test(gc, what_belongs_to_others_is_left_alone)
{
	if (geteuid() != 0)
		return;
	make_closed("theirs");
	cr_assert_eq(chmod(in_directory("theirs.dxh"), 0644), 0);
	cr_expect_eq(run_child(collect_as_stranger, "theirs"), 0);
}

static void collect_where_none_may_look(const char *name)
{
	dxh_gc_report *report = NULL;

	(void)name;
	if (setegid(65534) != 0 || seteuid(65534) != 0)
		_exit(60);
	if (dxh_block_gc(&(dxh_gc_config){.directory = directory}, &report) != DXH_EACCESS)
		_exit(61);
}

Test(gc, a_directory_that_may_not_be_read_is_refused)
{
	if (geteuid() != 0)
		return;
	cr_assert_eq(chmod(directory, 0700), 0);
	cr_expect_eq(run_child(collect_where_none_may_look, "any"), 0);
}

static void collect_in_readonly(const char *name)
{
	dxh_gc_report *report = NULL;

	(void)name;
	if (setegid(65534) != 0 || seteuid(65534) != 0)
		_exit(60);
	if (dxh_block_gc(&(dxh_gc_config){.directory = directory, .apply = 1}, &report) != DXH_OK)
		_exit(61);
	if (report->entry_count != 1 || report->removed != 0 ||
	    !strstr(report->entries[0].reason, "removing "))
		_exit(62);
	dxh_gc_report_free(&report);
}

/* The entry says so, and the rest is gone through all the same. */
Test(gc, what_cannot_be_removed_is_told)
{
	static const char *const files[] = {"mine.dxh", "mine.ctl", "mine.zones", "mine.lock"};

	if (geteuid() != 0)
		return;
	make_closed("mine");
	for (int i = 0; i < 4; i++)
		cr_assert_eq(chown(in_directory(files[i]), 65534, 65534), 0);
	cr_expect_eq(run_child(collect_in_readonly, "mine"), 0);
	for (int i = 0; i < 4; i++)
		cr_expect(exists(files[i]));
}

Test(gc, a_directory_that_cannot_be_read_is_a_status)
{
	dxh_gc_config config = {.directory = "/nonexistent/dxh"};
	dxh_gc_report *report = NULL;

	expect_status(dxh_block_gc(&config, &report), DXH_ENOTFOUND);
	expect_status(dxh_block_gc(NULL, NULL), DXH_EINVAL);
	cr_expect_null(report);
	dxh_gc_report_free(&report);
	dxh_gc_report_free(NULL);
}

/* ---- races ---- */

static void collect_for_ever(const char *name)
{
	dxh_gc_report *report = NULL;

	(void)name;
	while (dxh_block_gc(&(dxh_gc_config){.directory = directory, .apply = 1}, &report) ==
	       DXH_OK)
		dxh_gc_report_free(&report);
	_exit(64);
}

static pid_t start_collector(void)
{
	pid_t child = fork();

	cr_assert_neq(child, -1);
	if (child == 0)
		collect_for_ever(NULL);
	return child;
}

static void stop_collector(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	          "the collector ended by itself: 0x%x", status);
}

/* Whatever comes between: a producer that was let in has its block under its name as
 * long as it lives. */
Test(gc, a_creator_is_never_raced_out_of_its_block)
{
	pid_t collector = start_collector();
	unsigned opened = 0;

	for (int turn = 0; turn < 1500; turn++) {
		dxh_block_config config = full_config();
		dxh_producer *producer = NULL;
		dxh_block_info facts, seen;
		dxh_status status = dxh_producer_open("raced", &config, &producer);

		if (status == DXH_EBUSY)
			continue;
		must(status);
		opened++;
		must(dxh_producer_info(producer, &facts));
		must(dxh_block_stat(NULL, "raced", &seen));
		cr_assert(memcmp(facts.uuid, seen.uuid, sizeof seen.uuid) == 0);
		cr_assert(exists("raced.lock") && exists("raced.ctl"));
		publish_items(producer, facts.head, 1);
		must(dxh_producer_close(&producer));
	}
	stop_collector(collector);
	cr_expect_gt(opened, 500);
}

/* A reader that was let in is not left with a block that is gone; and nobody meets a
 * lease as an error. */
Test(gc, an_opener_keeps_its_block_or_finds_none)
{
	pid_t collector = start_collector();
	unsigned opened = 0;

	for (int turn = 0; turn < 1500; turn++) {
		dxh_block_config config = full_config();
		dxh_consumer *consumer = NULL;
		dxh_producer *producer = NULL;
		struct item got;
		dxh_item item;
		dxh_status status;

		status = dxh_producer_open("raced", &config, &producer);
		if (status == DXH_OK)
			must(dxh_producer_close(&producer));
		status = dxh_consumer_open("raced", NULL, &consumer);
		if (status == DXH_ENOTFOUND)
			continue;
		must(status);
		opened++;
		status = dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &item);
		cr_assert_eq(status, DXH_ECLOSED, "%s", dxh_last_error());
		cr_assert(exists("raced.dxh"));
		must(dxh_consumer_close(&consumer));
	}
	stop_collector(collector);
	cr_expect_gt(opened, 20);
}
