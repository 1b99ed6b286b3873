/* SPDX-License-Identifier: MIT */
/* Notifications and flushes: order, packing, none lost. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

Test(notify, all_arrive_in_the_order_of_their_thread, .timeout = 60)
{
	enum { COUNT = 50000 };
	dxh_hub *server;
	dxh_service *service;
	dxh_request *request;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(),
	                      &(dxh_service_config){.notify_bytes = COUNT * 64}, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service),
	                      &(dxh_peer_config){.full_wait_ns = INT64_C(20000000000)}, &peer));
	for (uint32_t i = 0; i < COUNT; i++)
		must(dxh_notify(peer, "number", &i, sizeof i));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	for (uint32_t i = 0; i < COUNT; i++) {
		size_t bytes;

		must(dxh_service_receive(service, DXH_NOW, &request));
		cr_assert(dxh_request_is_notification(request));
		cr_assert_eq(memcmp(dxh_request_body(request, &bytes), &i, sizeof i), 0);
		dxh_request_release(request);
	}
	cr_expect_lt(test_stats(hub).frames_sent, COUNT / 4, "they travelled packed");
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(notify, answering_one_is_refused, .timeout = 20)
{
	dxh_hub *server;
	dxh_service *service;
	dxh_request *request;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_service_receive(service, SOON, &request));
	must_be(dxh_request_reply(request, NULL, 0), DXH_ESTATE, "release");
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(notify, without_a_peer_it_fills_its_frames_and_then_refuses, .timeout = 20)
{
	uint64_t taken = 0;
	dxh_status status;
	char body[100] = "";

	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), &(dxh_peer_config){.notify_frames = 3}, &peer));
	while ((status = dxh_notify(peer, "n", body, sizeof body)) == DXH_OK)
		taken++;
	must_be(status, DXH_EFULL, "notify_frames");
	cr_expect_geq(taken, 3 * 65536 / 144 - 3, "frames are filled, not one record each");
	must_be(dxh_flush(peer, DXH_FLUSH_SENT, dxh_in_ms(5)), DXH_EEXPIRED, NULL);
	must(test_hub_close(&hub));
}

static void *flush_replied(void *unused)
{
	(void)unused;
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	return NULL;
}

Test(notify, many_flushes_beside_the_largest_request_all_end, .timeout = 60)
{
	static char body[1 << 20];
	const size_t bytes = sizeof body - 1024;
	const dxh_hub_config large = {.body_bytes_max = bytes};
	pthread_t threads[64];
	dxh_completion done[4];
	dxh_request *request;
	dxh_hub *server;
	dxh_service *service;

	must(test_hub_open(&large, &server));
	must(test_hub_open(&large, &hub));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	for (int i = 0; i < 4; i++)
		must(dxh_post(peer, "x", body, bytes, SOON, &done[i]));
	for (int i = 0; i < 64; i++)
		pthread_create(&threads[i], NULL, flush_replied, NULL);
	for (int i = 0; i < 4; i++) {
		must(dxh_service_receive(service, SOON, &request));
		must(dxh_request_reply(request, NULL, 0));
		must(dxh_await(done[i], SOON, NULL));
		must(dxh_release(done[i]));
	}
	for (int i = 0; i < 64; i++)
		pthread_join(threads[i], NULL);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(notify, a_flush_of_nothing_is_done_at_once, .timeout = 20)
{
	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_flush(peer, DXH_FLUSH_SENT, SOON));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(test_stats(hub).flushed, 2);
	close_pair();
}

static void *notify_many(void *unused)
{
	(void)unused;
	for (uint32_t i = 0; i < 20000; i++)
		must(dxh_notify(peer, "n", &i, sizeof i));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	return NULL;
}

Test(notify, of_many_threads_none_is_lost, .timeout = 60)
{
	pthread_t threads[6];

	open_pair(test_endpoint(), &(dxh_service_config){.inbox_max = 200000},
	          &(dxh_peer_config){.full_wait_ns = INT64_C(20000000000), .notify_frames = 8});
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, notify_many, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	test_wait_for(&echo.notifications, 120000);
	cr_expect_eq(test_stats(hub).notifications_sent, 120000);
	cr_expect_eq(test_stats(echo.hub).notifications_refused, 0);
	close_pair();
}
