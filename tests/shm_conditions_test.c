/* SPDX-License-Identifier: MIT */
/* Blocks under conditions that nobody planned: strangers who lock what they may, too
 * little memory, directories that cannot be written, files exchanged under their users,
 * numbers of processes given out again, processes that stand still, many readers at
 * once, clocks that differ.
 */
#include "tests/shm_inspect.h"

#include "shm/lease.h"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statfs.h>

enum { NOBODY = 65534, SOON_MS = 20000 };

static char name[32];
static struct item got;
static dxh_item info;

static void setup(void)
{
	strcpy(name, new_name());
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

TestSuite(conditions, .init = setup, .timeout = 120);

static void need_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("only root can do this to others");
}

static pid_t start(void (*act)(const char *))
{
	pid_t child = fork();

	cr_assert_neq(child, -1);
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	act(name);
	_exit(0);
}

static void reap(pid_t child)
{
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

static void expect_exit(pid_t child)
{
	int status;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0, "ended with 0x%x", status);
}

/* ---- strangers ------------------------------------------------------------------- */

static int told[2];

static void lock_all(const char *path, int access, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET}; /* to the end and beyond */
	int fd = open(path, access | O_CLOEXEC);

	if (fd == -1 || fcntl(fd, F_OFD_SETLK, &lock) != 0)
		_exit(71);
}

static void squat_on_everything(const char *block)
{
	char path[256];

	if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
		_exit(70);
	snprintf(path, sizeof path, "/dev/shm/%s.lock", block);
	if (open(path, O_RDWR) != -1 || open(path, O_RDONLY) != -1)
		_exit(72); /* the authority is not to be had */
	snprintf(path, sizeof path, "/dev/shm/%s.ctl", block);
	lock_all(path, O_RDWR, F_WRLCK);
	snprintf(path, sizeof path, "/dev/shm/%s.dxh", block);
	if (open(path, O_RDWR) != -1)
		_exit(73);
	lock_all(path, O_RDONLY, F_RDLCK);
	if (write(told[1], "x", 1) != 1)
		_exit(74);
	for (;;)
		pause();
}

static dxh_block_config open_to_all(void)
{
	dxh_block_config config = full_config();

	config.directory = "/dev/shm";
	config.mode = 0644;
	return config;
}

static void produce_and_die(const char *block)
{
	dxh_block_config config = open_to_all();
	struct item item = item_of(0);
	dxh_producer *producer;

	if (dxh_producer_open(block, &config, &producer) != DXH_OK ||
	    dxh_publish(producer, &item, sizeof item, DXH_NOW) != DXH_OK)
		_exit(75);
	die_here();
}

Test(conditions, a_stranger_with_every_lock_it_can_get_stops_no_successor)
{
	const dxh_consumer_config follow = {.directory = "/dev/shm"};
	dxh_consumer_config lossless = {.directory = "/dev/shm", .discipline = DXH_LOSSLESS};
	dxh_producer *producer;
	dxh_consumer *consumer;
	pid_t stranger;
	char byte;

	need_root();
	expect_killed(run_child(produce_and_die, name));
	cr_assert_eq(pipe(told), 0);
	stranger = start(squat_on_everything);
	close(told[1]);
	cr_assert_eq(read(told[0], &byte, 1), 1, "the stranger got no lock: nothing is shown");
	producer = open_producer(name, open_to_all());
	publish_items(producer, 1, 30); /* held back by no row */
	consumer = open_consumer(name, follow);
	cr_expect_eq(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info), DXH_OK);
	cr_expect(is_item_of(info.ticket, &got));
	must(dxh_consumer_close(&consumer));
	/* Who may read this block may have its rows, and has them all. */
	expect_status(dxh_consumer_open(name, &lossless, &consumer), DXH_ELIMIT);
	reap(stranger);
	consumer = open_consumer(name, lossless);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink("/dev/shm", name));
	close(told[0]);
}

/* ---- file systems ---------------------------------------------------------------- */

static char place[64];

static void mount_small(void)
{
	strcpy(place, "/tmp/dxh-small-XXXXXX");
	if (!mkdtemp(place) || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("small", place, "tmpfs", 0, "size=64k") != 0)
		_exit(80);
}

static void leave_small(void)
{
	umount2(place, MNT_DETACH);
	rmdir(place);
}

static void fill_a_small_tmpfs(const char *block)
{
	dxh_block_config config = {.slot = DXH_SLOT_BYTES(4096), .slot_count = 100};
	uint64_t need = 0, have = 0, limit = 0;
	dxh_producer *producer;
	const char *text;

	mount_small();
	config.directory = place;
	if (dxh_producer_open(block, &config, &producer) != DXH_ENOSPACE)
		_exit(81);
	text = strstr(dxh_last_error(), "needs");
	if (!text || sscanf(text, "needs %" SCNu64 " bytes, %*s has %" SCNu64 " free of %" SCNu64,
	                    &need, &have, &limit) != 3)
		_exit(82);
	if (limit != 65536 || have > limit || need < 100 * 4096)
		_exit(83);
	config.slot_count = 4; /* and nothing was left that takes the room */
	if (dxh_producer_open(block, &config, &producer) != DXH_OK ||
	    dxh_producer_close(&producer) != DXH_OK || dxh_block_unlink(place, block) != DXH_OK)
		_exit(84);
	leave_small();
}

Test(conditions, a_small_tmpfs_is_told_with_need_have_and_limit)
{
	need_root();
	expect_exit(start(fill_a_small_tmpfs));
}

static bool is_told_full(const char *block, const char *what)
{
	dxh_block_config config = full_config(); /* with rows, so it has three files */
	dxh_producer *producer;

	config.directory = place;
	return dxh_producer_open(block, &config, &producer) == DXH_ENOSPACE &&
	       strstr(dxh_last_error(), what);
}

static void fill_all_of_a_small_tmpfs(const char *block)
{
	static const char *const inodes[] = {"size=64k,nr_inodes=1", "size=64k,nr_inodes=2",
	                                     "size=64k,nr_inodes=3"};
	char path[96];
	int fd;

	mount_small();
	for (size_t i = 0; i < sizeof inodes / sizeof *inodes; i++)
		if (mount("small", place, "tmpfs", MS_REMOUNT, inodes[i]) != 0 ||
		    !is_told_full(block, "needs an inode, ") ||
		    !strstr(dxh_last_error(), "nr_inodes"))
			_exit(90 + (int)i);
	if (mount("small", place, "tmpfs", MS_REMOUNT, "size=64k,nr_inodes=100") != 0)
		_exit(94);
	snprintf(path, sizeof path, "%s/filler", place);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1 || posix_fallocate(fd, 0, 65536) != 0 || close(fd) != 0)
		_exit(95);
	/* Not even the lock file has room. */
	if (!is_told_full(block, " has 0 free of 65536") ||
	    !strstr(dxh_last_error(), "needs 16 bytes"))
		_exit(96);
	leave_small();
}

Test(conditions, a_full_file_system_is_told_for_every_file)
{
	need_root();
	expect_exit(start(fill_all_of_a_small_tmpfs));
}

static void use_a_directory_that_cannot_be_written(const char *block)
{
	dxh_block_config config = {.slot = DXH_SLOT(item), .slot_count = 4};
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_report *report;
	dxh_consumer_config how = {0};
	dxh_inspect_config where = {0};
	struct item item = item_of(0);
	dxh_status status;

	mount_small();
	config.directory = how.directory = where.directory = place;
	if (dxh_producer_open(block, &config, &producer) != DXH_OK ||
	    dxh_publish(producer, &item, sizeof item, DXH_NOW) != DXH_OK ||
	    dxh_producer_close(&producer) != DXH_OK)
		_exit(85);
	if (mount("small", place, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k") != 0)
		_exit(86);
	status = dxh_producer_open(block, &config, &producer);
	if ((status != DXH_EACCESS && status != DXH_ESYSTEM) ||
	    !strstr(dxh_last_error(), "ead-only"))
		_exit(87);
	status = dxh_producer_open("another", &config, &producer);
	if ((status != DXH_EACCESS && status != DXH_ESYSTEM) ||
	    !strstr(dxh_last_error(), "ead-only"))
		_exit(88);
	if (dxh_consumer_open(block, &how, &consumer) != DXH_OK ||
	    dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info) != DXH_OK ||
	    !is_item_of(0, &got) || dxh_consumer_close(&consumer) != DXH_OK)
		_exit(89);
	if (dxh_block_check(block, &where, &report) != DXH_OK || report->errors != 0)
		_exit(90);
	dxh_report_free(&report);
	leave_small();
}

Test(conditions, what_is_mounted_read_only_is_read_and_looked_at)
{
	need_root();
	expect_exit(start(use_a_directory_that_cannot_be_written));
}

/* ---- files exchanged under their users ------------------------------------------- */

Test(conditions, a_file_that_takes_the_place_of_another_is_not_mixed_up_with_it)
{
	dxh_consumer_config lossless = {.discipline = DXH_LOSSLESS};
	char other[32], path[256];
	dxh_producer *producer, *second;
	dxh_consumer *before, *behind;

	strcpy(other, new_name());
	producer = open_producer(name, full_config());
	second = open_producer(other, full_config());
	publish_items(producer, 0, 1);
	before = open_consumer(name, (dxh_consumer_config){0});
	strcpy(path, file_of(other, ".dxh"));
	cr_assert_eq(rename(path, file_of(name, ".dxh")), 0);
	/* Who has the old one goes on with it, and nobody joins halves. */
	publish_items(producer, 1, 1);
	for (uint64_t ticket = 0; ticket < 2; ticket++) {
		must(dxh_read_next(before, &got, sizeof got, DXH_NOW, &info));
		cr_expect(is_item_of(ticket, &got));
	}
	expect_status(dxh_consumer_open(name, &lossless, &behind), DXH_ECORRUPT);
	expect_error_says("uuid");
	behind = open_consumer(name, (dxh_consumer_config){0});
	expect_status(dxh_read_next(behind, &got, sizeof got, DXH_NOW, &info), DXH_EWAIT);
	publish_items(second, 0, 1);
	must(dxh_read_next(behind, &got, sizeof got, DXH_NOW, &info));
	must(dxh_consumer_close(&behind));
	must(dxh_producer_close(&second));
	must(dxh_producer_close(&producer));
	expect_status(dxh_read_next(before, &got, sizeof got, DXH_NOW, &info), DXH_EUNLINKED);
	must(dxh_consumer_close(&before));
	must(dxh_block_unlink(NULL, name));
	(void)!dxh_block_unlink(NULL, other);
	unlink(file_of(other, ".ctl"));
	unlink(file_of(other, ".lock"));
}

/* A directory of our own on a file system that is no tmpfs and has O_TMPFILE. */
static const char *other_file_system(void)
{
	static char directory[64];
	static const char *const places[] = {"/tmp", "/var/tmp", "."};
	struct statfs found;
	int fd;

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (statfs(places[i], &found) == -1 || found.f_type == TMPFS_MAGIC ||
		    (fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) == -1)
			continue;
		close(fd);
		snprintf(directory, sizeof directory, "%s/dxh-%.30s", places[i], name);
		cr_assert_eq(mkdir(directory, 0700), 0);
		return directory;
	}
	cr_skip_test("neither /tmp nor /var/tmp nor this folder is a file system of another kind");
	return NULL;
}

Test(conditions, a_removed_name_is_told_on_every_file_system)
{
	const char *directory = other_file_system();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_block_info facts;

	config.directory = directory;
	producer = open_producer(name, config);
	consumer = open_consumer(name, (dxh_consumer_config){.directory = directory});
	publish_items(producer, 0, 1);
	must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info));
	must(dxh_producer_close(&producer));
	expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info), DXH_ECLOSED);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_eq(facts.unlinked, 0);
	must(dxh_block_unlink(directory, name));
	expect_status(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info), DXH_EUNLINKED);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_neq(facts.unlinked, 0);
	must(dxh_consumer_close(&consumer));
	cr_expect_eq(rmdir(directory), 0, "something is left in %s", directory);
}

Test(conditions, who_holds_a_name_without_a_block_is_told)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer, *second;
	char own[32];
	dxi_paths paths;
	dxi_lease lease;

	snprintf(own, sizeof own, "pid %d,", (int)getpid());
	/* One that begins has no file yet: that is not the same. */
	must(dxi_paths_of(NULL, name, &paths));
	must(dxi_lease_take(&paths, 0, &lease));
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	expect_error_says("just starting");
	expect_error_says(own);
	dxi_lease_release(&lease);
	producer = open_producer(name, config);
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	expect_error_says("wait with owner_wait_ns");
	expect_status(dxh_block_unlink(NULL, name), DXH_EBUSY);
	expect_error_says("stop it first");
	cr_assert_eq(unlink(file_of(name, ".dxh")), 0);
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	expect_error_says("restart that producer");
	expect_error_says(own);
	expect_status(dxh_block_unlink(NULL, name), DXH_EBUSY);
	expect_error_says("restart that producer");
	must(dxh_producer_close(&producer));
	/* Restarted. */
	producer = open_producer(name, config);
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}

/* ---- numbers of processes -------------------------------------------------------- */

Test(conditions, a_number_given_out_again_does_not_make_the_dead_alive)
{
	struct dxi_layout_header header;
	dxh_reader_info readers[4];
	dxh_producer *producer;
	dxh_block_info facts;
	uint32_t own = (uint32_t)getpid();
	size_t count;
	int fd;

	expect_killed(run_child(die_idle, name));
	expect_killed(run_child(die_reading, name));
	/* As if the dead ones' numbers were ours now. */
	fd = open(file_of(name, ".dxh"), O_RDWR);
	cr_assert_eq(pwrite(fd, &own, sizeof own, offsetof(struct dxi_layout_header, producer.pid)),
	             (ssize_t)sizeof own);
	cr_assert_eq(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
	close(fd);
	fd = open(file_of(name, ".ctl"), O_RDWR);
	cr_assert_eq(pwrite(fd, &own, sizeof own,
	                    (off_t)(sizeof(struct dxi_layout_control) +
	                            offsetof(struct dxi_layout_row, pid))),
	             (ssize_t)sizeof own);
	close(fd);
	must(dxh_block_stat(NULL, name, &facts));
	cr_expect_eq(facts.producer_pid, getpid());
	cr_expect_eq(facts.producer, DXH_PRODUCER_DEAD);
	must(dxh_block_readers(NULL, name, readers, 4, &count));
	cr_expect_eq(count, 0);
	producer = open_producer(name, full_config());
	publish_items(producer, 2, 20); /* and it holds nobody back */
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}

/* ---- who stands still ------------------------------------------------------------ */

static void stop_in_the_midst(const char *block)
{
	dxh_producer *producer = child_producer(block);
	struct item item = item_of(2);
	dxh_write_slot slot;

	if (dxh_write_begin(producer, DXH_NOW, &slot) != DXH_OK)
		_exit(91);
	memcpy(slot.data, &item, sizeof item / 2);
	raise(SIGSTOP);
	memcpy(slot.data, &item, sizeof item);
	if (dxh_write_commit(&slot, sizeof item) != DXH_OK ||
	    dxh_producer_close(&producer) != DXH_OK)
		_exit(92);
}

Test(conditions, a_writer_stopped_within_an_item_is_neither_dead_nor_replaced)
{
	dxh_block_config config = full_config();
	pid_t writer = start(stop_in_the_midst);
	char pid_text[32];
	dxh_producer *second;
	dxh_consumer *consumer;
	int status;

	cr_assert_eq(waitpid(writer, &status, WUNTRACED), writer);
	cr_assert(WIFSTOPPED(status));
	consumer = open_consumer(name, (dxh_consumer_config){0});
	for (int i = 0; i < 2; i++)
		must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info));
	expect_status(dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(20), &info), DXH_EWAIT);
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	snprintf(pid_text, sizeof pid_text, "%d", (int)writer);
	expect_error_says(pid_text);
	kill(writer, SIGCONT);
	must(dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(SOON_MS), &info));
	cr_expect(is_item_of(2, &got));
	expect_exit(writer);
	must(dxh_consumer_close(&consumer));
	must(dxh_block_unlink(NULL, name));
}

static void stop_holding_the_lock(const char *block)
{
	dxi_lease lease;
	dxi_paths paths;

	/* As in a takeover or recovery that is stopped before its first step. */
	if (dxi_paths_of(NULL, block, &paths) != DXH_OK ||
	    dxi_lease_take(&paths, 0, &lease) != DXH_OK)
		_exit(93);
	raise(SIGSTOP);
	die_here();
}

Test(conditions, a_successor_that_is_stopped_is_waited_for_until_it_is_killed)
{
	dxh_block_config config = full_config();
	dxh_producer *producer;
	pid_t stopped;
	int status;

	expect_killed(run_child(die_idle, name));
	stopped = start(stop_holding_the_lock);
	cr_assert_eq(waitpid(stopped, &status, WUNTRACED), stopped);
	cr_assert(WIFSTOPPED(status), "ended with 0x%x", status);
	expect_status(dxh_producer_open(name, &config, &producer), DXH_EBUSY);
	kill(stopped, SIGKILL);
	config.owner_wait_ns = INT64_C(1000000) * SOON_MS;
	must(dxh_producer_open(name, &config, &producer));
	publish_items(producer, 2, 1);
	must(dxh_producer_close(&producer));
	cr_assert_eq(waitpid(stopped, NULL, 0), stopped);
	must(dxh_block_unlink(NULL, name));
}

/* ---- many readers ---------------------------------------------------------------- */

enum { MANY = 32, ITEMS = 300 };

static int ready[2];

static void read_them_all(const char *block)
{
	dxh_consumer_config how = {.discipline = DXH_LOSSLESS};
	dxh_consumer *consumer;

	if (dxh_consumer_open(block, &how, &consumer) != DXH_OK || write(ready[1], "x", 1) != 1)
		_exit(94);
	for (uint64_t ticket = 0; ticket < ITEMS; ticket++)
		if (dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(SOON_MS), &info) !=
		            DXH_OK ||
		    info.ticket != ticket || !is_item_of(ticket, &got))
			_exit(95);
	_exit(0);
}

static void read_nothing(const char *block)
{
	dxh_consumer_config how = {.discipline = DXH_LOSSLESS};
	dxh_consumer *consumer;

	if (dxh_consumer_open(block, &how, &consumer) != DXH_OK || write(ready[1], "x", 1) != 1)
		_exit(96);
	for (;;)
		pause();
}

Test(conditions, of_32_lossless_readers_those_that_live_get_everything)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	pid_t readers[MANY];
	char byte;

	config.readers_max = MANY;
	producer = open_producer(name, config);
	cr_assert_eq(pipe(ready), 0);
	for (int i = 0; i < MANY; i++) {
		readers[i] = start(i % 4 == 0 ? read_nothing : read_them_all);
		cr_assert_eq(read(ready[0], &byte, 1), 1);
	}
	for (uint64_t ticket = 0; ticket < 4; ticket++)
		publish_items(producer, ticket, 1);
	for (int i = 0; i < MANY; i += 4) /* until then nobody gets on */
		reap(readers[i]);
	for (uint64_t ticket = 4; ticket < ITEMS; ticket++) {
		struct item item = item_of(ticket);

		must(dxh_publish(producer, &item, sizeof item, dxh_in_ms(SOON_MS)));
	}
	for (int i = 0; i < MANY; i++)
		if (i % 4 != 0)
			expect_exit(readers[i]);
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
	close(ready[0]);
	close(ready[1]);
}

/* ---- clocks ---------------------------------------------------------------------- */

/* A child whose CLOCK_MONOTONIC is a day ahead of ours. */
static void live_tomorrow(void)
{
	int fd;

	if (unshare(CLONE_NEWTIME) != 0)
		_exit(100); /* the kernel has none */
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	if (fd == -1 || write(fd, "monotonic 86400 0", 17) != 17)
		_exit(101);
	close(fd);
}

static void read_tomorrow(const char *block)
{
	dxh_consumer_stats stats;
	dxh_consumer *consumer;
	int64_t begun_ns;
	int status;
	pid_t child;

	live_tomorrow();
	child = fork(); /* who is in the new time */
	if (child != 0) {
		waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 102);
	}
	begun_ns = dxh_now_ns();
	if (dxh_consumer_open(block, NULL, &consumer) != DXH_OK ||
	    dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(1), &info) != DXH_OK ||
	    !is_item_of(0, &got) || info.timestamp_ns > begun_ns - INT64_C(80000000000000))
		_exit(103);
	if (dxh_consumer_stats_get(consumer, &stats) != DXH_OK || stats.lag != 1)
		_exit(104);
	if (dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info) != DXH_OK ||
	    dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(20), &info) != DXH_EWAIT ||
	    dxh_now_ns() - begun_ns > INT64_C(1000000) * SOON_MS)
		_exit(105);
	if (dxh_consumer_close(&consumer) != DXH_OK)
		_exit(106);
	_exit(0);
}

Test(conditions, a_reader_whose_clock_is_a_day_ahead_reads_and_waits_by_its_own)
{
	dxh_producer *producer;
	int status;
	pid_t child;

	need_root();
	producer = open_producer(name, usual_config());
	publish_items(producer, 0, 2);
	child = start(read_tomorrow);
	cr_assert_eq(waitpid(child, &status, 0), child);
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
		cr_skip_test("this kernel has no namespaces for time");
	cr_expect_eq(status, 0, "ended with 0x%x", status);
}

static void write_tomorrow(const char *block)
{
	int status;
	pid_t child;

	live_tomorrow();
	child = fork();
	if (child != 0) {
		waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 102);
	}
	child_producer(block);
	_exit(0);
}

Test(conditions, a_writer_whose_clock_goes_back_a_day_at_its_takeover_writes_on)
{
	dxh_producer *producer;
	dxh_consumer *consumer;
	int64_t last_ns = 0;
	int status;

	need_root();
	status = run_child(write_tomorrow, name);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
		cr_skip_test("this kernel has no namespaces for time");
	cr_assert_eq(status, 0, "ended with 0x%x", status);
	producer = open_producer(name, full_config());
	consumer = open_consumer(name, (dxh_consumer_config){0});
	publish_items(producer, 2, 2);
	for (uint64_t ticket = 0; ticket < 4; ticket++) {
		must(dxh_read_next(consumer, &got, sizeof got, DXH_NOW, &info));
		cr_expect(is_item_of(ticket, &got));
		cr_expect(ticket != 2 || info.timestamp_ns < last_ns, "the clock did not go back");
		last_ns = info.timestamp_ns;
	}
	expect_status(dxh_read_next(consumer, &got, sizeof got, dxh_in_ms(10), &info), DXH_EWAIT);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
}
