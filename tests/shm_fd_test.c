/* SPDX-License-Identifier: MIT */
/* Consumers in event loops: a descriptor that is readable when there is news and at no
 * other time, through many rounds, in many consumers, over deaths and forks.
 */
#include "tests/shm_pair.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Time enough for anything that is to happen at all; time in which nothing may. */
enum { SOON_MS = 20000, QUIET_MS = 250 };

static int fd;

static void open_with(dxh_block_config config)
{
	open_both(config, (dxh_consumer_config){0});
	must(dxh_consumer_fd(consumer, &fd));
}

static void setup(void)
{
	open_with(usual_config());
}

TestSuite(fd, .init = setup, .fini = close_both, .timeout = 60);
/* Those that make a block of their own. */
TestSuite(fd_own, .fini = close_both, .timeout = 60);

static int is_readable(int descriptor, int timeout_ms)
{
	struct pollfd one = {.fd = descriptor, .events = POLLIN};
	int ready;

	do
		ready = poll(&one, 1, timeout_ms);
	while (ready == -1 && errno == EINTR);
	return ready == 1;
}

static void publish(uint64_t ticket)
{
	publish_items(producer, ticket, 1);
}

/* ---- one consumer --------------------------------------------------------------- */

Test(fd, is_quiet_while_nothing_is_there)
{
	cr_expect_not(is_readable(fd, QUIET_MS));
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, QUIET_MS));
}

Test(fd, is_readable_until_a_read_finds_nothing)
{
	publish(0);
	publish(1);
	cr_expect(is_readable(fd, SOON_MS));
	expect_item(0);
	cr_expect(is_readable(fd, 0));
	expect_item(1);
	cr_expect(is_readable(fd, 0));
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, QUIET_MS));
	publish(2);
	cr_expect(is_readable(fd, SOON_MS));
	expect_item(2);
}

Test(fd, is_one_and_the_same)
{
	int again;

	must(dxh_consumer_fd(consumer, &again));
	cr_expect_eq(again, fd);
}

Test(fd, is_readable_at_once_when_items_were_there_before)
{
	dxh_consumer *late;
	int late_fd;

	publish(0);
	late = open_consumer(producer->block.paths.name, (dxh_consumer_config){0});
	must(dxh_consumer_fd(late, &late_fd));
	cr_expect(is_readable(late_fd, 0));
	must(dxh_consumer_close(&late));
	must(read_now());
}

Test(fd, all_ways_to_read_make_it_quiet)
{
	dxh_peek peek;
	size_t count;
	struct item many[4];
	dxh_item items[4];

	publish(0);
	cr_expect(is_readable(fd, SOON_MS));
	must(dxh_peek_begin(consumer, DXH_NOW, &peek));
	must(dxh_peek_end(&peek));
	expect_status(dxh_peek_begin(consumer, DXH_NOW, &peek), DXH_EWAIT);
	cr_expect_not(is_readable(fd, 0));
	publish(1);
	cr_expect(is_readable(fd, SOON_MS));
	must(dxh_read_n(consumer, many, sizeof *many, 4, DXH_NOW, items, &count));
	expect_status(dxh_read_n(consumer, many, sizeof *many, 4, DXH_NOW, items, &count),
	              DXH_EWAIT);
	cr_expect_not(is_readable(fd, 0));
}

Test(fd, going_back_makes_it_readable)
{
	publish(0);
	expect_item(0);
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, 0));
	must(dxh_consumer_seek(consumer, DXH_START_OLDEST, 0));
	cr_expect(is_readable(fd, 0));
	expect_item(0);
	consumer->start = consumer->next - consumer->read;
}

/* ---- no wake is lost ------------------------------------------------------------- */

enum { ROUNDS = 20000 };

static _Atomic uint64_t consumed;

/* Each item is published at another moment of the reader's turn: after `consumed` is
 * seen, which is before, while or after the reader arms. */
static void *publish_rounds(void *argument)
{
	(void)argument;
	for (uint64_t ticket = 0; ticket < ROUNDS; ticket++) {
		while (atomic_load(&consumed) < ticket)
			;
		for (uint64_t spin = 0; spin < ticket * 7 % 1000; spin++)
			atomic_load(&consumed);
		publish(ticket);
	}
	return NULL;
}

/* One item a round, each of which is waited for on the descriptor alone. */
static void consume_rounds(void)
{
	uint64_t ticket = 0;

	while (ticket < ROUNDS) {
		cr_assert(is_readable(fd, SOON_MS), "round %d: a wake was lost", (int)ticket);
		while (read_now() == DXH_OK) {
			cr_assert_eq(info.ticket, ticket);
			ticket++;
			atomic_store(&consumed, ticket);
		}
	}
}

Test(fd, no_wake_is_lost_in_many_rounds)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, publish_rounds, NULL), 0);
	consume_rounds();
	pthread_join(thread, NULL);
	cr_expect_not(is_readable(fd, 0));
}

/* futex_waitv is answered with ENOSYS from here on. */
static void forbid_waiting_for_many(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(fd_own, without_a_wait_for_many_it_is_only_slower)
{
	forbid_waiting_for_many();
	setup();
	for (uint64_t ticket = 0; ticket < 50; ticket++) {
		cr_expect_not(is_readable(fd, 0));
		publish(ticket);
		cr_assert(is_readable(fd, SOON_MS));
		expect_item(ticket);
		expect_status(read_now(), DXH_EWAIT);
	}
}

/* A burst costs the bridge no more than two turns: it does not listen to a reader that
 * is behind. Seen by what it writes. */
Test(fd, a_reader_that_is_behind_is_written_to_once)
{
	uint64_t count;

	publish_items(producer, 0, 4);
	cr_expect(is_readable(fd, SOON_MS));
	publish_items(producer, 4, 1000);
	cr_expect_eq(read(fd, &count, sizeof count), sizeof count);
	cr_expect_eq(count, 1);
	must(dxh_consumer_seek(consumer, DXH_START_NEXT, 0));
	consumer->start = consumer->next;
	expect_status(read_now(), DXH_EWAIT);
}

/* ---- many consumers -------------------------------------------------------------- */

Test(fd, more_consumers_than_the_kernel_waits_for_at_a_time)
{
	enum { MANY = 300 };
	static dxh_consumer *many[MANY];
	static int fds[MANY];

	for (int i = 0; i < MANY; i++) {
		many[i] = open_consumer(producer->block.paths.name, (dxh_consumer_config){0});
		must(dxh_consumer_fd(many[i], &fds[i]));
	}
	for (uint64_t round = 0; round < 3; round++) {
		publish(round);
		for (int i = 0; i < MANY; i++) {
			cr_assert(is_readable(fds[i], SOON_MS), "consumer %d", i);
			must(dxh_read_next(many[i], &got, sizeof got, DXH_NOW, &info));
			cr_expect_eq(info.ticket, round);
			expect_status(dxh_read_next(many[i], &got, sizeof got, DXH_NOW, &info),
			              DXH_EWAIT);
			cr_expect_not(is_readable(fds[i], 0));
		}
		/* Those that stay are told, whoever leaves. */
		for (int i = (int)round; i < MANY - 3; i += 3)
			must(dxh_consumer_close(&many[i]));
		for (int i = (int)round; i < MANY - 3; i += 3) {
			many[i] = open_consumer(producer->block.paths.name,
			                        (dxh_consumer_config){.start = DXH_START_NEXT});
			must(dxh_consumer_fd(many[i], &fds[i]));
		}
	}
	for (int i = 0; i < MANY; i++)
		must(dxh_consumer_close(&many[i]));
	while (read_now() == DXH_OK)
		;
}

static void *open_and_close(void *argument)
{
	const char *name = argument;

	for (int i = 0; i < 200; i++) {
		dxh_consumer *own = open_consumer(name, (dxh_consumer_config){0});
		int own_fd;

		must(dxh_consumer_fd(own, &own_fd));
		must(dxh_consumer_close(&own));
	}
	return NULL;
}

Test(fd, opened_and_closed_by_threads_while_one_publishes)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, open_and_close,
		                            producer->block.paths.name),
		             0);
	for (uint64_t ticket = 0; ticket < 2000; ticket++)
		publish(ticket);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect(is_readable(fd, SOON_MS));
	while (read_now() == DXH_OK || info.lost > 0)
		;
}

/* ---- the state of the producer --------------------------------------------------- */

static void child_dies(const char *name)
{
	dxh_block_config config = usual_config();
	dxh_producer *own;

	if (dxh_producer_open(name, &config, &own) == DXH_OK)
		die_here();
}

static void open_after(void (*act)(const char *name))
{
	static char name[32];
	int status;

	snprintf(name, sizeof name, "%s", new_name());
	status = run_child(act, name);
	cr_assert(WIFSIGNALED(status));
	consumer = open_consumer(name, (dxh_consumer_config){0});
	must(dxh_consumer_fd(consumer, &fd));
}

Test(fd_own, tells_a_death_once_and_a_successor)
{
	open_after(child_dies);
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EDEAD);
	cr_expect_not(is_readable(fd, QUIET_MS));
	producer = open_producer(consumer->block.paths.name, usual_config());
	producer->unlink_on_close = true;
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, 0));
	publish(0);
	cr_expect(is_readable(fd, SOON_MS));
	expect_item(0);
}

/* The last moment before the death is one in which it is armed. */
Test(fd_own, tells_the_death_of_a_producer_it_has_seen_alive)
{
	static char name[32];
	int status, go[2];
	pid_t child;
	char byte;

	snprintf(name, sizeof name, "%s", new_name());
	cr_assert_eq(pipe(go), 0);
	child = fork();
	if (child == 0) {
		dxh_block_config config = usual_config();

		if (dxh_producer_open(name, &config, &producer) != DXH_OK)
			_exit(1);
		(void)!write(go[1], "", 1);
		pause();
	}
	cr_assert_eq(read(go[0], &byte, 1), 1);
	consumer = open_consumer(name, (dxh_consumer_config){0});
	must(dxh_consumer_fd(consumer, &fd));
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, QUIET_MS));
	kill(child, SIGKILL);
	cr_expect(is_readable(fd, SOON_MS));
	cr_assert_eq(waitpid(child, &status, 0), child);
	expect_status(read_now(), DXH_EDEAD);
	producer = open_producer(name, usual_config());
	producer->unlink_on_close = true;
	close(go[0]);
	close(go[1]);
}

Test(fd, tells_a_close_and_that_the_name_is_gone)
{
	char name[DXH_BLOCK_NAME_MAX + 1];

	snprintf(name, sizeof name, "%s", producer->block.paths.name);
	producer->unlink_on_close = false;
	must(dxh_producer_close(&producer));
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_ECLOSED);
	cr_expect_not(is_readable(fd, QUIET_MS));
	must(dxh_block_unlink(NULL, name));
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EUNLINKED);
	cr_expect_not(is_readable(fd, QUIET_MS));
	producer = open_producer(name, usual_config());
	producer->unlink_on_close = true;
}

Test(fd_own, tells_a_lossless_reader_that_it_was_evicted)
{
	dxh_block_config config = usual_config();

	config.readers_max = 1;
	config.evict = 1;
	open_both(config, (dxh_consumer_config){.discipline = DXH_LOSSLESS});
	must(dxh_consumer_fd(consumer, &fd));
	publish_items(producer, 0, 5);
	cr_expect(is_readable(fd, SOON_MS));
	expect_status(read_now(), DXH_EEVICTED);
	expect_status(read_now(), DXH_EWAIT);
	cr_expect_not(is_readable(fd, 0));
}

/* ---- what has none --------------------------------------------------------------- */

Test(fd_own, a_block_without_wakes_has_none)
{
	dxh_block_config config = usual_config();

	config.no_wait = 1;
	open_both(config, (dxh_consumer_config){0});
	expect_status(dxh_consumer_fd(consumer, &fd), DXH_ESTATE);
	expect_error_says("no_wait");
}

Test(fd_own, a_block_without_a_ring_has_none)
{
	dxh_block_config config = {.zones = {DXH_ZONE(telemetry)}};

	open_both(config, (dxh_consumer_config){0});
	expect_status(dxh_consumer_fd(consumer, &fd), DXH_ESTATE);
}

Test(fd_own, without_a_descriptor_to_be_had_it_is_a_limit)
{
	struct rlimit before, none;

	open_both(usual_config(), (dxh_consumer_config){0});
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	expect_status(dxh_consumer_fd(consumer, &fd), DXH_ELIMIT);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	must(dxh_consumer_fd(consumer, &fd));
}

Test(fd, asking_amiss_is_refused)
{
	expect_status(dxh_consumer_fd(NULL, &fd), DXH_EINVAL);
	expect_status(dxh_consumer_fd(consumer, NULL), DXH_EINVAL);
}

/* ---- fork ------------------------------------------------------------------------ */

static void *publish_when_asked(void *argument)
{
	char byte;

	if (read(*(int *)argument, &byte, 1) == 1)
		publish(0);
	return NULL;
}

Test(fd, a_child_of_fork_has_a_bridge_of_its_own)
{
	int status, ask[2];
	pthread_t thread;

	cr_assert_eq(pipe(ask), 0);
	cr_assert_eq(pthread_create(&thread, NULL, publish_when_asked, &ask[0]), 0);
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		if (child == 0) {
			dxh_consumer *own = NULL;
			int own_fd;

			if (dxh_consumer_fd(consumer, &own_fd) != DXH_EFORKED ||
			    dxh_consumer_close(&consumer) != DXH_OK ||
			    dxh_consumer_open(producer->block.paths.name, NULL, &own) != DXH_OK ||
			    dxh_consumer_fd(own, &own_fd) != DXH_OK ||
			    is_readable(own_fd, 0) != (i > 0))
				_exit(1);
			if (i == 0)
				(void)!write(ask[1], "", 1);
			if (!is_readable(own_fd, SOON_MS) ||
			    dxh_read_next(own, &got, sizeof got, DXH_NOW, &info) != DXH_OK ||
			    dxh_consumer_close(&own) != DXH_OK)
				_exit(2);
			_exit(0);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: %d", i, status);
	}
	pthread_join(thread, NULL);
	/* And the parent's still works. */
	cr_expect(is_readable(fd, SOON_MS));
	expect_item(0);
	close(ask[0]);
	close(ask[1]);
}
