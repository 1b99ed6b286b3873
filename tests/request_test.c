/* SPDX-License-Identifier: MIT */
/* Requests and their replies between two hubs, good and bad. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include <unistd.h>

Test(request, bodies_of_every_kind_of_size_come_back, .timeout = 30)
{
	const size_t sizes[] = {0,     1,      7,      8,      88,     92,    93,    96,
	                        97,    255,    256,    4096,   16000,  16383, 16384, 16385,
	                        65536, 100000, 262143, 262144, 524287, 524288};
	static unsigned char body[524288];

	open_pair(test_endpoint(), NULL, NULL);
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (unsigned char)(i * 31 + i / 256);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		expect_echo(body, sizes[i]);
	close_pair();
}

Test(request, works_over_tcp_v4_and_v6, .timeout = 30)
{
	open_pair("tcp://127.0.0.1:*", NULL, NULL);
	cr_expect(strncmp(dxh_service_endpoint(echo.service), "tcp://127.0.0.1:", 16) == 0, "%s",
	          dxh_service_endpoint(echo.service));
	expect_echo("four", 4);
	close_pair();
	open_pair("tcp://[::1]:*", NULL, NULL);
	expect_echo("six", 3);
	close_pair();
}

Test(request, works_over_an_ipc_path_and_leaves_no_file, .timeout = 30)
{
	char endpoint[100], *path = endpoint + 6;

	path_endpoint(endpoint, sizeof endpoint, "test");
	open_pair(endpoint, NULL, NULL);
	expect_echo("path", 4);
	close_pair();
	/* libzmq removes it when its socket is gone, which closing waited for. */
	cr_expect_neq(access(path, F_OK), 0);
}

Test(request, bad_arguments_are_refused_and_nothing_is_posted, .timeout = 20)
{
	char subject[300];
	dxh_completion done;
	dxh_group *group = NULL;

	open_pair(test_endpoint(), NULL, NULL);
	memset(subject, 's', 256);
	subject[256] = '\0';
	must_be(dxh_post(NULL, "s", NULL, 0, SOON, &done), DXH_EINVAL, "NULL");
	must_be(dxh_post(peer, NULL, NULL, 0, SOON, &done), DXH_EINVAL, "subject is NULL");
	must_be(dxh_post(peer, "", NULL, 0, SOON, &done), DXH_EINVAL, "1 to 255");
	must_be(dxh_post(peer, subject, NULL, 0, SOON, &done), DXH_EINVAL, "1 to 255");
	must_be(dxh_post(peer, "s", NULL, 1, SOON, &done), DXH_EINVAL, "body is NULL");
	must_be(dxh_post(peer, "s", NULL, 0, SOON, NULL), DXH_EINVAL, NULL);
	must_be(dxh_post(peer, "s", subject, 1 << 20, SOON, &done), DXH_ETOOBIG, "524288");
	must_be(dxh_post_to(group, peer, "s", NULL, 0, SOON, &done), DXH_EINVAL, "group");
	must_be(dxh_notify(peer, "", NULL, 0), DXH_EINVAL, NULL);
	must_be(dxh_notify(peer, "s", subject, 1 << 17), DXH_ETOOBIG, "frame_bytes");
	must_be(dxh_notify(NULL, "s", NULL, 0), DXH_EINVAL, NULL);
	must_be(dxh_flush(peer, (dxh_flush_level)7, SOON), DXH_EINVAL, NULL);
	cr_expect_eq(test_stats(hub).posted, 0);
	subject[255] = '\0';
	must(dxh_request_sync(peer, subject, NULL, 0, SOON, NULL, 0, NULL));
	close_pair();
}

Test(request, the_reply_that_does_not_fit_says_how_long_it_is, .timeout = 20)
{
	char reply[2];
	size_t bytes;

	open_pair(test_endpoint(), NULL, NULL);
	must_be(dxh_request_sync(peer, "echo", "abcd", 4, SOON, reply, 2, &bytes), DXH_ESIZE,
	        "4 bytes");
	cr_expect_eq(bytes, 4);
	cr_expect_eq(memcmp(reply, "ab", 2), 0);
	close_pair();
}

Test(request, a_rejection_carries_status_and_text, .timeout = 20)
{
	dxh_completion done;
	dxh_reply reply;

	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_post(peer, "reject", NULL, 0, SOON, &done));
	must_be(dxh_await(done, SOON, &reply), DXH_EREJECTED, ": no");
	cr_expect_eq(reply.certainty, DXH_REPLIED);
	cr_expect_eq(reply.body_bytes, 2);
	must(dxh_release(done));
	must(dxh_post(peer, "drop", NULL, 0, SOON, &done));
	must_be(dxh_await(done, SOON, NULL), DXH_EREJECTED, "unanswered");
	must(dxh_release(done));
	cr_expect_eq(test_stats(hub).errors, 2);
	close_pair();
}

Test(request, rejected_with_a_status_that_is_none_is_rejected_all_the_same, .timeout = 20)
{
	dxh_hub *server;
	dxh_service *service;
	dxh_request *request;
	dxh_completion done;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_post(peer, "a", NULL, 0, SOON, &done));
	must(dxh_service_receive(service, SOON, &request));
	must_be(dxh_request_reject(request, DXH_OK, NULL), DXH_EINVAL, "DXH_OK");
	must_be(dxh_await(done, SOON, NULL), DXH_EREJECTED, NULL);
	must(dxh_release(done));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(request, a_reply_beyond_the_limit_is_refused_here, .timeout = 20)
{
	static char body[4096];
	dxh_completion done;

	test_needs_sockets();
	test_echo_open(&echo, test_endpoint(), NULL);
	must(test_hub_open(&(dxh_hub_config){.body_bytes_max = sizeof body}, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	must(dxh_post(peer, "echo", body, sizeof body, SOON, &done));
	must(dxh_await(done, SOON, NULL));
	must(dxh_release(done));
	must(dxh_post(peer, "twice", body, sizeof body, SOON, &done));
	must_be(dxh_await(done, SOON, NULL), DXH_ETOOBIG, "body_bytes_max");
	must(dxh_release(done));
	close_pair();
}

Test(request, expires_unsent_and_sent_with_the_right_certainty, .timeout = 20)
{
	dxh_peer *nobody;
	dxh_completion done;
	dxh_reply reply;

	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &nobody));
	must(dxh_post(nobody, "echo", NULL, 0, dxh_in_ms(5), &done));
	must_be(dxh_await(done, DXH_FOREVER, &reply), DXH_EEXPIRED, "not sent");
	cr_expect_eq(reply.certainty, DXH_NOT_SENT);
	must(dxh_release(done));
	must(dxh_post(peer, "echo", NULL, 0, DXH_NOW, &done));
	must_be(dxh_await(done, DXH_FOREVER, &reply), DXH_EEXPIRED, NULL);
	cr_expect_eq(reply.certainty, DXH_NOT_SENT, "it had expired before it was sent");
	must(dxh_release(done));
	must(dxh_post(peer, "hold", NULL, 0, dxh_in_ms(300), &done));
	test_wait_for(&echo.held_count, 1);
	must_be(dxh_await(done, DXH_FOREVER, &reply), DXH_EEXPIRED, "maybe executed");
	cr_expect_eq(reply.certainty, DXH_MAYBE_EXECUTED);
	must(dxh_release(done));
	test_echo_release(&echo); /* too late: dropped and counted */
	expect_echo("x", 1);
	cr_expect_eq(test_stats(hub).replies_late, 1);
	close_pair();
}

Test(request, a_deadline_is_never_early, .timeout = 20)
{
	dxh_peer *nobody;

	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &nobody));
	for (int i = 0; i < 50; i++) {
		int64_t deadline_ns = dxh_in_us(100 + 130 * i);

		must_be(dxh_request_sync(nobody, "x", NULL, 0, deadline_ns, NULL, 0, NULL),
		        DXH_EEXPIRED, NULL);
		cr_expect_geq(dxh_now_ns(), deadline_ns);
	}
	must(test_hub_close(&hub));
}

Test(request, the_service_sees_the_budget_that_is_left, .timeout = 20)
{
	dxh_hub *server;
	dxh_service *service;
	dxh_request *request;
	dxh_completion limited, unlimited;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_post(peer, "a", NULL, 0, dxh_in_ms(10000), &limited));
	must(dxh_post(peer, "b", NULL, 0, DXH_FOREVER, &unlimited));
	must(dxh_service_receive(service, SOON, &request));
	cr_expect(dxh_request_budget_ns(request) > 0 &&
	          dxh_request_budget_ns(request) < INT64_C(10000000000));
	cr_expect_eq(dxh_request_canceled(request), 0);
	must(dxh_request_reply(request, NULL, 0));
	must(dxh_service_receive(service, SOON, &request));
	cr_expect_eq(dxh_request_budget_ns(request), DXH_FOREVER);
	must(dxh_request_reply(request, NULL, 0));
	must(dxh_await(limited, SOON, NULL));
	must(dxh_await(unlimited, SOON, NULL));
	must_be(dxh_service_receive(service, DXH_NOW, &request), DXH_EWAIT, NULL);
	must(dxh_release(limited));
	must(dxh_release(unlimited));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(request, cancel_of_a_sent_one_ends_it_and_tells_the_service, .timeout = 20)
{
	dxh_completion done;
	dxh_reply reply;

	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_post(peer, "hold", NULL, 0, DXH_FOREVER, &done));
	test_wait_for(&echo.held_count, 1);
	must(dxh_cancel(done, NULL));
	must_be(dxh_await(done, DXH_FOREVER, &reply), DXH_ECANCELED, "maybe executed");
	must(dxh_release(done));
	expect_echo("x", 1); /* behind the CANCEL on the same connection */
	cr_expect(dxh_request_canceled(echo.held[0]));
	test_echo_release(&echo);
	close_pair();
}

Test(request, full_credit_is_refused_at_once_and_comes_back, .timeout = 30)
{
	enum { MAX = 10 };
	dxh_completion done[MAX], more;

	open_pair(test_endpoint(), NULL, &(dxh_peer_config){.requests_max = MAX});
	for (int i = 0; i < MAX; i++)
		must(dxh_post(peer, "hold", NULL, 0, DXH_FOREVER, &done[i]));
	must_be(dxh_post(peer, "hold", NULL, 0, DXH_FOREVER, &more), DXH_EFULL, "requests_max");
	must_be(dxh_post_batch(peer, (dxh_request_item[MAX + 1]){{.subject = "s"}}, MAX + 1, NULL,
	                       &more),
	        DXH_EINVAL, NULL);
	test_wait_for(&echo.held_count, MAX);
	test_echo_release(&echo);
	for (int i = 0; i < MAX; i++)
		must(dxh_await(done[i], SOON, NULL));
	expect_echo("x", 1);
	for (int i = 0; i < MAX; i++)
		must(dxh_release(done[i]));
	close_pair();
}

Test(request, full_slots_name_those_that_nobody_released, .timeout = 30)
{
	dxh_completion done[8], more;

	test_needs_sockets();
	test_echo_open(&echo, test_endpoint(), NULL);
	must(test_hub_open(&(dxh_hub_config){.operations_max = 8}, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	for (int i = 0; i < 8; i++) {
		must(dxh_post(peer, "echo", NULL, 0, SOON, &done[i]));
		must(dxh_await(done[i], SOON, NULL));
	}
	must_be(dxh_post(peer, "echo", NULL, 0, SOON, &more), DXH_EFULL, "8 of them have ended");
	must_be(dxh_flush(peer, DXH_FLUSH_SENT, SOON), DXH_EFULL, NULL);
	must(dxh_release(done[0]));
	must(dxh_post(peer, "echo", NULL, 0, SOON, &more));
	must(dxh_release(more));
	for (int i = 1; i < 8; i++)
		must(dxh_release(done[i]));
	close_pair();
}

Test(request, waiting_for_credit_ends_with_credit, .timeout = 30)
{
	open_pair(test_endpoint(), NULL,
	          &(dxh_peer_config){.requests_max = 2, .full_wait_ns = INT64_C(20000000000)});
	for (int i = 0; i < 1000; i++) {
		dxh_completion done;

		must(dxh_post(peer, "echo", NULL, 0, SOON, &done));
		must(dxh_release(done));
	}
	close_pair();
}

Test(request, a_batch_is_posted_whole_and_comes_home_to_a_group, .timeout = 30)
{
	enum { COUNT = 100 };
	dxh_request_item items[COUNT];
	dxh_completion done[COUNT];
	dxh_event events[COUNT];
	dxh_group *group;
	size_t count, seen = 0;
	uint64_t sum = 0;

	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_group_open(&group));
	for (uintptr_t i = 0; i < COUNT; i++)
		items[i] = (dxh_request_item){.subject = "echo",
		                              .body = &items[i],
		                              .body_bytes = 8,
		                              .deadline_ns = SOON,
		                              .user = (void *)i};
	must(dxh_post_batch(peer, items, COUNT, group, done));
	while (dxh_group_wait(group, 1, events, COUNT, SOON, &count) == DXH_OK)
		for (size_t i = 0; i < count; i++, seen++) {
			cr_expect_eq(events[i].reply.status, DXH_OK);
			sum += (uintptr_t)events[i].user;
			must(dxh_release(events[i].completion));
		}
	cr_expect_eq(seen, COUNT);
	cr_expect_eq(sum, COUNT * (COUNT - 1) / 2);
	must(dxh_group_close(&group));
	close_pair();
}
