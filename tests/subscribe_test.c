/* SPDX-License-Identifier: MIT */
/* Subscriptions: who gets what, in order, and what is lost is counted exactly. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/pair.h"

#include "runtime/topics.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static dxh_subscription *subscription;

static void setup(void)
{
	open_pair(test_endpoint(), NULL, NULL);
}

static void teardown(void)
{
	if (subscription)
		must(dxh_subscription_close(&subscription));
	close_pair();
}

TestSuite(subscribe, .init = setup, .fini = teardown, .timeout = 60);

static dxh_subscription *subscribe(const char *prefix, const dxh_subscription_config *config)
{
	dxh_subscription *made = NULL;

	must(dxh_subscribe(peer, prefix, config, &made));
	must(dxh_subscription_await(made, SOON));
	return made;
}

/* Again, as long as the I/O thread has too many to hand on. */
static void publish(const char *topic, uint64_t number)
{
	dxh_status status;

	do
		status = dxh_service_publish(echo.service, topic, &number, sizeof number);
	while (status == DXH_EFULL);
	must(status);
}

static uint64_t number_of(const dxh_note *note)
{
	uint64_t number;

	cr_assert_eq(note->body_bytes, sizeof number);
	memcpy(&number, note->body, sizeof number);
	return number;
}

static void expect_note(dxh_subscription *from, const char *topic, uint64_t number)
{
	const dxh_note *note;

	must(dxh_subscription_receive(from, SOON, &note));
	cr_expect_str_eq(note->topic, topic);
	cr_expect_eq(number_of(note), number);
	dxh_note_release(note);
}

static void expect_nothing(dxh_subscription *from)
{
	const dxh_note *note;

	/* Whatever was published before is in front of this answer. */
	must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
	must_be(dxh_subscription_receive(from, DXH_NOW, &note), DXH_EWAIT, "no note");
}

/* ---- who gets what --------------------------------------------------------------- */

Test(subscribe, a_topic_reaches_those_whose_prefix_it_begins_with)
{
	dxh_subscription *all = subscribe("", NULL), *door = subscribe("door", NULL);

	subscription = subscribe("door.left", NULL);
	publish("door.left.open", 1);
	publish("door.right", 2);
	publish("window", 3);
	publish("doo", 4);
	expect_note(subscription, "door.left.open", 1);
	expect_note(door, "door.left.open", 1);
	expect_note(door, "door.right", 2);
	expect_note(all, "door.left.open", 1);
	expect_note(all, "door.right", 2);
	expect_note(all, "window", 3);
	expect_note(all, "doo", 4);
	expect_nothing(subscription);
	expect_nothing(door);
	must(dxh_subscription_close(&all));
	must(dxh_subscription_close(&door));
}

Test(subscribe, what_was_published_before_does_not_come)
{
	publish("early", 1);
	subscription = subscribe("", NULL);
	publish("late", 2);
	expect_note(subscription, "late", 2);
	cr_expect_eq(test_stats(echo.hub).notes_published, 1);
}

Test(subscribe, notes_come_in_order_and_are_numbered)
{
	const dxh_note *note;

	subscription = subscribe("n", NULL);
	for (uint64_t i = 1; i <= 1000; i++) {
		publish("n", i);
		must(dxh_subscription_receive(subscription, SOON, &note));
		cr_assert_eq(number_of(note), i);
		cr_assert_eq(note->sequence, i);
		cr_assert_eq(note->lost, 0);
		cr_assert_eq(note->reconnected, 0);
		dxh_note_release(note);
	}
}

Test(subscribe, a_large_note_travels_alone)
{
	static char large[300000];
	const dxh_note *note;

	memset(large, 'x', sizeof large);
	subscription = subscribe("", NULL);
	publish("small", 1);
	must(dxh_service_publish(echo.service, "large", large, sizeof large));
	publish("small", 2);
	expect_note(subscription, "small", 1);
	must(dxh_subscription_receive(subscription, SOON, &note));
	cr_assert_eq(note->body_bytes, sizeof large);
	cr_expect_eq(memcmp(note->body, large, sizeof large), 0);
	dxh_note_release(note);
	expect_note(subscription, "small", 2);
}

Test(subscribe, one_that_is_closed_gets_nothing_more)
{
	dxh_subscription *other = subscribe("", NULL);

	subscription = subscribe("", NULL);
	publish("a", 1);
	expect_note(other, "a", 1);
	must(dxh_subscription_close(&other));
	publish("b", 2);
	expect_note(subscription, "a", 1);
	expect_note(subscription, "b", 2);
	must_be(dxh_subscription_close(&other), DXH_EINVAL, NULL);
}

Test(subscribe, a_note_outlives_its_subscription)
{
	const dxh_note *note;

	subscription = subscribe("", NULL);
	publish("a", 7);
	must(dxh_subscription_receive(subscription, SOON, &note));
	must(dxh_subscription_close(&subscription));
	cr_expect_eq(number_of(note), 7);
	dxh_note_release(note);
	dxh_note_release(NULL);
}

/* ---- losses ------------------------------------------------------------------------ */

Test(subscribe, a_full_inbox_loses_and_tells_exactly)
{
	dxh_subscription_config config = {.inbox_max = 7};
	dxh_subscription_stats stats;
	uint64_t received = 0, lost = 0, last = 0;
	const dxh_note *note;

	subscription = subscribe("", &config);
	for (uint64_t i = 1; i <= 5000; i++)
		publish("n", i);
	expect_nothing(subscribe("other", NULL)); /* the flood has passed */
	do {
		/* One more at a time, until the gap is told. */
		while (dxh_subscription_receive(subscription, DXH_NOW, &note) == DXH_OK) {
			cr_assert_eq(number_of(note), note->sequence);
			cr_assert_eq(note->sequence, last + note->lost + 1);
			received++;
			lost += note->lost;
			last = note->sequence;
			dxh_note_release(note);
		}
		if (last <= 5000) {
			publish("n", 5001);
			must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
		}
	} while (last <= 5000);
	cr_expect_eq(received + lost, 5001);
	cr_expect_gt(lost, 0);
	must(dxh_subscription_stats_get(subscription, &stats));
	cr_expect_eq(stats.received, received);
	cr_expect_eq(stats.lost, lost);
	cr_expect_eq(stats.waiting, 0);
}

Test(subscribe, a_full_inbox_of_bytes_loses_too)
{
	dxh_subscription_config config = {.inbox_bytes = 4096};
	const dxh_note *note;
	char body[1000] = {0};
	uint64_t got = 0;

	subscription = subscribe("", &config);
	for (int i = 0; i < 100; i++)
		must(dxh_service_publish(echo.service, "n", body, sizeof body));
	must(dxh_request_sync(peer, "echo", "", 0, SOON, NULL, 0, NULL));
	while (dxh_subscription_receive(subscription, DXH_NOW, &note) == DXH_OK) {
		got++;
		dxh_note_release(note);
	}
	cr_expect_eq(got, 3, "three of a thousand bytes and a head fit into 4096");
}

/* ---- after a reconnect ----------------------------------------------------------------- */

Test(subscribe, a_restarted_service_is_asked_again)
{
	char endpoint[64];
	dxh_subscription_stats stats;
	const dxh_note *note;

	snprintf(endpoint, sizeof endpoint, "%s", dxh_service_endpoint(echo.service));
	subscription = subscribe("", NULL);
	publish("before", 1);
	expect_note(subscription, "before", 1);
	test_echo_close(&echo);
	while (dxh_peer_state_get(peer) == DXH_PEER_READY) /* on what has just ended */
		;
	test_echo_open(&echo, endpoint, NULL);
	test_wait_state(peer, DXH_PEER_READY);
	must(dxh_subscription_await(subscription, SOON));
	publish("after", 2);
	must(dxh_subscription_receive(subscription, SOON, &note));
	cr_expect_eq(number_of(note), 2);
	cr_expect_eq(note->sequence, 1);
	cr_expect_eq(note->lost, 0);
	cr_expect_neq(note->reconnected, 0, "what was in between is not known");
	dxh_note_release(note);
	publish("after", 3);
	must(dxh_subscription_receive(subscription, SOON, &note));
	cr_expect_eq(note->reconnected, 0);
	dxh_note_release(note);
	must(dxh_subscription_stats_get(subscription, &stats));
	cr_expect_eq(stats.renewals, 1);
}

Test(subscribe, before_there_is_a_service_it_waits)
{
	dxh_peer *lonely;
	dxh_subscription *waiting;
	const char *endpoint = test_endpoint();
	dxh_service *late;
	const dxh_note *note;

	must(dxh_peer_connect(hub, endpoint, NULL, &lonely));
	must(dxh_subscribe(lonely, "x", NULL, &waiting));
	must_be(dxh_subscription_await(waiting, dxh_in_ms(5)), DXH_EWAIT, "not confirmed");
	must_be(dxh_subscription_receive(waiting, dxh_in_ms(5), &note), DXH_EWAIT, NULL);
	must(dxh_service_bind(echo.hub, endpoint, NULL, &late));
	must(dxh_subscription_await(waiting, SOON));
	must(dxh_service_publish(late, "xy", "1", 1));
	must(dxh_subscription_receive(waiting, SOON, &note));
	cr_expect_eq(note->reconnected, 0, "the first connection is no reconnect");
	dxh_note_release(note);
	/* Subscriptions go with their peer. */
	must(dxh_peer_close(&lonely));
	must(dxh_service_close(&late));
}

/* ---- limits and misuse -------------------------------------------------------------------- */

Test(subscribe, more_than_a_client_may_have_are_refused)
{
	dxh_subscription *more[65];

	for (int i = 0; i < 64; i++)
		more[i] = subscribe("p", NULL);
	must(dxh_subscribe(peer, "p", NULL, &more[64]));
	must_be(dxh_subscription_await(more[64], SOON), DXH_ELIMIT, "refuses");
	publish("p", 1);
	for (int i = 0; i < 64; i++)
		expect_note(more[i], "p", 1);
	for (int i = 0; i < 65; i++)
		must(dxh_subscription_close(&more[i]));
}

Test(subscribe, arguments_are_checked)
{
	dxh_subscription_config config = {.inbox_max = UINT32_MAX};
	char topic[DXH_SUBJECT_MAX + 2];
	dxh_subscription *none = NULL;
	const dxh_note *note;

	memset(topic, 'x', sizeof topic - 1);
	topic[sizeof topic - 1] = '\0';
	must_be(dxh_subscribe(NULL, "", NULL, &none), DXH_EINVAL, NULL);
	must_be(dxh_subscribe(peer, NULL, NULL, &none), DXH_EINVAL, "prefix");
	must_be(dxh_subscribe(peer, topic, NULL, &none), DXH_EINVAL, "at most 255");
	must_be(dxh_subscribe(peer, "", &config, &none), DXH_EINVAL, "inbox_max");
	must_be(dxh_subscription_receive(NULL, DXH_NOW, &note), DXH_EINVAL, NULL);
	must_be(dxh_subscription_await(NULL, DXH_NOW), DXH_EINVAL, NULL);
	must_be(dxh_service_publish(NULL, "x", NULL, 0), DXH_EINVAL, NULL);
	must_be(dxh_service_publish(echo.service, "", NULL, 0), DXH_EINVAL, NULL);
	must_be(dxh_service_publish(echo.service, topic, NULL, 0), DXH_EINVAL, NULL);
	must_be(dxh_service_publish(echo.service, "x", NULL, 1), DXH_EINVAL, NULL);
	must_be(dxh_service_publish(echo.service, "x", topic, 1 << 30), DXH_ETOOBIG, NULL);
}

/* ---- event loops and threads ------------------------------------------------------------------ */

Test(subscribe, its_descriptor_tells_of_notes)
{
	struct pollfd ready;
	const dxh_note *note;

	subscription = subscribe("", NULL);
	ready = (struct pollfd){.fd = dxh_subscription_fd(subscription), .events = POLLIN};
	cr_assert_neq(ready.fd, -1);
	cr_expect_eq(dxh_subscription_fd(subscription), ready.fd);
	must_be(dxh_subscription_receive(subscription, DXH_NOW, &note), DXH_EWAIT, NULL);
	cr_expect_eq(poll(&ready, 1, 0), 0);
	for (uint64_t i = 0; i < 300; i++) {
		publish("n", i);
		cr_assert_eq(poll(&ready, 1, 20000), 1);
		must(dxh_subscription_receive(subscription, DXH_NOW, &note));
		dxh_note_release(note);
		must_be(dxh_subscription_receive(subscription, DXH_NOW, &note), DXH_EWAIT, NULL);
		cr_assert_eq(poll(&ready, 1, 0), 0);
	}
}

static _Atomic uint64_t seen;

static void *receive_until_closed(void *from)
{
	const dxh_note *note;

	while (dxh_subscription_receive(from, DXH_FOREVER, &note) == DXH_OK) {
		seen++;
		dxh_note_release(note);
	}
	return NULL;
}

Test(subscribe, several_threads_share_the_notes_and_end_at_close)
{
	pthread_t threads[3];
	const dxh_note *note;

	subscription = subscribe("", NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, receive_until_closed, subscription);
	for (uint64_t i = 0; i < 500; i++)
		publish("n", i);
	test_wait_for(&seen, 500);
	must(dxh_subscription_stop(subscription));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(seen, 500);
	must_be(dxh_subscription_receive(subscription, DXH_FOREVER, &note), DXH_ECLOSED, "stop");
	must_be(dxh_subscription_stop(NULL), DXH_EINVAL, NULL);
}

Test(subscribe, many_subscribers_of_one_service_each_get_their_own)
{
	enum { PEERS = 64, PREFIXES = 8 };
	dxh_peer *peers[PEERS];
	dxh_subscription *subs[PEERS][PREFIXES];
	char prefix[16];

	for (int p = 0; p < PEERS; p++) {
		must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peers[p]));
		for (int i = 0; i < PREFIXES; i++) {
			snprintf(prefix, sizeof prefix, "t%d", i);
			must(dxh_subscribe(peers[p], prefix, NULL, &subs[p][i]));
		}
	}
	for (int p = 0; p < PEERS; p++)
		for (int i = 0; i < PREFIXES; i++)
			must(dxh_subscription_await(subs[p][i], SOON));
	for (int i = 0; i < PREFIXES; i++) {
		snprintf(prefix, sizeof prefix, "t%d.x", i);
		publish(prefix, (uint64_t)i);
	}
	for (int p = 0; p < PEERS; p++) {
		for (int i = 0; i < PREFIXES; i++) {
			snprintf(prefix, sizeof prefix, "t%d.x", i);
			expect_note(subs[p][i], prefix, (uint64_t)i);
			expect_nothing(subs[p][i]);
		}
		must(dxh_peer_close(&peers[p]));
	}
	cr_expect_eq(test_stats(echo.hub).notes_published, PEERS * PREFIXES);
}

/* ---- the table of topics ------------------------------------------------------------------------ */

static unsigned matched;

static void count_match(void *context, dxi_topic *topic)
{
	(void)context, (void)topic;
	matched++;
}

/* Every prefix and topic of up to three letters of {a, b}: the table against the
 * definition. */
Test(topics, the_small_world_is_matched_as_defined, .timeout = 10)
{
	static dxi_topic topics[15];
	static dxi_topics table;
	const char *words[15] = {"",    "a",   "b",   "aa",  "ab",  "ba",  "bb", "aaa",
	                         "aab", "aba", "abb", "baa", "bab", "bba", "bbb"};

	for (unsigned set = 0; set < 1u << 15; set += 37) {
		for (int i = 0; i < 15; i++)
			if (set >> i & 1)
				dxi_topics_add(&table, &topics[i], words[i], strlen(words[i]));
		for (int t = 0; t < 15; t++) {
			unsigned wanted = 0;

			for (int i = 0; i < 15; i++)
				wanted += (set >> i & 1) &&
				          strncmp(words[t], words[i], strlen(words[i])) == 0;
			matched = 0;
			dxi_topics_match(&table, words[t], strlen(words[t]), count_match, NULL);
			cr_assert_eq(matched, wanted, "set %#x, topic '%s'", set, words[t]);
		}
		for (int i = 0; i < 15; i++)
			if (set >> i & 1)
				dxi_topics_remove(&table, &topics[i]);
		cr_assert_eq(table.count, 0);
	}
}
