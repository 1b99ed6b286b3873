/* SPDX-License-Identifier: MIT */
/* Whose a body is: copied, borrowed or handed over; and given back exactly once. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"
#include "tests/support/pause.h"

#include <stdlib.h>

TestSuite(ownership, .timeout = 60);

/* A body that is handed over, and how often it was given back. */
typedef struct loan {
	unsigned char *bytes;
	size_t count;
	_Atomic uint64_t given_back;
} loan;

static void take_back(void *context, void *body)
{
	loan *lent = context;

	if (body == lent->bytes) /* else it is never counted, and waited for in vain */
		lent->given_back++;
}

static void lend(loan *lent, size_t count)
{
	*lent = (loan){.bytes = malloc(count + 1), .count = count};
	for (size_t i = 0; i < count; i++)
		lent->bytes[i] = (unsigned char)(i * 7 + i / 256);
}

/* All holders have let go: it was given back once. */
static void expect_back(loan *lent)
{
	test_wait_for(&lent->given_back, 1);
	cr_expect_eq(lent->given_back, 1);
	free(lent->bytes);
}

static dxh_request_item transfer_of(const char *subject, loan *lent)
{
	return (dxh_request_item){.subject = subject,
	                          .body = lent->bytes,
	                          .body_bytes = lent->count,
	                          .deadline_ns = SOON,
	                          .flags = DXH_TRANSFER,
	                          .free_fn = take_back,
	                          .free_context = lent};
}

static const size_t sizes[] = {0, 1, 60, 97, 5000, 32768, 100000, 300000};
enum { SIZES = sizeof sizes / sizeof *sizes };

Test(ownership, what_is_copied_may_change_at_once)
{
	open_pair(test_endpoint(), NULL, NULL);
	for (size_t i = 0; i < SIZES; i++) {
		dxh_completion done;
		dxh_reply reply;
		test_pause pause;
		loan lent;

		lend(&lent, sizes[i]);
		test_pause_begin(&pause, hub);
		must(dxh_post(peer, "echo", lent.bytes, lent.count, SOON, &done));
		memset(lent.bytes, 0xee, lent.count);
		test_pause_end(&pause);
		must(dxh_await(done, SOON, &reply));
		cr_assert_eq(reply.body_bytes, sizes[i]);
		for (size_t k = 0; k < reply.body_bytes; k++)
			cr_assert_eq(((const unsigned char *)reply.body)[k],
			             (unsigned char)(k * 7 + k / 256));
		must(dxh_release(done));
		free(lent.bytes);
	}
	close_pair();
}

Test(ownership, what_is_borrowed_is_not_read_after_the_end)
{
	open_pair(test_endpoint(), NULL, NULL);
	for (size_t i = 0; i < SIZES; i++) {
		dxh_request_item item;
		dxh_completion done;
		dxh_reply reply;
		loan lent;

		lend(&lent, sizes[i]);
		item = (dxh_request_item){.subject = "echo",
		                          .body = lent.bytes,
		                          .body_bytes = lent.count,
		                          .deadline_ns = SOON,
		                          .flags = DXH_BORROW};
		must(dxh_post_batch(peer, &item, 1, NULL, &done));
		must(dxh_await(done, SOON, &reply));
		cr_assert_eq(reply.body_bytes, lent.count);
		cr_assert_eq(memcmp(reply.body, lent.bytes, lent.count), 0);
		free(lent.bytes); /* a later reading is AddressSanitizer's to find */
		must(dxh_release(done));
	}
	close_pair();
}

/* In a queue that nobody takes from, the cancel is the end. */
Test(ownership, what_is_borrowed_and_canceled_is_not_read_any_more)
{
	dxh_request_item item = {.subject = "echo", .deadline_ns = SOON, .flags = DXH_BORROW};
	dxh_cancel_answer answer;
	dxh_completion done;
	test_pause pause;
	loan lent;

	open_pair(test_endpoint(), NULL, NULL);
	lend(&lent, 100000);
	item.body = lent.bytes;
	item.body_bytes = lent.count;
	test_pause_begin(&pause, hub);
	must(dxh_post_batch(peer, &item, 1, NULL, &done));
	must(dxh_cancel(done, &answer));
	cr_expect_eq(answer, DXH_CANCELED);
	free(lent.bytes);
	test_pause_end(&pause);
	must(dxh_release(done));
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(echo.requests, 0);
	close_pair();
}

Test(ownership, what_is_handed_over_is_given_back_once_whatever_the_end)
{
	static const char *const subjects[] = {"echo", "reject", "drop"};

	open_pair(test_endpoint(), NULL, NULL);
	for (size_t i = 0; i < SIZES; i++)
		for (size_t k = 0; k < 3; k++) {
			dxh_request_item item;
			dxh_completion done;
			dxh_reply reply;
			loan lent;

			lend(&lent, sizes[i]);
			item = transfer_of(subjects[k], &lent);
			must(dxh_post_batch(peer, &item, 1, NULL, &done));
			cr_assert_eq(dxh_await(done, SOON, &reply), k ? DXH_EREJECTED : DXH_OK);
			if (k == 0)
				cr_assert(reply.body_bytes == lent.count &&
				          memcmp(reply.body, lent.bytes, lent.count) == 0);
			must(dxh_release(done));
			expect_back(&lent);
		}
	close_pair();
}

Test(ownership, what_is_handed_over_is_given_back_when_it_was_never_sent)
{
	enum { COUNT = 3 };
	dxh_request_item items[COUNT];
	dxh_completion done[COUNT];
	loan lent[COUNT];
	test_pause pause;

	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &peer)); /* nobody listens there */
	for (size_t i = 0; i < COUNT; i++) {
		lend(&lent[i], 50000);
		items[i] = transfer_of("x", &lent[i]);
	}
	items[0].deadline_ns = dxh_in_ms(1);
	test_pause_begin(&pause, hub);
	must(dxh_post_batch(peer, items, COUNT, NULL, done));
	must(dxh_cancel(done[1], NULL)); /* before the I/O thread has it */
	test_pause_end(&pause);
	must_be(dxh_await(done[0], SOON, NULL), DXH_EEXPIRED, "not sent");
	must_be(dxh_await(done[1], SOON, NULL), DXH_ECANCELED, "not sent");
	expect_back(&lent[0]);
	expect_back(&lent[1]);
	cr_expect_eq(lent[2].given_back, 0);
	must(test_hub_close(&hub));
	cr_expect_eq(lent[2].given_back, 1, "all is given back when the hub has closed");
	expect_back(&lent[2]);
	for (size_t i = 0; i < COUNT; i++)
		must(dxh_release(done[i]));
}

Test(ownership, does_not_move_when_the_post_fails)
{
	dxh_request_item items[3];
	dxh_completion done[3];
	loan lent[3];

	must(test_hub_open(&(dxh_hub_config){.operations_max = 2}, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &peer));
	for (size_t i = 0; i < 3; i++) {
		lend(&lent[i], i * 50000);
		items[i] = transfer_of("x", &lent[i]);
	}
	must_be(dxh_post_batch(peer, items, 3, NULL, done), DXH_EFULL, "operations");
	items[1].flags |= DXH_BORROW;
	must_be(dxh_post_batch(peer, &items[1], 1, NULL, done), DXH_EINVAL, "not both");
	items[1].flags = DXH_TRANSFER;
	items[1].free_fn = NULL;
	must_be(dxh_post_batch(peer, &items[1], 1, NULL, done), DXH_EINVAL, "needs it");
	items[1].free_fn = take_back;
	items[1].flags = 0;
	must_be(dxh_post_batch(peer, &items[1], 1, NULL, done), DXH_EINVAL, "without");
	must(test_hub_close(&hub));
	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq(lent[i].given_back, 0);
		free(lent[i].bytes);
	}
}

/* ---- replies ---- */

static dxh_hub *server;
static dxh_service *service;

static dxh_request *asked(dxh_completion *done)
{
	dxh_request *request;

	must(dxh_post(peer, "ask", "?", 1, SOON, done));
	must(dxh_service_receive(service, SOON, &request));
	return request;
}

static void open_both(void)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
}

static void close_both(void)
{
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

Test(ownership, a_reply_that_is_handed_over_arrives_and_is_given_back_once)
{
	open_both();
	for (size_t i = 0; i < SIZES; i++) {
		dxh_completion done;
		dxh_reply reply;
		loan lent;

		lend(&lent, sizes[i]);
		must(dxh_request_reply_owned(asked(&done), lent.bytes, lent.count, take_back,
		                             &lent));
		must(dxh_await(done, SOON, &reply));
		cr_assert_eq(reply.body_bytes, lent.count);
		cr_assert_eq(memcmp(reply.body, lent.bytes, lent.count), 0);
		must(dxh_release(done));
		expect_back(&lent);
	}
	close_both();
}

Test(ownership, a_reply_that_nobody_reads_is_given_back)
{
	dxh_completion done;
	dxh_request *request;
	loan lent;

	open_both();
	request = asked(&done);
	must(dxh_peer_close(&peer));
	must(dxh_release(done));
	lend(&lent, 70000);
	must(dxh_request_reply_owned(request, lent.bytes, lent.count, take_back, &lent));
	must(test_hub_close(&server));
	expect_back(&lent);
	must(test_hub_close(&hub));
}

Test(ownership, of_a_reply_does_not_move_when_it_is_refused)
{
	dxh_completion done;
	dxh_request *request;
	loan lent;

	open_both();
	lend(&lent, 600000);
	must_be(dxh_request_reply_owned(NULL, lent.bytes, 1, take_back, &lent), DXH_EINVAL, NULL);
	must_be(dxh_request_reply_owned(asked(&done), lent.bytes, lent.count, take_back, &lent),
	        DXH_ETOOBIG, "600000");
	must_be(dxh_await(done, SOON, NULL), DXH_ETOOBIG, NULL);
	request = asked(&done);
	must_be(dxh_request_reply_owned(request, lent.bytes, 10, NULL, NULL), DXH_EINVAL,
	        "free_fn");
	must(dxh_request_reply(request, lent.bytes, 10));
	must(dxh_await(done, SOON, NULL));
	must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_service_receive(service, SOON, &request));
	must_be(dxh_request_reply_owned(request, lent.bytes, 10, take_back, &lent), DXH_ESTATE,
	        NULL);
	close_both();
	cr_expect_eq(lent.given_back, 0);
	free(lent.bytes);
}

Test(ownership, an_answer_may_be_any_piece_of_the_request)
{
	unsigned char body[3000];
	dxh_request *request;

	open_both();
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (unsigned char)(i * 7);
	for (size_t at = 0; at < sizeof body; at += 999) {
		dxh_completion done;
		dxh_reply reply;
		const unsigned char *received;

		must(dxh_post(peer, "ask", body, sizeof body, SOON, &done));
		must(dxh_service_receive(service, SOON, &request));
		received = dxh_request_body(request, NULL);
		must(dxh_request_reply(request, received + at, sizeof body - at));
		must(dxh_await(done, SOON, &reply));
		cr_assert_eq(reply.body_bytes, sizeof body - at);
		cr_assert_eq(memcmp(reply.body, body + at, sizeof body - at), 0);
		must(dxh_release(done));
	}
	close_both();
}
