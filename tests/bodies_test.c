/* SPDX-License-Identifier: MIT */
/* Bodies of every size in both directions, what overtakes them, and what ends them. */
/* Also run over inproc, see test_hub_open(). */
#include "runtime/wire.h"
#include "tests/support/pair.h"
#include "tests/support/pause.h"

#include <stdio.h>
#include <stdlib.h>

TestSuite(bodies, .timeout = 120);

enum { MIB = 1 << 20, PART = DXI_BODY_PART_BYTES_MAX };

static dxh_hub *server;
static dxh_service *service;
static const dxh_hub_config large = {
	.body_bytes_max = 256 * MIB, .reconnect_min_ns = 1000000, .reconnect_max_ns = 5000000};

static void bind_service(const dxh_service_config *config)
{
	must(test_hub_open(&large, &server));
	must(dxh_service_bind(server, test_endpoint(), config, &service));
}

static void open_both(const dxh_service_config *config)
{
	bind_service(config);
	must(test_hub_open(&large, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	test_wait_state(peer, DXH_PEER_READY);
}

static void close_both(void)
{
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* Bytes that tell where they belong. */
static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16 ^ at >> 24);
}

static unsigned char *body_of(size_t bytes)
{
	unsigned char *body = malloc(bytes + 1);

	for (size_t i = 0; i < bytes; i++)
		body[i] = byte_at(i);
	return body;
}

static void expect_body(const void *body, size_t bytes, size_t wanted)
{
	const unsigned char *at = body;
	size_t wrong = 0;

	cr_assert_eq(bytes, wanted);
	for (size_t i = 0; i < bytes; i++)
		wrong += at[i] != byte_at(i);
	cr_assert_eq(wrong, 0, "%zu of %zu bytes are wrong", wrong, bytes);
}

static dxh_completion post(const char *subject, const void *body, size_t bytes, uint32_t flags)
{
	dxh_request_item item = {.subject = subject,
	                         .body = body,
	                         .body_bytes = bytes,
	                         .deadline_ns = SOON,
	                         .flags = flags};
	dxh_completion done;

	must(dxh_post_batch(peer, &item, 1, NULL, &done));
	return done;
}

static dxh_request *receive(const char *subject)
{
	dxh_request *request;

	must(dxh_service_receive(service, SOON, &request));
	cr_assert_str_eq(dxh_request_subject(request), subject);
	return request;
}

static void expect_end(dxh_completion done, dxh_status status, dxh_certainty certainty)
{
	dxh_reply reply;

	must_be(dxh_await(done, SOON, &reply), status, NULL);
	cr_expect_eq(reply.certainty, certainty);
	must(dxh_release(done));
}

/* Everything that was set aside has come back. */
static void wait_memory(const dxh_hub *of, uint64_t bytes)
{
	int64_t deadline_ns = SOON;

	while (test_stats(of).memory_bytes > bytes)
		cr_assert_lt(dxh_now_ns(), deadline_ns, "%llu bytes are still held, not %llu",
		             (unsigned long long)test_stats(of).memory_bytes,
		             (unsigned long long)bytes);
}

/* ---- sizes ---- */

static void echo_once(size_t bytes, uint32_t flags)
{
	unsigned char *body = body_of(bytes);
	dxh_completion done = post("echo", body, bytes, flags);
	dxh_request *request = receive("echo");
	size_t received_bytes;
	const void *received = dxh_request_body(request, &received_bytes);
	dxh_reply reply;

	expect_body(received, received_bytes, bytes);
	must(dxh_request_reply(request, received, received_bytes));
	must(dxh_await(done, SOON, &reply));
	expect_body(reply.body, reply.body_bytes, bytes);
	must(dxh_release(done));
	free(body);
}

Test(bodies, of_every_size_arrive_as_they_were_and_leave_nothing_behind)
{
	static const size_t sizes[] = {0,        1,        32767,    32768,       PART - 1,
	                               PART,     PART + 1, MIB - 1,  MIB,         MIB + 1,
	                               3 * PART, 5 * MIB,  64 * MIB, 64 * MIB + 1};
	uint64_t client_bytes, server_bytes;

	open_both(NULL);
	echo_once(1, 0);
	client_bytes = test_stats(hub).memory_bytes;
	server_bytes = test_stats(server).memory_bytes;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		echo_once(sizes[i], 0);
		echo_once(sizes[i], DXH_BORROW);
	}
	wait_memory(hub, client_bytes);
	wait_memory(server, server_bytes);
	close_both();
}

static void take_back(void *context, void *body)
{
	free(body);
	(*(_Atomic uint64_t *)context)++;
}

Test(bodies, that_are_handed_over_are_given_back_once_however_many_parts_they_had)
{
	static const size_t sizes[] = {PART + 1, 7 * PART, 20 * MIB};
	_Atomic uint64_t given_back = 0;

	open_both(NULL);
	for (size_t i = 0; i < 3; i++) {
		dxh_request_item item = {.subject = "x",
		                         .body = body_of(sizes[i]),
		                         .body_bytes = sizes[i],
		                         .deadline_ns = SOON,
		                         .flags = DXH_TRANSFER,
		                         .free_fn = take_back,
		                         .free_context = &given_back};
		dxh_completion done;
		dxh_request *request;
		dxh_reply reply;
		size_t bytes;

		must(dxh_post_batch(peer, &item, 1, NULL, &done));
		request = receive("x");
		expect_body(dxh_request_body(request, &bytes), sizes[i], sizes[i]);
		cr_assert_eq(bytes, sizes[i]);
		must(dxh_request_reply_owned(request, body_of(sizes[i]), sizes[i], take_back,
		                             &given_back));
		must(dxh_await(done, SOON, &reply));
		expect_body(reply.body, reply.body_bytes, sizes[i]);
		must(dxh_release(done));
		test_wait_for(&given_back, 2 * i + 2);
	}
	close_both();
	cr_expect_eq(given_back, 6);
}

Test(bodies, beyond_a_limit_are_refused_where_it_lies)
{
	static unsigned char body[2 * MIB];
	dxh_hub_config small = {.body_bytes_max = MIB};
	dxh_completion done;
	dxh_hub *none;

	test_needs_sockets();
	must_be(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = (UINT64_C(1) << 30) + 1}, &none),
	        DXH_EINVAL, "1073741824");
	must(test_hub_open(&small, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(&large, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_post(peer, "x", body, sizeof body, SOON, &done));
	expect_end(done, DXH_ETOOBIG, DXH_REPLIED);
	must_be(dxh_post(peer, "x", body, 256 * (size_t)MIB + 1, SOON, &done), DXH_ETOOBIG,
	        "this hub sends");
	must(test_hub_close(&hub));

	/* A reply that is larger than its asker takes. */
	must(test_hub_open(&(dxh_hub_config){.body_bytes_max = PART}, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	done = post("x", NULL, 0, 0);
	must(dxh_request_reply(receive("x"), body, MIB));
	expect_end(done, DXH_ETOOBIG, DXH_REPLIED);
	done = post("x", NULL, 0, 0); /* the connection lives on */
	must(dxh_request_reply(receive("x"), body, PART));
	expect_end(done, DXH_OK, DXH_REPLIED);
	close_both();
}

/* ---- the window in bytes ---- */

Test(bodies, that_exceed_the_window_wait_for_it_and_can_be_canceled_or_expire_there)
{
	enum { WINDOW = 1000000, BYTES = 600000 };
	static unsigned char body[BYTES];
	dxh_completion first, second, third, fourth;
	dxh_request *request;
	dxh_reply reply;

	open_both(&(dxh_service_config){.client_bytes = WINDOW});
	first = post("first", body, BYTES, 0);
	request = receive("first");
	second = post("second", body, BYTES, 0);
	third = post("third", body, BYTES, 0);
	must(dxh_post(peer, "fourth", body, BYTES, dxh_in_ms(1), &fourth));
	expect_end(fourth, DXH_EEXPIRED, DXH_NOT_SENT);
	must(dxh_cancel(third, NULL));
	expect_end(third, DXH_ECANCELED, DXH_NOT_SENT);
	must_be(dxh_poll(second), DXH_EWAIT, NULL);
	must(dxh_request_reply(request, NULL, 0));
	must(dxh_await(first, SOON, &reply));
	must(dxh_request_reply(receive("second"), NULL, 0));
	must(dxh_await(second, SOON, &reply));
	cr_expect_eq(test_stats(server).requests_refused, 0, "nothing was tried in vain");
	close_both();
}

Test(bodies, that_the_window_can_never_hold_end_unsent)
{
	static unsigned char body[300000];
	dxh_completion done, small;

	open_both(&(dxh_service_config){.client_bytes = 100000});
	done = post("x", body, sizeof body, 0); /* in parts */
	expect_end(done, DXH_ETOOBIG, DXH_NOT_SENT);
	done = post("x", body, 100001, 0); /* whole */
	small = post("small", body, 100000, 0);
	expect_end(done, DXH_ETOOBIG, DXH_NOT_SENT);
	must(dxh_request_reply(receive("small"), NULL, 0));
	expect_end(small, DXH_OK, DXH_REPLIED);
	cr_expect_eq(test_stats(server).requests_received, 1);
	close_both();
}

/* ---- what overtakes ---- */

/* Large ones, then small ones, on the queue at once: the order of arrival tells. */
Test(bodies, that_are_large_are_overtaken_by_requests_and_notifications_posted_behind_them)
{
	unsigned char *body = body_of(64 * MIB);
	dxh_completion done[3];
	test_pause pause;

	open_both(NULL);
	test_pause_begin(&pause, hub);
	done[0] = post("large", body, 64 * MIB, DXH_BORROW);
	done[1] = post("medium", body, 2 * MIB, DXH_BORROW);
	done[2] = post("small", body, 10, 0);
	must(dxh_notify(peer, "note", NULL, 0));
	test_pause_end(&pause);
	must(dxh_request_reply(receive("small"), NULL, 0));
	dxh_request_release(receive("note"));
	must(dxh_request_reply(receive("medium"), NULL, 0));
	must(dxh_request_reply(receive("large"), NULL, 0));
	for (int i = 2; i >= 0; i--)
		expect_end(done[i], DXH_OK, DXH_REPLIED);
	close_both();
	free(body);
}

/* Of several large ones a part of each in turn: the shorter ones arrive first, whatever
 * their order. */
Test(bodies, that_are_large_take_turns)
{
	enum { COUNT = 5 };
	static const char *const names[COUNT] = {"5", "4", "3", "2", "1"};
	unsigned char *body = body_of(5 * 4 * MIB);
	dxh_completion done[COUNT];
	test_pause pause;

	open_both(NULL);
	test_pause_begin(&pause, hub);
	for (size_t i = 0; i < COUNT; i++)
		done[i] = post(names[i], body, (COUNT - i) * 4 * MIB, DXH_BORROW);
	test_pause_end(&pause);
	for (size_t i = COUNT; i-- > 0;)
		must(dxh_request_reply(receive(names[i]), NULL, 0));
	for (size_t i = 0; i < COUNT; i++)
		expect_end(done[i], DXH_OK, DXH_REPLIED);
	close_both();
	free(body);
}

Test(bodies, of_replies_are_overtaken_by_small_replies)
{
	unsigned char *body = body_of(32 * MIB);
	dxh_completion done[2];
	dxh_request *asked[2];
	dxh_group *group;
	dxh_event event[1];
	size_t count;
	test_pause pause;

	open_both(NULL);
	must(dxh_group_open(&group));
	must(dxh_post_to(group, peer, "large", NULL, 0, SOON, &done[0]));
	must(dxh_post_to(group, peer, "small", NULL, 0, SOON, &done[1]));
	asked[0] = receive("large");
	asked[1] = receive("small");
	test_pause_begin(&pause, server);
	must(dxh_request_reply(asked[0], body, 32 * MIB));
	must(dxh_request_reply(asked[1], "s", 1));
	test_pause_end(&pause);
	must(dxh_group_wait(group, 1, event, 1, SOON, &count));
	cr_expect_eq(event[0].completion, done[1]);
	must(dxh_group_wait(group, 1, event, 1, SOON, &count));
	cr_expect_eq(event[0].completion, done[0]);
	expect_body(event[0].reply.body, event[0].reply.body_bytes, 32 * MIB);
	must(dxh_release(done[0]));
	must(dxh_release(done[1]));
	must(dxh_group_close(&group));
	close_both();
	free(body);
}

/* ---- ends in the midst of it ---- */

/* A service whose I/O thread stands still takes in what libzmq holds, which is less than
 * this: the rest is still to be sent. */
enum { NEVER_ALL = 64 * MIB };

static void wait_frames_sent(const dxh_hub *of, uint64_t count)
{
	int64_t deadline_ns = SOON;

	while (test_stats(of).frames_sent < count)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
}

Test(bodies, that_are_canceled_or_expire_in_the_midst_of_it_were_not_sent)
{
	unsigned char *body = body_of(NEVER_ALL);
	uint64_t before, sent;
	test_pause pause;

	test_needs_sockets();
	open_both(NULL);
	echo_once(1, 0);
	before = test_stats(server).memory_bytes;
	for (int way = 0; way < 2; way++) {
		dxh_request_item item = {.subject = "large",
		                         .body = body,
		                         .body_bytes = NEVER_ALL,
		                         .deadline_ns = way ? dxh_in_ms(100) : SOON,
		                         .flags = DXH_BORROW};
		dxh_completion done, small;

		test_pause_begin(&pause, server);
		sent = test_stats(hub).frames_sent;
		must(dxh_post_batch(peer, &item, 1, NULL, &done));
		wait_frames_sent(hub, sent + 3);
		if (way == 0)
			must(dxh_cancel(done, NULL));
		expect_end(done, way ? DXH_EEXPIRED : DXH_ECANCELED, DXH_NOT_SENT);
		test_pause_end(&pause);
		small = post("small", NULL, 0, 0); /* only it arrives */
		must(dxh_request_reply(receive("small"), NULL, 0));
		expect_end(small, DXH_OK, DXH_REPLIED);
		wait_memory(server, before);
		cr_expect(way == 1 || test_stats(server).requests_refused == 0);
	}
	close_both();
	free(body);
}

/* Also what is sent because of what was received: so often nothing came any more. */
static void wait_all_received(void)
{
	int64_t deadline_ns = SOON;
	uint64_t before = 0, sent;
	test_pause pause;

	for (int same = 0; same < 50; same = sent == before ? same + 1 : 0, before = sent) {
		test_pause_begin(&pause, server); /* a turn of it is over */
		test_pause_end(&pause);
		sent = test_stats(server).frames_sent;
		while (test_stats(hub).frames_received < sent)
			cr_assert_lt(dxh_now_ns(), deadline_ns);
	}
}

/* The service sends no more of it either. */
Test(bodies, of_replies_that_nobody_waits_for_any_more_are_stopped)
{
	unsigned char *body = body_of(NEVER_ALL);
	_Atomic uint64_t given_back = 0;
	dxh_completion done, small;
	dxh_request *request;
	uint64_t before;
	test_pause pause;

	test_needs_sockets();
	open_both(NULL);
	echo_once(1, 0);
	before = test_stats(hub).memory_bytes;
	done = post("large", NULL, 0, 0);
	request = receive("large");
	test_pause_begin(&pause, hub);
	must(dxh_cancel(done, NULL));
	must(dxh_request_reply_owned(request, body, NEVER_ALL, take_back, &given_back));
	wait_frames_sent(server, test_stats(server).frames_sent + 1);
	test_pause_end(&pause);
	test_wait_for(&given_back, 1);
	expect_end(done, DXH_ECANCELED, DXH_MAYBE_EXECUTED);
	/* Nothing is left to be sent, and nothing is sent in its place: an empty message would
	 * end the connection. */
	wait_all_received();
	cr_expect_eq(test_stats(hub).reconnects, 0);
	small = post("small", NULL, 0, 0);
	must(dxh_request_reply(receive("small"), NULL, 0));
	expect_end(small, DXH_OK, DXH_REPLIED);
	cr_expect_eq(test_stats(server).replies_dropped, 1);
	wait_memory(hub, before);
	close_both();
}

Test(bodies, that_are_on_their_way_when_their_peer_or_hub_closes_are_given_back)
{
	_Atomic uint64_t given_back = 0;
	uint64_t before;

	test_needs_sockets();
	open_both(NULL);
	echo_once(1, 0);
	before = test_stats(server).memory_bytes;
	for (int way = 0; way < 2; way++) {
		dxh_request_item item = {.subject = "large",
		                         .body = body_of(NEVER_ALL),
		                         .body_bytes = NEVER_ALL,
		                         .deadline_ns = SOON,
		                         .flags = DXH_TRANSFER,
		                         .free_fn = take_back,
		                         .free_context = &given_back};
		dxh_completion done;
		test_pause pause;

		test_pause_begin(&pause, server);
		must(dxh_post_batch(peer, &item, 1, NULL, &done));
		wait_frames_sent(hub, 5);
		if (way == 0) {
			must(dxh_peer_close(&peer));
			must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
		} else {
			must(test_hub_close(&hub));
		}
		expect_end(done, DXH_ECLOSED, DXH_NOT_SENT);
		test_pause_end(&pause);
		test_wait_for(&given_back, (uint64_t)way + 1);
		if (way == 0)
			test_wait_state(peer, DXH_PEER_READY);
	}
	/* Beyond what is remembered of clients that are gone, which holds no body. */
	wait_memory(server, before + 1024);
	must(test_hub_close(&server));
	cr_expect_eq(given_back, 2);
}

Test(bodies, that_are_on_their_way_when_the_service_closes_are_refused)
{
	unsigned char *body = body_of(NEVER_ALL);
	dxh_completion done;
	dxh_reply reply;
	dxh_status status;
	test_pause pause;

	open_both(NULL);
	test_pause_begin(&pause, hub); /* it has sent what libzmq takes when this ends */
	done = post("large", body, NEVER_ALL, DXH_BORROW);
	test_pause_end(&pause);
	wait_frames_sent(hub, 3);
	must(dxh_service_stop(service));
	must(dxh_service_close(&service));
	must(dxh_cancel(done, NULL));
	status = dxh_await(done, SOON, &reply);
	/* It was told; or it waits for another connection, and was canceled there. */
	cr_expect(status == DXH_ECLOSED ||
	                  (status == DXH_ECANCELED && reply.certainty == DXH_NOT_SENT),
	          "%s", dxh_status_name(status));
	must(dxh_release(done));
	close_both();
	free(body);
}

Test(bodies, of_replies_that_are_on_their_way_when_the_service_closes_still_arrive)
{
	unsigned char *body = body_of(4 * MIB);
	dxh_completion done;
	dxh_reply reply;

	open_both(NULL);
	done = post("large", NULL, 0, 0);
	must(dxh_request_reply(receive("large"), body, 4 * MIB));
	must(dxh_service_close(&service));
	must(dxh_await(done, SOON, &reply));
	expect_body(reply.body, reply.body_bytes, 4 * MIB);
	must(dxh_release(done));
	close_both();
	free(body);
}
