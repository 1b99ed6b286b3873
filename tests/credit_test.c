/* SPDX-License-Identifier: MIT */
/* What may be in flight to a peer, in requests and in bytes: refused by name, waited
 * for, and all of it back in the end. */
/* Also run over inproc, see test_hub_open(). */
#include "runtime/peer.h"
#include "tests/support/pair.h"

static void expect_all_free(void)
{
	/* The credit comes back right after the end that was awaited; a call to the I/O
	 * thread comes behind it. */
	must(dxh_flush(peer, DXH_FLUSH_SENT, SOON));
	cr_expect_eq(dxi_credit_free(&peer->requests).things, peer->requests.total.things);
	cr_expect_eq(dxi_credit_free(&peer->requests).bytes, peer->requests.total.bytes);
}

Test(credit, of_bytes_and_of_things_are_taken_together_or_not_at_all, .timeout = 5)
{
	dxi_credit credit;

	dxi_credit_init(&credit, (dxi_amount){3, 100});
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){1, 101}));
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){4, 1}));
	cr_expect(dxi_credit_take(&credit, (dxi_amount){1, 60}));
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){1, 41}));
	cr_expect_eq(dxi_credit_free(&credit).things, 2);
	cr_expect_eq(dxi_credit_free(&credit).bytes, 40);
	dxi_credit_give(&credit, (dxi_amount){1, 60});
	cr_expect(dxi_credit_take(&credit, (dxi_amount){3, 100}));
}

Test(credit, has_limits_of_its_own, .timeout = 5)
{
	dxi_credit credit;

	dxi_credit_init(&credit, (dxi_amount){UINT32_MAX, UINT64_MAX});
	cr_expect_eq(credit.total.things, DXI_CREDIT_THINGS_MAX);
	cr_expect_eq(credit.total.bytes, DXI_CREDIT_BYTES_MAX);
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){1, UINT64_MAX}));
	cr_expect(dxi_credit_take(&credit, credit.total));
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){1, 0}));
	cr_expect_not(dxi_credit_take(&credit, (dxi_amount){0, 1}));
}

Test(credit, of_bytes_is_refused_with_the_bound_and_what_is_needed, .timeout = 20)
{
	char body[1000] = "";
	dxh_completion first, second;

	open_pair(test_endpoint(), NULL, &(dxh_peer_config){.requests_bytes = 1500});
	must(dxh_post(peer, "hold", body, sizeof body, SOON, &first));
	must_be(dxh_post(peer, "hold", body, sizeof body, SOON, &second), DXH_EFULL,
	        "1004 of 1500 bytes are in flight");
	must_be(dxh_post(peer, "hold", body, sizeof body, SOON, &second), DXH_EFULL,
	        "raise requests_bytes");
	must(dxh_post(peer, "hold", body, 400, SOON, &second));
	test_wait_for(&echo.held_count, 2);
	test_echo_release(&echo);
	must(dxh_await(first, SOON, NULL));
	must(dxh_await(second, SOON, NULL));
	expect_all_free();
	must(dxh_release(first));
	must(dxh_release(second));
	close_pair();
}

Test(credit, for_more_bytes_than_there_will_ever_be_is_another_refusal, .timeout = 20)
{
	char body[2000] = "";
	dxh_completion done[2];
	dxh_request_item items[2] = {
		{.subject = "echo", .body = body, .body_bytes = 800, .deadline_ns = DXH_FOREVER},
		{.subject = "echo", .body = body, .body_bytes = 800, .deadline_ns = DXH_FOREVER}};

	open_pair(test_endpoint(), NULL, &(dxh_peer_config){.requests_bytes = 1500});
	must_be(dxh_post(peer, "echo", body, sizeof body, SOON, done), DXH_ETOOBIG,
	        "requests_bytes");
	must_be(dxh_post_batch(peer, items, 2, NULL, done), DXH_EINVAL, "requests_bytes");
	expect_all_free();
	close_pair();
}

static void *answer_held(void *unused)
{
	(void)unused;
	test_echo_release(&echo);
	return NULL;
}

Test(credit, of_bytes_is_waited_for_when_asked, .timeout = 20)
{
	char body[1000] = "";
	dxh_completion first, second;
	pthread_t thread;

	open_pair(test_endpoint(), NULL,
	          &(dxh_peer_config){.requests_bytes = 1500, .full_wait_ns = INT64_C(20000000000)});
	must(dxh_post(peer, "hold", body, sizeof body, SOON, &first));
	test_wait_for(&echo.held_count, 1);
	pthread_create(&thread, NULL, answer_held, NULL);
	must(dxh_post(peer, "echo", body, sizeof body, SOON, &second));
	pthread_join(thread, NULL);
	must(dxh_await(second, SOON, NULL));
	must(dxh_release(first));
	must(dxh_release(second));
	close_pair();
}

Test(credit, is_exact_after_a_hundred_thousand_ends_of_all_kinds, .timeout = 120)
{
	enum { ROUNDS = 3125, WINDOW = 32 };
	static char body[700];
	dxh_completion done[WINDOW];
	uint64_t posted = 0;

	open_pair(test_endpoint(), NULL, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < WINDOW; i++) {
			int kind = (round + i) % 5;
			int64_t deadline_ns = kind == 1 ? dxh_now_ns() : SOON;
			const char *subject = kind == 2 ? "reject" : "echo";

			must(dxh_post(peer, subject, body, (size_t)(round * 7 + i * 31) % 700,
			              deadline_ns, &done[i]));
			posted++;
			if (kind == 3)
				must(dxh_cancel(done[i], NULL));
			if (kind == 4)
				must(dxh_release(done[i]));
		}
		for (int i = 0; i < WINDOW; i++)
			if ((round + i) % 5 != 4) {
				(void)!dxh_await(done[i], SOON, NULL);
				must(dxh_release(done[i]));
			}
	}
	cr_expect_eq(posted, 100000);
	while (test_stats(hub).open_now > 0)
		sched_yield();
	expect_all_free();
	close_pair();
}

Test(flush, posted_ends_when_what_was_notified_before_it_was_taken, .timeout = 20)
{
	dxh_completion done[2];

	open_pair(test_endpoint(), NULL, NULL);
	for (int i = 0; i < 100; i++)
		must(dxh_notify(peer, "n", NULL, 0));
	must(dxh_flush_post(peer, DXH_FLUSH_REPLIED, SOON, &done[0]));
	must(dxh_flush_post(peer, DXH_FLUSH_SENT, SOON, &done[1]));
	for (int i = 0; i < 2; i++) {
		must(dxh_await(done[i], SOON, NULL));
		must(dxh_release(done[i]));
	}
	cr_expect_eq(test_stats(echo.hub).notifications_received, 100);
	close_pair();
}

Test(flush, posted_is_refused_or_ends_with_each_of_its_statuses, .timeout = 20)
{
	dxh_completion done, one;

	must(test_hub_open(&(dxh_hub_config){.operations_max = 1}, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &peer));
	must_be(dxh_flush_post(NULL, DXH_FLUSH_SENT, SOON, &done), DXH_EINVAL, "peer");
	must_be(dxh_flush_post(peer, (dxh_flush_level)7, SOON, &done), DXH_EINVAL, "level");
	must_be(dxh_flush_post(peer, DXH_FLUSH_SENT, SOON, NULL), DXH_EINVAL, "completion");
	must(dxh_flush_post(peer, DXH_FLUSH_REPLIED, dxh_in_ms(1), &done));
	must_be(dxh_await(done, SOON, NULL), DXH_EEXPIRED, NULL);
	must_be(dxh_flush_post(peer, DXH_FLUSH_SENT, SOON, &one), DXH_EFULL, "not released");
	must(dxh_release(done));
	must(test_hub_close(&hub));
}
