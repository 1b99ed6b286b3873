/* SPDX-License-Identifier: MIT */
/* How many notifications may be under way: a client is held, not robbed; and what
 * strangers make of it. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include "runtime/notify_lane.h"

#include <zmq.h>

static dxh_hub *server;
static dxh_service *service;
static void *context, *raw;
static _Alignas(8) unsigned char frame[DXI_FRAME_BYTES_MAX];

enum { BODY_BYTES = 1000, RECORD_BYTES = 32 + 8 + 1000, WINDOW = 256 << 10 };
static const dxh_service_config small_window = {.notify_bytes = WINDOW, .inbox_max = 8};

static void open_service(void)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), &small_window, &service));
}

/* So that two of them are more than the windows here. */
static const dxh_hub_config small_frames = {.frame_bytes = 16384};

static void open_raw(int type, const char *endpoint)
{
	int zero = 0, timeout_ms = 20000;

	test_needs_sockets();
	context = zmq_ctx_new();
	raw = zmq_socket(context, type);
	zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(raw, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	cr_assert_eq(type == ZMQ_ROUTER ? zmq_bind(raw, endpoint) : zmq_connect(raw, endpoint), 0);
}

static void close_raw(void)
{
	zmq_close(raw);
	zmq_ctx_term(context);
}

static size_t hello_frame(uint8_t kind, uint32_t features, uint64_t notify_bytes)
{
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .incarnation = 78,
	                   .name = "stranger",
	                   .frame_bytes = 16384,
	                   .features = features,
	                   .window_records = 10,
	                   .notify_bytes = notify_bytes};
	unsigned char body[DXI_HELLO_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

	dxi_frame_append(&writer,
	                 &(dxi_record){.kind = kind,
	                               .body = body,
	                               .body_bytes = dxi_hello_write(&hello, body, sizeof body)});
	return dxi_frame_end(&writer);
}

/* `count` notifications in one frame, FLUSH behind them. */
static size_t notify_frame(int count)
{
	static const char body[BODY_BYTES];
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

	for (int i = 0; i < count; i++)
		cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_NOTIFY,
		                                                  .subject = "n",
		                                                  .subject_bytes = 1,
		                                                  .body = body,
		                                                  .body_bytes = sizeof body}));
	cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_FLUSH, .id = 5}));
	return dxi_frame_end(&writer);
}

/* Whether one of the records up to the next of this kind is a CREDIT; its id. */
static bool hear(uint8_t kind, uint64_t *credit)
{
	bool credited = false;

	for (;;) {
		dxi_frame_reader reader;
		dxi_record record;
		int bytes = zmq_recv(raw, frame, sizeof frame, 0);

		cr_assert_gt(bytes, 0, "record of kind %d never came", kind);
		must(dxi_frame_open(&reader, frame, (size_t)bytes));
		while (dxi_frame_next(&reader, &record) == DXH_OK) {
			if (record.kind == DXI_CREDIT) {
				credited = true;
				*credit = record.id;
			}
			if (record.kind == kind)
				return credited;
		}
	}
}

Test(notify_window, holds_a_client_that_is_faster_and_loses_nothing, .timeout = 60)
{
	enum { COUNT = 3 * WINDOW / RECORD_BYTES };
	char body[BODY_BYTES] = "";
	dxh_request *request;
	dxh_hub_stats stats;

	open_service();
	must(test_hub_open(&small_frames, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	for (uint32_t i = 0; i < COUNT; i++) {
		memcpy(body, &i, sizeof i);
		must(dxh_notify(peer, "n", body, sizeof body));
	}
	/* It stays held: a flush behind them cannot be sent. */
	must_be(dxh_flush(peer, DXH_FLUSH_SENT, dxh_in_ms(50)), DXH_EEXPIRED, NULL);
	cr_expect_leq(test_stats(hub).notifications_sent * RECORD_BYTES, WINDOW);
	for (uint32_t i = 0; i < COUNT; i++) {
		size_t bytes;

		must(dxh_service_receive(service, SOON, &request));
		cr_assert_eq(memcmp(dxh_request_body(request, &bytes), &i, sizeof i), 0);
		dxh_request_release(request);
	}
	stats = test_stats(server);
	cr_expect_eq(stats.notifications_received, COUNT);
	cr_expect_eq(stats.notifications_refused, 0);
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(notify_window, a_held_client_notices_that_its_service_is_silent, .timeout = 60)
{
	static const char body[BODY_BYTES];
	const char *endpoint = test_endpoint();
	uint64_t credit;
	char id[64];
	int id_bytes;

	open_raw(ZMQ_ROUTER, endpoint);
	must(test_hub_open(&small_frames, &hub));
	must(dxh_peer_connect(hub, endpoint,
	                      &(dxh_peer_config){.beat_ns = 1000000, .silence_ns = 20000000},
	                      &peer));
	id_bytes = zmq_recv(raw, id, sizeof id, 0);
	hear(DXI_HELLO, &credit);
	zmq_send(raw, id, (size_t)id_bytes, ZMQ_SNDMORE);
	zmq_send(raw, frame, hello_frame(DXI_WELCOME, DXI_FEATURE_BEAT | DXI_FEATURE_CREDIT, 20000),
	         0);
	test_wait_state(peer, DXH_PEER_READY);
	for (int i = 0; i < 40; i++)
		must(dxh_notify(peer, "n", body, sizeof body));
	/* Two frames are more than the window: one waits, and nobody answers beats. */
	test_wait_state(peer, DXH_PEER_CONNECTING);
	must(test_hub_close(&hub));
	close_raw();
}

Test(notify_window, credit_for_what_was_not_sent_gives_nothing, .timeout = 60)
{
	static const char body[BODY_BYTES];
	const char *endpoint = test_endpoint();
	static const uint64_t lies[] = {UINT64_MAX, 1 << 20, 0};
	int64_t deadline_ns = SOON;
	dxi_frame_writer writer;
	uint64_t credit;
	char id[64];
	int id_bytes;

	open_raw(ZMQ_ROUTER, endpoint);
	must(test_hub_open(&small_frames, &hub));
	must(dxh_peer_connect(hub, endpoint, &(dxh_peer_config){.beat_ns = -1}, &peer));
	id_bytes = zmq_recv(raw, id, sizeof id, 0);
	hear(DXI_HELLO, &credit);
	zmq_send(raw, id, (size_t)id_bytes, ZMQ_SNDMORE);
	zmq_send(raw, frame, hello_frame(DXI_WELCOME, DXI_FEATURE_CREDIT, 20000), 0);
	test_wait_state(peer, DXH_PEER_READY);
	for (int i = 0; i < 40; i++)
		must(dxh_notify(peer, "n", body, sizeof body));
	writer = dxi_frame_begin(frame, sizeof frame);
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
		dxi_frame_append(&writer, &(dxi_record){.kind = DXI_CREDIT, .id = lies[i]});
	zmq_send(raw, id, (size_t)id_bytes, ZMQ_SNDMORE);
	zmq_send(raw, frame, dxi_frame_end(&writer), 0);
	while (test_stats(hub).records_received < 4)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	must_be(dxh_flush(peer, DXH_FLUSH_SENT, dxh_in_ms(50)), DXH_EEXPIRED, NULL);
	cr_expect_eq(test_stats(hub).frames_bad, 2);
	cr_expect_leq(test_stats(hub).notifications_sent * RECORD_BYTES, 20000);
	must(test_hub_close(&hub));
	close_raw();
}

Test(notify_window, what_a_client_sends_beyond_it_is_dropped_and_counted, .timeout = 60)
{
	enum { FRAMES = 40, EACH = 15, FIT = WINDOW / RECORD_BYTES };
	uint64_t credit = 0;
	bool credited = false;

	open_service();
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	zmq_send(raw, frame, hello_frame(DXI_HELLO, DXI_FEATURE_CREDIT, 0), 0);
	hear(DXI_WELCOME, &credit);
	for (int i = 0; i < FRAMES; i++) {
		zmq_send(raw, frame, notify_frame(EACH), 0);
		credited |= hear(DXI_FLUSHED, &credit);
	}
	cr_expect_eq(test_stats(server).notifications_received, FIT);
	cr_expect_eq(test_stats(server).notifications_refused, FRAMES * EACH - FIT);
	cr_expect(credited, "what was dropped is not under way any more");
	cr_expect_leq(credit, (uint64_t)(FRAMES * EACH - FIT) * RECORD_BYTES);
	close_raw();
	must(test_hub_close(&server));
}

Test(notify_window, one_that_does_not_know_it_has_as_much_room_as_requests, .timeout = 60)
{
	uint64_t credit;

	open_service();
	open_raw(ZMQ_DEALER, dxh_service_endpoint(service));
	zmq_send(raw, frame, hello_frame(DXI_HELLO, 0, 0), 0);
	hear(DXI_WELCOME, &credit);
	zmq_send(raw, frame, notify_frame(40), 0);
	cr_expect_not(hear(DXI_FLUSHED, &credit));
	cr_expect_eq(test_stats(server).notifications_received, small_window.inbox_max);
	cr_expect_eq(test_stats(server).notifications_refused, 40 - small_window.inbox_max);
	close_raw();
	must(test_hub_close(&server));
}

Test(notify_window, is_at_least_four_of_the_largest_frames, .timeout = 20)
{
	must(test_hub_open(NULL, &server));
	must_be(dxh_service_bind(server, test_endpoint(), &(dxh_service_config){.notify_bytes = 1},
	                         &service),
	        DXH_EINVAL, "262144");
	must(test_hub_close(&server));
}
