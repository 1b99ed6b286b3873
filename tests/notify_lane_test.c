/* SPDX-License-Identifier: MIT */
/* When frames of notifications leave, which is dropped, and that a poster who stands
 * still in the middle of it holds up nobody. */
/* Also run over inproc, see test_hub_open(). */
#include "runtime/peer.h"
#include "tests/support/pair.h"
#include "tests/support/pause.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LONG_US = 60000000 };

static void wait_for_arrived(uint64_t count)
{
	test_wait_for(&echo.notifications, count);
	cr_assert_eq(atomic_load(&echo.notifications), count);
}

Test(linger, lets_a_frame_leave_when_its_count_is_reached, .timeout = 20)
{
	uint64_t before;

	open_pair(test_endpoint(), NULL,
	          &(dxh_peer_config){.linger_us = LONG_US, .batch_records = 10});
	expect_echo("x", 1);
	before = test_stats(hub).frames_sent;
	for (int i = 0; i < 40; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	wait_for_arrived(40);
	cr_expect_eq(test_stats(hub).frames_sent - before, 4);
	close_pair();
}

Test(linger, lets_a_frame_leave_when_its_bytes_are_reached, .timeout = 20)
{
	char body[100] = ""; /* a record of 32 + 1 + 100, rounded up: 136 bytes */
	uint64_t before;

	open_pair(test_endpoint(), NULL,
	          &(dxh_peer_config){.linger_us = LONG_US, .batch_bytes = 1024});
	expect_echo("x", 1);
	before = test_stats(hub).frames_sent;
	for (int i = 0; i < 7 * 4; i++)
		must(dxh_notify(peer, "n", body, sizeof body));
	/* 7 to a frame; what is filled leaves, also by the record that did not fit. */
	must(dxh_notify(peer, "n", body, sizeof body));
	test_wait_for(&echo.notifications, 28);
	cr_expect_eq(test_stats(hub).frames_sent - before, 4);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	wait_for_arrived(29);
	close_pair();
}

Test(linger, ends_with_its_time_and_not_before, .timeout = 20)
{
	int64_t start_ns, took_ns;

	open_pair(test_endpoint(), NULL, &(dxh_peer_config){.linger_us = 20000});
	expect_echo("x", 1);
	start_ns = dxh_now_ns();
	must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_notify(peer, "n", NULL, 0));
	wait_for_arrived(2);
	took_ns = dxh_now_ns() - start_ns;
	cr_expect_geq(took_ns, INT64_C(20000000));
	close_pair();
}

Test(linger, is_overridden_by_a_flush, .timeout = 20)
{
	open_pair(test_endpoint(), NULL, &(dxh_peer_config){.linger_us = LONG_US});
	expect_echo("x", 1);
	for (int i = 0; i < 100; i++) {
		must(dxh_notify(peer, "n", NULL, 0));
		must(dxh_flush(peer, i % 2 ? DXH_FLUSH_SENT : DXH_FLUSH_REPLIED, DXH_FOREVER));
	}
	cr_expect_eq(test_stats(hub).notifications_sent, 100);
	close_pair();
}

Test(linger, gives_its_frames_up_when_none_is_left, .timeout = 20)
{
	open_pair(test_endpoint(), NULL,
	          &(dxh_peer_config){.linger_us = LONG_US,
	                             .batch_records = 3,
	                             .notify_frames = 2,
	                             .full_wait_ns = INT64_C(20000000000)});
	for (int i = 0; i < 1000; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	wait_for_arrived(1000);
	close_pair();
}

Test(linger, out_of_bounds_is_refused, .timeout = 20)
{
	must(test_hub_open(NULL, &hub));
	must_be(dxh_peer_connect(hub, test_endpoint(), &(dxh_peer_config){.linger_us = LONG_US + 1},
	                         &peer),
	        DXH_EINVAL, "linger_us");
	must_be(dxh_peer_connect(hub, test_endpoint(),
	                         &(dxh_peer_config){.notify_full = (dxh_notify_full)2}, &peer),
	        DXH_EINVAL, "notify_full");
	must(test_hub_close(&hub));
}

static void *notify_in_short_rounds(void *rounds)
{
	for (int i = 0; i < *(const int *)rounds; i++) {
		for (int j = 0; j <= i % 4; j++)
			must(dxh_notify(peer, "n", &i, sizeof i));
		if (i % 3 == 0)
			sched_yield();
	}
	return NULL;
}

/* Every record arrives without a flush: nothing that was appended is slept over. The
 * I/O thread goes to sleep between most rounds. */
static void all_of_short_rounds_arrive(const dxh_peer_config *config)
{
	static int rounds = 4000;
	pthread_t threads[3];

	open_pair(test_endpoint(), &(dxh_service_config){.inbox_max = 1 << 16}, config);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, notify_in_short_rounds, &rounds);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	wait_for_arrived(3 * 10 * (uint64_t)rounds / 4);
	cr_expect_eq(test_stats(hub).notifications_sent, test_stats(hub).notifications_posted);
	close_pair();
}

Test(wake, of_open_frames_is_never_lost, .timeout = 60)
{
	all_of_short_rounds_arrive(
		&(dxh_peer_config){.full_wait_ns = INT64_C(20000000000), .notify_frames = 4});
}

Test(wake, of_lingering_frames_is_never_lost, .timeout = 60)
{
	all_of_short_rounds_arrive(&(dxh_peer_config){.full_wait_ns = INT64_C(20000000000),
	                                              .notify_frames = 4,
	                                              .linger_us = 300,
	                                              .batch_records = 3});
}

/* ---- drop-oldest ------------------------------------------------------------------- */

Test(drop_oldest, without_a_service_keeps_the_newest_and_counts_the_others, .timeout = 20)
{
	enum { COUNT = 5000, KEPT_AT_MOST = 3 * 16384 / 40 };
	dxh_hub_stats stats;
	dxh_hub *server;
	dxh_service *service;
	dxh_request *request;
	char endpoint[64];
	uint32_t next = 0, value, got = 0;

	strcpy(endpoint, test_endpoint());
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint,
	                      &(dxh_peer_config){.notify_frames = 3,
	                                         .batch_bytes = 16384,
	                                         .notify_full = DXH_NOTIFY_DROP_OLDEST},
	                      &peer));
	for (uint32_t i = 0; i < COUNT; i++)
		must(dxh_notify(peer, "n", &i, sizeof i));
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, endpoint, NULL, &service));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	while (dxh_service_receive(service, DXH_NOW, &request) == DXH_OK) {
		memcpy(&value, dxh_request_body(request, NULL), sizeof value);
		cr_assert(got == 0 || value == next, "no gap behind the first that is left");
		next = value + 1;
		got++;
		dxh_request_release(request);
	}
	stats = test_stats(hub);
	cr_expect_eq(next, COUNT, "the newest came");
	cr_expect(got > 0 && got <= KEPT_AT_MOST);
	cr_expect_eq(stats.notifications_posted, COUNT);
	cr_expect_eq(stats.notifications_sent, got);
	cr_expect_eq(stats.notifications_dropped, COUNT - got);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

static void *notify_ten_thousand(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10000; i++)
		must(dxh_notify(peer, "n", &i, sizeof i));
	return NULL;
}

Test(drop_oldest, under_many_posters_posted_is_sent_and_dropped, .timeout = 60)
{
	pthread_t threads[6];
	dxh_hub_stats stats;

	/* A frame for each that may stand in the middle of an append, and one to drop. */
	open_pair(test_endpoint(), &(dxh_service_config){.inbox_max = 1 << 17},
	          &(dxh_peer_config){.notify_frames = 7,
	                             .batch_records = 5,
	                             .notify_full = DXH_NOTIFY_DROP_OLDEST});
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, notify_ten_thousand, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	stats = test_stats(hub);
	cr_expect_eq(stats.notifications_posted, 60000);
	cr_expect_eq(stats.notifications_sent + stats.notifications_dropped, 60000);
	wait_for_arrived(stats.notifications_sent);
	close_pair();
}

/* ---- a poster that stands still ---------------------------------------------------- */

/* A body that stops who reads it, until thaw(). */
static struct {
	char *body;
	sem_t reached, go;
	pthread_t thread;
} frozen;
enum { PAGE = 4096 };

static void on_fault(int signal, siginfo_t *info, void *unused)
{
	(void)unused;
	if ((char *)info->si_addr < frozen.body || (char *)info->si_addr >= frozen.body + PAGE) {
		struct sigaction plain = {.sa_handler = SIG_DFL};

		sigaction(signal, &plain, NULL);
		return;
	}
	sem_post(&frozen.reached);
	while (sem_wait(&frozen.go) == -1)
		;
	mprotect(frozen.body, PAGE, PROT_READ | PROT_WRITE);
}

/* Start a thread that stops as it reads the body, and wait until it has. */
static void freeze(void *(*fn)(void *))
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	frozen.body = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(frozen.body, MAP_FAILED);
	sem_init(&frozen.reached, 0, 0);
	sem_init(&frozen.go, 0, 0);
	sigaction(SIGSEGV, &action, NULL);
	pthread_create(&frozen.thread, NULL, fn, NULL);
	while (sem_wait(&frozen.reached) == -1)
		;
}

static void thaw(void)
{
	sem_post(&frozen.go);
	pthread_join(frozen.thread, NULL);
	munmap(frozen.body, PAGE);
}

static void *notify_twice(void *unused)
{
	(void)unused;
	must(dxh_notify(peer, "first", NULL, 0));
	must(dxh_notify(peer, "second", frozen.body, 100));
	return NULL;
}

static void *post_once(void *unused)
{
	dxh_completion done;

	(void)unused;
	must(dxh_post(peer, "echo", frozen.body, 100, SOON, &done));
	must(dxh_await(done, SOON, NULL));
	must(dxh_release(done));
	return NULL;
}

Test(frozen_poster, in_the_middle_of_an_append_holds_up_nobody_and_loses_nothing, .timeout = 30)
{
	test_pause pause;

	open_pair(test_endpoint(), NULL, NULL);
	expect_echo("x", 1);
	/* The I/O thread finds the frame only when its writer stands still in it. */
	test_pause_begin(&pause, hub);
	freeze(notify_twice);
	test_pause_end(&pause);
	for (int i = 0; i < 1000; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	expect_echo("x", 1);
	wait_for_arrived(1000);
	thaw();
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	wait_for_arrived(1002);
	close_pair();
}

Test(frozen_poster, in_the_middle_of_an_append_keeps_its_frame_from_being_dropped, .timeout = 30)
{
	test_pause pause;
	dxh_hub_stats stats;

	open_pair(test_endpoint(), &(dxh_service_config){.inbox_max = 1 << 15},
	          &(dxh_peer_config){.notify_frames = 2,
	                             .batch_records = 2,
	                             .notify_full = DXH_NOTIFY_DROP_OLDEST});
	expect_echo("x", 1);
	test_pause_begin(&pause, hub);
	freeze(notify_twice);
	test_pause_end(&pause);
	for (int i = 0; i < 10000; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	thaw();
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	stats = test_stats(hub);
	cr_expect_eq(stats.notifications_posted, 10002);
	cr_expect_eq(stats.notifications_sent + stats.notifications_dropped, 10002);
	wait_for_arrived(stats.notifications_sent);
	close_pair();
}

Test(frozen_poster, in_the_middle_of_a_post_holds_up_nobody, .timeout = 30)
{
	open_pair(test_endpoint(), NULL, NULL);
	freeze(post_once);
	for (int i = 0; i < 1000; i++)
		expect_echo("x", 1);
	thaw();
	cr_expect_eq(test_stats(hub).done, 1001);
	close_pair();
}

/* ---- sixteen on one processor ------------------------------------------------------- */

static _Atomic uint32_t progress[16];

static void *notify_until_all_have(void *context)
{
	_Atomic uint32_t *own = context;
	uint32_t least = 0;

	while (least < 500) {
		must(dxh_notify(peer, "n", NULL, 0));
		atomic_fetch_add(own, 1);
		least = UINT32_MAX;
		for (int i = 0; i < 16; i++)
			if (atomic_load(&progress[i]) < least)
				least = atomic_load(&progress[i]);
	}
	return NULL;
}

Test(collapse, sixteen_posters_on_one_processor_all_progress, .timeout = 60)
{
	pthread_t threads[16];
	cpu_set_t one;
	uint64_t posted = 0;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
	open_pair(test_endpoint(), &(dxh_service_config){.inbox_max = 1 << 20},
	          &(dxh_peer_config){.full_wait_ns = INT64_C(20000000000)});
	for (int i = 0; i < 16; i++)
		pthread_create(&threads[i], NULL, notify_until_all_have, &progress[i]);
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	for (int i = 0; i < 16; i++)
		posted += progress[i];
	cr_expect_eq(test_stats(hub).notifications_sent, posted);
	close_pair();
}
