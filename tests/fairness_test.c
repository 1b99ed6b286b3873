/* SPDX-License-Identifier: MIT */
/* One client beside another: whose turn it is, and what each may hold. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include "runtime/clients.h"

#include <stdlib.h>
#include <zmq.h>

static dxh_hub *server;
static dxh_service *service;

static void open_service(const dxh_service_config *config)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), config, &service));
	must(test_hub_open(NULL, &hub));
}

static dxh_peer *connect_one(void)
{
	dxh_peer *made;

	/* No beats: they would wake the service, and hide what nobody wakes. */
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), &(dxh_peer_config){.beat_ns = -1},
	                      &made));
	return made;
}

static void wait_received(uint64_t count)
{
	int64_t deadline_ns = SOON;

	while (test_stats(server).requests_received < count)
		cr_assert_lt(dxh_now_ns(), deadline_ns, "%llu requests never came",
		             (unsigned long long)count);
}

Test(fairness, a_client_with_one_request_is_not_behind_4096_of_another, .timeout = 60)
{
	enum { GREEDY = 4096 };
	static dxh_completion done[GREEDY];
	dxh_completion one;
	dxh_peer *greedy, *modest;
	dxh_request *request;
	int before = 0;

	open_service(NULL);
	greedy = connect_one();
	modest = connect_one();
	for (int i = 0; i < GREEDY; i++)
		must(dxh_post(greedy, "greedy", NULL, 0, SOON, &done[i]));
	wait_received(GREEDY);
	must(dxh_post(modest, "modest", NULL, 0, SOON, &one));
	wait_received(GREEDY + 1);
	for (int i = 0; i <= GREEDY; i++) {
		must(dxh_service_receive(service, SOON, &request));
		if (strcmp(dxh_request_subject(request), "modest") == 0)
			before = i;
		must(dxh_request_reply(request, NULL, 0));
	}
	cr_expect_leq(before, DXI_AHEAD_MIN + 1, "%d were served before it", before);
	must(dxh_await(one, SOON, NULL));
	for (int i = 0; i < GREEDY; i++)
		must(dxh_await(done[i], SOON, NULL));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* Until all can be received. */
static void post_all(dxh_completion *done, int count)
{
	for (int i = 0; i < count; i++)
		must(dxh_post(peer, "x", NULL, 0, SOON, &done[i]));
	wait_received((uint64_t)count);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON)); /* the last is not only counted */
}

Test(fairness, workers_that_hold_what_they_took_get_the_rest_all_the_same, .timeout = 60)
{
	enum { COUNT = 1000 };
	static dxh_completion done[COUNT];
	static dxh_request *held[COUNT];

	open_service(NULL);
	peer = connect_one();
	post_all(done, COUNT);
	for (int i = 0; i < COUNT; i++) /* every other one without waiting */
		must(dxh_service_receive(service, i % 2 ? DXH_NOW : SOON, &held[i]));
	must_be(dxh_service_receive(service, DXH_NOW, &held[0]), DXH_EWAIT, NULL);
	for (int i = 0; i < COUNT; i++)
		must(dxh_request_reply(held[i], NULL, 0));
	for (int i = 0; i < COUNT; i++)
		must(dxh_await(done[i], SOON, NULL));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* ---- handed on behind the worker's back --------------------------------------------------- */

/* The I/O thread stands still while `stands`. When a worker has found nothing in the inbox,
 * what waits behind it is handed on before the worker learns that. */
static _Atomic bool stands, hands_on;
static _Atomic uint64_t stood; /* so often */

static dxh_status stand_still(void *unused)
{
	(void)unused;
	stood++;
	while (stands)
		;
	return DXH_OK;
}

static void *hold_io_thread(void *unused)
{
	(void)unused;
	must(dxi_hub_call(server, stand_still, NULL));
	return NULL;
}

static dxh_status hand_on(void *unused)
{
	(void)unused;
	dxi_service_refill(service);
	return DXH_OK;
}

dxh_status __real_dxi_inbox_take(dxi_inbox *inbox, int64_t deadline_ns, void **item);
dxh_status __wrap_dxi_inbox_take(dxi_inbox *inbox, int64_t deadline_ns, void **item);
dxh_status __wrap_dxi_inbox_take(dxi_inbox *inbox, int64_t deadline_ns, void **item)
{
	dxh_status status = __real_dxi_inbox_take(inbox, deadline_ns, item);

	if (status == DXH_EWAIT && hands_on) {
		hands_on = stands = false;
		must(dxi_hub_call(server, hand_on, NULL));
	}
	return status;
}

Test(fairness, what_is_handed_on_while_a_worker_looks_is_not_missed, .timeout = 60)
{
	enum { COUNT = DXI_AHEAD_MIN + 8 };
	static dxh_completion done[COUNT];
	dxh_request *request;
	pthread_t holder;

	open_service(NULL);
	peer = connect_one();
	post_all(done, COUNT);
	hands_on = stands = true;
	pthread_create(&holder, NULL, hold_io_thread, NULL);
	test_wait_for(&stood, 1);
	for (int i = 0; i < COUNT; i++) {
		must(dxh_service_receive(service, DXH_NOW, &request));
		must(dxh_request_reply(request, NULL, 0));
	}
	cr_expect_not(hands_on, "the inbox was never empty");
	pthread_join(holder, NULL);
	for (int i = 0; i < COUNT; i++)
		must(dxh_await(done[i], SOON, NULL));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* ---- a hub that never rests ------------------------------------------------------------ */

static dxh_group *circle;
static dxh_peer *inner;
static _Atomic bool tired;

static void answer_at_once(void *context, dxh_request *request)
{
	(void)context;
	must(dxh_request_reply(request, NULL, 0));
}

static void ask_again(void *context, const dxh_event *event)
{
	dxh_completion next;

	(void)context;
	must(dxh_release(event->completion));
	if (!tired)
		must(dxh_post_to(circle, inner, "x", NULL, 0, DXH_FOREVER, &next));
}

/* What the I/O thread itself asks and answers would keep it from ever going to sleep, which
 * is where it hears of what came from outside. */
Test(fairness, an_answer_from_outside_is_heard_by_a_hub_that_never_rests, .timeout = 60)
{
	enum { IN_CIRCLE = 64 };
	dxh_completion done[IN_CIRCLE], one;
	test_echo outside;
	dxh_service *self;
	size_t left = IN_CIRCLE;

	test_echo_open(&outside, test_endpoint(), NULL);
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(outside.service),
	                      &(dxh_peer_config){.beat_ns = -1}, &peer));
	must(dxh_service_bind(hub, "inproc://circle", NULL, &self));
	must(dxh_service_handle_inline(self, "", answer_at_once, NULL));
	must(dxh_peer_connect(hub, "inproc://circle", NULL, &inner));
	must(dxh_group_open_inline(ask_again, NULL, &circle));
	expect_echo("before", 6);
	for (int i = 0; i < IN_CIRCLE; i++)
		must(dxh_post_to(circle, inner, "x", NULL, 0, DXH_FOREVER, &done[i]));
	must(dxh_post(peer, "echo", NULL, 0, SOON, &one));
	cr_expect_eq(dxh_await(one, SOON, NULL), DXH_OK, "not heard: %s", dxh_last_error());
	tired = true;
	while (left > 0)
		left = test_stats(hub).open_now;
	must(dxh_group_close(&circle));
	must(test_hub_close(&hub));
	test_echo_close(&outside);
}

enum { WORKERS = 4, CLIENTS = 8, EACH = 300 };

static dxh_request *all[CLIENTS * EACH];
static _Atomic uint64_t held_next, all_count;

static void *hold(void *unused)
{
	dxh_request *request;

	(void)unused;
	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		all[held_next++] = request, all_count++;
	return NULL;
}

/* Nothing comes back to the I/O thread until all are taken: if a worker's asking for
 * more were lost once, the rest would wait for ever. */
Test(fairness, workers_that_sleep_are_woken_for_what_waits, .timeout = 60)
{
	static dxh_completion done[CLIENTS * EACH];
	pthread_t workers[WORKERS];
	dxh_peer *peers[CLIENTS];

	open_service(NULL);
	for (int i = 0; i < CLIENTS; i++)
		peers[i] = connect_one();
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, hold, NULL);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < CLIENTS * EACH; i++)
			must(dxh_post(peers[i % CLIENTS], "x", NULL, 0, SOON, &done[i]));
		test_wait_for(&all_count, CLIENTS * EACH);
		held_next = all_count = 0;
		for (int i = 0; i < CLIENTS * EACH; i++)
			must(dxh_request_reply(all[i], NULL, 0));
		for (int i = 0; i < CLIENTS * EACH; i++) {
			must(dxh_await(done[i], SOON, NULL));
			must(dxh_release(done[i]));
		}
	}
	must(dxh_service_stop(service));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* Of a full inbox each client has a part: so many of it wait, however many of others do. */
static void expect_room_for(uint32_t mine_max, uint32_t inbox_max)
{
	enum { MINE_MOST = 8 };
	uint32_t greed = inbox_max + 12;
	dxh_completion mine[MINE_MOST], *others = calloc(greed, sizeof *others);
	dxh_request *request;
	uint32_t came = 0;
	dxh_peer *modest;

	open_service(&(dxh_service_config){.inbox_max = inbox_max});
	peer = connect_one();
	modest = connect_one();
	for (uint32_t i = 0; i < greed; i++)
		must(dxh_post(peer, "x", NULL, 0, SOON, &others[i]));
	wait_received(greed);
	cr_expect_gt(test_stats(server).requests_refused, 0);
	for (uint32_t i = 0; i < mine_max; i++)
		must(dxh_post(modest, "mine", NULL, 0, SOON, &mine[i]));
	wait_received(greed + mine_max);
	while (came < mine_max) {
		must(dxh_service_receive(service, SOON, &request));
		came += strcmp(dxh_request_subject(request), "mine") == 0;
		must(dxh_request_reply(request, NULL, 0));
	}
	for (uint32_t i = 0; i < mine_max; i++)
		must(dxh_await(mine[i], SOON, NULL));
	free(others);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(fairness, a_full_inbox_has_room_for_one_of_a_client_of_which_nothing_waits, .timeout = 30)
{
	expect_room_for(1, 8);
}

Test(fairness, a_full_inbox_has_room_for_some_of_each_client, .timeout = 30)
{
	expect_room_for(4, 128);
}

/* Nobody receives: of notifications what fits in a window waits, far more than inbox_max. */
Test(fairness, notifications_that_wait_take_no_room_of_requests, .timeout = 30)
{
	enum { INBOX = 8, NOTES = 20 * INBOX };
	dxh_completion done[INBOX + 1];
	dxh_peer *other;

	open_service(&(dxh_service_config){.inbox_max = INBOX});
	peer = connect_one();
	other = connect_one();
	for (int i = 0; i < NOTES; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	for (int i = 0; i < INBOX; i++)
		must(dxh_post(i % 2 ? peer : other, "x", NULL, 0, SOON, &done[i]));
	wait_received(INBOX);
	cr_expect_eq(test_stats(server).requests_refused, 0);
	must(dxh_post(peer, "x", NULL, 0, SOON, &done[INBOX]));
	must_be(dxh_await(done[INBOX], SOON, NULL), DXH_EOVERLOADED, "inbox is full");
	must(test_hub_close(&hub));
	for (int i = 0; i <= INBOX; i++)
		must(dxh_release(done[i]));
	must(test_hub_close(&server));
}

Test(fairness, what_a_client_sent_before_it_left_is_still_received, .timeout = 30)
{
	enum { COUNT = 500 };
	dxh_request *request;

	open_service(NULL);
	peer = connect_one();
	for (uint32_t i = 0; i < COUNT; i++)
		must(dxh_notify(peer, "n", &i, sizeof i));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	must(dxh_peer_close(&peer));
	peer = connect_one(); /* its HELLO comes behind the GOODBYE */
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	for (uint32_t i = 0; i < COUNT; i++) {
		must(dxh_service_receive(service, SOON, &request));
		cr_assert_eq(memcmp(dxh_request_body(request, NULL), &i, sizeof i), 0);
		dxh_request_release(request);
	}
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(fairness, a_client_holds_so_many_bytes_and_no_more, .timeout = 30)
{
	static char body[4000];
	dxh_completion done[4];
	dxh_request *request[2];

	open_service(&(dxh_service_config){.client_bytes = 10000});
	peer = connect_one();
	for (int i = 0; i < 4; i++)
		must(dxh_post(peer, "x", body, sizeof body, SOON, &done[i]));
	for (int i = 0; i < 2; i++)
		must(dxh_service_receive(service, SOON, &request[i]));
	/* The others wait on its own side; what comes behind them does not. */
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(test_stats(server).requests_received, 2);
	for (int i = 0; i < 2; i++)
		must(dxh_request_reply(request[i], NULL, 0));
	for (int i = 2; i < 4; i++) { /* there is room again */
		must(dxh_service_receive(service, SOON, &request[0]));
		must(dxh_request_reply(request[0], NULL, 0));
	}
	for (int i = 0; i < 4; i++)
		must(dxh_await(done[i], SOON, NULL));
	cr_expect_eq(test_stats(server).requests_refused, 0);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(fairness, however_much_others_hold_something_small_gets_in, .timeout = 30)
{
	enum { NOTES = 50 };
	static char body[99600];
	dxh_completion large, small;
	dxh_peer *greedy, *modest;
	dxh_request *request;

	open_service(&(dxh_service_config){.inbox_bytes = 100000, .client_bytes = 100000});
	greedy = connect_one();
	modest = connect_one();
	must(dxh_post(greedy, "x", body, sizeof body, SOON, &large));
	wait_received(1);
	must(dxh_post(modest, "x", body, 1000, SOON, &small));
	wait_received(2);
	must_be(dxh_request_sync(modest, "x", body, 1000, SOON, NULL, 0, NULL), DXH_EOVERLOADED,
	        "inbox_bytes are used up");
	for (int i = 0; i < NOTES; i++)
		must(dxh_notify(modest, "note", body, 1000));
	must(dxh_flush(modest, DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(test_stats(server).notifications_refused, 0);
	for (int i = 0; i < 2 + NOTES; i++) {
		must(dxh_service_receive(service, SOON, &request));
		dxh_request_release(request);
	}
	must_be(dxh_await(large, SOON, NULL), DXH_EREJECTED, NULL);
	must_be(dxh_await(small, SOON, NULL), DXH_EREJECTED, NULL);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* A client that asks and asks and never reads an answer. */
Test(fairness, answers_that_nobody_reads_count_in_the_window, .timeout = 60)
{
	enum { ASKED = 2000, WINDOW = 8 };
	static _Alignas(8) unsigned char frame[DXI_FRAME_BYTES_MAX];
	static char body[8000];
	unsigned char hello_body[DXI_HELLO_BYTES_MAX];
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .incarnation = 9,
	                   .name = "deaf",
	                   .frame_bytes = 16384};
	int zero = 0, one = 1;
	void *context = zmq_ctx_new();
	void *raw = zmq_socket(context, ZMQ_DEALER);
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

	test_needs_sockets();
	test_echo_open(&echo, test_endpoint(), &(dxh_service_config){.client_window = WINDOW});
	zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(raw, ZMQ_RCVHWM, &one, sizeof one);
	cr_assert_eq(zmq_connect(raw, dxh_service_endpoint(echo.service)), 0);
	dxi_frame_append(&writer, &(dxi_record){.kind = DXI_HELLO,
	                                        .body = hello_body,
	                                        .body_bytes = dxi_hello_write(&hello, hello_body,
	                                                                      sizeof hello_body)});
	zmq_send(raw, frame, dxi_frame_end(&writer), 0);
	for (uint64_t i = 0; i < ASKED; i++) {
		writer = dxi_frame_begin(frame, sizeof frame);
		dxi_frame_append(&writer, &(dxi_record){.kind = DXI_REQUEST,
		                                        .id = i,
		                                        .subject = "echo",
		                                        .subject_bytes = 4,
		                                        .body = body,
		                                        .body_bytes = sizeof body});
		zmq_send(raw, frame, dxi_frame_end(&writer), 0);
	}
	/* Each is served or refused. */
	while (echo.requests + test_stats(echo.hub).requests_refused < ASKED)
		;
	/* What the network itself holds, a few hundred, was served. */
	cr_expect_lt(echo.requests, ASKED / 2, "%llu were served",
	             (unsigned long long)echo.requests);
	zmq_close(raw);
	zmq_ctx_term(context);
	test_echo_close(&echo);
}

/* ---- turns, by themselves ---- */

/* Requests have no fixed size: each is made, and known by its id. */
static dxh_request *make_request(uint64_t id)
{
	dxh_request *request = calloc(1, sizeof *request);

	cr_assert_not_null(request);
	request->id = id;
	return request;
}

/* The id of the next one, which is gone then; -1: none. */
static int next_id(dxi_turns *turns)
{
	dxh_request *request = dxi_turns_next(turns);
	int id = request ? (int)request->id : -1;

	free(request);
	return id;
}

Test(turns, each_backlog_gives_one_in_turn, .timeout = 10)
{
	dxi_backlog a = {.count = 0}, b = {.count = 0}, c = {.count = 0};
	dxi_turns turns = {.count = 0};
	static const int order[] = {0, 4, 6, 1, 5, 2, 3};

	for (uint64_t i = 0; i < 4; i++)
		dxi_turns_add(&turns, &a, make_request(i));
	dxi_turns_add(&turns, &b, make_request(4));
	dxi_turns_add(&turns, &b, make_request(5));
	dxi_turns_add(&turns, &c, make_request(6));
	for (size_t i = 0; i < 7; i++)
		cr_assert_eq(next_id(&turns), order[i]);
	cr_expect_eq(next_id(&turns), -1);
	cr_expect_eq(turns.count, 0);
}

/* Of every row of so many, requests and notifications, and so many of them handed on. */
Test(turns, requests_among_what_was_handed_on_last_are_known, .timeout = 10)
{
	enum { N = 6, SPARE = DXI_AHEAD_MAX - 3 }; /* goes round in the midst of them */

	for (unsigned way = 0; way < 1u << N; way++) {
		dxi_backlog backlog = {.count = 0};
		dxi_turns turns = {.count = 0};
		uint32_t requests = 0;

		for (unsigned i = 0; i < SPARE + N; i++) {
			dxh_request *each = make_request(i);

			if (i >= SPARE && (way >> (i - SPARE) & 1)) {
				each->task.kind = DXI_TASK_NOTE;
				dxi_turns_add_chain(&turns, &backlog, &each->task.node,
				                    &each->task.node, 1);
			} else {
				dxi_turns_add(&turns, &backlog, each);
			}
		}
		for (unsigned i = 0; i < SPARE + N; i++)
			cr_assert_eq(next_id(&turns), (int)i);
		cr_assert_eq(backlog.requests + turns.requests, 0);
		cr_assert_eq(dxi_turns_requests_of_latest(&turns, 0), 0);
		for (unsigned count = 1; count <= N; count++) {
			requests += !(way >> (N - count) & 1);
			cr_assert_eq(dxi_turns_requests_of_latest(&turns, count), requests);
		}
	}
}

/* Every way of adding to two backlogs, moving one into the other after so many and
 * taking between: what comes out is what went in, in order within a backlog. */
Test(turns, nothing_is_lost_or_doubled_by_moving, .timeout = 10)
{
	enum { N = 6 };

	for (unsigned way = 0; way < 1u << N; way++)
		for (int move_after = 0; move_after <= N; move_after++) {
			dxi_backlog from = {.count = 0}, to = {.count = 0};
			dxi_turns turns = {.count = 0};
			unsigned seen = 0;
			int id;

			for (unsigned i = 0; i < N; i++) {
				if ((int)i == move_after)
					dxi_turns_move(&turns, &from, &to);
				dxi_turns_add(&turns, way >> i & 1 ? &from : &to, make_request(i));
				if (i == 2)
					seen |= 1u << next_id(&turns);
			}
			if (move_after == N)
				dxi_turns_move(&turns, &from, &to);
			while ((id = next_id(&turns)) != -1) {
				cr_assert_eq(seen >> id & 1, 0);
				seen |= 1u << id;
			}
			cr_assert_eq(seen, (1u << N) - 1);
			cr_assert_null(turns.first);
			cr_assert_null(turns.last);
		}
}
