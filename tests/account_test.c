/* SPDX-License-Identifier: MIT */
/* Nothing is dropped without a count, and memory that is taken comes back: the books of
 * a hub at the places where something ends without having been read. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"
#include "tests/support/pause.h"

#include <string.h>

/* A service without workers, and a peer of it, on two hubs. */
static dxh_hub *server;
static dxh_service *service;

static void setup(void)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
}

static void teardown(void)
{
	dxh_hub_stats stats = test_stats(server);

	cr_expect_eq(stats.notes_published, stats.notes_sent + stats.notes_dropped);
	if (hub)
		must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

TestSuite(account, .init = setup, .fini = teardown, .timeout = 60);

/* Counters of the server change by themselves: wait until they are so. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t deadline_ns = SOON;                                                        \
		while (!(condition))                                                               \
			cr_assert(dxh_now_ns() < deadline_ns, "never: %s", #condition);            \
	} while (0)

Test(account, notifications_that_nobody_read_are_counted_at_close)
{
	dxh_request *read;

	for (int i = 0; i < 5; i++)
		must(dxh_notify(peer, "n", "1", 1));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	must(dxh_service_receive(service, SOON, &read));
	dxh_request_release(read);
	must(dxh_service_close(&service));
	cr_expect_eq(test_stats(server).notifications_received, 5);
	cr_expect_eq(test_stats(server).notifications_unread, 4);
	cr_expect_eq(test_stats(server).notifications_refused, 0);
}

Test(account, requests_of_a_client_that_goes_are_dropped_once_each)
{
	enum { COUNT = 3 };
	dxh_completion done[COUNT];
	dxh_request *held[COUNT];

	test_needs_sockets();
	for (int i = 0; i < COUNT; i++)
		must(dxh_post(peer, "hold", NULL, 0, DXH_FOREVER, &done[i]));
	for (int i = 0; i < COUNT; i++)
		must(dxh_service_receive(service, SOON, &held[i]));
	must(test_hub_close(&hub));
	wait_until(test_stats(server).replies_dropped == COUNT);
	for (int i = 0; i < COUNT; i++) {
		cr_expect(dxh_request_canceled(held[i]));
		must(dxh_request_reply(held[i], NULL, 0));
		must(dxh_release(done[i]));
	}
	must(dxh_service_close(&service));
	cr_expect_eq(test_stats(server).requests_received, COUNT);
	cr_expect_eq(test_stats(server).replies_dropped, COUNT);
	cr_expect_eq(test_stats(server).replies_sent, 0);
}

Test(account, each_request_that_a_closing_service_has_is_answered_once)
{
	dxh_completion done[4];
	dxh_request *held;
	dxh_hub_stats stats;

	for (int i = 0; i < 4; i++)
		must(dxh_post(peer, "hold", NULL, 0, DXH_FOREVER, &done[i]));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON)); /* all four have come */
	must(dxh_service_receive(service, SOON, &held));
	must(dxh_service_close(&service));
	must(dxh_request_reply(held, NULL, 0)); /* too late: it has its answer */
	for (int i = 0; i < 4; i++) {
		must_be(dxh_await(done[i], SOON, NULL), DXH_ECLOSED, NULL);
		must(dxh_release(done[i]));
	}
	stats = test_stats(server);
	cr_expect_eq(stats.requests_received, 4);
	cr_expect_eq(stats.replies_sent + stats.replies_dropped, 4);
	cr_expect_eq(stats.replies_dropped, 0);
}

/* ---- notes --------------------------------------------------------------------------- */

static dxh_subscription *subscribe(uint32_t inbox_max, uint64_t inbox_bytes)
{
	dxh_subscription *subscription;

	must(dxh_subscribe(
		peer, "",
		&(dxh_subscription_config){.inbox_max = inbox_max, .inbox_bytes = inbox_bytes},
		&subscription));
	must(dxh_subscription_await(subscription, SOON));
	return subscription;
}

static void publish(int count)
{
	for (int i = 0; i < count; i++)
		must(dxh_service_publish(service, "topic", "12345678", 8));
}

Test(account, notes_that_nobody_read_are_counted_at_close)
{
	dxh_subscription *subscription = subscribe(0, 0);
	const dxh_note *note;

	publish(5);
	wait_until(test_stats(hub).notes_received == 5);
	must(dxh_subscription_receive(subscription, SOON, &note));
	dxh_note_release(note);
	must(dxh_subscription_close(&subscription));
	cr_expect_eq(test_stats(hub).notes_unread, 4);
	cr_expect_eq(test_stats(hub).notes_refused, 0);
}

Test(account, notes_without_room_are_refused)
{
	dxh_subscription *subscription = subscribe(0, 1);

	publish(3);
	wait_until(test_stats(hub).notes_refused == 3);
	cr_expect_eq(test_stats(hub).notes_received, 0);
	must(dxh_subscription_close(&subscription));
	cr_expect_eq(test_stats(hub).notes_unread, 0);
}

static void *close_it(void *subscription)
{
	must(dxh_subscription_close((dxh_subscription **)subscription));
	return NULL;
}

Test(account, a_note_on_its_way_to_a_closed_subscription_is_stray)
{
	dxh_subscription *subscription = subscribe(0, 0);
	dxh_hub_stats stats;
	test_pause pause;
	pthread_t closer;

	test_needs_sockets();
	test_pause_begin(&pause, hub);
	publish(3);
	wait_until(test_stats(server).notes_sent == 3);
	pthread_create(&closer, NULL, close_it, &subscription);
	test_pause_end(&pause);
	pthread_join(closer, NULL);
	/* Whichever came first, the close or the notes: none is forgotten. */
	wait_until((stats = test_stats(hub), stats.notes_stray + stats.notes_received) == 3);
	cr_expect_eq(stats.notes_unread, stats.notes_received);
}

/* ---- memory ----------------------------------------------------------------------------- */

static uint64_t memory(const dxh_hub *of)
{
	return test_stats(of).memory_bytes;
}

Test(account, bodies_and_frames_count_as_memory_until_they_are_gone)
{
	enum { LARGE = 100000 };
	static unsigned char body[LARGE];
	dxh_completion done;
	dxh_peer *lonely;
	uint64_t before;

	must(dxh_post(peer, "warm up", NULL, 0, DXH_FOREVER, &done));
	must(dxh_cancel(done, NULL));
	must(dxh_release(done));
	/* Over inproc a request that had left counts on this hub, once it has come. */
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &lonely));
	before = memory(hub);
	must(dxh_post(lonely, "large", body, LARGE, DXH_FOREVER, &done));
	wait_until(memory(hub) == before + LARGE + strlen("large"));
	must(dxh_notify(lonely, "n", NULL, 0));
	wait_until(memory(hub) == before + LARGE + strlen("large") + 65536);
	must(dxh_peer_close(&lonely));
	cr_expect_eq(memory(hub), before);
	must(dxh_release(done));
}

Test(account, a_reply_counts_as_memory_until_it_is_released)
{
	enum { LARGE = 100000 };
	static unsigned char body[LARGE];
	dxh_completion done;
	dxh_request *request;
	uint64_t before, server_before;

	test_needs_sockets();
	must(dxh_post(peer, "x", NULL, 0, DXH_FOREVER, &done));
	must(dxh_service_receive(service, SOON, &request));
	before = memory(hub);
	server_before = memory(server);
	must(dxh_request_reply(request, body, LARGE));
	must(dxh_await(done, SOON, NULL));
	cr_expect_eq(memory(hub), before + LARGE);
	wait_until(memory(server) == server_before);
	must(dxh_release(done));
	cr_expect_eq(memory(hub), before);
}
