/* SPDX-License-Identifier: MIT */
/* Which record leaves first: control before requests before notifications, and
 * nobody waits for ever. */
/* Also run over inproc, see test_hub_open(). */
#include "runtime/control_lane.h"
#include "tests/support/pair.h"
#include "tests/support/pause.h"

#include <zmq.h>

Test(control_lane, is_bounded_and_keeps_order_over_frames_that_are_too_small, .timeout = 20)
{
	static unsigned char bytes[256];
	dxi_control_lane lane = {.used = 0};
	uint64_t put = 0, got = 0;

	while (dxi_control_lane_put(&lane, &(dxi_record){.kind = DXI_CANCEL, .id = put}))
		put++;
	cr_expect_eq(put, DXI_CONTROL_LANE_BYTES / DXI_RECORD_HEADER_BYTES);
	while (!dxi_control_lane_is_empty(&lane)) {
		dxi_frame_writer writer = dxi_frame_begin(bytes, sizeof bytes);
		dxi_frame_reader reader;
		dxi_record record;

		dxi_control_lane_encode(&lane, &writer);
		writer = dxi_frame_begin(bytes, sizeof bytes);
		dxi_control_lane_encode(&lane, &writer); /* the first was not sent */
		dxi_control_lane_sent(&lane);
		must(dxi_frame_open(&reader, bytes, dxi_frame_end(&writer)));
		while (dxi_frame_next(&reader, &record) == DXH_OK)
			cr_assert_eq(record.id, got++);
	}
	cr_expect_eq(got, put);
	dxi_control_lane_fini(&lane);
}

Test(control_lane, takes_records_with_subjects_and_bodies_whole_or_not_at_all, .timeout = 20)
{
	static unsigned char bytes[DXI_CONTROL_LANE_BYTES + 64];
	dxi_control_lane lane = {.used = 0};
	dxi_record record = {.kind = DXI_SUBSCRIBE,
	                     .subject = "a.topic",
	                     .subject_bytes = 7,
	                     .body = "12345",
	                     .body_bytes = 5};
	dxi_frame_writer writer = dxi_frame_begin(bytes, sizeof bytes);
	dxi_frame_reader reader;
	uint32_t count = 0;

	while (dxi_control_lane_put(&lane, &record))
		count++;
	dxi_control_lane_encode(&lane, &writer);
	must(dxi_frame_open(&reader, bytes, dxi_frame_end(&writer)));
	cr_expect_eq(reader.records_left, count);
	while (dxi_frame_next(&reader, &record) == DXH_OK) {
		cr_assert_eq(memcmp(record.subject, "a.topic", 7), 0);
		cr_assert_eq(memcmp(record.body, "12345", 5), 0);
	}
	dxi_control_lane_fini(&lane);
}

static dxh_hub *server;
static dxh_service *service;

static void open_service(const dxh_peer_config *config)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), &(dxh_service_config){.inbox_max = 1 << 16},
	                      &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), config, &peer));
	test_wait_state(peer, DXH_PEER_READY);
}

static void close_service(void)
{
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* In place of a service, to see the frames themselves: says WELCOME to who comes. */
static void *context, *raw;
static unsigned char frame[1 << 20];

static dxi_frame_reader next_frame(char *id, int *id_bytes)
{
	dxi_frame_reader reader;
	int bytes;

	*id_bytes = zmq_recv(raw, id, 64, 0);
	cr_assert_gt(*id_bytes, 0);
	bytes = zmq_recv(raw, frame, sizeof frame, 0);
	cr_assert_gt(bytes, 0);
	must(dxi_frame_open(&reader, frame, (size_t)bytes));
	return reader;
}

static void connect_to_raw(const dxh_peer_config *config)
{
	const char *endpoint = test_endpoint();
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR, .frame_bytes = 16384, .window_records = 99};
	unsigned char body[DXI_HELLO_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);
	dxi_record welcome = {.kind = DXI_WELCOME, .body = body};
	int zero = 0, timeout_ms = 20000, id_bytes;
	char id[64];

	test_needs_sockets();
	context = zmq_ctx_new();
	raw = zmq_socket(context, ZMQ_ROUTER);
	zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(raw, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	cr_assert_eq(zmq_bind(raw, endpoint), 0);
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, config, &peer));
	next_frame(id, &id_bytes);
	welcome.body_bytes = dxi_hello_write(&hello, body, sizeof body);
	dxi_frame_append(&writer, &welcome);
	zmq_send(raw, id, (size_t)id_bytes, ZMQ_SNDMORE);
	zmq_send(raw, frame, dxi_frame_end(&writer), 0);
	test_wait_state(peer, DXH_PEER_READY);
}

static void close_raw(void)
{
	must(test_hub_close(&hub));
	zmq_close(raw);
	zmq_ctx_term(context);
}

Test(lanes, a_cancel_is_the_first_record_after_a_flood_was_posted_before_it, .timeout = 30)
{
	char body[1000] = "", id[64];
	dxh_completion early, flood;
	dxi_frame_reader reader;
	dxi_record record;
	test_pause pause;
	int id_bytes;

	connect_to_raw(NULL);
	must(dxh_post(peer, "early", NULL, 0, SOON, &early));
	reader = next_frame(id, &id_bytes);
	must(dxi_frame_next(&reader, &record));
	cr_assert_eq(record.kind, DXI_REQUEST);
	test_pause_begin(&pause, hub);
	while (dxh_notify(peer, "n", body, sizeof body) == DXH_OK)
		;
	for (int i = 0; i < 90; i++) {
		must(dxh_post(peer, "late", body, sizeof body, SOON, &flood));
		must(dxh_release(flood));
	}
	must(dxh_cancel(early, NULL));
	test_pause_end(&pause);
	reader = next_frame(id, &id_bytes);
	must(dxi_frame_next(&reader, &record));
	cr_expect_eq(record.kind, DXI_CANCEL, "not %s", dxi_record_kind_name(record.kind));
	must_be(dxh_await(early, SOON, NULL), DXH_ECANCELED, NULL);
	must(dxh_release(early));
	close_raw();
}

Test(lanes, a_notification_waits_for_a_few_frames_of_requests_not_for_all, .timeout = 30)
{
	char body[1000] = "";
	dxh_completion done;
	dxh_request *request;
	test_pause pause;
	int before = 0;
	bool found = false;

	open_service(NULL);
	test_pause_begin(&pause, hub);
	for (int i = 0; i < 2000; i++) {
		must(dxh_post(peer, "r", body, sizeof body, SOON, &done));
		must(dxh_release(done));
	}
	must(dxh_notify(peer, "n", NULL, 0));
	test_pause_end(&pause);
	while (!found) {
		must(dxh_service_receive(service, SOON, &request));
		found = dxh_request_is_notification(request) != 0;
		before += !found;
		dxh_request_release(request);
	}
	cr_expect_leq(before, 3 * 65536 / 1000, "%d requests came before it", before);
	close_service();
}
