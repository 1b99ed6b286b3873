/* SPDX-License-Identifier: MIT */
/* libzmq tells once that a full connection has room again, and whichever call comes next takes
 * that in. Here it tells in the worst moment: the hub's thread waits within one call until the
 * other end has read everything, so that no descriptor fires any more. */
#include "runtime/wire.h"
#include "tests/support/raw.h"
#include "tests/support/support.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

TestSuite(edge, .timeout = 60);

/* So many of so many bytes are more than a connection and its buffers hold. */
enum { COUNT = 64, BYTES = 60000 };

static char body[BYTES];
static dxh_hub *hub;

/* ---- between the hub and libzmq ---------------------------------------------------------- */

/* Where the hub's thread waits. */
static _Atomic enum {
	NOWHERE,
	BEHIND_EVENTS, /* that tell of something to receive, and of no room */
	BEFORE_EVENTS  /* when a second try to send has failed as well */
} place;

static _Atomic bool settled, reached;
static _Atomic int refusals;             /* running */
static _Atomic uint64_t sent, delivered; /* whole messages of the hub */

static void wait_here(void)
{
	int64_t deadline_ns = SOON;

	place = NOWHERE;
	reached = true;
	while (delivered < sent && dxh_now_ns() < deadline_ns)
		;
}

int __real_zmq_msg_send(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
	int rc = __real_zmq_msg_send(message, socket, flags);

	if (rc == -1) {
		refusals += errno == EAGAIN;
	} else {
		refusals = 0;
		sent += !(flags & ZMQ_SNDMORE);
	}
	return rc;
}

int __real_zmq_getsockopt(void *socket, int option, void *value, size_t *bytes);
int __wrap_zmq_getsockopt(void *socket, int option, void *value, size_t *bytes);
int __wrap_zmq_getsockopt(void *socket, int option, void *value, size_t *bytes)
{
	int rc;

	if (option == ZMQ_EVENTS && place == BEFORE_EVENTS && refusals >= 2)
		wait_here();
	rc = __real_zmq_getsockopt(socket, option, value, bytes);
	if (option == ZMQ_EVENTS && rc == 0 && refusals > 0) {
		if (*(int *)value == 0)
			settled = true;
		else if (*(int *)value == ZMQ_POLLIN && place == BEHIND_EVENTS)
			wait_here();
	}
	return rc;
}

/* ---- the other end ------------------------------------------------------------------------ */

static bool names_other; /* a ROUTER does, a DEALER has but one */
static unsigned char other[32];
static int other_bytes;
static _Alignas(8) unsigned char frame[DXI_MESSAGE_BYTES_MAX];

static void tell(dxi_record record)
{
	dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

	cr_assert(dxi_frame_append(&writer, &record));
	if (other_bytes > 0)
		cr_assert_neq(zmq_send(test_raw, other, (size_t)other_bytes, ZMQ_SNDMORE), -1);
	cr_assert_neq(zmq_send(test_raw, frame, dxi_frame_end(&writer), 0), -1);
}

static void introduce(uint8_t kind)
{
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = 7,
	                   .name = "other",
	                   .frame_bytes = 65536,
	                   .window_records = 2 * COUNT};
	unsigned char text[DXI_HELLO_BYTES_MAX];

	tell((dxi_record){.kind = kind,
	                  .body = text,
	                  .body_bytes = dxi_hello_write(&hello, text, sizeof text)});
}

/* Receive a message. Returns how many records of this kind are in it. */
static int hear(uint8_t kind)
{
	dxi_frame_reader reader;
	dxi_record record;
	int bytes, found = 0;

	if (names_other)
		other_bytes = zmq_recv(test_raw, other, sizeof other, 0);
	bytes = other_bytes >= 0 ? zmq_recv(test_raw, frame, sizeof frame, 0) : -1;
	cr_assert_gt(bytes, 0, "nothing more came: %s", zmq_strerror(zmq_errno()));
	must(dxi_message_open(&reader, frame, (size_t)bytes, NULL, 0));
	while (dxi_frame_next(&reader, &record) == DXH_OK)
		found += record.kind == kind;
	delivered++;
	return found;
}

/* ---- what is tested ------------------------------------------------------------------------- */

/* The receive that finds nothing, behind the one that was told of, takes the news in. */
Test(edge, requests_go_on_though_a_receive_took_in_that_there_is_room)
{
	const char *endpoint = test_endpoint();
	dxh_completion done[COUNT];
	dxh_peer *peer;
	int came = 0;

	names_other = true;
	test_raw_open(ZMQ_ROUTER, endpoint);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, &(dxh_peer_config){.beat_ns = -1}, &peer));
	cr_assert_eq(hear(DXI_HELLO), 1);
	introduce(DXI_WELCOME);
	place = BEHIND_EVENTS;
	for (int i = 0; i < COUNT; i++)
		must(dxh_post(peer, "x", body, BYTES, SOON, &done[i]));
	while (!reached) /* a record each time that the hub has nothing to do */
		if (atomic_exchange(&settled, false))
			tell((dxi_record){.kind = DXI_BEAT});
	while (came < COUNT)
		came += hear(DXI_REQUEST);
	must(dxh_hub_close(&hub));
	for (int i = 0; i < COUNT; i++)
		must(dxh_release(done[i]));
	test_raw_close();
}

/* A look at the socket behind the last try takes the news in. */
Test(edge, answers_go_on_though_a_look_took_in_that_there_is_room)
{
	dxh_request *request[COUNT];
	dxh_service *service;
	int came = 0;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_service_bind(hub, test_endpoint(), NULL, &service));
	test_raw_open(ZMQ_DEALER, dxh_service_endpoint(service));
	introduce(DXI_HELLO);
	cr_assert_eq(hear(DXI_WELCOME), 1);
	for (uint64_t i = 0; i < COUNT; i++)
		tell((dxi_record){
			.kind = DXI_REQUEST, .id = i, .subject = "x", .subject_bytes = 1});
	for (int i = 0; i < COUNT; i++)
		must(dxh_service_receive(service, SOON, &request[i]));
	place = BEFORE_EVENTS;
	for (int i = 0; i < COUNT; i++)
		must(dxh_request_reply(request[i], body, BYTES));
	while (!reached)
		;
	while (came < COUNT)
		came += hear(DXI_REPLY);
	must(dxh_hub_close(&hub));
	test_raw_close();
}
