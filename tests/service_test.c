/* SPDX-License-Identifier: MIT */
/* What a service refuses, bounds and answers. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

Test(service, a_full_inbox_answers_overloaded, .timeout = 30)
{
	enum { COUNT = 200, INBOX = 8 };
	int64_t deadline_ns = SOON;
	dxh_hub *server;
	dxh_service *service;
	dxh_completion done[COUNT];
	dxh_request *request;
	int overloaded = 0;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), &(dxh_service_config){.inbox_max = INBOX},
	                      &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	for (int i = 0; i < COUNT; i++)
		must(dxh_post(peer, "x", NULL, 0, SOON, &done[i]));
	while (test_stats(server).requests_received < COUNT)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	while (dxh_service_receive(service, DXH_NOW, &request) == DXH_OK)
		must(dxh_request_reply(request, NULL, 0));
	for (int i = 0; i < COUNT; i++) {
		overloaded += dxh_await(done[i], SOON, NULL) == DXH_EOVERLOADED;
		must(dxh_release(done[i]));
	}
	/* All but those that the inbox holds, and one of a client of which none waits. */
	cr_expect_geq(overloaded, COUNT - (INBOX + 1));
	cr_expect_leq(overloaded, COUNT - INBOX);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(service, the_window_it_grants_is_kept_by_the_client, .timeout = 30)
{
	enum { COUNT = 60 };
	dxh_completion done[COUNT];

	open_pair(test_endpoint(), &(dxh_service_config){.client_window = 4}, NULL);
	for (int i = 0; i < COUNT; i++)
		must(dxh_post(peer, i < 4 ? "hold" : "echo", NULL, 0, SOON, &done[i]));
	test_wait_for(&echo.held_count, 4);
	must_be(dxh_poll(done[4]), DXH_EWAIT, NULL);
	cr_expect_eq(echo.requests, 4, "the fifth was not even sent");
	test_echo_release(&echo);
	for (int i = 0; i < COUNT; i++) {
		must(dxh_await(done[i], SOON, NULL));
		must(dxh_release(done[i]));
	}
	cr_expect_eq(test_stats(echo.hub).requests_refused, 0);
	close_pair();
}

Test(service, more_clients_than_allowed_are_refused_until_one_goes, .timeout = 30)
{
	dxh_peer *second;

	open_pair(test_endpoint(), &(dxh_service_config){.clients_max = 1}, NULL);
	expect_echo("x", 1);
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &second));
	must_be(dxh_request_sync(second, "echo", NULL, 0, dxh_in_ms(200), NULL, 0, NULL),
	        DXH_EEXPIRED, NULL);
	expect_echo("x", 1);
	must(dxh_peer_close(&peer));
	must(dxh_request_sync(second, "echo", NULL, 0, SOON, NULL, 0, NULL));
	close_pair();
}

Test(service, what_it_cannot_bind_is_refused_with_the_reason, .timeout = 20)
{
	dxh_service *second;

	open_pair(test_endpoint(), NULL, NULL);
	must_be(dxh_service_bind(hub, dxh_service_endpoint(echo.service), NULL, &second), DXH_EBUSY,
	        "in use");
	must_be(dxh_service_bind(hub, "ipc:///no/such/place/x", NULL, &second), DXH_EINVAL, NULL);
	must_be(dxh_service_bind(hub, "tcp://*:5555", NULL, &second), DXH_EINSECURE, NULL);
	must_be(dxh_service_bind(hub, "x", NULL, &second), DXH_EINVAL, NULL);
	must_be(dxh_service_bind(NULL, test_endpoint(), NULL, &second), DXH_EINVAL, NULL);
	must_be(dxh_service_bind(hub, test_endpoint(),
	                         &(dxh_service_config){.inbox_max = UINT32_MAX}, &second),
	        DXH_EINVAL, "inbox_max");
	close_pair();
}

Test(service, a_file_in_the_way_of_an_ipc_path_stays, .timeout = 20)
{
	char endpoint[100], *path = endpoint + 6;
	dxh_service *service;
	FILE *file;

	path_endpoint(endpoint, sizeof endpoint, "file");
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fclose(file);
	must(test_hub_open(NULL, &hub));
	must_be(dxh_service_bind(hub, endpoint, NULL, &service), DXH_EEXIST, "is no socket");
	cr_expect_eq(access(path, F_OK), 0);
	must(test_hub_close(&hub));
	unlink(path);
}

Test(service, a_live_services_ipc_path_is_not_taken_from_it, .timeout = 20)
{
	char endpoint[100];
	dxh_service *second;

	path_endpoint(endpoint, sizeof endpoint, "taken");
	open_pair(endpoint, NULL, NULL);
	must_be(dxh_service_bind(hub, endpoint, NULL, &second), DXH_EBUSY, "already");
	expect_echo("x", 1);
	close_pair();
}

Test(service, closing_it_answers_what_is_open, .timeout = 30)
{
	dxh_hub *server;
	dxh_service *service;
	dxh_completion received, waiting;
	dxh_request *request;
	dxh_reply reply;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_post(peer, "a", NULL, 0, SOON, &received));
	must(dxh_service_receive(service, SOON, &request));
	must(dxh_post(peer, "b", NULL, 0, SOON, &waiting));
	while (test_stats(server).requests_received < 2)
		;
	must(dxh_service_close(&service));
	must_be(dxh_await(received, SOON, &reply), DXH_ECLOSED, "service was closed");
	cr_expect_eq(reply.certainty, DXH_REPLIED);
	must_be(dxh_await(waiting, SOON, NULL), DXH_ECLOSED, NULL);
	must(dxh_request_reply(request, NULL, 0)); /* nobody waits for it any more */
	must(dxh_release(received));
	must(dxh_release(waiting));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

static bool is_readable(int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};

	return poll(&wanted, 1, 0) == 1;
}

static void wait_until_readable(int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};

	cr_assert_eq(poll(&wanted, 1, 20000), 1);
}

Test(service, its_descriptor_tells_of_requests_and_of_the_stop, .timeout = 30)
{
	enum { COUNT = 3000 }; /* more than are handed on at once */
	dxh_hub *server;
	dxh_service *service;
	dxh_completion done[COUNT];
	dxh_request *request;
	int fd, received = 0;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	fd = dxh_service_fd(service);
	cr_assert_geq(fd, 0);
	cr_expect_eq(dxh_service_fd(service), fd);
	must_be(dxh_service_receive(service, DXH_NOW, &request), DXH_EWAIT, NULL);
	cr_expect_not(is_readable(fd), "nothing has come yet");
	for (int i = 0; i < COUNT; i++)
		must(dxh_post(peer, "x", NULL, 0, SOON, &done[i]));
	while (received < COUNT) {
		wait_until_readable(fd);
		for (; dxh_service_receive(service, DXH_NOW, &request) == DXH_OK; received++)
			must(dxh_request_reply(request, NULL, 0));
	}
	for (int i = 0; i < COUNT; i++) {
		must(dxh_await(done[i], SOON, NULL));
		must(dxh_release(done[i]));
	}
	/* A request can be taken before its ring; by its answer, that ring is over. */
	must_be(dxh_service_receive(service, DXH_NOW, &request), DXH_EWAIT, NULL);
	cr_expect_not(is_readable(fd), "all was taken");
	must(dxh_service_stop(service));
	cr_expect(is_readable(fd));
	must_be(dxh_service_receive(service, DXH_NOW, &request), DXH_ECLOSED, NULL);
	cr_expect_eq(dxh_service_fd(NULL), -1);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(service, receive_many_takes_what_has_come_up_to_max_in_order, .timeout = 30)
{
	enum { COUNT = 150, MAX = 100 };
	int64_t deadline_ns = SOON;
	dxh_hub *server;
	dxh_service *service;
	dxh_completion done[COUNT];
	dxh_request *requests[MAX];
	size_t count = 0, expected = 0;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must_be(dxh_service_receive_many(service, DXH_NOW, requests, MAX, &count), DXH_EWAIT, NULL);
	cr_expect_eq(count, 0);
	must_be(dxh_service_receive_many(service, DXH_NOW, requests, 0, &count), DXH_EINVAL, NULL);
	for (int i = 0; i < COUNT; i++)
		must(dxh_post(peer, "x", &i, sizeof i, SOON, &done[i]));
	while (test_stats(server).requests_received < COUNT)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	while (expected < COUNT) {
		must(dxh_service_receive_many(service, SOON, requests, MAX, &count));
		cr_assert(count >= 1 && count <= MAX);
		for (size_t i = 0; i < count; i++) {
			int number;

			memcpy(&number, dxh_request_body(requests[i], NULL), sizeof number);
			cr_assert_eq(number, (int)expected++);
			must(dxh_request_reply(requests[i], NULL, 0));
		}
	}
	for (int i = 0; i < COUNT; i++) {
		must(dxh_await(done[i], SOON, NULL));
		must(dxh_release(done[i]));
	}
	must(test_hub_close(&hub));
	must(dxh_service_stop(service));
	must_be(dxh_service_receive_many(service, SOON, requests, MAX, &count), DXH_ECLOSED, NULL);
	must(test_hub_close(&server));
}
