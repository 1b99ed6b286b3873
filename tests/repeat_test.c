/* SPDX-License-Identifier: MIT */
/* Requests that come again: what a service does, seen by a bare client that repeats them on
 * the same connection and on others. */
#include "runtime/wire.h"
#include "tests/support/support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

TestSuite(repeat, .timeout = 60);

enum {
	FEATURES = DXI_FEATURE_PARTS | DXI_FEATURE_KEEP,
	KEEP = DXI_FLAG_KEEP,
	ONCE = DXI_FLAG_KEEP | DXI_FLAG_ONCE,
	ME = 77 /* an incarnation */
};

static dxh_hub *hub;
static dxh_service *service;
static void *context;

/* ---- a connection ---- */

typedef struct line {
	void *socket;
	dxi_frame_reader reader;
	dxi_hello welcome;
	_Alignas(8) unsigned char frame[DXI_MESSAGE_BYTES_MAX];
	unsigned char behind[DXI_BODY_PART_BYTES_MAX];
} line;

static void send_record(line *on, dxi_record record)
{
	unsigned char *frame = malloc(DXI_MESSAGE_BYTES_MAX);
	dxi_frame_writer writer = dxi_frame_begin(frame, DXI_MESSAGE_BYTES_MAX);
	bool behind = record.flags & DXI_FLAG_BODY_IN_NEXT_PART;

	cr_assert(dxi_frame_append(&writer, &record));
	cr_assert_neq(zmq_send(on->socket, frame, dxi_frame_end(&writer), behind ? ZMQ_SNDMORE : 0),
	              -1);
	if (behind)
		cr_assert_neq(zmq_send(on->socket, record.body, record.body_bytes, 0), -1);
	free(frame);
}

static dxi_record hear(line *on)
{
	dxi_record record;
	int bytes, behind_bytes = 0, more;
	size_t size = sizeof more;

	while (on->reader.records_left == 0 || dxi_frame_next(&on->reader, &record) != DXH_OK) {
		bytes = zmq_recv(on->socket, on->frame, sizeof on->frame, 0);
		cr_assert_gt(bytes, 0, "nothing came");
		zmq_getsockopt(on->socket, ZMQ_RCVMORE, &more, &size);
		if (more)
			behind_bytes = zmq_recv(on->socket, on->behind, sizeof on->behind, 0);
		must(dxi_message_open(&on->reader, on->frame, (size_t)bytes,
		                      more ? on->behind : NULL, (size_t)behind_bytes));
	}
	return record;
}

static void hang_up(line *ended)
{
	zmq_close(ended->socket);
	free(ended);
}

static line *connect_as(uint64_t incarnation, uint32_t features)
{
	line *made = calloc(1, sizeof *made);
	int timeout_ms = 20000, zero = 0;
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = incarnation,
	                   .name = "repeater",
	                   .frame_bytes = 16384,
	                   .features = features};
	unsigned char body[DXI_HELLO_BYTES_MAX];

	made->socket = zmq_socket(context, ZMQ_DEALER);
	zmq_setsockopt(made->socket, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(made->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	cr_assert_eq(zmq_connect(made->socket, dxh_service_endpoint(service)), 0);
	send_record(made, (dxi_record){.kind = DXI_HELLO,
	                               .body = body,
	                               .body_bytes = dxi_hello_write(&hello, body, sizeof body)});
	return made;
}

/* As often as it is told that there is no room yet: a service finds out by and by who hung
 * up. */
static line *dial_as(uint64_t incarnation, uint32_t features)
{
	for (int tries = 0; tries < 10000; tries++) {
		line *made = connect_as(incarnation, features);
		dxi_record answer = hear(made);

		if (answer.kind == DXI_WELCOME) {
			must(dxi_hello_read(answer.body, answer.body_bytes, &made->welcome));
			return made;
		}
		cr_assert_eq(answer.status, DXH_EOVERLOADED);
		hang_up(made);
	}
	cr_assert_fail("there was never room");
	return NULL;
}

static line *dial(void)
{
	return dial_as(ME, FEATURES);
}

static void ask(line *on, uint64_t id, uint8_t flags, uint16_t attempt)
{
	send_record(on, (dxi_record){.kind = DXI_REQUEST,
	                             .flags = flags,
	                             .id = id,
	                             .attempt = attempt,
	                             .subject = "work",
	                             .subject_bytes = 4,
	                             .body = &id,
	                             .body_bytes = sizeof id});
}

static void acknowledge(line *on, uint64_t id)
{
	unsigned char body[DXI_ID_BYTES];

	dxi_ids_write(&id, 1, body);
	send_record(on, (dxi_record){.kind = DXI_ACK, .body = body, .body_bytes = sizeof body});
}

static void expect_reply(line *on, uint64_t id, const char *text)
{
	dxi_record reply = hear(on);

	cr_assert_eq(reply.kind, DXI_REPLY, "kind %u, status %d", reply.kind, reply.status);
	cr_assert_eq(reply.id, id);
	cr_assert_eq(reply.body_bytes, strlen(text));
	cr_assert_eq(memcmp(reply.body, text, reply.body_bytes), 0);
}

static void expect_error(line *on, uint64_t id, dxh_status status)
{
	dxi_record error = hear(on);

	cr_assert_eq(error.kind, DXI_ERROR);
	cr_assert_eq(error.id, id);
	cr_assert_eq(error.status, (int32_t)status, "%d: %.*s", error.status, (int)error.body_bytes,
	             (const char *)error.body);
}

/* All sent before was taken, and nothing but this is answered. */
static void expect_silence(line *on)
{
	send_record(on, (dxi_record){.kind = DXI_FLUSH, .id = 999});
	cr_assert_eq(hear(on).kind, DXI_FLUSHED);
}

/* ---- the service ---- */

static void open_service(const dxh_service_config *config)
{
	must(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = 8 << 20}, &hub));
	must(dxh_service_bind(hub, test_endpoint(), config, &service));
	context = zmq_ctx_new();
}

static dxh_hub_stats stats(void)
{
	return test_stats(hub);
}

/* What was received was answered, or is counted as not. */
static void close_service(void)
{
	dxh_hub_stats end = stats();

	cr_expect_eq(end.requests_received, end.replies_sent + end.replies_dropped);
	zmq_ctx_term(context);
	must(dxh_hub_close(&hub));
}

static dxh_request *take(void)
{
	dxh_request *request;

	must(dxh_service_receive(service, SOON, &request));
	return request;
}

static void serve(const char *text)
{
	must(dxh_request_reply(take(), text, strlen(text)));
}

static void expect_no_work(void)
{
	dxh_request *request;

	must_be(dxh_service_receive(service, DXH_NOW, &request), DXH_EWAIT, NULL);
}

/* ---- answered ---- */

Test(repeat, an_answer_is_given_again_on_any_connection_and_executed_once)
{
	line *first, *second;

	open_service(NULL);
	first = dial();
	cr_expect(first->welcome.features & DXI_FEATURE_KEEP);
	cr_expect_neq(first->welcome.memory, 0);
	ask(first, 1, ONCE, 0);
	serve("done");
	expect_reply(first, 1, "done");
	ask(first, 1, ONCE, 1);
	expect_reply(first, 1, "done");
	hang_up(first);
	second = dial();
	ask(second, 1, ONCE, 2);
	expect_reply(second, 1, "done");
	ask(second, 1, KEEP, 3);
	expect_reply(second, 1, "done");
	expect_no_work();
	cr_expect_eq(stats().repeats_answered, 3);
	hang_up(second);
	close_service();
}

Test(repeat, errors_are_kept_like_replies)
{
	line *on;

	open_service(NULL);
	on = dial();
	ask(on, 1, ONCE, 0);
	must(dxh_request_reject(take(), DXH_ENOSPACE, "the disk is full"));
	expect_error(on, 1, DXH_ENOSPACE);
	ask(on, 1, ONCE, 1);
	expect_error(on, 1, DXH_ENOSPACE);
	expect_no_work();
	hang_up(on);
	close_service();
}

Test(repeat, another_client_with_the_same_id_gets_its_own)
{
	line *on, *other;

	open_service(NULL);
	on = dial();
	other = dial_as(ME + 1, FEATURES);
	ask(on, 1, ONCE, 0);
	serve("mine");
	expect_reply(on, 1, "mine");
	ask(other, 1, ONCE, 1);
	serve("yours");
	expect_reply(other, 1, "yours");
	hang_up(on);
	hang_up(other);
	close_service();
}

Test(repeat, the_first_attempt_of_an_id_is_a_new_request)
{
	line *on;

	open_service(NULL);
	on = dial();
	ask(on, 1, ONCE, 0);
	serve("old");
	expect_reply(on, 1, "old");
	ask(on, 1, ONCE, 0);
	serve("new");
	expect_reply(on, 1, "new");
	ask(on, 1, ONCE, 1);
	expect_reply(on, 1, "new");
	hang_up(on);
	close_service();
}

Test(repeat, without_the_flag_nothing_is_kept)
{
	line *on, *old;

	open_service(NULL);
	on = dial();
	ask(on, 1, 0, 0);
	serve("once");
	expect_reply(on, 1, "once");
	ask(on, 1, 0, 1);
	serve("twice");
	expect_reply(on, 1, "twice");
	hang_up(on);
	/* Nor for who has not announced to acknowledge. */
	old = dial_as(ME, DXI_FEATURE_PARTS);
	cr_expect_not(old->welcome.features & DXI_FEATURE_KEEP);
	cr_expect_eq(old->welcome.memory, 0);
	ask(old, 2, KEEP, 0);
	serve("once");
	expect_reply(old, 2, "once");
	ask(old, 2, KEEP, 1);
	serve("twice");
	expect_reply(old, 2, "twice");
	ask(old, 2, ONCE, 2);
	expect_error(old, 2, DXH_ELOST);
	hang_up(old);
	close_service();
}

Test(repeat, large_answers_and_large_requests_too)
{
	enum { TOTAL = 3 << 20, PART = DXI_BODY_PART_BYTES_MAX };
	unsigned char *body = calloc(1, TOTAL);
	line *on;

	open_service(NULL);
	on = dial();
	for (uint16_t attempt = 0; attempt < 2; attempt++) {
		uint64_t have = 0;

		for (uint64_t at = 0; at < TOTAL; at += PART) {
			bool more = at + PART < TOTAL;

			send_record(on, (dxi_record){.kind = DXI_REQUEST,
			                             .flags = (uint8_t)(DXI_FLAG_PART |
			                                                DXI_FLAG_BODY_IN_NEXT_PART |
			                                                (at == 0 ? ONCE : 0) |
			                                                (more ? DXI_FLAG_MORE : 0)),
			                             .id = 1,
			                             .attempt = at == 0 ? attempt : 0,
			                             .subject = "large",
			                             .subject_bytes = 5,
			                             .total_bytes = TOTAL,
			                             .offset = at,
			                             .body = body,
			                             .body_bytes = PART});
		}
		if (attempt == 0)
			must(dxh_request_reply(take(), body, TOTAL));
		while (have < TOTAL) {
			dxi_record part = hear(on);

			cr_assert_eq(part.kind, DXI_REPLY, "status %d", part.status);
			cr_assert_eq(part.offset, have);
			have += part.body_bytes;
		}
	}
	expect_silence(on);
	expect_no_work();
	cr_expect_eq(stats().repeats_answered, 1);
	cr_expect_eq(stats().parts_dropped, TOTAL / PART - 1, "parts of what was answered before");
	hang_up(on);
	free(body);
	close_service();
}

static void count_back(void *counter, void *body)
{
	(void)body;
	atomic_fetch_add((_Atomic uint64_t *)counter, 1);
}

Test(repeat, an_answer_that_is_handed_over_comes_back_when_it_is_acknowledged_or_at_the_end)
{
	enum { ANSWER = 100000 };
	static _Atomic uint64_t given_back;
	char *body = calloc(1, ANSWER);
	line *on;

	open_service(NULL);
	on = dial();
	for (uint64_t id = 1; id <= 2; id++) {
		ask(on, id, ONCE, 0);
		must(dxh_request_reply_owned(take(), body, ANSWER, count_back,
		                             (void *)&given_back));
		cr_assert_eq(hear(on).body_bytes, ANSWER);
	}
	ask(on, 1, ONCE, 1);
	cr_assert_eq(hear(on).body_bytes, ANSWER);
	expect_silence(on);
	cr_expect_eq(given_back, 0, "both are kept");
	acknowledge(on, 1);
	test_wait_for(&given_back, 1);
	hang_up(on);
	close_service();
	cr_expect_eq(given_back, 2);
	free(body);
}

/* ---- in work ---- */

Test(repeat, what_is_in_work_is_answered_once_on_the_newest_connection)
{
	dxh_request *request;
	line *first, *second, *third;

	open_service(NULL);
	first = dial();
	ask(first, 1, ONCE, 0);
	request = take();
	ask(first, 1, ONCE, 1);
	expect_silence(first);
	hang_up(first);
	second = dial();
	ask(second, 1, ONCE, 2);
	expect_silence(second);
	/* Without leaving: it is replaced. */
	third = dial();
	ask(third, 1, ONCE, 3);
	expect_silence(third);
	cr_expect_not(dxh_request_canceled(request));
	expect_no_work();
	must(dxh_request_reply(request, "late", 4));
	expect_reply(third, 1, "late");
	expect_silence(third);
	cr_expect_eq(stats().repeats_joined, 3);
	hang_up(second);
	hang_up(third);
	close_service();
}

Test(repeat, what_is_answered_while_nobody_is_there_waits_in_the_cache)
{
	dxh_request *request;
	line *first, *second, *third;

	open_service(NULL);
	first = dial();
	ask(first, 1, ONCE, 0);
	ask(first, 2, 0, 0);
	request = take();
	hang_up(first);
	/* The service knows that the old connection is gone. */
	second = dial();
	must(dxh_request_reply(request, "missed", 6));
	request = take();
	cr_expect(dxh_request_canceled(request), "this one is not kept");
	dxh_request_release(request);
	hang_up(second);
	third = dial();
	ask(third, 1, ONCE, 1);
	expect_reply(third, 1, "missed");
	expect_no_work();
	hang_up(third);
	close_service();
}

/* ---- not kept any more ---- */

Test(repeat, what_was_acknowledged_leaves_no_memory)
{
	enum { COUNT = 200 };
	uint64_t idle_bytes;
	line *on;

	open_service(NULL);
	on = dial();
	ask(on, 1000, ONCE, 0);
	serve("x");
	expect_reply(on, 1000, "x");
	acknowledge(on, 1000);
	expect_silence(on);
	idle_bytes = stats().memory_bytes;
	for (uint64_t id = 0; id < COUNT; id++) {
		ask(on, id, ONCE, 0);
		serve("something that does not fit inline: something that does not fit inline");
		hear(on);
	}
	cr_expect_gt(stats().memory_bytes, idle_bytes + COUNT * 100);
	for (uint64_t id = 0; id < COUNT; id++)
		acknowledge(on, id);
	expect_silence(on);
	cr_expect_leq(stats().memory_bytes, idle_bytes);
	cr_expect_eq(stats().replies_evicted, 0);
	hang_up(on);
	close_service();
}

Test(repeat, what_was_evicted_is_refused_or_harmless)
{
	dxh_service_config config = {.replies_bytes = 100, .replies_max = 3};
	line *on, *again;

	open_service(&config);
	on = dial();
	for (uint64_t id = 1; id <= 3; id++) {
		ask(on, id, ONCE, 0);
		serve("an answer of 25 bytes or more, too much to be kept");
		hear(on);
	}
	cr_expect_eq(stats().replies_evicted, 3);
	ask(on, 3, ONCE, 1);
	expect_error(on, 3, DXH_EREPEATED);
	/* The oldest of four is forgotten: on this connection "unknown" means nothing. */
	ask(on, 4, ONCE, 0);
	serve("brief");
	expect_reply(on, 4, "brief");
	ask(on, 1, ONCE, 1);
	expect_error(on, 1, DXH_ELOST);
	ask(on, 5, ONCE, 1);
	expect_error(on, 5, DXH_ELOST);
	ask(on, 4, ONCE, 1);
	expect_reply(on, 4, "brief");
	/* Who comes with it after that has looked at the token: it was never executed. */
	again = dial();
	cr_expect_neq(again->welcome.memory, on->welcome.memory);
	ask(again, 5, ONCE, 1);
	serve("first time");
	expect_reply(again, 5, "first time");
	/* What does no harm is executed once more. */
	ask(again, 3, KEEP, 2);
	serve("again");
	expect_reply(again, 3, "again");
	cr_expect_eq(stats().repeats_refused, 3);
	hang_up(on);
	hang_up(again);
	close_service();
}

Test(repeat, a_client_that_was_away_too_long_or_said_goodbye_is_forgotten)
{
	dxh_service_config config = {.replies_absent_ns = 1000000};
	line *on, *gone, *again;
	uint64_t memory;
	int64_t deadline_ns = SOON;

	open_service(&config);
	on = dial();
	memory = on->welcome.memory;
	ask(on, 1, ONCE, 0);
	serve("x");
	expect_reply(on, 1, "x");
	send_record(on, (dxi_record){.kind = DXI_GOODBYE});
	hang_up(on);
	on = dial();
	cr_expect_neq(on->welcome.memory, memory);
	cr_expect_eq(stats().replies_forgotten, 0, "nobody will ask");
	ask(on, 2, ONCE, 0);
	serve("x");
	expect_reply(on, 2, "x");
	/* Nobody tells a router that a client is gone; another connection of it does. */
	gone = dial_as(ME, 0);
	hang_up(on);
	while (stats().replies_forgotten < 1)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	again = dial();
	ask(again, 2, KEEP, 1);
	serve("executed again");
	expect_reply(again, 2, "executed again");
	hang_up(gone);
	hang_up(again);
	close_service();
}

Test(repeat, a_service_may_keep_only_that_it_answered)
{
	dxh_service_config config = {.repeats = DXH_REPEATS_REFUSE};
	dxh_request *request;
	line *on;

	open_service(&config);
	on = dial();
	cr_expect_neq(on->welcome.memory, 0);
	ask(on, 1, ONCE, 0);
	request = take();
	ask(on, 1, ONCE, 1);
	expect_silence(on);
	must(dxh_request_reply(request, "x", 1));
	expect_reply(on, 1, "x");
	ask(on, 1, ONCE, 2);
	expect_error(on, 1, DXH_EREPEATED);
	ask(on, 2, ONCE, 1);
	serve("never seen before");
	expect_reply(on, 2, "never seen before");
	cr_expect_eq(stats().replies_evicted, 0);
	hang_up(on);
	close_service();
}

Test(repeat, a_service_may_keep_nothing_and_says_so)
{
	dxh_service_config config = {.repeats = DXH_REPEATS_EXECUTE};
	line *on;

	open_service(&config);
	on = dial();
	cr_expect_not(on->welcome.features & DXI_FEATURE_KEEP);
	cr_expect_eq(on->welcome.memory, 0);
	ask(on, 1, KEEP, 0);
	serve("x");
	expect_reply(on, 1, "x");
	ask(on, 1, KEEP, 1);
	serve("y");
	expect_reply(on, 1, "y");
	acknowledge(on, 1);
	expect_silence(on);
	hang_up(on);
	close_service();
}

Test(repeat, bounds_are_checked)
{
	dxh_service *none = NULL;

	open_service(NULL);
	must_be(dxh_service_bind(hub, test_endpoint(), &(dxh_service_config){.repeats = 3}, &none),
	        DXH_EINVAL, "repeats is 3");
	must_be(dxh_service_bind(hub, test_endpoint(),
	                         &(dxh_service_config){.replies_max = (1 << 20) + 1}, &none),
	        DXH_EINVAL, "replies_max");
	must_be(dxh_service_bind(hub, test_endpoint(),
	                         &(dxh_service_config){.replies_absent_ns = -1}, &none),
	        DXH_EINVAL, "replies_absent_ns");
	close_service();
}

/* ---- strangers ---- */

/* It asks for what was answered, again and again, and reads nothing: one answer of each is
 * on its way, whatever it does. */
Test(repeat, a_client_that_does_not_read_holds_its_answers_once)
{
	enum { KEPT = 20, ANSWER = 100000, ROUNDS = 50 };
	unsigned char *body = calloc(1, ANSWER);
	uint64_t before;
	line *on;

	open_service(NULL);
	on = dial();
	for (uint64_t id = 0; id < KEPT; id++) {
		ask(on, id, ONCE, 0);
		must(dxh_request_reply(take(), body, ANSWER));
		cr_assert_eq(hear(on).kind, DXI_REPLY);
	}
	before = stats().memory_bytes;
	for (uint16_t round = 1; round <= ROUNDS; round++)
		for (uint64_t id = 0; id < KEPT; id++)
			ask(on, id, ONCE, round);
	while (stats().requests_received < (uint64_t)KEPT * (ROUNDS + 1))
		cr_assert_lt(stats().memory_bytes, before + 2 * KEPT * ANSWER);
	cr_expect_lt(stats().memory_bytes, before + 2 * KEPT * ANSWER);
	cr_expect_eq(stats().repeats_answered + stats().repeats_joined, KEPT * ROUNDS);
	expect_no_work();
	hang_up(on);
	cr_expect_not_null(on = dial());
	hang_up(on);
	close_service();
	free(body);
}

/* It acknowledges nothing: what is kept for it stays within its window. */
Test(repeat, a_client_that_acknowledges_nothing_holds_no_more_than_its_window)
{
	enum { WINDOW = 50, ANSWER = 1000, COUNT = 500 };
	dxh_service_config config = {.client_window = WINDOW, .client_bytes = 20 * ANSWER};
	char *body = calloc(1, ANSWER);
	uint64_t idle_bytes, held_bytes;
	line *on;

	open_service(&config);
	on = dial();
	ask(on, 0, 0, 0);
	must(dxh_request_reply(take(), body, ANSWER));
	hear(on);
	idle_bytes = stats().memory_bytes;
	for (uint64_t id = 1; id <= COUNT; id++) {
		ask(on, id, ONCE, 0);
		must(dxh_request_reply(take(), body, ANSWER));
		cr_assert_eq(hear(on).kind, DXI_REPLY);
		held_bytes = stats().memory_bytes - idle_bytes;
		cr_assert_leq(held_bytes, 20 * ANSWER + (WINDOW + 1) * 256 + 2 * ANSWER);
	}
	cr_expect_eq(stats().replies_forgotten, COUNT - WINDOW);
	cr_expect_eq(stats().replies_evicted, COUNT - 20);
	hang_up(on);
	free(body);
	close_service();
}

/* They come, leave answers behind and die, each under another name. */
Test(repeat, clients_that_die_one_after_the_other_hold_no_more_than_the_cache)
{
	enum { CLIENTS = 60, EACH = 10, ANSWER = 1000, REMEMBERED = 5 };
	dxh_service_config config = {
		.clients_max = REMEMBERED, .replies_max = 100, .replies_bytes = 30 * ANSWER};
	char *body = calloc(1, ANSWER);
	uint64_t idle_bytes;
	line *on;

	open_service(&config);
	on = dial();
	ask(on, 0, 0, 0);
	must(dxh_request_reply(take(), body, ANSWER));
	hear(on);
	send_record(on, (dxi_record){.kind = DXI_GOODBYE});
	hang_up(on);
	on = dial();
	idle_bytes = stats().memory_bytes;
	for (uint64_t i = 1; i <= CLIENTS; i++) {
		hang_up(on);
		on = dial_as(ME + i, FEATURES);
		for (uint64_t id = 1; id <= EACH; id++) {
			ask(on, id, ONCE, 0);
			must(dxh_request_reply(take(), body, ANSWER));
			cr_assert_eq(hear(on).kind, DXI_REPLY);
			cr_assert_lt(stats().memory_bytes, idle_bytes + 32 * ANSWER +
			                                           (100 + 2) * 200 +
			                                           (2 * REMEMBERED + 1) * 300);
		}
	}
	/* Those here, and as many that are gone. */
	cr_expect_geq(stats().replies_forgotten, (CLIENTS - 2 * REMEMBERED) * EACH);
	hang_up(on);
	free(body);
	close_service();
}

Test(repeat, acks_that_make_no_sense_harm_nobody)
{
	line *on;

	open_service(NULL);
	on = dial();
	send_record(on, (dxi_record){.kind = DXI_ACK, .body = "1234567", .body_bytes = 7});
	send_record(on, (dxi_record){.kind = DXI_ACK});
	for (uint64_t id = 0; id < 100; id++)
		acknowledge(on, id * 0x9e3779b97f4a7c15);
	expect_silence(on);
	cr_expect_eq(stats().frames_bad, 1);
	ask(on, 1, ONCE, 0);
	serve("x");
	expect_reply(on, 1, "x");
	hang_up(on);
	close_service();
}
