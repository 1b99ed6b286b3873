/* SPDX-License-Identifier: MIT */
/* Many threads at once where it is most in the way: a hub that drains under all its
 * posters, peers that are closed and connected again, thousands of completions that
 * are ended and given back in any order. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static test_echo echo;
static dxh_hub *hub;

/* The counters of the hub agree with each other, and nothing is left. */
static void expect_books(uint64_t posted)
{
	dxh_hub_stats stats = test_stats(hub);

	cr_expect_eq(stats.posted, posted, "%llu and not %llu", (unsigned long long)stats.posted,
	             (unsigned long long)posted);
	cr_expect_eq(stats.done + stats.errors + stats.expired + stats.canceled + stats.lost +
	                     stats.unsendable + stats.closed + stats.flushed,
	             posted);
	cr_expect_eq(stats.open_now, 0);
	cr_expect_eq(stats.slots_now, 0);
}

/* ---- draining ----------------------------------------------------------------------------- */

enum { THREADS = 64, OPEN = 8 };

static dxh_peer *shared;
static _Atomic uint64_t posted, ended[DXH_EUNKNOWN + 1], refused, warm;

/* Post until the hub refuses; every post comes back once. */
static void *post_until_refused(void *unused)
{
	dxh_completion done[OPEN];
	dxh_status status = DXH_OK;

	while (status == DXH_OK || status == DXH_EFULL) {
		int count = 0;

		while (count < OPEN &&
		       (status = dxh_post(shared, "echo", "x", 1, SOON, &done[count])) == DXH_OK)
			count++;
		posted += (unsigned)count;
		for (int i = 0; i < count; i++) {
			ended[dxh_await(done[i], DXH_FOREVER, NULL)]++;
			must(dxh_release(done[i]));
		}
		warm++;
	}
	cr_assert(status == DXH_EDRAINING || status == DXH_ECLOSED, "%s", dxh_last_error());
	refused++;
	return unused;
}

Test(crowd, sixty_four_threads_post_while_their_hub_drains, .timeout = 120)
{
	pthread_t threads[THREADS];
	dxh_drain_report report;
	uint64_t sum = 0;

	test_echo_open(&echo, test_endpoint(), NULL);
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &shared));
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, post_until_refused, NULL), 0);
	test_wait_for(&warm, 4 * (uint64_t)THREADS);
	must(dxh_hub_drain(hub, SOON, &report));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i <= DXH_EUNKNOWN; i++)
		sum += ended[i];
	cr_expect_eq(sum, posted);
	cr_expect_eq(refused, THREADS);
	cr_expect_eq(report.abandoned, 0);
	cr_expect_gt(ended[DXH_OK], 0);
	expect_books(posted);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

/* ---- peers that come and go --------------------------------------------------------------------- */

enum { COMERS = 8, TIMES = 40 };

/* A peer of its own, closed while its posts are open: they end as what they are. */
static void *come_and_go(void *context)
{
	const char *endpoint = context;
	dxh_completion done[OPEN];
	dxh_peer *own;

	for (int i = 0; i < TIMES; i++) {
		must(dxh_peer_connect(hub, endpoint, NULL, &own));
		if (i % 4 == 0) /* now and then it stands before it goes */
			must(dxh_request_sync(own, "echo", NULL, 0, SOON, NULL, 0, NULL));
		for (int k = 0; k < OPEN; k++)
			must(dxh_post(own, k % 2 ? "echo" : "drop", "x", 1, DXH_FOREVER, &done[k]));
		posted += OPEN + (i % 4 == 0);
		(void)!dxh_notify(own, "note", "x", 1);
		must(dxh_peer_close(&own));
		for (int k = 0; k < OPEN; k++) {
			dxh_status status = dxh_await(done[k], DXH_FOREVER, NULL);

			cr_assert(status == DXH_OK || status == DXH_EREJECTED ||
			                  status == DXH_ECLOSED,
			          "%s", dxh_last_error());
			must(dxh_release(done[k]));
		}
	}
	return NULL;
}

Test(crowd, peers_are_closed_and_connected_again_beside_each_other, .timeout = 120)
{
	pthread_t threads[COMERS];
	static char endpoint[64];

	snprintf(endpoint, sizeof endpoint, "%s", test_endpoint());
	test_echo_open(&echo, endpoint, NULL);
	must(test_hub_open(NULL, &hub));
	for (int i = 0; i < COMERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, endpoint), 0);
	for (int i = 0; i < COMERS; i++)
		pthread_join(threads[i], NULL);
	expect_books(posted);
	must(test_hub_close(&hub));
	test_echo_close(&echo);
}

/* ---- hostile orders ------------------------------------------------------------------------------- */

enum { MANY = 8192, HANDS = 4 };

static dxh_completion many[MANY];

/* Backwards, in strides, and with all bits of the index turned round. */
static uint32_t place(uint32_t hand, uint32_t step)
{
	uint32_t turned = 0;

	switch (hand) {
	case 0:
		return MANY - 1 - step;
	case 1:
		return step * 3079 % MANY; /* odd, so each place once */
	case 2:
		for (uint32_t bit = 1, to = MANY / 2; bit < MANY; bit *= 2, to /= 2)
			turned |= step & bit ? to : 0;
		return turned;
	default:
		return step;
	}
}

/* Whoever comes to a place first ends it in its own way; all others find it stale, or
 * take their part in the race. */
static void *lay_hands_on(void *context)
{
	uint32_t hand = (uint32_t)(uintptr_t)context;
	dxh_status status;

	for (uint32_t step = 0; step < MANY; step++) {
		dxh_completion one = many[place(hand, step)];

		if (hand == 0) {
			status = dxh_cancel(one, NULL);
		} else if (hand == 1) {
			status = dxh_release(one);
		} else {
			status = hand == 2 ? dxh_poll(one) : dxh_result(one, NULL);
		}
		cr_assert(status == DXH_OK || status == DXH_EWAIT || status == DXH_ESTALE ||
		                  status == DXH_ECANCELED || status == DXH_EEXPIRED,
		          "%s", dxh_last_error());
	}
	return NULL;
}

static void post_many(dxh_peer *nobody)
{
	for (int i = 0; i < MANY; i++) /* a third expires meanwhile, in no order */
		must(dxh_post(nobody, "x", NULL, 0,
		              i % 3 ? DXH_FOREVER : dxh_in_us(i * 7919 % 20000), &many[i]));
}

Test(crowd, thousands_are_cancelled_expired_and_released_in_hostile_orders, .timeout = 120)
{
	const dxh_peer_config config = {.requests_max = 5 * MANY};
	pthread_t threads[HANDS];
	dxh_peer *nobody;

	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), &config, &nobody));
	for (int round = 1; round <= 4; round++) {
		post_many(nobody);
		for (uintptr_t i = 0; i < HANDS; i++)
			cr_assert_eq(pthread_create(&threads[i], NULL, lay_hands_on, (void *)i), 0);
		for (int i = 0; i < HANDS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < MANY; i++)
			must_be(dxh_release(many[i]), DXH_ESTALE, NULL);
	}
	must(dxh_peer_close(&nobody)); /* ends what was released and not cancelled */
	expect_books(4 * (uint64_t)MANY);
	must(test_hub_close(&hub));
}
