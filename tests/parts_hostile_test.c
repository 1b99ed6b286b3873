/* SPDX-License-Identifier: MIT */
/* Strangers who lie about bodies in parts: each lie is counted, answered where an answer
 * is due, and leaves no memory behind. */
#include "runtime/wire.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

TestSuite(parts, .timeout = 120);

enum { MIB = 1 << 20, PART = DXI_BODY_PART_BYTES_MAX };

/* Small answers of the library, which are kept for reuse. */
enum { KEPT = 4096 };

static _Alignas(8) unsigned char frame[DXI_MESSAGE_BYTES_MAX];
static unsigned char data[PART];
static void *context, *raw;
static dxh_hub *hub;

/* ---- a bare socket, and frames on it ---- */

/* The one at the other end of a ROUTER; a DEALER has none. */
static unsigned char other[32];
static int other_bytes;
static dxi_frame_reader reader; /* of the frame that came last */

static void open_raw(int type, const char *endpoint)
{
	int timeout_ms = 20000, zero = 0;

	context = zmq_ctx_new();
	raw = zmq_socket(context, type);
	zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(raw, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	other_bytes = 0;
	reader = (dxi_frame_reader){.records_left = 0};
	if (type == ZMQ_ROUTER)
		cr_assert_eq(zmq_bind(raw, endpoint), 0);
	else
		cr_assert_eq(zmq_connect(raw, endpoint), 0);
}

static void close_raw(void)
{
	zmq_close(raw);
	zmq_ctx_term(context);
}

static void send_bytes(const void *bytes, size_t count, bool more)
{
	cr_assert_neq(zmq_send(raw, bytes, count, more ? ZMQ_SNDMORE : 0), -1);
}

static void send_record(dxi_record record)
{
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);
	bool behind = record.flags & DXI_FLAG_BODY_IN_NEXT_PART;

	cr_assert(dxi_frame_append(&writer, &record));
	if (other_bytes > 0)
		send_bytes(other, (size_t)other_bytes, true);
	send_bytes(frame, dxi_frame_end(&writer), behind);
	if (behind)
		send_bytes(record.body, record.body_bytes, false);
}

static void say_hello(uint8_t kind, uint32_t features, uint64_t incarnation)
{
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = incarnation,
	                   .name = "stranger",
	                   .frame_bytes = 16384,
	                   .features = features,
	                   .window_records = 100};
	unsigned char body[DXI_HELLO_BYTES_MAX];

	send_record((dxi_record){.kind = kind,
	                         .body = body,
	                         .body_bytes = dxi_hello_write(&hello, body, sizeof body)});
}

/* The next record of this kind; others are passed over. A body behind the frame is
 * thrown away, but for its length. */
static dxi_record hear(uint8_t kind)
{
	static unsigned char behind[DXI_MESSAGE_BYTES_MAX];
	dxi_record record;

	for (;;) {
		int more, bytes, behind_bytes = 0;
		size_t size = sizeof more;

		while (reader.records_left > 0 && dxi_frame_next(&reader, &record) == DXH_OK)
			if (record.kind == kind)
				return record;
		bytes = zmq_recv(raw, frame, sizeof frame, 0);
		cr_assert_gt(bytes, 0, "record of kind %d never came", kind);
		zmq_getsockopt(raw, ZMQ_RCVMORE, &more, &size);
		if (more && bytes <= (int)sizeof other && memcmp(frame, "DXH1", 4) != 0) {
			memcpy(other, frame, (size_t)bytes);
			other_bytes = bytes;
			bytes = zmq_recv(raw, frame, sizeof frame, 0);
			zmq_getsockopt(raw, ZMQ_RCVMORE, &more, &size);
		}
		if (more)
			behind_bytes = zmq_recv(raw, behind, sizeof behind, 0);
		must(dxi_message_open(&reader, frame, (size_t)bytes, more ? behind : NULL,
		                      (size_t)behind_bytes));
	}
}

static void expect_error(uint64_t id, dxh_status status)
{
	dxi_record error = hear(DXI_ERROR);

	cr_assert_eq(error.id, id);
	cr_assert_eq(error.status, (int32_t)status, "%d, not %d: %.*s", error.status, status,
	             (int)error.body_bytes, (const char *)error.body);
}

typedef struct part {
	uint64_t total, offset;
	size_t bytes;
	bool more;
} part;

static dxi_record record_of(uint8_t kind, uint64_t id, part said)
{
	return (dxi_record){.kind = kind,
	                    .flags =
	                            (uint8_t)(DXI_FLAG_PART | (said.more ? DXI_FLAG_MORE : 0) |
	                                      (said.bytes > 1000 ? DXI_FLAG_BODY_IN_NEXT_PART : 0)),
	                    .id = id,
	                    .subject = "x",
	                    .subject_bytes = kind == DXI_REQUEST,
	                    .total_bytes = said.total,
	                    .offset = said.offset,
	                    .body = data,
	                    .body_bytes = said.bytes};
}

static void ask_part(uint64_t id, uint64_t total, uint64_t offset, size_t bytes, bool more)
{
	send_record(record_of(DXI_REQUEST, id, (part){total, offset, bytes, more}));
}

/* ---- a service of ours, and a stranger as its client ---- */

static dxh_service *service;
static uint64_t idle_bytes;

static uint64_t held(void)
{
	return test_stats(hub).memory_bytes;
}

static void wait_held(uint64_t bytes)
{
	int64_t deadline_ns = SOON;

	while (held() > bytes)
		cr_assert_lt(dxh_now_ns(), deadline_ns, "%llu bytes are still held, not %llu",
		             (unsigned long long)held(), (unsigned long long)bytes);
}

/* Everything sent before was taken. */
static void flush(void)
{
	send_record((dxi_record){.kind = DXI_FLUSH, .id = 99});
	cr_assert_eq(hear(DXI_FLUSHED).id, 99);
}

static void open_service(const dxh_service_config *config)
{
	must(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = 64 * MIB}, &hub));
	must(dxh_service_bind(hub, test_endpoint(), config, &service));
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	say_hello(DXI_HELLO, DXI_FEATURE_PARTS, 7);
	cr_assert_eq(hear(DXI_WELCOME).kind, DXI_WELCOME);
	/* Two requests' worth of memory for answers that the library gives. */
	flush();
	ask_part(1, 10, 0, 0, true);
	expect_error(1, DXH_EPROTO);
	flush();
	idle_bytes = held();
}

static void close_service(void)
{
	close_raw();
	must(dxh_hub_close(&hub));
}

/* Bodies in two parts, one of which is wrong. */
static const struct {
	const char *what;
	part first, second; /* second.total 0: the first is wrong already */
} lies[] = {
	{"a first part without bytes", {1000, 0, 0, true}, {0}},
	{"an empty body in parts", {0, 0, 0, false}, {0}},
	{"a first part beyond the total", {10, 0, 11, false}, {0}},
	{"more behind a whole body", {10, 0, 10, true}, {0}},
	{"no more, of half a body", {10, 0, 5, false}, {0}},
	{"another total", {1000, 0, 500, true}, {1001, 500, 500, true}},
	{"a gap", {1000, 0, 500, true}, {1000, 501, 499, false}},
	{"an overlap", {1000, 0, 500, true}, {1000, 499, 501, false}},
	{"beyond the total", {1000, 0, 500, true}, {1000, 500, 501, false}},
	{"no bytes and more", {1000, 0, 500, true}, {1000, 500, 0, true}},
	{"no bytes and no more", {1000, 0, 500, true}, {1000, 500, 0, false}},
	{"a second first part", {1000, 0, 500, true}, {1000, 0, 500, true}},
	{"more behind the end", {1000, 0, 500, true}, {1000, 500, 500, true}},
	{"an end before the total", {1000, 0, 500, true}, {1000, 500, 400, false}},
	{"an offset beyond all", {1000, 0, 500, true}, {1000, UINT64_MAX, 400, true}},
	{"parts behind the frame", {PART * 4, 0, PART, true}, {PART * 4, 0, PART, true}},
};
enum { LIES = sizeof lies / sizeof *lies };

Test(parts, of_a_request_that_break_a_rule_end_it_with_an_answer)
{
	dxh_request *request;

	open_service(NULL);
	for (uint64_t i = 0; i < LIES; i++) {
		uint64_t dropped = test_stats(hub).parts_dropped;

		send_record(record_of(DXI_REQUEST, 100 + i, lies[i].first));
		if (lies[i].second.total > 0)
			send_record(record_of(DXI_REQUEST, 100 + i, lies[i].second));
		expect_error(100 + i, DXH_EPROTO);
		ask_part(100 + i, 1000, 600, 100, true); /* what was on its way */
		flush();
		cr_expect_eq(test_stats(hub).parts_dropped, dropped + 1, "%s", lies[i].what);
		cr_expect_leq(held(), idle_bytes + KEPT, "%s", lies[i].what);
	}
	/* And one that keeps to them. */
	ask_part(1, 1000, 0, 400, true);
	ask_part(1, 1000, 400, 600, false);
	must(dxh_service_receive(service, SOON, &request));
	must(dxh_request_reply(request, NULL, 0));
	cr_expect_eq(hear(DXI_REPLY).id, 1);
	cr_expect_eq(test_stats(hub).frames_bad, 0);
	close_service();
}

Test(parts, that_announce_more_than_is_granted_set_no_memory_aside)
{
	const uint64_t beyond[] = {3 * MIB + 1, 64 * MIB + 1, UINT64_C(1) << 40, UINT64_MAX};

	open_service(&(dxh_service_config){.client_bytes = 3 * MIB, .inbox_bytes = 5 * MIB});
	for (uint64_t i = 0; i < 4; i++) {
		ask_part(i, beyond[i], 0, 1000, true);
		expect_error(i, DXH_ETOOBIG);
	}
	cr_expect_leq(held(), idle_bytes + KEPT);
	ask_part(10, 2 * MIB, 0, 1000, true);
	ask_part(11, 2 * MIB, 0, 1000, true); /* both would be too much for the window */
	expect_error(11, DXH_EOVERLOADED);
	cr_expect_leq(held(), idle_bytes + 2 * MIB + KEPT);
	/* What another client has announced counts in the inbox. */
	close_raw();
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	say_hello(DXI_HELLO, DXI_FEATURE_PARTS, 8);
	ask_part(1, 3 * MIB - 1000, 0, 1000, true);
	ask_part(2, 1000, 0, 999, true);
	flush();
	ask_part(3, 2 * MIB, 0, 999, true);
	expect_error(3, DXH_EOVERLOADED);
	close_service();
}

Test(parts, of_requests_that_never_began_are_dropped_without_an_answer)
{
	enum { COUNT = 1000 };

	open_service(NULL);
	for (uint64_t i = 0; i < COUNT; i++)
		ask_part(i, 1000, 1 + i % 900, 50, i % 2);
	flush();
	cr_expect_eq(test_stats(hub).parts_dropped, COUNT);
	cr_expect_leq(held(), idle_bytes + KEPT);
	close_service();
}

Test(parts, of_more_bodies_at_a_time_than_the_protocol_allows_are_refused)
{
	open_service(NULL);
	for (uint64_t i = 1; i <= DXI_PARTED_BODIES_MAX + 1; i++)
		ask_part(i, MIB, 0, 1000, true);
	expect_error(DXI_PARTED_BODIES_MAX + 1, DXH_EOVERLOADED);
	for (uint64_t i = 1; i <= DXI_PARTED_BODIES_MAX; i++)
		send_record((dxi_record){.kind = DXI_CANCEL, .id = i});
	flush();
	cr_expect_leq(held(), idle_bytes + KEPT, "a cancel frees what was set aside");
	ask_part(1, MIB, 1000, 1000, true);
	flush();
	cr_expect_eq(test_stats(hub).parts_dropped, 1, "what comes behind it is dropped");
	close_service();
}

Test(parts, that_do_not_come_before_the_deadline_end_their_request)
{
	dxi_record first = record_of(DXI_REQUEST, 5, (part){MIB, 0, 1000, true});

	open_service(NULL);
	first.budget_us = 1000;
	send_record(first);
	expect_error(5, DXH_EEXPIRED);
	flush();
	cr_expect_leq(held(), idle_bytes + KEPT);
	cr_expect_eq(test_stats(hub).requests_expired, 1);
	close_service();
}

Test(parts, of_a_client_that_is_gone_are_forgotten)
{
	open_service(NULL);
	ask_part(5, MIB, 0, 1000, true);
	flush();
	cr_expect_gt(held(), idle_bytes + KEPT);
	close_raw(); /* without a GOODBYE */
	wait_held(idle_bytes + KEPT);
	/* The same client once more, before it is missed. */
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	say_hello(DXI_HELLO, DXI_FEATURE_PARTS, 7);
	ask_part(5, MIB, 0, 1000, true);
	flush();
	close_raw();
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	say_hello(DXI_HELLO, DXI_FEATURE_PARTS, 7);
	flush();
	cr_expect_leq(held(), idle_bytes + KEPT);
	close_service();
}

Test(parts, under_way_when_the_service_closes_are_refused)
{
	open_service(NULL);
	ask_part(5, MIB, 0, 1000, true);
	flush();
	must(dxh_service_close(&service));
	expect_error(5, DXH_ECLOSED);
	close_service();
}

Test(parts, behind_a_frame_that_does_not_want_them_are_bad_messages)
{
	dxi_record record = {.kind = DXI_REQUEST,
	                     .flags = DXI_FLAG_BODY_IN_NEXT_PART,
	                     .subject = "x",
	                     .subject_bytes = 1,
	                     .body_bytes = 10};
	dxi_frame_writer writer;
	size_t bytes;

	open_service(NULL);
	writer = dxi_frame_begin(frame, sizeof frame);
	cr_assert(dxi_frame_append(&writer, &record));
	bytes = dxi_frame_end(&writer);
	send_bytes(frame, bytes, false); /* none, though it is announced */
	send_bytes(frame, bytes, true);  /* an empty one */
	send_bytes(data, 0, false);
	send_bytes(frame, bytes, true); /* two */
	send_bytes(data, 10, true);
	send_bytes(data, 10, false);
	send_bytes(frame, bytes, true); /* too large a one */
	send_bytes(frame, PART + 1, false);
	writer = dxi_frame_begin(frame, sizeof frame);
	cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_BEAT}));
	bytes = dxi_frame_end(&writer);
	send_bytes(frame, bytes, true); /* one that is not announced */
	send_bytes(data, 10, false);
	flush();
	cr_expect_eq(test_stats(hub).frames_bad, 5);
	cr_expect_eq(test_stats(hub).requests_received, 1, "only that of open_service()");
	close_service();
}

Test(parts, are_not_sent_to_who_does_not_take_them)
{
	const size_t sizes[] = {40000, 300000, 2 * MIB};
	static unsigned char body[2 * MIB];

	open_service(NULL);
	close_raw();
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	say_hello(DXI_HELLO, 0, 9);
	for (uint64_t i = 0; i < 3; i++) {
		dxh_request *request;
		dxi_record answer;

		send_record((dxi_record){
			.kind = DXI_REQUEST, .id = i, .subject = "x", .subject_bytes = 1});
		must(dxh_service_receive(service, SOON, &request));
		must(dxh_request_reply(request, body, sizes[i]));
		if (i == 2) {
			expect_error(i, DXH_ETOOBIG);
			continue;
		}
		answer = hear(DXI_REPLY);
		cr_expect_eq(answer.flags, 0);
		cr_expect_eq(answer.body_bytes, sizes[i]);
	}
	close_service();
}

/* ---- a peer of ours, and a stranger as its service ---- */

static dxh_peer *peer;
static char endpoint[64];

static void open_peer(uint32_t features)
{
	snprintf(endpoint, sizeof endpoint, "%s", test_endpoint());
	open_raw(ZMQ_ROUTER, endpoint);
	must(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = 64 * MIB,
	                                    .reconnect_min_ns = 1000000,
	                                    .reconnect_max_ns = 5000000},
	                  &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	(void)hear(DXI_HELLO);
	say_hello(DXI_WELCOME, features, 1);
	test_wait_state(peer, DXH_PEER_READY);
}

static void close_peer(void)
{
	must(dxh_hub_close(&hub));
	close_raw();
}

/* Post, and the id under which it was asked. */
static uint64_t ask(const void *body, size_t bytes, dxh_completion *done)
{
	must(dxh_post(peer, "x", body, bytes, SOON, done));
	return hear(DXI_REQUEST).id;
}

static void answer_part(uint64_t id, uint64_t total, uint64_t offset, size_t bytes, bool more)
{
	send_record(record_of(DXI_REPLY, id, (part){total, offset, bytes, more}));
}

static void expect_end(dxh_completion done, dxh_status status, dxh_certainty certainty)
{
	dxh_reply reply;

	must_be(dxh_await(done, SOON, &reply), status, NULL);
	cr_expect_eq(reply.certainty, certainty);
	must(dxh_release(done));
}

Test(parts, of_a_reply_that_break_a_rule_end_the_request)
{
	dxh_completion done;
	dxh_reply reply;
	uint64_t id;

	open_peer(DXI_FEATURE_PARTS);
	id = ask(NULL, 0, &done);
	answer_part(id, 10, 0, 4, true);
	answer_part(id, 10, 4, 6, false);
	must(dxh_await(done, SOON, &reply));
	cr_expect_eq(reply.body_bytes, 10);
	must(dxh_release(done));
	idle_bytes = held();
	for (uint64_t i = 0; i < LIES; i++) {
		id = ask(NULL, 0, &done);
		send_record(record_of(DXI_REPLY, id, lies[i].first));
		if (lies[i].second.total > 0)
			send_record(record_of(DXI_REPLY, id, lies[i].second));
		must_be(dxh_await(done, SOON, &reply), DXH_EPROTO, NULL);
		cr_expect_eq(reply.certainty, DXH_REPLIED);
		must(dxh_release(done));
		cr_expect_eq(hear(DXI_CANCEL).id, id, "%s", lies[i].what);
	}
	cr_expect_leq(held(), idle_bytes + KEPT);
	cr_expect_eq(dxh_peer_state_get(peer), DXH_PEER_READY);
	close_peer();
}

Test(parts, of_a_reply_that_nobody_asked_for_set_no_memory_aside)
{
	dxh_completion done;
	uint64_t id;

	open_peer(DXI_FEATURE_PARTS);
	id = ask(NULL, 0, &done);
	idle_bytes = held();
	for (uint64_t i = 1; i <= 100; i++)
		answer_part(id ^ i << 20, 32 * MIB, 0, 1000, true);
	answer_part(id, UINT64_MAX, 0, 1000, true);
	expect_end(done, DXH_ETOOBIG, DXH_REPLIED);
	cr_expect_eq(test_stats(hub).parts_dropped, 100);
	cr_expect_leq(held(), idle_bytes + KEPT);
	close_peer();
}

Test(parts, of_more_replies_at_a_time_than_the_protocol_allows_are_refused)
{
	enum { COUNT = DXI_PARTED_BODIES_MAX + 1 };
	dxh_completion done[COUNT];

	open_peer(DXI_FEATURE_PARTS);
	for (int i = 0; i < COUNT; i++)
		answer_part(ask(NULL, 0, &done[i]), MIB, 0, 1000, true);
	expect_end(done[COUNT - 1], DXH_EPROTO, DXH_REPLIED);
	must_be(dxh_poll(done[0]), DXH_EWAIT, NULL);
	close_peer();
	for (int i = 0; i < COUNT - 1; i++)
		expect_end(done[i], DXH_ECLOSED, DXH_MAYBE_EXECUTED);
}

Test(parts, of_a_reply_whose_connection_ends_are_forgotten)
{
	dxh_completion done;

	open_peer(DXI_FEATURE_PARTS);
	answer_part(ask(NULL, 0, &done), 10, 0, 10, false);
	expect_end(done, DXH_OK, DXH_REPLIED);
	idle_bytes = held();
	answer_part(ask(NULL, 0, &done), 32 * MIB, 0, 1000, true);
	send_record((dxi_record){.kind = DXI_GOODBYE});
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED);
	cr_expect_leq(held(), idle_bytes + KEPT);
	close_peer();
}

Test(parts, stop_when_the_service_refuses_in_the_midst_of_them)
{
	static unsigned char body[32 * MIB];
	dxh_completion done, next;
	dxi_record last = {.offset = 0};
	uint64_t id;

	open_peer(DXI_FEATURE_PARTS);
	id = ask(body, sizeof body, &done);
	send_record((dxi_record){.kind = DXI_ERROR, .id = id, .status = DXH_EOVERLOADED});
	expect_end(done, DXH_EOVERLOADED, DXH_REPLIED);
	must(dxh_post(peer, "next", NULL, 0, SOON, &next));
	do {
		if (last.id == id)
			cr_assert(last.flags & DXI_FLAG_MORE, "all of it came");
		last = hear(DXI_REQUEST);
	} while (last.id == id);
	close_peer();
	expect_end(next, DXH_ECLOSED, DXH_MAYBE_EXECUTED);
}

Test(parts, are_not_sent_to_a_service_that_does_not_take_them)
{
	static unsigned char body[2 * MIB];
	dxh_completion done;
	dxi_record asked;

	open_peer(0);
	must(dxh_post(peer, "x", body, sizeof body, SOON, &done));
	expect_end(done, DXH_ETOOBIG, DXH_NOT_SENT);
	must(dxh_post(peer, "x", body, 300000, SOON, &done));
	asked = hear(DXI_REQUEST);
	cr_expect_eq(asked.flags, 0);
	cr_expect_eq(asked.body_bytes, 300000);
	send_record((dxi_record){.kind = DXI_REPLY, .id = asked.id});
	expect_end(done, DXH_OK, DXH_REPLIED);
	close_peer();
}

/* A service of ours on a hub of its own, where the stranger was. */
Test(parts, lost_with_their_connection_are_sent_again_as_the_same_attempt)
{
	static unsigned char body[32 * MIB];
	dxh_completion done;
	dxh_request *request;
	dxh_hub *server;
	size_t bytes;

	open_peer(DXI_FEATURE_PARTS);
	memset(body, 7, sizeof body);
	(void)ask(body, sizeof body, &done);
	(void)hear(DXI_REQUEST);
	close_raw();
	test_wait_state(peer, DXH_PEER_WAITING);
	must_be(dxh_poll(done), DXH_EWAIT, NULL);
	must(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = 64 * MIB}, &server));
	must(dxh_service_bind(server, endpoint, NULL, &service));
	must(dxh_service_receive(service, SOON, &request));
	cr_expect_eq(dxh_request_attempt(request), 0);
	cr_expect_eq(memcmp(dxh_request_body(request, &bytes), body, sizeof body), 0);
	cr_expect_eq(bytes, sizeof body);
	must(dxh_request_reply(request, NULL, 0));
	expect_end(done, DXH_OK, DXH_REPLIED);
	cr_expect_eq(test_stats(hub).retries, 0);
	must(dxh_hub_close(&hub));
	must(dxh_hub_close(&server));
}
