/* SPDX-License-Identifier: MIT */
/* Subscribers that ask for too much or do not read, and services that lie. */
#include "tests/support/pair.h"
#include "tests/support/raw.h"

#include "runtime/wire.h"

#include <stdio.h>

static _Alignas(8) unsigned char frame[DXI_FRAME_BYTES_MAX];

static size_t hello_frame(uint8_t kind)
{
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .incarnation = 77,
	                   .name = "stranger",
	                   .frame_bytes = 16384,
	                   .features = DXI_FEATURE_SUBSCRIBE,
	                   .window_records = 10};
	unsigned char body[DXI_HELLO_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

	cr_assert(dxi_frame_append(
		&writer, &(dxi_record){.kind = kind,
	                               .body = body,
	                               .body_bytes = dxi_hello_write(&hello, body, sizeof body)}));
	return dxi_frame_end(&writer);
}

static size_t record_frame(dxi_record record)
{
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

	cr_assert(dxi_frame_append(&writer, &record));
	return dxi_frame_end(&writer);
}

static void open_client_of(dxh_service *service)
{
	test_raw_open(ZMQ_DEALER, dxh_service_endpoint(service));
	zmq_send(test_raw, frame, hello_frame(DXI_HELLO), 0);
}

static void open_client(void)
{
	open_client_of(echo.service);
}

/* The next record of this kind that the client gets; others are passed over. */
static dxi_record hear(uint8_t kind)
{
	static dxi_frame_reader reader;
	dxi_record record;

	for (;;) {
		int bytes;

		while (reader.records_left > 0 && dxi_frame_next(&reader, &record) == DXH_OK)
			if (record.kind == kind)
				return record;
		bytes = zmq_recv(test_raw, frame, sizeof frame, 0);
		cr_assert_gt(bytes, 0, "record of kind %d never came", kind);
		must(dxi_frame_open(&reader, frame, (size_t)bytes));
	}
}

/* Publish; the I/O thread may have to catch up first. */
static void publish(const char *topic, const void *body, size_t bytes)
{
	dxh_status status;

	while ((status = dxh_service_publish(echo.service, topic, body, bytes)) == DXH_EFULL)
		;
	must(status);
}

static void wait_published(uint64_t count)
{
	int64_t deadline_ns = SOON;

	while (test_stats(echo.hub).notes_published < count)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
}

Test(stranger, a_flood_of_subscriptions_gets_no_more_than_its_share, .timeout = 60)
{
	enum { FLOOD = 50000, ALLOWED = 5 };
	dxh_subscription *marker;

	open_pair(test_endpoint(), &(dxh_service_config){.subscriptions_max = ALLOWED}, NULL);
	open_client();
	for (uint32_t number = 1; number <= FLOOD; number++)
		zmq_send(test_raw, frame,
		         record_frame((dxi_record){.kind = DXI_SUBSCRIBE,
		                                   .budget_us = number,
		                                   .subject = "t",
		                                   .subject_bytes = 1}),
		         0);
	while (test_stats(echo.hub).records_received < FLOOD)
		;
	must(dxh_subscribe(peer, "t", NULL, &marker));
	must(dxh_subscription_await(marker, SOON));
	publish("t", NULL, 0);
	wait_published(ALLOWED + 1);
	cr_expect_eq(test_stats(echo.hub).notes_published, ALLOWED + 1);
	test_raw_close();
	close_pair();
}

Test(stranger, the_same_number_again_is_a_change_and_not_one_more, .timeout = 60)
{
	static const char *const prefixes[] = {"a", "b"};

	test_echo_open(&echo, test_endpoint(), &(dxh_service_config){.subscriptions_max = 1});
	open_client();
	for (int i = 0; i < 2; i++) {
		zmq_send(test_raw, frame,
		         record_frame((dxi_record){.kind = DXI_SUBSCRIBE,
		                                   .budget_us = 7,
		                                   .subject = prefixes[i],
		                                   .subject_bytes = 1}),
		         0);
		cr_expect_eq(hear(DXI_SUBSCRIBE).status, DXH_OK);
	}
	publish("a", NULL, 0);
	publish("b", NULL, 0);
	cr_expect_eq(memcmp(hear(DXI_NOTIFY).subject, "b", 1), 0);
	test_raw_close();
	test_echo_close(&echo);
}

/* One reads, one does not until the end. What each got and what the gaps tell is
 * what was published; the slow one is not waited for. */
Test(stranger, a_subscriber_that_does_not_read_loses_exactly_what_it_is_told, .timeout = 60)
{
	enum { COUNT = 20000 };
	static char body[500];
	dxh_subscription_config config = {.inbox_max = 2 * COUNT, .inbox_bytes = 1 << 28};
	dxh_subscription *reader;
	uint64_t sequence = 0, received = 0, lost = 0, got = 0;
	const dxh_note *note;

	open_pair(test_endpoint(), &(dxh_service_config){.publish_max = 16}, NULL);
	open_client();
	zmq_send(test_raw, frame, record_frame((dxi_record){.kind = DXI_SUBSCRIBE, .budget_us = 1}),
	         0);
	cr_expect_eq(hear(DXI_SUBSCRIBE).status, DXH_OK);
	must(dxh_subscribe(peer, "", &config, &reader));
	must(dxh_subscription_await(reader, SOON));
	for (int i = 0; i < COUNT; i++)
		publish("t", body, sizeof body);
	for (uint64_t last = 0; last < COUNT; received++) {
		must(dxh_subscription_receive(reader, SOON, &note));
		lost += note->lost;
		last = note->sequence;
		dxh_note_release(note);
	}
	cr_expect_eq(received + lost, COUNT, "%llu came, %llu were lost",
	             (unsigned long long)received, (unsigned long long)lost);
	while (sequence < COUNT) {
		uint64_t now = hear(DXI_NOTIFY).id;

		cr_assert_gt(now, sequence, "numbers go up");
		sequence = now;
		got++;
	}
	cr_expect_eq(sequence, COUNT);
	cr_expect_lt(got, COUNT, "a bound of 16 was never reached");
	cr_expect_eq(test_stats(echo.hub).notes_published,
	             test_stats(echo.hub).notes_sent + test_stats(echo.hub).notes_dropped);
	test_raw_close();
	close_pair();
}

/* How many replies come before the next note. */
static int replies_before_note(void)
{
	dxi_frame_reader reader;
	dxi_record record;
	int replies = 0;

	for (;;) {
		int bytes = zmq_recv(test_raw, frame, sizeof frame, 0);

		cr_assert_gt(bytes, 0, "no note after %d replies", replies);
		must(dxi_frame_open(&reader, frame, (size_t)bytes));
		while (dxi_frame_next(&reader, &record) == DXH_OK) {
			if (record.kind == DXI_NOTIFY)
				return replies;
			replies += record.kind == DXI_REPLY;
		}
	}
}

/* Each answer fills its frame, and there is always one more: whoever asks for the next as
 * soon as one has come would never hear of anything else. */
Test(stranger, answers_that_never_end_leave_room_for_notes, .timeout = 60)
{
	enum {
		COUNT = 200,
		FULL = DXI_FRAME_BYTES_MAX - DXI_FRAME_HEADER_BYTES - DXI_RECORD_HEADER_BYTES
	};
	static char body[FULL];
	dxh_service *service;
	dxh_request *request;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_service_bind(echo.hub, test_endpoint(), NULL, &service));
	open_client_of(service);
	zmq_send(test_raw, frame, record_frame((dxi_record){.kind = DXI_SUBSCRIBE, .budget_us = 1}),
	         0);
	cr_expect_eq(hear(DXI_SUBSCRIBE).status, DXH_OK);
	for (uint64_t id = 0; id < COUNT; id++)
		zmq_send(
			test_raw, frame,
			record_frame((dxi_record){
				.kind = DXI_REQUEST, .id = id, .subject = "q", .subject_bytes = 1}),
			0);
	for (int i = 0; i < COUNT; i++) {
		must(dxh_service_receive(service, SOON, &request));
		must(dxh_request_reply(request, body, sizeof body));
	}
	must(dxh_service_publish(service, "t", NULL, 0));
	wait_published(1);
	/* Some lie in libzmq and the kernel, beyond anybody's reach. */
	cr_expect_lt(replies_before_note(), COUNT / 2);
	test_raw_close();
	must(dxh_service_close(&service));
	test_echo_close(&echo);
}

/* ---- a service that is none ---- */

static unsigned char client_id[64];
static size_t client_id_bytes;

static void say(size_t bytes)
{
	zmq_send(test_raw, client_id, client_id_bytes, ZMQ_SNDMORE);
	zmq_send(test_raw, frame, bytes, 0);
}

/* The number of the SUBSCRIBE that comes. */
static uint32_t hear_subscribe(void)
{
	dxi_frame_reader reader;
	dxi_record record;

	for (;;) {
		int bytes = zmq_recv(test_raw, client_id, sizeof client_id, 0);

		cr_assert_gt(bytes, 0);
		client_id_bytes = (size_t)bytes;
		bytes = zmq_recv(test_raw, frame, sizeof frame, 0);
		cr_assert_gt(bytes, 0);
		must(dxi_frame_open(&reader, frame, (size_t)bytes));
		while (dxi_frame_next(&reader, &record) == DXH_OK) {
			if (record.kind == DXI_SUBSCRIBE)
				return record.budget_us;
			if (record.kind == DXI_HELLO)
				say(hello_frame(DXI_WELCOME));
		}
	}
}

static void say_note(uint32_t number, uint64_t sequence)
{
	say(record_frame((dxi_record){.kind = DXI_NOTIFY,
	                              .id = sequence,
	                              .budget_us = number,
	                              .subject = "t",
	                              .subject_bytes = 1}));
}

Test(stranger, after_a_cut_connection_the_service_is_asked_again, .timeout = 60)
{
	dxh_subscription *subscription;
	const dxh_note *note;
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	must(dxh_subscribe(peer, "", NULL, &subscription));
	for (int round = 0; round < 3; round++) {
		uint32_t number;

		test_raw_open(ZMQ_ROUTER, endpoint);
		number = hear_subscribe();
		say(record_frame((dxi_record){.kind = DXI_SUBSCRIBE, .budget_us = number}));
		say_note(number, 3); /* two were lost on the way */
		must(dxh_subscription_receive(subscription, SOON, &note));
		cr_expect_eq(note->lost, 2);
		cr_expect_eq(note->reconnected != 0, round > 0);
		dxh_note_release(note);
		test_raw_close(); /* without a word */
	}
	must(dxh_hub_close(&hub));
}

Test(stranger, notes_of_a_service_that_lies_are_dropped, .timeout = 60)
{
	dxh_subscription *subscription;
	const dxh_note *note;
	char endpoint[64];
	uint32_t number;

	strcpy(endpoint, test_endpoint());
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	must(dxh_subscribe(peer, "", NULL, &subscription));
	test_raw_open(ZMQ_ROUTER, endpoint);
	number = hear_subscribe();
	say_note(number, 1); /* before it stands */
	say(record_frame((dxi_record){.kind = DXI_SUBSCRIBE, .budget_us = number + 1}));
	say(record_frame((dxi_record){.kind = DXI_SUBSCRIBE, .budget_us = number}));
	say_note(number + 1, 1); /* of no subscription */
	say_note(number, 0);     /* no number begins there */
	say_note(number, 2);
	say_note(number, 2); /* twice */
	say_note(number, 1); /* backwards */
	say_note(number, UINT64_MAX);
	must(dxh_subscription_receive(subscription, SOON, &note));
	cr_expect_eq(note->sequence, 2);
	cr_expect_eq(note->lost, 1);
	dxh_note_release(note);
	must(dxh_subscription_receive(subscription, SOON, &note));
	cr_expect_eq(note->sequence, UINT64_MAX);
	cr_expect_eq(note->lost, UINT64_MAX - 3);
	dxh_note_release(note);
	must_be(dxh_subscription_receive(subscription, DXH_NOW, &note), DXH_EWAIT, NULL);
	must(dxh_hub_close(&hub));
	test_raw_close();
}
