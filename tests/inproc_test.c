/* SPDX-License-Identifier: MIT */
/* What only inproc does: it stays within the hub, opens nothing, and both ends of a
 * connection go with one hub, in whatever order. What it has in common with the others is
 * tested by their tests, which also run over it. */
#include "tests/support/pair.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(inproc, .timeout = 60);

static char name[64];
static dxh_service *service;

static void make_name(void)
{
	static int count;

	snprintf(name, sizeof name, "inproc://test-%d", count++);
}

static dxh_service *bind_to(dxh_hub *where, const char *endpoint)
{
	dxh_service *bound;

	must(dxh_service_bind(where, endpoint, NULL, &bound));
	return bound;
}

static dxh_peer *connect_to(dxh_hub *where, const char *endpoint)
{
	dxh_peer *made;

	must(dxh_peer_connect(where, endpoint, NULL, &made));
	return made;
}

static dxh_completion post(dxh_peer *to, int64_t deadline_ns)
{
	dxh_completion done;

	must(dxh_post(to, "x", "1", 1, deadline_ns, &done));
	return done;
}

static void expect_end(dxh_completion done, dxh_status status, dxh_certainty certainty)
{
	dxh_reply reply;

	must_be(dxh_await(done, SOON, &reply), status, NULL);
	cr_expect_eq(reply.certainty, certainty, "%s", dxh_certainty_text(reply.certainty));
	must(dxh_release(done));
}

/* ---- names ---- */

Test(inproc, names_and_keys_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {"inproc://", "inproc://*", "inproc:/x"};
	static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

	make_name();
	must(dxh_hub_open(NULL, &hub));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		must_be(dxh_peer_connect(hub, bad[i], NULL, &peer), DXH_EINVAL, bad[i]);
		must_be(dxh_service_bind(hub, bad[i], NULL, &service), DXH_EINVAL, bad[i]);
	}
	must_be(dxh_peer_connect(hub, name, &(dxh_peer_config){.server_key = key}, &peer),
	        DXH_EINVAL, "set no keys");
	service = bind_to(hub, name);
	cr_expect_str_eq(dxh_service_endpoint(service), name);
	must_be(dxh_service_bind(hub, name, NULL, &service), DXH_EBUSY, "in use");
	must(dxh_hub_close(&hub));
}

Test(inproc, a_service_with_keys_is_refused)
{
	char path[128], key[DXH_KEY_BYTES];

	make_name();
	path_endpoint(path, sizeof path, "key");
	must(dxh_hub_open(NULL, &hub));
	must(dxh_key_make(path + strlen("ipc://"), key));
	must_be(dxh_service_bind(
			hub, name,
			&(dxh_service_config){.key_file = path + strlen("ipc://"), .allow_any = 1},
			&service),
	        DXH_EINVAL, "set no keys");
	remove(path + strlen("ipc://"));
	must(dxh_hub_close(&hub));
}

/* ---- one hub does not see another's ---- */

static char waiting_for[160];

static void on_state(void *context, dxh_peer *changed, dxh_peer_state state, const char *reason)
{
	(void)context, (void)changed;
	if (state == DXH_PEER_WAITING)
		snprintf(waiting_for, sizeof waiting_for, "%s", reason);
}

Test(inproc, a_name_is_of_one_hub)
{
	dxh_hub *other;
	dxh_service *mine, *others;
	dxh_request *request;
	dxh_completion done;

	make_name();
	must(dxh_hub_open(NULL, &hub));
	must(dxh_hub_open(NULL, &other));
	others = bind_to(other, name);
	must(dxh_peer_connect(hub, name, &(dxh_peer_config){.on_state = on_state}, &peer));
	expect_end(post(peer, dxh_in_ms(50)), DXH_EEXPIRED, DXH_NOT_SENT);
	cr_expect(strstr(waiting_for, "nobody listens there in this hub"), "%s", waiting_for);
	mine = bind_to(hub, name); /* the same name, not the same place */
	done = post(peer, SOON);
	must(dxh_service_receive(mine, SOON, &request));
	must(dxh_request_reply(request, NULL, 0));
	expect_end(done, DXH_OK, DXH_REPLIED);
	must_be(dxh_service_receive(others, DXH_NOW, &request), DXH_EWAIT, NULL);
	cr_expect_eq(test_stats(other).frames_received, 0);
	must(dxh_hub_close(&other));
	must(dxh_hub_close(&hub));
}

/* The next try of a peer may be far away; a service that comes is noticed at once. */
Test(inproc, who_waits_for_a_service_is_connected_when_it_comes)
{
	enum { HOUR_S = 3600, PEERS = 8 };
	static const dxh_hub_config patient = {.reconnect_min_ns = INT64_C(1000000000) * HOUR_S,
	                                       .reconnect_max_ns = INT64_C(1000000000) * HOUR_S};
	dxh_peer *peers[PEERS];

	make_name();
	must(dxh_hub_open(&patient, &hub));
	for (int i = 0; i < PEERS; i++)
		peers[i] = connect_to(hub, name);
	for (int i = 0; i < PEERS; i++)
		test_wait_state(peers[i], DXH_PEER_WAITING);
	for (int round = 0; round < 3; round++) {
		service = bind_to(hub, name);
		for (int i = 0; i < PEERS; i++)
			must(dxh_flush(peers[i], DXH_FLUSH_REPLIED, SOON));
		must(dxh_service_close(&service));
		for (int i = 0; i < PEERS; i++)
			test_wait_state(peers[i], DXH_PEER_WAITING);
	}
	must(dxh_hub_close(&hub));
}

/* ---- nothing is opened ---- */

static int entries(const char *directory)
{
	DIR *opened = opendir(directory);
	int count = 0;

	while (readdir(opened))
		count++;
	closedir(opened);
	return count;
}

Test(inproc, takes_no_descriptor_and_no_thread_for_any_number_of_peers)
{
	enum { PEERS = 300 };
	int files, threads;

	make_name();
	must(dxh_hub_open(NULL, &hub));
	files = entries("/proc/self/fd");
	threads = entries("/proc/self/task");
	must(dxh_service_bind(hub, name, &(dxh_service_config){.clients_max = PEERS}, &service));
	for (int i = 0; i < PEERS; i++)
		must(dxh_flush(connect_to(hub, name), DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(entries("/proc/self/fd"), files);
	cr_expect_eq(entries("/proc/self/task"), threads);
	must(dxh_hub_close(&hub));
}

/* ---- bodies stay where they are ---- */

static _Atomic uint64_t given_back;

static void take_back(void *context, void *body)
{
	(void)context;
	free(body);
	given_back++;
}

static void open_both(uint64_t body_bytes_max)
{
	make_name();
	given_back = 0;
	must(dxh_hub_open(&(dxh_hub_config){.body_bytes_max = body_bytes_max}, &hub));
	service = bind_to(hub, name);
	peer = connect_to(hub, name);
}

static dxh_completion post_body(void *body, size_t bytes, uint32_t flags)
{
	dxh_request_item item = {.subject = "x",
	                         .body = body,
	                         .body_bytes = bytes,
	                         .deadline_ns = SOON,
	                         .flags = flags,
	                         .free_fn = flags & DXH_TRANSFER ? take_back : NULL};
	dxh_completion done;

	must(dxh_post_batch(peer, &item, 1, NULL, &done));
	return done;
}

static dxh_request *receive(const unsigned char **body, size_t wanted)
{
	dxh_request *request;
	size_t bytes;

	must(dxh_service_receive(service, SOON, &request));
	*body = dxh_request_body(request, &bytes);
	cr_assert_eq(bytes, wanted);
	return request;
}

Test(inproc, a_body_that_is_handed_over_is_read_where_it_lies_up_to_a_gibibyte)
{
	static const size_t sizes[] = {32 << 10, 256 << 10, (256 << 10) + 1, 5 << 20, 1 << 30};

	open_both(1 << 30);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned char *given = calloc(1, sizes[i]); /* no page of it is touched */
		dxh_completion done;
		const unsigned char *body;
		dxh_request *request;

		given[sizes[i] - 1] = 77;
		done = post_body(given, sizes[i], DXH_TRANSFER);
		request = receive(&body, sizes[i]);
		cr_expect_eq(body, given, "%zu bytes were copied", sizes[i]);
		cr_expect_eq(body[sizes[i] - 1], 77);
		cr_expect_eq(given_back, i, "it is still being read");
		must(dxh_request_reply(request, NULL, 0));
		expect_end(done, DXH_OK, DXH_REPLIED);
		test_wait_for(&given_back, i + 1);
	}
	must(dxh_hub_close(&hub));
	cr_expect_eq(given_back, sizeof sizes / sizeof *sizes);
}

Test(inproc, a_worker_reads_on_though_the_request_was_canceled)
{
	enum { BYTES = 1 << 20 };
	unsigned char *lent = malloc(BYTES), *borrowed = malloc(BYTES);
	dxh_completion done[2];
	const unsigned char *body[2];
	dxh_request *request[2];
	size_t wrong = 0;

	open_both(BYTES);
	memset(lent, 1, BYTES);
	memset(borrowed, 2, BYTES);
	done[0] = post_body(lent, BYTES, DXH_TRANSFER);
	request[0] = receive(&body[0], BYTES);
	done[1] = post_body(borrowed, BYTES, DXH_BORROW);
	request[1] = receive(&body[1], BYTES);
	for (int i = 0; i < 2; i++) {
		must(dxh_cancel(done[i], NULL));
		expect_end(done[i], DXH_ECANCELED, DXH_MAYBE_EXECUTED);
	}
	memset(borrowed, 3, BYTES); /* it is the caller's again */
	for (size_t i = 0; i < BYTES; i++)
		wrong += body[0][i] != 1 || body[1][i] != 2;
	cr_expect_eq(wrong, 0);
	cr_expect_eq(given_back, 0);
	for (int i = 0; i < 2; i++)
		dxh_request_release(request[i]);
	test_wait_for(&given_back, 1);
	must(dxh_hub_close(&hub));
	free(borrowed);
}

Test(inproc, what_was_copied_lies_at_a_multiple_of_8)
{
	static const char *const subjects[] = {"1", "1234567", "12345678", "123456789"};
	static unsigned char copied[100000];
	const unsigned char *body;
	dxh_completion done;

	open_both(0);
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
		for (size_t bytes = 64; bytes <= sizeof copied; bytes *= 5) {
			must(dxh_post(peer, subjects[i], copied, bytes, SOON, &done));
			dxh_request_release(receive(&body, bytes));
			cr_expect_eq((uintptr_t)body % 8, 0, "%zu bytes", bytes);
			must(dxh_release(done));
		}
	must(dxh_hub_close(&hub));
}

/* An answer may lie within the body that came, also where that was only lent. */
Test(inproc, a_piece_of_what_came_is_an_answer)
{
	enum { BYTES = 3 << 20, FROM = 1000, PIECE = 2 << 20 };
	static const uint32_t flags[] = {0, DXH_TRANSFER, DXH_BORROW, DXH_IDEMPOTENT,
	                                 DXH_IDEMPOTENT | DXH_TRANSFER};

	open_both(BYTES);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		unsigned char *given = malloc(BYTES);
		const unsigned char *body;
		dxh_completion done;
		dxh_request *request;
		dxh_reply reply;

		for (size_t at = 0; at < BYTES; at++)
			given[at] = (unsigned char)(at * 7 + i);
		done = post_body(given, BYTES, flags[i]);
		request = receive(&body, BYTES);
		must(dxh_request_reply(request, body + FROM, PIECE));
		must(dxh_await(done, SOON, &reply));
		cr_assert_eq(reply.body_bytes, PIECE);
		for (size_t at = 0; at < PIECE; at++)
			cr_assert_eq(((const unsigned char *)reply.body)[at],
			             (unsigned char)((at + FROM) * 7 + i));
		must(dxh_release(done));
		if (!(flags[i] & DXH_TRANSFER))
			free(given);
	}
	must(dxh_hub_close(&hub));
	cr_expect_eq(given_back, 2);
}

/* A worker that never returns what it has read cannot keep it beyond the hub. */
Test(inproc, what_no_worker_returned_is_given_back_when_the_hub_closes)
{
	enum { BYTES = 1 << 20 };
	const unsigned char *body;
	dxh_completion done[2];

	open_both(BYTES);
	done[0] = post_body(malloc(BYTES), BYTES, DXH_TRANSFER);
	(void)receive(&body, BYTES);
	done[1] = post_body(malloc(BYTES), BYTES, DXH_TRANSFER);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	must(dxh_hub_close(&hub));
	cr_expect_eq(given_back, 2);
	for (int i = 0; i < 2; i++)
		must(dxh_release(done[i]));
}

/* ---- the end, in every order ---- */

enum { SIZES = 4, EACH = 8, OPEN = SIZES * EACH };

/* Requests of every way a body travels, handed over; some are with a worker when this
 * returns. */
static void post_some(dxh_peer *to, dxh_completion *done, dxh_request **held)
{
	static const size_t sizes[SIZES] = {1, 3000, 100000, 3 << 20};

	for (int i = 0; i < OPEN; i++) {
		size_t bytes = sizes[i % SIZES];
		dxh_request_item item = {.subject = "x",
		                         .body = calloc(1, bytes),
		                         .body_bytes = bytes,
		                         .deadline_ns = SOON,
		                         .flags = DXH_TRANSFER,
		                         .free_fn = take_back};

		must(dxh_post_batch(to, &item, 1, NULL, &done[i]));
	}
	for (int i = 0; i < EACH; i++)
		must(dxh_service_receive(service, SOON, &held[i]));
}

static void expect_all_ended(dxh_completion *done)
{
	for (int i = 0; i < OPEN; i++) {
		dxh_status status = dxh_await(done[i], SOON, NULL);

		cr_expect(status == DXH_OK || status == DXH_ECLOSED || status == DXH_ELOST, "%s",
		          dxh_last_error());
		must(dxh_release(done[i]));
	}
}

static const dxh_hub_config large = {.body_bytes_max = 4 << 20, .reconnect_min_ns = 1000000};

typedef enum order { SERVICE_FIRST, PEER_FIRST, HUB_WITH_BOTH, DRAIN_FIRST, ORDERS } order;

static void end_in(order how)
{
	dxh_completion done[OPEN];
	dxh_request *held[EACH];

	make_name();
	given_back = 0;
	must(dxh_hub_open(&large, &hub));
	service = bind_to(hub, name);
	peer = connect_to(hub, name);
	post_some(peer, done, held);
	for (int i = 0; i < EACH / 2; i++)
		must(dxh_request_reply(held[i], "ok", 2));
	switch (how) {
	case SERVICE_FIRST:
		must(dxh_service_close(&service));
		must(dxh_peer_close(&peer));
		break;
	case PEER_FIRST:
		must(dxh_peer_close(&peer));
		must(dxh_service_close(&service));
		break;
	case DRAIN_FIRST:
		must_be(dxh_hub_drain(hub, dxh_in_ms(20), NULL), DXH_EWAIT, NULL);
		break;
	default:
		break;
	}
	for (int i = EACH / 2; i < EACH; i++)
		must(dxh_request_reply(held[i], "late", 4));
	must(dxh_hub_close(&hub));
	expect_all_ended(done);
	cr_expect_eq(given_back, OPEN, "%llu of %d bodies were given back",
	             (unsigned long long)given_back, OPEN);
}

Test(inproc, both_ends_go_in_any_order_and_every_body_is_given_back_once)
{
	for (int round = 0; round < 5; round++)
		for (order how = SERVICE_FIRST; how < ORDERS; how++)
			end_in(how);
}

Test(inproc, a_closed_service_answers_what_it_had_and_its_clients_are_told)
{
	dxh_request *request;
	dxh_completion with_worker, waiting, later;

	make_name();
	must(dxh_hub_open(&large, &hub));
	service = bind_to(hub, name);
	peer = connect_to(hub, name);
	with_worker = post(peer, SOON);
	must(dxh_service_receive(service, SOON, &request));
	waiting = post(peer, SOON);
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	must(dxh_service_close(&service));
	expect_end(with_worker, DXH_ECLOSED, DXH_REPLIED);
	expect_end(waiting, DXH_ECLOSED, DXH_REPLIED);
	must(dxh_request_reply(request, NULL, 0)); /* nobody waits for it any more */
	later = post(peer, SOON);
	test_wait_state(peer, DXH_PEER_WAITING);
	service = bind_to(hub, name);
	must(dxh_service_receive(service, SOON, &request));
	must(dxh_request_reply(request, NULL, 0));
	expect_end(later, DXH_OK, DXH_REPLIED);
	must(dxh_hub_close(&hub));
}

Test(inproc, a_client_that_goes_is_noticed_without_a_beat)
{
	dxh_request *request;
	int64_t deadline_ns = SOON;

	make_name();
	must(dxh_hub_open(NULL, &hub));
	service = bind_to(hub, name);
	peer = connect_to(hub, name);
	must(dxh_release(post(peer, SOON)));
	must(dxh_service_receive(service, SOON, &request));
	must(dxh_peer_close(&peer));
	while (!dxh_request_canceled(request))
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	dxh_request_release(request);
	cr_expect_eq(test_stats(hub).replies_dropped, 1);
	must(dxh_hub_close(&hub));
}

/* ---- drain ---- */

static const dxh_drain_row *row_of(dxh_lane lane, int of_service)
{
	const dxh_drain_row *row;

	for (size_t i = 0; (row = dxh_hub_drain_row(hub, i)); i++)
		if (row->lane == lane && (row->client != NULL) == of_service)
			return row;
	return NULL;
}

Test(inproc, a_drain_tells_of_both_ends)
{
	dxh_request *request;
	dxh_completion done;
	dxh_drain_report report;
	dxh_peer *lonely;

	make_name();
	must(dxh_hub_open(&(dxh_hub_config){.name = "both"}, &hub));
	service = bind_to(hub, name);
	peer = connect_to(hub, name);
	lonely = connect_to(hub, "inproc://nobody");
	must(dxh_notify(lonely, "n", NULL, 0));
	done = post(peer, DXH_FOREVER);
	must(dxh_service_receive(service, SOON, &request));
	must_be(dxh_hub_drain(hub, dxh_in_ms(30), &report), DXH_EWAIT, "1 operations, 1 notific");
	cr_assert_not_null(row_of(DXH_LANE_REQUEST, 0));
	cr_expect_str_eq(row_of(DXH_LANE_REQUEST, 0)->endpoint, name);
	cr_expect_eq(row_of(DXH_LANE_REQUEST, 0)->unanswered, 1);
	cr_assert_not_null(row_of(DXH_LANE_REQUEST, 1));
	cr_expect_str_eq(row_of(DXH_LANE_REQUEST, 1)->client, "both");
	cr_expect_eq(row_of(DXH_LANE_REQUEST, 1)->unanswered, 1);
	cr_assert_not_null(row_of(DXH_LANE_NOTIFICATION, 0));
	cr_expect_eq(row_of(DXH_LANE_NOTIFICATION, 0)->unsent, 1);
	must(dxh_request_reply(request, NULL, 0));
	expect_end(done, DXH_ECLOSED, DXH_MAYBE_EXECUTED);
	must(dxh_hub_close(&hub));
}
