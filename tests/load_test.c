/* SPDX-License-Identifier: MIT */
/* Many threads, many requests: nothing is lost, nothing ends twice, and more
 * threads than processors do not make it collapse. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/support.h"

#include <unistd.h>

enum { THREADS = 16, POSTS = 1000000, WINDOW = 64 };

static test_echo echo;
static dxh_hub *hub;
static dxh_peer *peer;

/* Post with a window, check that each answer is that of its own request. */
static void *post_and_check(void *context)
{
	uint64_t base = (uint64_t)(uintptr_t)context << 32;
	dxh_completion done[WINDOW];
	dxh_reply reply;

	for (uint64_t i = 0; i < POSTS / THREADS + WINDOW; i++) {
		dxh_completion *mine = &done[i % WINDOW];
		uint64_t sent = base + i, expected = base + i - WINDOW;

		if (i >= WINDOW) {
			must(dxh_await(*mine, DXH_FOREVER, &reply));
			cr_assert_eq(reply.body_bytes, sizeof expected);
			cr_assert_eq(memcmp(reply.body, &expected, sizeof expected), 0);
			must(dxh_release(*mine));
		}
		if (i < POSTS / THREADS)
			must(dxh_post(peer, "echo", &sent, sizeof sent, DXH_FOREVER, mine));
	}
	return NULL;
}

Test(load, a_million_posts_of_sixteen_threads_all_come_back, .timeout = 300)
{
	pthread_t threads[THREADS];
	dxh_hub_stats stats;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, post_and_check, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stats = test_stats(hub);
	cr_expect_eq(stats.done, POSTS);
	cr_expect_eq(stats.slots_now, 0);
	cr_expect_leq(stats.doorbells, stats.wakeups, "one ring for each sleep at the most");
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

static _Atomic uint64_t ends[8]; /* by kind of end */

enum { OK, EXPIRED, CANCELED, ERROR, RELEASED, OTHER };

static void count(dxh_status status)
{
	ends[status == DXH_OK          ? OK
	     : status == DXH_EEXPIRED  ? EXPIRED
	     : status == DXH_ECANCELED ? CANCELED
	     : status == DXH_EREJECTED ? ERROR
	                               : OTHER]++;
}

/* Every way to end, at random: wait, cancel, expire, release early, be rejected. */
static void *post_at_random(void *context)
{
	unsigned random = (unsigned)(uintptr_t)context * 2654435761u + 1;

	for (int i = 0; i < 6000; i++) {
		static const char *subjects[] = {"echo", "reject", "drop", "echo"};
		dxh_completion done;

		random = random * 1103515245u + 12345u;
		must(dxh_post(peer, subjects[random >> 28 & 3], "x", 1,
		              random >> 20 & 7 ? SOON : dxh_in_us(random >> 16 & 255), &done));
		switch (random >> 24 & 3) {
		case 0:
			must(dxh_release(done));
			ends[RELEASED]++;
			continue;
		case 1:
			must(dxh_cancel(done, NULL));
			break;
		default:
			break;
		}
		count(dxh_await(done, DXH_FOREVER, NULL));
		must(dxh_release(done));
	}
	return NULL;
}

Test(load, every_operation_has_one_end_and_the_sums_agree, .timeout = 300)
{
	pthread_t threads[8];
	dxh_hub_stats stats;
	uint64_t sum = 0;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, post_at_random, (void *)i);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	must(dxh_hub_drain(hub, SOON, NULL));
	stats = test_stats(hub);
	for (int i = 0; i <= OTHER; i++)
		sum += ends[i];
	cr_expect_eq(sum, 8 * 6000);
	cr_expect_eq(ends[OTHER], 0);
	cr_expect_eq(stats.posted, sum);
	cr_expect_eq(stats.done + stats.errors + stats.expired + stats.canceled, sum);
	cr_expect_geq(stats.canceled, ends[CANCELED]);
	cr_expect_eq(stats.slots_now, 0, "all slots came home");
	for (int i = 0; i < OTHER; i++)
		cr_expect_gt(ends[i], 0, "the test did not try end %d", i);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}
