/* SPDX-License-Identifier: MIT */
/* Draining with peers that are alive, frozen, dead, silent or never there: it ends in
 * time, and its rows tell what was left, lane by lane. */
#include "tests/support/support.h"

#include "runtime/service.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAIN_MS = 150 };

/* ---- a process that can be frozen ------------------------------------------------------ */

typedef struct other {
	pid_t pid;
	int told[2];  /* by it */
	int allow[2]; /* to it */
} other;

static void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(1);
}

static void hear(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(1);
}

static void run_service(const char *endpoint, const other *self)
{
	static test_echo echo;

	test_echo_open(&echo, endpoint, NULL);
	tell(self->told[1]);
	for (;;)
		pause();
}

/* Asks for more than the kernel holds of its answers, and then reads nothing. */
enum { LARGE = 256 * 1024, LARGE_COUNT = 100 };

static void run_client(const char *endpoint, const other *self)
{
	static unsigned char body[LARGE];
	dxh_completion done;
	dxh_hub *hub;
	dxh_peer *peer;

	hear(self->allow[0]);
	if (dxh_hub_open(&(dxh_hub_config){.name = "greedy"}, &hub) != DXH_OK ||
	    dxh_peer_connect(hub, endpoint, NULL, &peer) != DXH_OK)
		_exit(1);
	for (int i = 0; i < LARGE_COUNT; i++)
		if (dxh_post(peer, "hold", body, sizeof body, DXH_FOREVER, &done) != DXH_OK)
			_exit(1);
	for (;;)
		pause();
}

/* Before there are threads, see docs/decisions.md. */
static void start(other *process, void (*run)(const char *, const other *), const char *endpoint)
{
	cr_assert_eq(pipe(process->told) | pipe(process->allow), 0);
	process->pid = fork();
	if (process->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(endpoint, process);
	}
	cr_assert_gt(process->pid, 0);
}

static void freeze(const other *process)
{
	int status;

	kill(process->pid, SIGSTOP);
	cr_assert_eq(waitpid(process->pid, &status, WUNTRACED), process->pid);
	cr_assert(WIFSTOPPED(status));
}

static void end(const other *process)
{
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
}

/* ---- what a drain says ------------------------------------------------------------------- */

static dxh_drain_report report;

/* It has 50 ms beyond its deadline; a loaded machine more, but never for ever. */
static dxh_status drain(dxh_hub *hub)
{
	int64_t before_ns = dxh_now_ns();
	dxh_status status = dxh_hub_drain(hub, dxh_in_ms(DRAIN_MS), &report);

	cr_expect_lt(dxh_now_ns() - before_ns, INT64_C(10000000000));
	return status;
}

static const dxh_drain_row *row_of(const dxh_hub *hub, dxh_lane lane)
{
	const dxh_drain_row *row;

	for (size_t i = 0; (row = dxh_hub_drain_row(hub, i)); i++)
		if (row->lane == lane)
			return row;
	cr_assert_fail("no row of the lane '%s'", dxh_lane_name(lane));
	return NULL;
}

static size_t row_count(const dxh_hub *hub)
{
	size_t count = 0;

	while (dxh_hub_drain_row(hub, count))
		count++;
	return count;
}

static void expect_left(const dxh_hub *hub, dxh_lane lane, uint64_t unsent, uint64_t unsent_bytes,
                        uint64_t unanswered, uint64_t unanswered_bytes)
{
	const dxh_drain_row *row = row_of(hub, lane);

	cr_expect_eq(row->unsent, unsent, "%lu unsent", row->unsent);
	cr_expect_eq(row->unsent_bytes, unsent_bytes, "%lu bytes", row->unsent_bytes);
	cr_expect_eq(row->unanswered, unanswered, "%lu unanswered", row->unanswered);
	cr_expect_eq(row->unanswered_bytes, unanswered_bytes, "%lu bytes", row->unanswered_bytes);
}

/* What the header promises of the sums. */
static void expect_books_agree(const dxh_hub *hub)
{
	uint64_t operations = 0, notifications = 0;
	const dxh_drain_row *row;

	for (size_t i = 0; (row = dxh_hub_drain_row(hub, i)); i++) {
		if (row->client)
			continue;
		if (row->lane == DXH_LANE_NOTIFICATION)
			notifications += row->unsent;
		else
			operations += row->unsent + row->unanswered;
	}
	cr_expect_eq(operations, report.abandoned);
	cr_expect_eq(notifications, report.notifications_left);
	cr_expect_eq(report.rows_missing, 0);
}

static void expect_end(dxh_completion done, dxh_certainty certainty)
{
	dxh_reply reply;

	must_be(dxh_await(done, DXH_NOW, &reply), DXH_ECLOSED, NULL);
	cr_expect_eq(reply.certainty, certainty, "%s", dxh_certainty_text(reply.certainty));
	must(dxh_release(done));
}

/* ---- peers --------------------------------------------------------------------------------- */

Test(drain_rows, a_peer_that_is_alive_leaves_what_it_does_not_answer, .timeout = 60)
{
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion held, answered;
	const dxh_drain_row *row;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	must(dxh_post(peer, "hold", "12345", 5, DXH_FOREVER, &held));
	must(dxh_post(peer, "echo", "1", 1, DXH_FOREVER, &answered));
	must(dxh_notify(peer, "n", "1", 1));
	test_wait_for(&echo.held_count, 1);
	must(dxh_await(answered, SOON, NULL));
	cr_expect_null(dxh_hub_drain_row(hub, 0), "not drained yet");
	must_be(drain(hub), DXH_EWAIT, "1 operations, 0 notifications");
	cr_expect_eq(row_count(hub), 1);
	row = row_of(hub, DXH_LANE_REQUEST);
	cr_expect_str_eq(row->endpoint, dxh_service_endpoint(echo.service));
	cr_expect_null(row->client);
	cr_expect_eq(row->state, DXH_PEER_READY);
	cr_expect_str_eq(row->reason, "");
	expect_left(hub, DXH_LANE_REQUEST, 0, 0, 1, 4 + 5);
	expect_books_agree(hub);
	expect_end(held, DXH_MAYBE_EXECUTED);
	must(dxh_release(answered));
	must(dxh_hub_close(&hub));
	test_echo_release(&echo);
	test_echo_close(&echo);
}

Test(drain_rows, with_nothing_left_there_is_no_row, .timeout = 60)
{
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	for (int i = 0; i < 1000; i++)
		must(dxh_notify(peer, "n", "1", 1));
	must(dxh_hub_drain(hub, SOON, &report));
	cr_expect_eq(row_count(hub), 0);
	cr_expect_eq(report.notifications_sent, 1000);
	cr_expect_null(dxh_hub_drain_row(NULL, 0));
	cr_expect_str_eq(dxh_lane_name(DXH_LANE_CONTROL), "control");
	cr_expect_str_eq(dxh_lane_name((dxh_lane)3), "?");
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}

Test(drain_rows, a_peer_that_never_was_there_has_a_row_a_lane, .timeout = 60)
{
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion requests[2], flush;
	char endpoint[64];

	snprintf(endpoint, sizeof endpoint, "%s", test_endpoint());
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	must(dxh_post(peer, "a", "12", 2, DXH_FOREVER, &requests[0]));
	must(dxh_post(peer, "a", NULL, 0, DXH_FOREVER, &requests[1]));
	for (int i = 0; i < 3; i++)
		must(dxh_notify(peer, "n", "12345678", 8));
	must(dxh_flush_post(peer, DXH_FLUSH_SENT, DXH_FOREVER, &flush));
	test_wait_state(peer, DXH_PEER_WAITING);
	must_be(drain(hub), DXH_EWAIT, "3 operations, 3 notifications");
	must(dxh_peer_close(&peer)); /* the rows are the hub's */
	cr_expect_eq(row_count(hub), 3);
	cr_expect_str_eq(row_of(hub, DXH_LANE_REQUEST)->endpoint, endpoint);
	cr_expect_neq(row_of(hub, DXH_LANE_REQUEST)->state, DXH_PEER_READY);
	cr_expect(strstr(row_of(hub, DXH_LANE_REQUEST)->reason, "nobody listens there"));
	expect_left(hub, DXH_LANE_CONTROL, 1, 0, 0, 0);
	expect_left(hub, DXH_LANE_REQUEST, 2, 1 + 2 + 1, 0, 0);
	cr_expect_eq(row_of(hub, DXH_LANE_NOTIFICATION)->unsent, 3);
	cr_expect_geq(row_of(hub, DXH_LANE_NOTIFICATION)->unsent_bytes, 3 * 9);
	expect_books_agree(hub);
	expect_end(requests[0], DXH_NOT_SENT);
	expect_end(requests[1], DXH_NOT_SENT);
	expect_end(flush, DXH_NOT_SENT);
	must(dxh_hub_close(&hub));
}

Test(drain_rows, a_subscription_closed_before_it_was_asked_for_leaves_nothing, .timeout = 60)
{
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_subscription *subscription;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &peer));
	test_wait_state(peer, DXH_PEER_WAITING);
	must(dxh_subscribe(peer, "t", NULL, &subscription));
	must(dxh_subscription_close(&subscription));
	must(dxh_hub_drain(hub, SOON, &report));
	cr_expect_eq(row_count(hub), 0);
	must(dxh_hub_close(&hub));
}

Test(drain_rows, a_frozen_peer_leaves_requests_of_unknown_fate, .timeout = 60)
{
	const char *endpoint = test_endpoint();
	other service;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion done[5];

	start(&service, run_service, endpoint);
	hear(service.told[0]);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	freeze(&service);
	for (int i = 0; i < 5; i++)
		must(dxh_post(peer, "echo", "123", 3, DXH_FOREVER, &done[i]));
	must_be(drain(hub), DXH_EWAIT, "5 operations, 0 notifications");
	cr_expect_eq(row_count(hub), 1);
	cr_expect_eq(row_of(hub, DXH_LANE_REQUEST)->state, DXH_PEER_READY);
	expect_left(hub, DXH_LANE_REQUEST, 0, 0, 5, 5 * (4 + 3));
	expect_books_agree(hub);
	for (int i = 0; i < 5; i++)
		expect_end(done[i], DXH_MAYBE_EXECUTED);
	must(dxh_hub_close(&hub));
	end(&service);
}

Test(drain_rows, a_dead_peer_leaves_what_it_never_got, .timeout = 60)
{
	const char *endpoint = test_endpoint();
	other service;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion done;

	start(&service, run_service, endpoint);
	hear(service.told[0]);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	end(&service);
	test_wait_state(peer, DXH_PEER_WAITING);
	must(dxh_post(peer, "echo", "123", 3, DXH_FOREVER, &done));
	must_be(drain(hub), DXH_EWAIT, "1 operations");
	expect_left(hub, DXH_LANE_REQUEST, 1, 4 + 3, 0, 0);
	cr_expect_neq(row_of(hub, DXH_LANE_REQUEST)->state, DXH_PEER_READY);
	cr_expect_str_neq(row_of(hub, DXH_LANE_REQUEST)->reason, "");
	expect_end(done, DXH_NOT_SENT);
	must(dxh_hub_close(&hub));
}

Test(drain_rows, a_peer_that_says_nothing_is_still_connecting, .timeout = 60)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	char endpoint[64];
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion done;

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, bytes), 0);
	cr_assert_eq(listen(listener, 4), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
	snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	must(dxh_post(peer, "echo", NULL, 0, DXH_FOREVER, &done));
	must_be(drain(hub), DXH_EWAIT, "1 operations");
	cr_expect_eq(row_of(hub, DXH_LANE_REQUEST)->state, DXH_PEER_CONNECTING);
	expect_left(hub, DXH_LANE_REQUEST, 1, 4, 0, 0);
	expect_end(done, DXH_NOT_SENT);
	must(dxh_hub_close(&hub));
	close(listener);
}

/* ---- services -------------------------------------------------------------------------------- */

Test(drain_rows, a_service_tells_of_what_is_with_workers, .timeout = 60)
{
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_completion done[2];
	dxh_request *request, *notification;
	dxh_service *service;

	must(dxh_hub_open(NULL, &echo.hub));
	must(dxh_service_bind(echo.hub, test_endpoint(), NULL, &service));
	must(dxh_hub_open(&(dxh_hub_config){.name = "asker"}, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_post(peer, "one", "12", 2, DXH_FOREVER, &done[0]));
	must(dxh_service_receive(service, SOON, &request));
	must(dxh_post(peer, "two", "12", 2, DXH_FOREVER, &done[1]));
	must(dxh_notify(peer, "n", "1", 1));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON)); /* the service has both now */
	must(dxh_hub_drain(echo.hub, SOON, &report));
	cr_expect_eq(row_count(echo.hub), 2);
	cr_expect_str_eq(row_of(echo.hub, DXH_LANE_REQUEST)->client, "asker");
	cr_expect_str_eq(row_of(echo.hub, DXH_LANE_REQUEST)->endpoint,
	                 dxh_service_endpoint(service));
	expect_left(echo.hub, DXH_LANE_REQUEST, 0, 0, 2, 2 * (3 + 2));
	cr_expect_str_eq(row_of(echo.hub, DXH_LANE_NOTIFICATION)->client, "");
	cr_expect_eq(row_of(echo.hub, DXH_LANE_NOTIFICATION)->unanswered, 1);
	/* They can still be answered. */
	must(dxh_request_reply(request, NULL, 0));
	must(dxh_await(done[0], SOON, NULL));
	for (int i = 0; i < 2; i++) {
		must(dxh_service_receive(service, SOON, &notification));
		dxh_request_release(notification);
	}
	must_be(dxh_await(done[1], SOON, NULL), DXH_EREJECTED, NULL);
	must(dxh_hub_close(&echo.hub));
	must(dxh_release(done[0]));
	must(dxh_release(done[1]));
	must(dxh_hub_close(&hub));
}

/* It puts its answer where the request was, while the hub adds up what is left. */
Test(drain_rows, a_request_is_counted_whatever_its_worker_writes_into_it, .timeout = 60)
{
	dxh_hub *server, *hub;
	dxh_service *service;
	dxh_peer *peer;
	dxh_completion done;
	dxh_request *request;

	must(dxh_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must(dxh_post(peer, "one", "12", 2, DXH_FOREVER, &done));
	must(dxh_service_receive(service, SOON, &request));
	memset(request->storage, 'A', request->capacity);
	must(dxh_hub_drain(server, SOON, &report));
	expect_left(server, DXH_LANE_REQUEST, 0, 0, 1, 3 + 2);
	must(dxh_request_reply(request, NULL, 0));
	must(dxh_await(done, SOON, NULL));
	must(dxh_release(done));
	must(dxh_hub_close(&server));
	must(dxh_hub_close(&hub));
}

Test(drain_rows, answers_for_a_frozen_client_are_left, .timeout = 120)
{
	const char *endpoint = test_endpoint();
	static dxh_request *requests[LARGE_COUNT];
	static unsigned char body[LARGE];
	other client;
	dxh_hub *hub;
	dxh_service *service;
	const dxh_drain_row *row;

	start(&client, run_client, endpoint);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_service_bind(hub, endpoint, NULL, &service));
	tell(client.allow[1]);
	for (int i = 0; i < LARGE_COUNT; i++)
		must(dxh_service_receive(service, SOON, &requests[i]));
	freeze(&client);
	for (int i = 0; i < LARGE_COUNT; i++)
		must(dxh_request_reply(requests[i], body, sizeof body));
	must_be(drain(hub), DXH_EWAIT, "0 operations, 0 notifications");
	row = row_of(hub, DXH_LANE_REQUEST);
	cr_expect_str_eq(row->client, "greedy");
	cr_expect_str_eq(row->reason, "it does not read");
	cr_expect_gt(row->unsent, 0);
	cr_expect_eq(row->unsent, report.answers_left);
	cr_expect_eq(row->unsent_bytes, row->unsent * LARGE);
	cr_expect_eq(row->unanswered, 0);
	must(dxh_hub_close(&hub));
	end(&client);
}

Test(drain_rows, an_older_programs_report_is_filled_as_far_as_it_goes, .timeout = 20)
{
	dxh_drain_report older = {.answers_left = 77};
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_hub_drain_sized(offsetof(dxh_drain_report, answers_left), hub, SOON, &older));
	cr_expect_eq(older.answers_left, 77);
	cr_expect_eq(older.abandoned, 0);
	must(dxh_hub_close(&hub));
}
