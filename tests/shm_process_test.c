/* SPDX-License-Identifier: MIT */
/* The block between real processes: read while it is torn, stopped, forked, squatted on, stood
 * by for, read without rights.
 */
#include "tests/shm_process_fixture.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

/* ---- torn on purpose ---- */

/* Every word of an item tells its ticket. A timer holds the reader up, mostly in
 * the middle of a copy, until the writer has come by. */
enum { LARGE_WORDS = 4096, TORN_WANTED = 20 };

static dxh_block_config large_config(void)
{
	return (dxh_block_config){.slot = DXH_SLOT_BYTES(LARGE_WORDS * 8), .slot_count = 4};
}

static void write_large(const char *name, bool by_hand)
{
	static uint64_t words[LARGE_WORDS];
	dxh_block_config config = large_config();
	dxh_producer *producer;
	dxh_write_slot slot;

	if (dxh_producer_open(name, &config, &producer) != DXH_OK)
		_exit(64);
	for (uint64_t ticket = next_of(producer);; ticket++) {
		for (size_t i = 0; i < LARGE_WORDS; i++)
			words[i] = ticket;
		if (!by_hand) {
			if (dxh_publish(producer, words, sizeof words, DXH_NOW) != DXH_OK)
				_exit(65);
			continue;
		}
		if (dxh_write_begin(producer, DXH_NOW, &slot) != DXH_OK)
			_exit(66);
		memcpy(slot.data, words, sizeof words);
		if (dxh_write_commit(&slot, sizeof words) != DXH_OK)
			_exit(67);
	}
}

static void write_large_by_copy(const char *name)
{
	write_large(name, false);
}

static void write_large_by_hand(const char *name)
{
	write_large(name, true);
}

static void hold_up(int signal_number)
{
	struct timespec pause = {.tv_nsec = 20000};
	_Atomic uint64_t *head = &dxi_block_header(&consumer->block)->head;
	uint64_t before = atomic_load(head);

	(void)signal_number;
	/* Bounded, should the writer be gone. */
	for (int i = 0; i < 1000 && atomic_load(head) < before + 8; i++)
		nanosleep(&pause, NULL);
}

static void hold_up_each_us(suseconds_t us)
{
	struct sigaction action = {.sa_handler = hold_up};
	struct itimerval timer = {{0, us}, {0, us}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Read until copies were thrown away often enough: none of those that were
 * delivered may be torn. */
static void read_while_lapped(void (*writer)(const char *), dxh_discipline discipline)
{
	static uint64_t words[LARGE_WORDS];
	const char *name = new_name();
	dxh_producer *producer = open_producer(name, large_config());
	int64_t deadline = dxh_in_ms(6000);
	dxh_status status;
	pid_t child;

	must(dxh_producer_close(&producer));
	consumer = open_consumer(name, (dxh_consumer_config){.discipline = discipline});
	child = start(writer, name);
	hold_up_each_us(500);
	while (consumer->retries < TORN_WANTED && dxh_now_ns() < deadline) {
		status = dxh_read_next(consumer, words, sizeof words, dxh_in_ms(1000), &info);
		if (status != DXH_OK)
			continue;
		for (size_t i = 0; i < LARGE_WORDS; i++)
			cr_assert_eq(words[i], info.ticket, "word %zu of ticket %lu is of %lu", i,
			             info.ticket, words[i]);
	}
	hold_up_each_us(0);
	cr_expect_gt(consumer->read, 0);
	cr_expect_gt(consumer->lost, 0, "never lapped: the test is blind");
	cr_expect_geq(consumer->retries, TORN_WANTED, "only %lu copies were overtaken",
	              consumer->retries);
	expect_exact(consumer, 0);
	reap(child);
	remove_block(name);
}

Test(process, follow_never_delivers_torn_items, .timeout = 20)
{
	read_while_lapped(write_large_by_copy, DXH_FOLLOW);
	read_while_lapped(write_large_by_hand, DXH_FOLLOW);
}

Test(process, latest_never_delivers_torn_items, .timeout = 20)
{
	read_while_lapped(write_large_by_copy, DXH_LATEST);
	read_while_lapped(write_large_by_hand, DXH_LATEST);
}

/* ---- told dead, not told dead ---- */

Test(process, death_is_told_once_at_once_then_at_each_deadline, .timeout = 5)
{
	const char *name = new_name();
	pid_t child;
	int64_t begin;

	make_block(name);
	child = start(hold_until_killed, name);
	expect_item(2);
	expect_status(read_until(DXH_NOW), DXH_EWAIT);
	kill(child, SIGKILL);
	/* The zombie is not reaped: that must not make it look alive. */
	expect_status(read_until(DXH_FOREVER), DXH_EDEAD);
	expect_error_says("died");
	begin = dxh_now_ns();
	expect_status(read_until(dxh_in_ms(30)), DXH_EDEAD);
	cr_expect_geq(dxh_now_ns() - begin, 30000000);
	reap(child);
	/* The next one's death is news again. */
	expect_killed(die_after_takeover, name);
	expect_status(read_until(DXH_FOREVER), DXH_EDEAD);
	remove_block(name);
}

Test(process, a_stopped_producer_is_not_dead, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *second;
	dxh_block_info facts;
	pid_t child;

	make_block(name);
	child = start(hold_until_killed, name);
	expect_item(2);
	kill(child, SIGSTOP);
	cr_assert_eq(waitpid(child, NULL, WUNTRACED), child);
	expect_status(read_until(dxh_in_ms(20)), DXH_EWAIT);
	must(dxh_block_stat(NULL, name, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_ALIVE);
	cr_expect_eq(facts.producer_pid, child);
	expect_status(dxh_producer_open(name, &config, &second), DXH_EBUSY);
	expect_status(dxh_block_unlink(NULL, name), DXH_EBUSY);
	reap(child);
	remove_block(name);
}

Test(process, a_block_removed_under_a_living_producer_is_told_when_it_ends, .timeout = 5)
{
	const char *name = new_name();
	pid_t child;

	make_block(name);
	child = start(hold_until_killed, name);
	expect_item(2);
	unlink(file_of(name, ".dxh"));
	expect_status(read_until(DXH_NOW), DXH_EWAIT);
	reap(child);
	expect_status(read_until(DXH_FOREVER), DXH_EUNLINKED);
	must(dxh_consumer_close(&consumer));
	expect_status(dxh_block_unlink(NULL, name), DXH_ENOTFOUND);
}

/* ---- standby ---- */

Test(process, a_standby_takes_over_when_the_producer_dies, .timeout = 10)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	pid_t child, killer;

	make_block(name);
	child = start(hold_until_killed, name);
	expect_item(2);
	killer = fork();
	cr_assert(killer != -1);
	if (killer == 0) {
		/* Later than the first look of the standby, most of the time;
		 * the result does not depend on it. */
		usleep(20000);
		kill(child, SIGKILL);
		_exit(0);
	}
	config.owner_wait_ns = INT64_C(8000000000);
	must(dxh_producer_open(name, &config, &producer));
	publish_items(producer, 3, 1);
	expect_item(3);
	waitpid(killer, NULL, 0);
	reap(child);
	must(dxh_producer_close(&producer));
	remove_block(name);
}

static void standby_and_publish(const char *name)
{
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	config.owner_wait_ns = INT64_C(8000000000);
	if (dxh_producer_open(name, &config, &producer) != DXH_OK)
		_exit(55);
	child_publish(producer, next_of(producer));
	dxh_producer_close(&producer);
}

/* The lock file goes with the block; who waits on the old one must notice. */
Test(process, a_standby_survives_the_removal_of_the_block, .timeout = 10)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_block_info facts;
	int status;
	pid_t child;

	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	publish_items(producer, 0, 3);
	child = start(standby_and_publish, name);
	must(dxh_producer_close(&producer));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	must(dxh_block_stat(NULL, name, &facts));
	cr_expect_eq(facts.head, 1, "it is a new block");
	remove_block(name);
}

/* ---- rights ---- */

static void write_into_zone(const char *name)
{
	dxh_consumer *own;
	const struct telemetry *zone;

	signal(SIGSEGV, SIG_DFL);
	if (dxh_consumer_open(name, NULL, &own) != DXH_OK ||
	    dxh_zone_view(own, telemetry, &zone) != DXH_OK)
		_exit(56);
	if (mprotect(own->block.base, own->block.bytes, PROT_READ | PROT_WRITE) != -1 ||
	    errno != EACCES)
		_exit(57);
	atomic_store((_Atomic uint64_t *)(uintptr_t)&zone->frames, 1);
}

Test(process, a_consumer_cannot_write_whatever_it_tries, .timeout = 5)
{
	const char *name = new_name();
	int status;

	make_block(name);
	status = run_child(write_into_zone, name);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %x", status);
	remove_block(name);
}

enum { NOBODY = 65534 };

static void read_as_nobody(const char *name)
{
	dxh_consumer_config reader = {.directory = "/dev/shm"};
	dxh_block_config config = usual_config();
	dxh_producer *producer;
	dxh_consumer *own;
	dxh_block_info facts;

	config.directory = "/dev/shm";
	if (setgid(NOBODY) == -1 || setuid(NOBODY) == -1)
		_exit(58);
	/* Root's block is believed; its lock file cannot be opened, and yet the
	 * producer is known to live. */
	if (dxh_consumer_open(name, &reader, &own) != DXH_OK ||
	    dxh_consumer_info(own, &facts) != DXH_OK || facts.producer != DXH_PRODUCER_ALIVE)
		_exit(59);
	if (dxh_producer_open(name, &config, &producer) != DXH_EACCESS)
		_exit(60);
	if (dxh_block_unlink("/dev/shm", name) != DXH_EACCESS)
		_exit(61);
	_exit(0);
}

Test(process, another_user_reads_and_knows_who_lives, .timeout = 5)
{
	const char *name = new_name();
	dxh_block_config config = usual_config();
	dxh_producer *producer;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	config.directory = "/dev/shm";
	config.mode = 0644;
	config.unlink_on_close = 1;
	producer = open_producer(name, config);
	cr_expect_eq(run_child(read_as_nobody, name), 0);
	must(dxh_producer_close(&producer));
}

/* ---- fork ---- */

static dxh_producer *inherited;

static void use_inherited(const char *name)
{
	dxh_item item;
	struct item copy;
	dxh_write_slot slot;

	(void)name;
	if (dxh_publish(inherited, "x", 1, DXH_NOW) != DXH_EFORKED ||
	    dxh_write_begin(inherited, DXH_NOW, &slot) != DXH_EFORKED ||
	    dxh_read_next(consumer, &copy, sizeof copy, DXH_NOW, &item) != DXH_EFORKED)
		_exit(62);
	if (dxh_producer_close(&inherited) != DXH_OK || dxh_consumer_close(&consumer) != DXH_OK)
		_exit(63);
}

Test(process, a_forked_child_can_only_close, .timeout = 5)
{
	const char *name = new_name();

	make_block(name);
	inherited = open_producer(name, usual_config());
	cr_expect_eq(run_child(use_inherited, name), 0);
	/* The child's close changed nothing. */
	publish_items(inherited, 2, 1);
	expect_item(2);
	must(dxh_producer_close(&inherited));
	remove_block(name);
}

static int lingering[2];

static void fork_a_lingerer_and_die(const char *name)
{
	dxh_producer *producer = child_open(name);

	child_publish(producer, 2);
	if (fork() == 0) {
		char byte;

		/* Until the test is over. */
		close(lingering[1]);
		(void)!read(lingering[0], &byte, 1);
		_exit(0);
	}
	die_here();
}

Test(process, a_child_that_lingers_does_not_keep_the_dead_alive, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer;

	make_block(name);
	cr_assert_eq(pipe(lingering), 0);
	expect_killed(fork_a_lingerer_and_die, name);
	expect_item(2);
	expect_status(read_until(DXH_FOREVER), DXH_EDEAD);
	producer = open_producer(name, usual_config());
	must(dxh_producer_close(&producer));
	close(lingering[1]);
	close(lingering[0]);
	remove_block(name);
}

/* ---- squatters ---- */

static int squat(const char *name)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = open(file_of(name, ".dxh"), O_RDONLY | O_CLOEXEC);

	cr_assert(fd != -1 && fcntl(fd, F_OFD_SETLK, &lock) == 0);
	return fd;
}

Test(process, a_squatting_reader_stops_nobody, .timeout = 5)
{
	const char *name = new_name();
	dxh_producer *producer;
	dxh_block_info facts;
	int squatter;

	make_block(name);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	squatter = squat(name);
	producer = open_producer(name, usual_config());
	publish_items(producer, 2, 1);
	expect_item(2);
	expect_status(read_until(DXH_NOW), DXH_EWAIT);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_UNKNOWN);
	/* Gone; but the producer has not lit its beacon yet, and the free lock
	 * must not make it look dead. */
	close(squatter);
	expect_status(read_until(DXH_NOW), DXH_EWAIT);
	/* It does so within a second of writing: here as if that had passed. */
	producer->refreshed_ns = 0;
	publish_items(producer, 3, 1);
	must(dxh_consumer_info(consumer, &facts));
	cr_expect_eq(facts.producer, DXH_PRODUCER_ALIVE);
	expect_item(3);
	must(dxh_producer_close(&producer));
	expect_status(read_until(DXH_NOW), DXH_ECLOSED);
	remove_block(name);
}
