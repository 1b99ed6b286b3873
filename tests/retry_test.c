/* SPDX-License-Identifier: MIT */
/* Trying again, and noticing that nobody is there any more. */
/* Also run over inproc, see test_hub_open(). */
#include "runtime/peer.h"
#include "tests/support/pair.h"
#include "tests/support/pause.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(retry, .timeout = 60);

static dxh_completion post(const char *subject, uint32_t flags, int64_t deadline_ns)
{
	dxh_completion done;

	must(dxh_post_batch(peer,
	                    &(dxh_request_item){.subject = subject,
	                                        .body = "x",
	                                        .body_bytes = 1,
	                                        .deadline_ns = deadline_ns,
	                                        .flags = flags},
	                    1, NULL, &done));
	return done;
}

static void expect_end(dxh_completion done, dxh_status status, dxh_certainty certainty)
{
	dxh_reply reply = {0};

	must_be(dxh_await(done, SOON, &reply), status, NULL);
	cr_expect_eq(reply.certainty, certainty);
	must(dxh_release(done));
}

/* ---- after a loss ------------------------------------------------------------------ */

/* A service of one request at a time, stepped by the test. */
static char place[128];
static dxh_hub *server;
static dxh_service *service;

static void open_stepped(const dxh_peer_config *config)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	snprintf(place, sizeof place, "%s", dxh_service_endpoint(service));
	must(test_hub_open(
		&(dxh_hub_config){.reconnect_min_ns = 1000000, .reconnect_max_ns = 5000000}, &hub));
	must(dxh_peer_connect(hub, place, config, &peer));
}

static dxh_request *receive(void)
{
	dxh_request *request;

	must(dxh_service_receive(service, SOON, &request));
	return request;
}

static void close_stepped(void)
{
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

/* A process that serves, once it is told to, until it is killed. It says 'b' when it
 * is bound, and 'r' for each request that it has received and does not answer.
 * Forked before the test has threads: see docs/decisions.md. */
typedef struct server_process {
	pid_t pid;
	int start;
} server_process;

static void serve(const char *endpoint, int to_parent, int answers)
{
	dxh_hub *own;
	dxh_service *own_service;
	dxh_request *request;

	if (dxh_hub_open(NULL, &own) != DXH_OK ||
	    dxh_service_bind(own, endpoint, NULL, &own_service) != DXH_OK ||
	    write(to_parent, "b", 1) != 1)
		_exit(1);
	while (dxh_service_receive(own_service, DXH_FOREVER, &request) == DXH_OK) {
		char attempt = (char)('0' + dxh_request_attempt(request));

		if (answers)
			dxh_request_reply(request, &attempt, 1);
		else if (write(to_parent, "r", 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static int channel[2];

static void expect_byte(char wanted)
{
	char byte = 0;

	cr_assert_eq(read(channel[0], &byte, 1), 1);
	cr_assert_eq(byte, wanted);
}

static server_process prepare(const char *endpoint, int answers)
{
	server_process made;
	int start[2];
	char byte;

	test_needs_sockets();
	if (channel[0] == 0)
		cr_assert_eq(pipe(channel), 0);
	cr_assert_eq(pipe(start), 0);
	made = (server_process){.pid = fork(), .start = start[1]};
	cr_assert_neq(made.pid, -1);
	if (made.pid == 0) {
		close(start[1]);
		alarm(60);
		if (read(start[0], &byte, 1) == 1)
			serve(endpoint, channel[1], answers);
		_exit(0);
	}
	close(start[0]);
	return made;
}

static void start(server_process process)
{
	cr_assert_eq(write(process.start, "s", 1), 1);
	expect_byte('b');
}

static void kill_server(server_process process)
{
	kill(process.pid, SIGKILL);
	cr_assert_eq(waitpid(process.pid, NULL, 0), process.pid);
	close(process.start);
}

static void connect_to_child(const dxh_peer_config *config, const char *endpoint)
{
	must(test_hub_open(
		&(dxh_hub_config){.reconnect_min_ns = 1000000, .reconnect_max_ns = 5000000}, &hub));
	must(dxh_peer_connect(hub, endpoint, config, &peer));
}

Test(retry, what_is_idempotent_is_sent_again_after_a_loss)
{
	const char *endpoint = test_endpoint();
	dxh_completion twice, once;
	dxh_reply reply;
	server_process first = prepare(endpoint, 0), second = prepare(endpoint, 1);

	start(first);
	connect_to_child(NULL, endpoint);
	twice = post("work", DXH_IDEMPOTENT, SOON);
	once = post("work", 0, SOON);
	expect_byte('r');
	expect_byte('r');
	kill_server(first);
	expect_end(once, DXH_ELOST, DXH_MAYBE_EXECUTED);
	start(second);
	must(dxh_await(twice, SOON, &reply));
	cr_expect_eq(reply.body_bytes, 1);
	cr_expect_eq(*(const char *)reply.body, '1', "the second attempt was answered");
	must(dxh_release(twice));
	cr_expect_eq(test_stats(hub).retries, 1);
	must(test_hub_close(&hub));
	kill_server(second);
}

Test(retry, a_retry_keeps_its_deadline_and_says_that_it_was_sent)
{
	const char *endpoint = test_endpoint();
	dxh_completion done;
	server_process only = prepare(endpoint, 0);

	start(only);
	connect_to_child(NULL, endpoint);
	done = post("work", DXH_IDEMPOTENT, dxh_in_ms(300));
	expect_byte('r');
	kill_server(only);
	expect_end(done, DXH_EEXPIRED, DXH_MAYBE_EXECUTED);
	must(test_hub_close(&hub));
}

Test(retry, retries_stay_a_small_share)
{
	enum { COUNT = 100, FREE = 10, EARNED = 1 };
	dxh_peer_config config = {.retry_percent = 1};
	const char *endpoint = test_endpoint();
	dxh_completion done[COUNT];
	dxh_hub_stats stats;
	unsigned lost = 0;
	server_process first = prepare(endpoint, 0), second = prepare(endpoint, 1);

	start(first);
	connect_to_child(&config, endpoint);
	for (int i = 0; i < COUNT; i++)
		done[i] = post("work", DXH_IDEMPOTENT, SOON);
	for (int i = 0; i < COUNT; i++)
		expect_byte('r');
	kill_server(first);
	start(second);
	for (int i = 0; i < COUNT; i++) {
		lost += dxh_await(done[i], SOON, NULL) == DXH_ELOST;
		must(dxh_release(done[i]));
	}
	stats = test_stats(hub);
	cr_expect_eq(lost, COUNT - FREE - EARNED);
	cr_expect_eq(stats.retries, FREE + EARNED);
	cr_expect_eq(stats.retries_refused, COUNT - FREE - EARNED);
	must(test_hub_close(&hub));
	kill_server(second);
}

Test(retry, no_more_often_than_allowed)
{
	enum { ATTEMPTS = 3 };
	dxh_peer_config config = {.retries_max = ATTEMPTS - 1};
	const char *endpoint = test_endpoint();
	server_process servers[ATTEMPTS];
	dxh_completion done;

	for (int i = 0; i < ATTEMPTS; i++)
		servers[i] = prepare(endpoint, 0);
	start(servers[0]);
	connect_to_child(&config, endpoint);
	done = post("work", DXH_IDEMPOTENT, SOON);
	for (int i = 0; i < ATTEMPTS; i++) {
		expect_byte('r');
		kill_server(servers[i]);
		if (i + 1 < ATTEMPTS)
			start(servers[i + 1]);
	}
	expect_end(done, DXH_ELOST, DXH_MAYBE_EXECUTED);
	cr_expect_eq(test_stats(hub).retries, ATTEMPTS - 1);
	must(test_hub_close(&hub));
}

/* ---- an overloaded service ------------------------------------------------------------ */

Test(retry, what_found_no_room_is_sent_again)
{
	enum { COUNT = 10 };
	dxh_service_config few = {.inbox_max = 7};
	dxh_peer_config config = {.retries_max = 100, .retry_percent = 100};
	dxh_completion done[COUNT];
	dxh_request *request;
	test_pause pause;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), &few, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), &config, &peer));
	test_wait_state(peer, DXH_PEER_READY);
	test_pause_begin(&pause, hub); /* all in one frame */
	for (int i = 0; i < COUNT; i++)
		done[i] = post("work", i == COUNT - 1 ? 0 : DXH_IDEMPOTENT, SOON);
	test_pause_end(&pause);
	/* The last may not be repeated, and the seven before it fill the inbox. */
	expect_end(done[COUNT - 1], DXH_EOVERLOADED, DXH_REPLIED);
	for (int i = 0; i < COUNT - 1; i++) {
		must(dxh_service_receive(service, SOON, &request));
		must(dxh_request_reply(request, "", 0));
	}
	for (int i = 0; i < COUNT - 1; i++)
		expect_end(done[i], DXH_OK, DXH_REPLIED);
	cr_expect_geq(test_stats(hub).retries, 2);
	close_stepped();
}

static void find_repeated(void *context, const char *line)
{
	*(unsigned *)context += strstr(line, "'work', 1 bytes: to be repeated, ") != NULL;
	if (strstr(line, "  peer "))
		cr_expect(strstr(line, ", 2 to be repeated, "), "%s", line);
}

Test(retry, a_dump_tells_what_rests_until_it_is_sent_again)
{
	enum { COUNT = 4 };
	dxh_service_config few = {.inbox_max = COUNT - 2};
	dxh_peer_config config = {
		.retry_percent = 100, .retry_min_ns = INT64_MAX, .retry_max_ns = INT64_MAX};
	dxh_completion done[COUNT];
	unsigned repeated = 0;
	test_pause pause;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), &few, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), &config, &peer));
	test_wait_state(peer, DXH_PEER_READY);
	test_pause_begin(&pause, hub); /* all in one frame */
	for (int i = 0; i < COUNT; i++)
		done[i] = post("work", DXH_IDEMPOTENT, SOON);
	test_pause_end(&pause);
	while (test_stats(hub).retries < 2)
		;
	must(dxh_hub_dump(hub, find_repeated, &repeated));
	cr_expect_eq(repeated, 2);
	for (int i = 0; i < COUNT; i++)
		must(dxh_release(done[i]));
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

static dxh_status count_acks(void *count)
{
	*(uint32_t *)count = peer->acks.count;
	return DXH_OK;
}

/* What came back at once is more than a frame of the smallest size can acknowledge. */
Test(retry, answers_are_acknowledged_however_small_frames_are)
{
	enum { COUNT = 1000 };
	static dxh_request *requests[COUNT];
	static dxh_completion done[COUNT];
	uint32_t acks = COUNT;
	int64_t until_ns;

	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(&(dxh_hub_config){.frame_bytes = 1024}, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	for (int i = 0; i < COUNT; i++)
		done[i] = post("a", DXH_IDEMPOTENT, SOON);
	for (int i = 0; i < COUNT; i++)
		requests[i] = receive();
	for (int i = 0; i < COUNT; i++)
		must(dxh_request_reply(requests[i], NULL, 0));
	for (int i = 0; i < COUNT; i++)
		expect_end(done[i], DXH_OK, DXH_REPLIED);
	until_ns = dxh_in_ms(20000);
	while (acks > 0 && dxh_now_ns() < until_ns)
		must(dxi_hub_call(hub, count_acks, &acks));
	cr_expect_eq(acks, 0, "%u are left", acks);
	close_stepped();
}

Test(retry, flags_and_pauses_are_checked)
{
	dxh_request_item item = {.subject = "x", .flags = 16};
	dxh_completion done;
	dxh_peer *none = NULL;

	open_stepped(NULL);
	must_be(dxh_post_batch(peer, &item, 1, NULL, &done), DXH_EINVAL, "flags 0x10");
	item.flags = DXH_IDEMPOTENT | DXH_HOLD;
	must_be(dxh_post_batch(peer, &item, 1, NULL, &done), DXH_EINVAL, "DXH_HOLD");
	must_be(dxh_peer_connect(hub, place, &(dxh_peer_config){.retries_max = 101}, &none),
	        DXH_EINVAL, "retries_max");
	must_be(dxh_peer_connect(hub, place, &(dxh_peer_config){.retry_min_ns = -1}, &none),
	        DXH_EINVAL, NULL);
	must_be(dxh_peer_connect(hub, place,
	                         &(dxh_peer_config){.beat_ns = 2000, .silence_ns = 1000}, &none),
	        DXH_EINVAL, "silence_ns");
	close_stepped();
}

/* ---- silence ---------------------------------------------------------------------------- */

enum { BEAT_NS = 5000000, SILENCE_NS = 100000000 };

Test(retry, a_service_that_is_silent_counts_as_gone)
{
	dxh_peer_config config = {.beat_ns = BEAT_NS, .silence_ns = SILENCE_NS};
	const char *endpoint = test_endpoint();
	dxh_completion done;
	server_process only = prepare(endpoint, 0);

	start(only);
	connect_to_child(&config, endpoint);
	test_wait_state(peer, DXH_PEER_READY);
	kill(only.pid, SIGSTOP);
	done = post("work", 0, SOON);
	must_be(dxh_await(done, SOON, NULL), DXH_ELOST, "has said nothing");
	must(dxh_release(done));
	kill(only.pid, SIGCONT);
	test_wait_state(peer, DXH_PEER_READY);
	must(test_hub_close(&hub));
	kill_server(only);
}

Test(retry, a_slow_service_that_answers_beats_is_waited_for)
{
	dxh_peer_config config = {.beat_ns = BEAT_NS, .silence_ns = SILENCE_NS};
	dxh_completion done;
	dxh_request *request;
	int64_t until_ns;

	open_stepped(&config);
	done = post("work", 0, SOON);
	request = receive();
	until_ns = dxh_in_ns(3 * (int64_t)SILENCE_NS);
	must_be(dxh_await(done, until_ns, NULL), DXH_EWAIT, NULL);
	cr_expect_eq(test_stats(hub).reconnects, 0);
	must(dxh_request_reply(request, "", 0));
	expect_end(done, DXH_OK, DXH_REPLIED);
	close_stepped();
}

Test(retry, of_whom_nothing_is_expected_nothing_is_asked)
{
	dxh_peer_config config = {.beat_ns = BEAT_NS, .silence_ns = SILENCE_NS};
	dxh_completion done;
	uint64_t frames;

	open_stepped(&config);
	done = post("work", 0, SOON);
	must(dxh_request_reply(receive(), "", 0));
	expect_end(done, DXH_OK, DXH_REPLIED);
	/* The last beat that was under way has had its time. */
	usleep(3 * BEAT_NS / 1000);
	frames = test_stats(hub).frames_sent;
	usleep(10 * BEAT_NS / 1000);
	cr_expect_eq(test_stats(hub).frames_sent, frames);
	close_stepped();
}
