/* SPDX-License-Identifier: MIT */
/* The connection's life: a service that is not there yet, goes, is killed, comes
 * back, or is something else altogether. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/support.h"

#include "runtime/peer.h"
#include "runtime/wire.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

static test_echo echo;
static dxh_hub *hub;
static dxh_peer *peer;
static _Atomic uint64_t states_seen[4];

static void on_state(void *context, dxh_peer *changed, dxh_peer_state state, const char *reason)
{
	cr_assert_eq(context, (void *)&hub);
	cr_assert_eq(changed, peer ? peer : changed);
	cr_assert((state == DXH_PEER_WAITING || state == DXH_PEER_REFUSED) == (*reason != '\0'));
	for (const char *at = reason; *at; at++) /* whoever wrote it, it steers no terminal */
		cr_assert((unsigned char)*at >= ' ' && *at != 0x7f, "'%s'", reason);
	states_seen[state]++;
}

static void connect_to(const char *endpoint)
{
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint,
	                      &(dxh_peer_config){.on_state = on_state, .context = &hub}, &peer));
}

Test(connection, requests_wait_for_a_service_that_comes_later, .timeout = 30)
{
	const char *endpoint = test_endpoint();
	dxh_completion done;

	connect_to(endpoint);
	must(dxh_post(peer, "echo", "x", 1, SOON, &done));
	test_wait_for(&states_seen[DXH_PEER_WAITING], 3);
	must_be(dxh_poll(done), DXH_EWAIT, NULL);
	test_echo_open(&echo, endpoint, NULL);
	must(dxh_await(done, SOON, NULL));
	must(dxh_release(done));
	cr_expect_eq(dxh_peer_state_get(peer), DXH_PEER_READY);
	cr_expect_eq(states_seen[DXH_PEER_READY], 1);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

Test(connection, is_made_again_after_the_service_closed, .timeout = 30)
{
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	test_echo_open(&echo, endpoint, NULL);
	connect_to(endpoint);
	for (uint64_t round = 1; round <= 5; round++) {
		must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
		cr_expect_eq(states_seen[DXH_PEER_READY], round);
		test_echo_close(&echo);
		test_wait_for(&states_seen[DXH_PEER_WAITING], round);
		test_echo_open(&echo, endpoint, NULL);
	}
	cr_expect_geq(test_stats(hub).reconnects, 5);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

/* Children that serve, one at a time, from a byte on `start` until they are killed;
 * a byte on `ready` says that they listen. All are forked before this process has
 * threads, so that none inherits a lock that is held. */
static struct {
	pid_t pid;
	int start[2], ready[2];
} children[4];

static void serve_when_told(const char *endpoint, int start, int ready)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(start, &byte, 1) != 1)
		_exit(1);
	test_echo_open(&echo, endpoint, NULL);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void fork_services(const char *endpoint)
{
	test_needs_sockets();
	for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
		cr_assert_eq(pipe(children[i].start) | pipe(children[i].ready), 0);
		children[i].pid = fork();
		if (children[i].pid == 0)
			serve_when_told(endpoint, children[i].start[0], children[i].ready[1]);
	}
}

static void start_service(int i)
{
	char byte;

	cr_assert_eq(write(children[i].start[1], "s", 1), 1);
	cr_assert_eq(read(children[i].ready[0], &byte, 1), 1);
}

static void kill_service(int i)
{
	kill(children[i].pid, SIGKILL);
	waitpid(children[i].pid, NULL, 0);
}

Test(connection, what_a_killed_service_had_is_lost_and_the_rest_goes_on, .timeout = 60)
{
	char endpoint[64];
	dxh_completion held, later;
	dxh_reply reply;

	strcpy(endpoint, test_endpoint());
	fork_services(endpoint);
	start_service(0);
	connect_to(endpoint);
	for (int round = 0; round < 3; round++) {
		must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
		must(dxh_post(peer, "hold", NULL, 0, SOON, &held));
		/* Behind it on the same connection: it has arrived when this is back. */
		must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
		kill_service(round);
		must_be(dxh_await(held, SOON, &reply), DXH_ELOST, "maybe executed");
		cr_expect_eq(reply.certainty, DXH_MAYBE_EXECUTED);
		must(dxh_release(held));
		must(dxh_post(peer, "echo", NULL, 0, SOON, &later));
		start_service(round + 1);
		must(dxh_await(later, SOON, NULL));
		must(dxh_release(later));
	}
	cr_expect_eq(test_stats(hub).lost, 3);
	must(test_hub_close(&hub));
	kill_service(3);
}

Test(connection, notifications_wait_for_the_next_one, .timeout = 60)
{
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	test_echo_open(&echo, endpoint, NULL);
	connect_to(endpoint);
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	test_echo_close(&echo);
	test_wait_for(&states_seen[DXH_PEER_WAITING], 1);
	for (int i = 0; i < 1000; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	test_echo_open(&echo, endpoint, NULL);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	test_wait_for(&echo.notifications, 1000);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

Test(connection, closing_a_peer_ends_what_it_had, .timeout = 30)
{
	dxh_completion sent, unsent;
	dxh_peer *nobody;

	test_echo_open(&echo, test_endpoint(), NULL);
	connect_to(dxh_service_endpoint(echo.service));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &nobody));
	must(dxh_post(peer, "hold", NULL, 0, DXH_FOREVER, &sent));
	must(dxh_post(nobody, "x", NULL, 0, DXH_FOREVER, &unsent));
	test_wait_for(&echo.held_count, 1);
	must(dxh_peer_close(&peer));
	must(dxh_peer_close(&nobody));
	must_be(dxh_peer_close(&peer), DXH_EINVAL, NULL);
	must_be(dxh_await(sent, DXH_FOREVER, NULL), DXH_ECLOSED, "maybe executed");
	must_be(dxh_await(unsent, DXH_FOREVER, NULL), DXH_ECLOSED, "not sent");
	must(dxh_release(sent));
	must(dxh_release(unsent));
	test_echo_release(&echo);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

/* ---- others that speak ZeroMQ ---- */

static void *context, *raw;

/* A bare socket at an endpoint, in place of a service or of a client. */
static void open_raw(int type, const char *endpoint, bool bind)
{
	int zero = 0, timeout_ms = 20000;

	test_needs_sockets();
	context = zmq_ctx_new();
	raw = zmq_socket(context, type);
	zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(raw, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	cr_assert_eq(bind ? zmq_bind(raw, endpoint) : zmq_connect(raw, endpoint), 0);
}

static void close_raw(void)
{
	zmq_close(raw);
	zmq_ctx_term(context);
}

static size_t hello_frame(void *bytes, uint8_t kind, uint16_t major)
{
	dxi_hello hello = {.major = major,
	                   .incarnation = 77,
	                   .name = "stranger",
	                   .frame_bytes = 16384,
	                   .window_records = 10};
	unsigned char body[DXI_HELLO_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(bytes, 4096);

	cr_assert(dxi_frame_append(
		&writer, &(dxi_record){.kind = kind,
	                               .body = body,
	                               .body_bytes = dxi_hello_write(&hello, body, sizeof body)}));
	return dxi_frame_end(&writer);
}

/* In place of a service: what the client said HELLO from, and an answer to it. */
static unsigned char client_id[64];
static size_t client_id_bytes;

static void hear_hello(void)
{
	unsigned char frame[4096];
	int bytes = zmq_recv(raw, client_id, sizeof client_id, 0);

	cr_assert_gt(bytes, 0);
	client_id_bytes = (size_t)bytes;
	cr_assert_gt(zmq_recv(raw, frame, sizeof frame, 0), 0);
}

static void answer_client(const void *frame, size_t bytes)
{
	zmq_send(raw, client_id, client_id_bytes, ZMQ_SNDMORE);
	zmq_send(raw, frame, bytes, 0);
}

static void welcome_client(uint16_t major)
{
	_Alignas(8) unsigned char frame[4096];

	answer_client(frame, hello_frame(frame, DXI_WELCOME, major));
}

Test(stranger, a_service_of_another_major_is_refused, .timeout = 30)
{
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	open_raw(ZMQ_ROUTER, endpoint, true);
	connect_to(endpoint);
	hear_hello();
	welcome_client(DXI_PROTOCOL_MAJOR + 1);
	test_wait_for(&states_seen[DXH_PEER_REFUSED], 1);
	must(test_hub_close(&hub));
	close_raw();
}

Test(stranger, a_service_that_never_answers_hello_is_given_up_in_time, .timeout = 30)
{
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	open_raw(ZMQ_ROUTER, endpoint, true);
	must(test_hub_open(&(dxh_hub_config){.connect_timeout_ns = 20000000}, &hub));
	must(dxh_peer_connect(hub, endpoint,
	                      &(dxh_peer_config){.on_state = on_state, .context = &hub}, &peer));
	test_wait_for(&states_seen[DXH_PEER_WAITING], 2);
	cr_expect_eq(states_seen[DXH_PEER_READY], 0);
	must(test_hub_close(&hub));
	close_raw();
}

/* Every connection within this host that nobody accepts gets to itself: no port but the one it
 * asks for is free. false: this system does not let us make such a host. */
static bool enter_host_of_one_port(const char *port)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int any, fd, length;
	char range[32];
	bool made;

	if (unshare(CLONE_NEWNET) == -1)
		return false;
	any = socket(AF_INET, SOCK_DGRAM, 0);
	fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
	length = snprintf(range, sizeof range, "%s %s", port, port);
	made = ioctl(any, SIOCSIFFLAGS, &loopback) == 0 &&
	       write(fd, range, (size_t)length) == length;
	close(fd);
	close(any);
	return made;
}

Test(connection, that_leads_back_to_itself_is_given_up_and_in_nobodys_way, .timeout = 60)
{
	const dxh_hub_config patient = {.connect_timeout_ns = DXH_FOREVER};

	test_needs_sockets();
	if (!enter_host_of_one_port("45871"))
		cr_skip_test("no network of our own");
	must(test_hub_open(&patient, &hub));
	must(dxh_peer_connect(hub, "tcp://127.0.0.1:45871",
	                      &(dxh_peer_config){.on_state = on_state, .context = &hub}, &peer));
	test_wait_for(&states_seen[DXH_PEER_WAITING], 3);
	test_echo_open(&echo, "tcp://127.0.0.1:45871", NULL);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

Test(stranger, a_socket_of_another_kind_fails_the_handshake, .timeout = 30)
{
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	open_raw(ZMQ_PUB, endpoint, true);
	connect_to(endpoint);
	test_wait_for(&states_seen[DXH_PEER_WAITING], 2);
	must(test_hub_close(&hub));
	close_raw();
}

Test(stranger, a_refusal_with_more_behind_it_ends_the_connection_once, .timeout = 30)
{
	_Alignas(8) unsigned char frame[4096];
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	open_raw(ZMQ_ROUTER, endpoint, true);
	connect_to(endpoint);
	for (uint64_t round = 1; round <= 20; round++) {
		dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

		hear_hello();
		/* The first record ends the connection while the others are unread. */
		dxi_frame_append(&writer, &(dxi_record){.kind = DXI_ERROR,
		                                        .status = DXH_EVERSION,
		                                        .body = "other\n\033[2J",
		                                        .body_bytes = 10});
		for (int i = 0; i < 3; i++)
			dxi_frame_append(&writer, &(dxi_record){.kind = DXI_GOODBYE});
		answer_client(frame, dxi_frame_end(&writer));
		/* What follows the end must not make the peer ready. */
		for (int i = 0; i < 3; i++)
			welcome_client(DXI_PROTOCOL_MAJOR);
		test_wait_for(&states_seen[DXH_PEER_REFUSED], round);
	}
	cr_expect_eq(states_seen[DXH_PEER_READY], 0);
	must(test_hub_close(&hub));
	close_raw();
}

Test(stranger, replies_to_nothing_are_counted_and_dropped, .timeout = 30)
{
	_Alignas(8) unsigned char frame[4096];
	char endpoint[64];

	strcpy(endpoint, test_endpoint());
	open_raw(ZMQ_ROUTER, endpoint, true);
	connect_to(endpoint);
	hear_hello();
	welcome_client(DXI_PROTOCOL_MAJOR);
	test_wait_state(peer, DXH_PEER_READY);
	for (uint64_t i = 0; i < 100; i++) {
		dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

		dxi_frame_append(&writer, &(dxi_record){.kind = DXI_REPLY,
		                                        .id = i * UINT64_C(0x9e3779b97f4a7c15)});
		answer_client(frame, dxi_frame_end(&writer));
	}
	while (test_stats(hub).replies_foreign + test_stats(hub).replies_late < 100)
		;
	must(test_hub_close(&hub));
	close_raw();
}

Test(stranger, hostile_frames_leave_the_service_serving, .timeout = 60)
{
	enum { FRAMES = 3000 };
	_Alignas(8) unsigned char frame[4096];
	unsigned random = 4711;
	size_t bytes;
	uint64_t bad;

	test_needs_sockets();
	test_echo_open(&echo, test_endpoint(), NULL);
	connect_to(dxh_service_endpoint(echo.service));
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	open_raw(ZMQ_DEALER, dxh_service_endpoint(echo.service), false);
	/* A request before HELLO, an empty frame, two parts, nonsense. */
	bytes = hello_frame(frame, DXI_REQUEST, 1);
	zmq_send(raw, frame, bytes, 0);
	zmq_send(raw, "", 0, 0);
	zmq_send(raw, "DXH1", 4, ZMQ_SNDMORE);
	zmq_send(raw, "DXH1", 4, 0);
	/* Then a good HELLO with every byte broken in turn, and random ones. */
	for (int i = 0; i < FRAMES; i++) {
		bytes = hello_frame(frame, DXI_HELLO, DXI_PROTOCOL_MAJOR);
		random = random * 1103515245u + 12345u;
		frame[(unsigned)i % bytes] ^= (unsigned char)(random >> 16 | 1);
		zmq_send(raw, frame, bytes, 0);
	}
	zmq_send(raw, frame, hello_frame(frame, DXI_HELLO, DXI_PROTOCOL_MAJOR), 0);
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	while (test_stats(echo.hub).frames_received < FRAMES + 5)
		;
	bad = test_stats(echo.hub).frames_bad;
	cr_expect_geq(bad, FRAMES / 6, "only %llu of %d broken frames were noticed",
	              (unsigned long long)bad, FRAMES);
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	close_raw();
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

Test(stranger, a_client_beyond_its_window_is_answered_overloaded, .timeout = 30)
{
	test_needs_sockets();
	_Alignas(8) unsigned char frame[4096];
	const dxh_service_config config = {.client_window = 5};
	dxi_frame_writer writer;
	dxi_frame_reader reader;
	dxi_record record;
	int overloaded = 0, bytes;

	test_echo_open(&echo, test_endpoint(), &config);
	open_raw(ZMQ_DEALER, dxh_service_endpoint(echo.service), false);
	zmq_send(raw, frame, hello_frame(frame, DXI_HELLO, DXI_PROTOCOL_MAJOR), 0);
	writer = dxi_frame_begin(frame, sizeof frame);
	for (uint64_t i = 0; i < 20; i++)
		cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_REQUEST,
		                                                  .id = i,
		                                                  .subject = "hold",
		                                                  .subject_bytes = 4}));
	zmq_send(raw, frame, dxi_frame_end(&writer), 0);
	while (overloaded < 15) {
		bytes = zmq_recv(raw, frame, sizeof frame, 0);
		cr_assert_gt(bytes, 0);
		must(dxi_frame_open(&reader, frame, (size_t)bytes));
		while (dxi_frame_next(&reader, &record) == DXH_OK)
			if (record.kind == DXI_ERROR && record.status == DXH_EOVERLOADED)
				overloaded++;
	}
	test_wait_for(&echo.held_count, 5);
	close_raw();
	test_echo_release(&echo);
	test_echo_close(&echo);
}

Test(stranger, a_client_that_never_reads_costs_no_processor_time, .timeout = 60)
{
	static _Alignas(8) unsigned char frame[DXI_FRAME_BYTES_MAX];
	static char body[8000];
	struct timespec before, after;
	double used_s;

	test_needs_sockets();
	test_echo_open(&echo, test_endpoint(), NULL);
	open_raw(ZMQ_DEALER, dxh_service_endpoint(echo.service), false);
	zmq_send(raw, frame, hello_frame(frame, DXI_HELLO, DXI_PROTOCOL_MAJOR), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		dxi_frame_writer writer = dxi_frame_begin(frame, sizeof frame);

		dxi_frame_append(&writer, &(dxi_record){.kind = DXI_REQUEST,
		                                        .id = i,
		                                        .subject = "echo",
		                                        .subject_bytes = 4,
		                                        .body = body,
		                                        .body_bytes = sizeof body});
		zmq_send(raw, frame, dxi_frame_end(&writer), 0);
	}
	test_wait_for(&echo.requests, 2000);
	/* Its answers fill the connection; the hub must wait for it asleep. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	usleep(400000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	used_s = (double)(after.tv_sec - before.tv_sec) +
	         (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	cr_expect_lt(used_s, 0.2, "used %.3f s of processor time in 0.4 s", used_s);
	/* Once it reads, all its answers come. */
	for (uint64_t answers = 0; answers < 2000;) {
		dxi_frame_reader reader;
		dxi_record record;
		int bytes = zmq_recv(raw, frame, sizeof frame, 0);

		cr_assert_gt(bytes, 0, "only %llu answers came", (unsigned long long)answers);
		must(dxi_frame_open(&reader, frame, (size_t)bytes));
		while (dxi_frame_next(&reader, &record) == DXH_OK)
			answers += record.kind == DXI_REPLY;
	}
	close_raw();
	test_echo_close(&echo);
}

/* ---- one client, two connections ---- */

enum { ME = 4711 };

typedef struct caller {
	void *socket;
	_Alignas(8) unsigned char frame[4096];
} caller;

static void call_as(caller *made, uint64_t incarnation, uint64_t connection)
{
	dxi_hello hello = {.major = DXI_PROTOCOL_MAJOR,
	                   .minor = DXI_PROTOCOL_MINOR,
	                   .incarnation = incarnation,
	                   .connection = connection,
	                   .name = "caller",
	                   .frame_bytes = 16384};
	int zero = 0, timeout_ms = 20000;
	unsigned char body[DXI_HELLO_BYTES_MAX];
	dxi_frame_writer writer = dxi_frame_begin(made->frame, sizeof made->frame);

	made->socket = zmq_socket(context, ZMQ_DEALER);
	zmq_setsockopt(made->socket, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(made->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
	cr_assert_eq(zmq_connect(made->socket, dxh_service_endpoint(echo.service)), 0);
	cr_assert(dxi_frame_append(
		&writer, &(dxi_record){.kind = DXI_HELLO,
	                               .body = body,
	                               .body_bytes = dxi_hello_write(&hello, body, sizeof body)}));
	zmq_send(made->socket, made->frame, dxi_frame_end(&writer), 0);
}

static void ask_for_flushed(caller *by)
{
	dxi_frame_writer writer = dxi_frame_begin(by->frame, sizeof by->frame);

	cr_assert(dxi_frame_append(&writer, &(dxi_record){.kind = DXI_FLUSH, .id = 9}));
	zmq_send(by->socket, by->frame, dxi_frame_end(&writer), 0);
}

/* The one record of the frame that comes next; of kind 0: the message was empty. */
static dxi_record hear_one(caller *on)
{
	int bytes = zmq_recv(on->socket, on->frame, sizeof on->frame, 0);
	dxi_frame_reader reader;
	dxi_record record = {.kind = 0};

	cr_assert_geq(bytes, 0, "nothing came");
	if (bytes > 0) {
		must(dxi_frame_open(&reader, on->frame, (size_t)bytes));
		must(dxi_frame_next(&reader, &record));
	}
	return record;
}

Test(stranger, the_hello_of_a_dead_connection_may_be_read_last, .timeout = 30)
{
	caller dead, live, next;
	dxi_record refusal;

	test_needs_sockets();
	context = zmq_ctx_new();
	test_echo_open(&echo, test_endpoint(), NULL);
	call_as(&live, ME, 2);
	cr_assert_eq(hear_one(&live).kind, DXI_WELCOME);
	call_as(&dead, ME, 1);
	refusal = hear_one(&dead);
	cr_expect_eq(refusal.kind, DXI_ERROR);
	cr_expect_eq(refusal.status, DXH_EPROTO);
	ask_for_flushed(&live);
	cr_expect_eq(hear_one(&live).kind, DXI_FLUSHED, "the live connection was given up");
	/* A newer one replaces it, and it is told so when it speaks. */
	call_as(&next, ME, 3);
	cr_assert_eq(hear_one(&next).kind, DXI_WELCOME);
	ask_for_flushed(&live);
	cr_expect_eq(hear_one(&live).kind, 0, "who is not known is left to wait");
	ask_for_flushed(&next);
	cr_expect_eq(hear_one(&next).kind, DXI_FLUSHED);
	zmq_close(dead.socket);
	zmq_close(live.socket);
	zmq_close(next.socket);
	zmq_ctx_term(context);
	test_echo_close(&echo);
}

Test(stranger, a_client_that_its_service_has_forgotten_hears_so_at_once, .timeout = 30)
{
	/* Beats would find out only after this. */
	const dxh_peer_config patient = {.beat_ns = INT64_MAX, .silence_ns = INT64_MAX};
	caller thief;

	test_needs_sockets();
	context = zmq_ctx_new();
	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), &patient, &peer));
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	call_as(&thief, peer->incarnation, 1);
	cr_assert_eq(hear_one(&thief).kind, DXI_WELCOME);
	must_be(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL), DXH_ELOST,
	        "does not know");
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	zmq_close(thief.socket);
	zmq_ctx_term(context);
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}
