/* SPDX-License-Identifier: MIT */
/* What becomes of a request whose connection is cut, while it is on its way, in work, or
 * answered: it is executed once where the service keeps answers, and never twice. */
#include "tests/support/pair.h"
#include "tests/support/relay.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(hold, .timeout = 60);

static dxh_hub *server;
static dxh_service *service;

static void bind_service(const dxh_service_config *config)
{
	must(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = 4 << 20}, &server));
	must(dxh_service_bind(server, "tcp://127.0.0.1:*", config, &service));
	test_relay_aim(dxh_service_endpoint(service));
}

/* A service behind a relay, and a peer before it. */
static void open_cut_with(const dxh_service_config *config, const dxh_peer_config *of_peer)
{
	dxh_hub_config quick = {.reconnect_min_ns = 1000000,
	                        .reconnect_max_ns = 5000000,
	                        .body_bytes_max = 4 << 20};
	const char *endpoint = test_relay_open();

	bind_service(config);
	must(dxh_hub_open(&quick, &hub));
	must(dxh_peer_connect(hub, endpoint, of_peer, &peer));
	test_wait_state(peer, DXH_PEER_READY);
}

static void open_cut(const dxh_service_config *config)
{
	open_cut_with(config, NULL);
}

static void close_cut(void)
{
	dxh_hub_stats end = test_stats(hub);

	cr_expect_eq(end.posted, end.done + end.errors + end.expired + end.canceled + end.lost +
	                                 end.unsendable + end.closed);
	must(dxh_hub_close(&hub));
	must(dxh_hub_close(&server));
	test_relay_close();
}

static dxh_completion
post_body(uint32_t flags, const void *body, size_t body_bytes, int64_t deadline_ns)
{
	dxh_completion done;

	must(dxh_post_batch(peer,
	                    &(dxh_request_item){.subject = "work",
	                                        .body = body,
	                                        .body_bytes = body_bytes,
	                                        .deadline_ns = deadline_ns,
	                                        .flags = flags},
	                    1, NULL, &done));
	return done;
}

static dxh_completion post(uint32_t flags)
{
	return post_body(flags, "x", 1, SOON);
}

static dxh_request *take(void)
{
	dxh_request *request;

	must(dxh_service_receive(service, SOON, &request));
	return request;
}

static void expect_no_work(void)
{
	dxh_request *request;

	must_be(dxh_service_receive(service, DXH_NOW, &request), DXH_EWAIT, NULL);
}

static void expect_reply(dxh_completion done, const char *text)
{
	dxh_reply reply;

	must(dxh_await(done, SOON, &reply));
	cr_assert_eq(reply.body_bytes, strlen(text));
	cr_assert_eq(memcmp(reply.body, text, reply.body_bytes), 0);
	must(dxh_release(done));
}

static void
expect_end(dxh_completion done, dxh_status status, dxh_certainty certainty, const char *words)
{
	dxh_reply reply = {0};

	must_be(dxh_await(done, SOON, &reply), status, words);
	cr_expect_eq(reply.certainty, certainty);
	must(dxh_release(done));
}

/* Wait until a counter has come so far. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t until_ns = SOON;                                                           \
		while (!(condition))                                                               \
			cr_assert_lt(dxh_now_ns(), until_ns, "%s", #condition);                    \
	} while (0)

/* ---- the same service ------------------------------------------------------------ */

static void answered_and_cut(uint32_t flags)
{
	dxh_completion done;

	open_cut(NULL);
	done = post(flags);
	test_relay_stall_down();
	must(dxh_request_reply(take(), "once", 4));
	wait_until(test_stats(server).replies_sent == 1);
	test_relay_cut();
	expect_reply(done, "once");
	expect_no_work();
	cr_expect_eq(test_stats(server).repeats_answered, 1);
	cr_expect_eq(test_stats(hub).held, flags == DXH_HOLD);
	cr_expect_eq(test_stats(hub).retries, flags == DXH_IDEMPOTENT);
	close_cut();
}

Test(hold, an_answer_that_was_cut_off_comes_out_of_the_cache)
{
	answered_and_cut(DXH_HOLD);
}

Test(hold, a_retry_gets_the_answer_out_of_the_cache_too)
{
	answered_and_cut(DXH_IDEMPOTENT);
}

Test(hold, a_request_that_was_cut_off_on_its_way_is_executed_on_the_next_connection)
{
	dxh_completion done;
	dxh_request *request;

	open_cut(NULL);
	test_relay_stall_up();
	done = post(DXH_HOLD);
	wait_until(test_stats(hub).records_sent >= 2); /* HELLO and this one */
	test_relay_cut();
	request = take();
	cr_expect_eq(dxh_request_attempt(request), 1);
	must(dxh_request_reply(request, "first", 5));
	expect_reply(done, "first");
	expect_no_work();
	close_cut();
}

Test(hold, what_is_in_work_is_answered_on_the_next_connection)
{
	dxh_completion done, fails;
	dxh_request *request;

	open_cut(NULL);
	done = post(DXH_HOLD);
	request = take();
	fails = post(0);
	dxh_request_release(take());
	expect_end(fails, DXH_EREJECTED, DXH_REPLIED, NULL);
	test_relay_cut();
	wait_until(test_stats(server).repeats_joined == 1);
	must(dxh_request_reply(request, "late", 4));
	expect_reply(done, "late");
	expect_no_work();
	close_cut();
}

Test(hold, through_many_cuts_and_without_limit)
{
	enum { CUTS = 20 };
	dxh_completion done;
	dxh_request *request;

	open_cut(NULL);
	done = post(DXH_HOLD);
	request = take();
	for (uint64_t i = 1; i <= CUTS; i++) {
		test_relay_cut();
		wait_until(test_stats(server).repeats_joined == i);
	}
	must(dxh_request_reply(request, "patience", 8));
	expect_reply(done, "patience");
	cr_expect_eq(test_stats(hub).held, CUTS);
	cr_expect_eq(test_stats(hub).retries, 0);
	close_cut();
}

Test(hold, large_bodies_both_ways)
{
	static unsigned char body[3 << 20], other[3 << 20];
	dxh_completion done;
	dxh_reply reply;

	memset(body, 7, sizeof body);
	memset(other, 9, sizeof other);
	open_cut(NULL);
	done = post_body(DXH_HOLD, body, sizeof body, SOON);
	test_relay_stall_down();
	must(dxh_request_reply(take(), other, sizeof other));
	test_relay_cut();
	must(dxh_await(done, SOON, &reply));
	cr_assert_eq(reply.body_bytes, sizeof other);
	cr_expect_eq(memcmp(reply.body, other, sizeof other), 0);
	must(dxh_release(done));
	expect_no_work();
	close_cut();
}

Test(hold, without_the_flag_it_is_lost)
{
	dxh_completion done;
	dxh_request *request;

	open_cut(NULL);
	done = post(0);
	request = take();
	test_relay_cut();
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED, NULL);
	dxh_request_release(request);
	close_cut();
}

Test(hold, what_is_held_ends_by_its_deadline_by_cancel_and_by_close)
{
	dxh_completion expires, cancels, closes;
	dxh_cancel_answer answer;

	open_cut(NULL);
	expires = post_body(DXH_HOLD, "e", 1, dxh_in_ms(500));
	cancels = post(DXH_HOLD);
	closes = post(DXH_HOLD);
	for (int i = 0; i < 3; i++)
		(void)take(); /* with a worker that never answers */
	test_relay_aim(NULL);
	test_relay_cut();
	expect_end(expires, DXH_EEXPIRED, DXH_MAYBE_EXECUTED, NULL);
	must(dxh_cancel(cancels, &answer));
	cr_expect_eq(answer, DXH_CANCEL_PENDING);
	expect_end(cancels, DXH_ECANCELED, DXH_MAYBE_EXECUTED, NULL);
	must_be(dxh_hub_drain(hub, dxh_in_ms(10), NULL), DXH_EWAIT, NULL);
	expect_end(closes, DXH_ECLOSED, DXH_MAYBE_EXECUTED, NULL);
	cr_expect_eq(dxh_hub_drain_row(hub, 0)->unanswered, 1);
	close_cut();
}

/* ---- another service, or one that keeps nothing ------------------------------------- */

Test(hold, a_service_that_was_restarted_is_not_asked_again)
{
	dxh_completion done;

	open_cut(NULL);
	test_relay_stall_down();
	done = post(DXH_HOLD);
	dxh_request_release(take());
	test_relay_aim(NULL);
	test_relay_cut();
	must(dxh_hub_close(&server));
	bind_service(NULL);
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED, "restarted");
	expect_no_work();
	cr_expect_eq(test_stats(hub).held, 1);
	close_cut();
}

static void
end_the_second_connection(void *context, dxh_peer *of, dxh_peer_state state, const char *reason)
{
	int *connections = context;

	(void)of;
	(void)reason;
	if (state != DXH_PEER_READY || ++*connections != 2)
		return;
	test_relay_aim(NULL);
	test_relay_cut();
	usleep(20000); /* libzmq sees it before anything is sent; if not, it is held again */
}

Test(hold, nor_is_it_when_a_connection_came_and_went_in_between)
{
	int connections = 0;
	dxh_completion done;

	open_cut_with(NULL, &(dxh_peer_config){.on_state = end_the_second_connection,
	                                       .context = &connections});
	test_relay_stall_down();
	done = post(DXH_HOLD);
	dxh_request_release(take());
	test_relay_cut();
	wait_until(test_stats(hub).reconnects >= 2);
	must(dxh_hub_close(&server));
	bind_service(NULL);
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED, "restarted");
	expect_no_work();
	close_cut();
}

Test(hold, the_same_hub_with_another_service_neither)
{
	dxh_completion done;

	open_cut(NULL);
	test_relay_stall_down();
	done = post(DXH_HOLD);
	dxh_request_release(take());
	test_relay_aim(NULL);
	test_relay_cut();
	must(dxh_service_close(&service));
	must(dxh_service_bind(server, "tcp://127.0.0.1:*", NULL, &service));
	test_relay_aim(dxh_service_endpoint(service));
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED, "restarted");
	expect_no_work();
	close_cut();
}

Test(hold, without_a_cache_it_is_lost_at_once)
{
	dxh_service_config config = {.repeats = DXH_REPEATS_EXECUTE};
	dxh_completion done;
	dxh_request *request;

	open_cut(&config);
	done = post(DXH_HOLD);
	request = take();
	test_relay_aim(NULL);
	test_relay_cut();
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED, NULL);
	dxh_request_release(request);
	close_cut();
}

Test(hold, what_is_not_kept_any_more_is_told_apart)
{
	/* One entry, and one answer of ten bytes. */
	dxh_service_config config = {.replies_max = 1, .replies_bytes = 40};
	dxh_completion done[2];

	open_cut(&config);
	test_relay_stall_down();
	done[0] = post(DXH_HOLD);
	must(dxh_request_reply(take(), "more than ten bytes", 19));
	wait_until(test_stats(server).replies_sent == 1);
	test_relay_cut();
	expect_end(done[0], DXH_EREPEATED, DXH_REPLIED, NULL);
	test_relay_stall_down();
	for (int i = 0; i < 2; i++) {
		done[i] = post(DXH_HOLD);
		must(dxh_request_reply(take(), "x", 1));
	}
	wait_until(test_stats(server).replies_sent == 4);
	test_relay_cut();
	/* One of the two was forgotten: the service has another memory now. */
	for (int i = 0; i < 2; i++)
		expect_end(done[i], DXH_ELOST, DXH_MAYBE_EXECUTED, "forgotten");
	expect_no_work();
	close_cut();
}

Test(hold, answers_are_acknowledged_and_leave_no_memory)
{
	enum { COUNT = 300, ANSWER = 200 };
	char body[ANSWER] = {0};
	uint64_t idle_bytes, bytes;

	open_cut(NULL);
	idle_bytes = test_stats(server).memory_bytes;
	for (int i = 0; i < COUNT; i++) {
		dxh_completion done = post(i % 2 ? DXH_HOLD : DXH_IDEMPOTENT);

		must(dxh_request_reply(take(), body, sizeof body));
		must(dxh_await(done, SOON, NULL));
		must(dxh_release(done));
		bytes = test_stats(server).memory_bytes;
		cr_assert_lt(bytes, idle_bytes + 100 * (2 * ANSWER + 256));
	}
	/* The last ones are told a moment later, by themselves. */
	wait_until(test_stats(server).memory_bytes < bytes - ANSWER);
	cr_expect_eq(test_stats(server).replies_evicted, 0);
	cr_expect_lt(test_stats(server).memory_bytes, bytes);
	close_cut();
}

/* ---- how it is told ------------------------------------------------------------------------ */

static void append(void *context, const char *line)
{
	char *text = context;
	size_t used = strlen(text);

	snprintf(text + used, 4096 - used, "%s\n", line);
}

Test(hold, a_dump_tells_what_is_held_and_what_is_to_be_repeated)
{
	static char text[4096], body[300000];
	dxh_completion done[4];

	open_cut(NULL);
	done[0] = post_body(DXH_HOLD, "h", 1, SOON);
	done[1] = post_body(DXH_IDEMPOTENT, "ag", 2, SOON);
	done[2] = post_body(DXH_HOLD, body, sizeof body, SOON);
	for (int i = 0; i < 3; i++)
		take();
	test_relay_aim(NULL);
	test_relay_cut();
	test_wait_state(peer, DXH_PEER_WAITING);
	done[3] = post_body(DXH_HOLD, "new", 3, SOON);
	must(dxh_hub_dump(hub, append, text));
	cr_expect(strstr(text, "'work', 1 bytes: held, "), "%s", text);
	cr_expect(strstr(text, "attempt 1, to be held\n"), "%s", text);
	cr_expect(strstr(text, "'work', 2 bytes: to be repeated, "), "%s", text);
	cr_expect(strstr(text, "'work', 300000 bytes: held, "), "%s", text);
	cr_expect(strstr(text, "'work', 3 bytes: waiting, "), "%s", text);
	for (int i = 0; i < 4; i++) {
		must(dxh_cancel(done[i], NULL));
		must_be(dxh_await(done[i], SOON, NULL), DXH_ECANCELED, NULL);
		must(dxh_release(done[i]));
	}
	close_cut();
}
