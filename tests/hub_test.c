/* SPDX-License-Identifier: MIT */
/* Opening, draining, closing, forking; what a hub refuses and why. */
#include "tests/support/support.h"

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

Test(hub, opens_and_closes_with_defaults, .timeout = 10)
{
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	cr_expect_eq(test_stats(hub).posted, 0);
	must(dxh_hub_close(&hub));
	cr_expect_null(hub);
	must_be(dxh_hub_close(&hub), DXH_EINVAL, "closed already");
}

Test(hub, refuses_a_config_it_cannot_serve_naming_the_field, .timeout = 10)
{
	const struct {
		dxh_hub_config config;
		const char *words;
	} bad[] = {{{.operations_max = UINT32_MAX}, "operations_max"},
	           {{.frame_bytes = 100}, "frame_bytes"},
	           {{.frame_bytes = 1025}, "frame_bytes"},
	           {{.frame_bytes = 1 << 20}, "frame_bytes"},
	           {{.body_bytes_max = UINT64_MAX}, "body_bytes_max"},
	           {{.reconnect_min_ns = -1}, "reconnect"},
	           {{.reconnect_min_ns = 2, .reconnect_max_ns = 1}, "reconnect"}};
	dxh_hub *hub;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		must_be(dxh_hub_open(&bad[i].config, &hub), DXH_EINVAL, bad[i].words);
	must_be(dxh_hub_open(NULL, NULL), DXH_EINVAL, NULL);
}

Test(hub, a_newer_programs_unknown_field_is_refused_only_when_set, .timeout = 10)
{
	struct {
		dxh_hub_config known;
		uint64_t unknown;
	} config = {.unknown = 0};
	dxh_hub *hub;

	must(dxh_hub_open_sized(sizeof config, &config.known, &hub));
	must(dxh_hub_close(&hub));
	config.unknown = 1;
	must_be(dxh_hub_open_sized(sizeof config, &config.known, &hub), DXH_EVERSION, "newer");
	must(dxh_hub_open_sized(sizeof(char *), &config.known, &hub));
	must(dxh_hub_close(&hub));
}

Test(hub, an_idle_hub_sleeps, .timeout = 10)
{
	dxh_hub *hub;
	uint64_t before;

	must(dxh_hub_open(NULL, &hub));
	before = test_stats(hub).wakeups;
	/* Time passes, and nothing is due: the count is the proof, not the wait. */
	usleep(200000);
	cr_expect_leq(test_stats(hub).wakeups - before, 1);
	must(dxh_hub_close(&hub));
}

Test(hub, open_operations_end_as_closed, .timeout = 20)
{
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *sent, *unsent;
	dxh_completion first, second;
	dxh_reply reply;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &sent));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &unsent));
	must(dxh_post(sent, "hold", NULL, 0, DXH_FOREVER, &first));
	must(dxh_post(unsent, "echo", NULL, 0, DXH_FOREVER, &second));
	test_wait_for(&echo.held_count, 1);
	must(dxh_hub_close(&hub));
	must_be(dxh_await(first, DXH_FOREVER, &reply), DXH_ECLOSED, NULL);
	cr_expect_eq(reply.certainty, DXH_MAYBE_EXECUTED);
	must_be(dxh_await(second, DXH_FOREVER, &reply), DXH_ECLOSED, NULL);
	cr_expect_eq(reply.certainty, DXH_NOT_SENT);
	must(dxh_release(first));
	must(dxh_release(second));
	test_echo_release(&echo);
	test_echo_close(&echo);
}

Test(drain, waits_for_what_is_open_and_refuses_more, .timeout = 20)
{
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion done[100], refused;
	dxh_drain_report report;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	for (int i = 0; i < 100; i++) {
		must(dxh_post(peer, "echo", "x", 1, SOON, &done[i]));
		must(dxh_notify(peer, "n", "x", 1));
	}
	must(dxh_hub_drain(hub, SOON, &report));
	cr_expect_eq(report.abandoned, 0);
	cr_expect_eq(report.notifications_left, 0);
	for (int i = 0; i < 100; i++) {
		must(dxh_await(done[i], DXH_NOW, NULL));
		must(dxh_release(done[i]));
	}
	must_be(dxh_post(peer, "echo", NULL, 0, SOON, &refused), DXH_ECLOSED, "drained");
	must_be(dxh_notify(peer, "n", NULL, 0), DXH_ECLOSED, NULL);
	must_be(dxh_hub_drain(hub, SOON, NULL), DXH_ECLOSED, "before");
	must(dxh_hub_close(&hub));
	test_wait_for(&echo.notifications, 100);
	test_echo_close(&echo);
}

Test(drain, ends_at_its_deadline_when_the_peer_does_not_exist, .timeout = 20)
{
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion done;
	dxh_drain_report report;
	dxh_reply reply;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &peer));
	must(dxh_post(peer, "echo", NULL, 0, DXH_FOREVER, &done));
	for (int i = 0; i < 3; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	must_be(dxh_hub_drain(hub, dxh_in_ms(30), &report), DXH_EWAIT, "1 operations, 3");
	cr_expect_eq(report.abandoned, 1);
	cr_expect_eq(report.notifications_left, 3);
	must_be(dxh_await(done, DXH_NOW, &reply), DXH_ECLOSED, NULL);
	cr_expect_eq(reply.certainty, DXH_NOT_SENT);
	must(dxh_release(done));
	must(dxh_hub_close(&hub));
}

static _Atomic uint64_t posting;

static void *post_until_refused(void *peer)
{
	dxh_completion done;
	dxh_status status;

	do {
		status = dxh_post(peer, "echo", NULL, 0, DXH_FOREVER, &done);
		posting++;
		if (status == DXH_OK)
			dxh_release(done);
	} while (status == DXH_OK || status == DXH_EFULL);
	cr_expect(status == DXH_EDRAINING || status == DXH_ECLOSED);
	return NULL;
}

/* Drained and closed under 64 threads that post, over `endpoint`; within one hub when that
 * is inproc. */
static void drain_under_posters(const char *endpoint, bool is_one_hub)
{
	enum { POSTERS = 64, ENOUGH = 5000 };
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;
	pthread_t threads[POSTERS];
	dxh_hub_stats stats;

	posting = 0;
	test_echo_open(&echo, endpoint, NULL);
	hub = echo.hub;
	if (!is_one_hub)
		must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	for (int i = 0; i < POSTERS; i++)
		pthread_create(&threads[i], NULL, post_until_refused, peer);
	test_wait_for(&posting, ENOUGH);
	must(dxh_hub_drain(hub, SOON, NULL));
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	/* A post that passed the check just before is ended as it arrives. */
	do
		stats = test_stats(hub);
	while (stats.slots_now > 0);
	stats = test_stats(hub); /* of one moment: some were read before the last one ended */
	cr_expect_eq(stats.posted, stats.done + stats.errors + stats.closed);
	cr_expect_geq(stats.done, 1);
	cr_expect_eq(stats.open_now, 0);
	if (!is_one_hub)
		must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}

Test(drain, posts_that_race_with_it_all_end_over_ipc, .timeout = 60)
{
	drain_under_posters(test_endpoint(), false);
}

Test(drain, posts_that_race_with_it_all_end_over_tcp, .timeout = 60)
{
	drain_under_posters("tcp://127.0.0.1:*", false);
}

Test(drain, posts_that_race_with_it_all_end_over_inproc, .timeout = 60)
{
	drain_under_posters("inproc://crowd", true);
}

static pid_t forked_there;

static void fork_there(void *context, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	dxh_hub *own;

	(void)context, (void)peer, (void)reason;
	if (state != DXH_PEER_WAITING || forked_there != 0)
		return;
	forked_there = fork();
	if (forked_there != 0)
		return;
#ifdef TEST_ASAN
	_exit(0);
#endif
	if (dxh_hub_open(NULL, &own) != DXH_OK)
		_exit(1);
	/* Both are DXH_EDEADLK on an I/O thread. */
	if (dxh_hub_drain(own, SOON, NULL) != DXH_OK)
		_exit(2);
	_exit(dxh_hub_close(&own) == DXH_OK ? 0 : 3);
}

Test(fork, a_child_of_the_io_thread_is_no_io_thread, .timeout = 30)
{
	const dxh_peer_config config = {.on_state = fork_there};
	dxh_peer *nobody;
	dxh_hub *hub;
	int status = -1;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), &config, &nobody));
	test_wait_state(nobody, DXH_PEER_WAITING);
	must(dxh_peer_close(&nobody)); /* so the callback has returned */
	waitpid(forked_there, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
	must(dxh_hub_close(&hub));
}

Test(fork, a_child_is_refused_at_once_and_may_open_its_own, .timeout = 30)
{
	test_echo echo;
	dxh_hub *hub, *own;
	dxh_peer *peer, *own_peer;
	dxh_completion done;
	char reply[8];
	size_t bytes;
	pid_t child;
	int status;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	must(dxh_request_sync(peer, "echo", "hi", 2, SOON, reply, sizeof reply, &bytes));
	child = fork();
	if (child == 0) {
		dxh_hub_stats stats;
		dxh_request *request;

		if (dxh_post(peer, "echo", NULL, 0, SOON, &done) != DXH_EFORKED ||
		    dxh_notify(peer, "n", NULL, 0) != DXH_EFORKED ||
		    dxh_flush(peer, DXH_FLUSH_SENT, SOON) != DXH_EFORKED ||
		    dxh_hub_stats_get(hub, &stats) != DXH_EFORKED ||
		    dxh_service_receive(echo.service, DXH_NOW, &request) != DXH_EFORKED ||
		    dxh_hub_drain(hub, SOON, NULL) != DXH_EFORKED ||
		    dxh_peer_close(&peer) != DXH_EFORKED || dxh_hub_close(&hub) != DXH_OK)
			_exit(1);
#ifdef TEST_ASAN
		/* Its allocator may be locked by a thread that the child lacks. */
		_exit(0);
#endif
		if (dxh_hub_open(NULL, &own) != DXH_OK ||
		    dxh_peer_connect(own, dxh_service_endpoint(echo.service), NULL, &own_peer) !=
		            DXH_OK ||
		    dxh_request_sync(own_peer, "echo", "hi", 2, SOON, reply, sizeof reply,
		                     &bytes) != DXH_OK)
			_exit(2);
		_exit(dxh_hub_close(&own) == DXH_OK ? 0 : 3);
	}
	waitpid(child, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
	must(dxh_request_sync(peer, "echo", "hi", 2, SOON, reply, sizeof reply, &bytes));
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}
