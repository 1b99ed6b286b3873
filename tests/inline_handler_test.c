/* SPDX-License-Identifier: MIT */
/* Handlers on the I/O thread: who is called there, what they may do, when it ends. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static dxh_hub *server, *hub;
static dxh_service *service;
static dxh_peer *peer;

static void setup(void)
{
	must(test_hub_open(NULL, &server));
	must(dxh_service_bind(server, test_endpoint(), NULL, &service));
	must(test_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
}

static void teardown(void)
{
	must(test_hub_close(&hub));
	must(test_hub_close(&server));
}

TestSuite(inline_handler, .init = setup, .fini = teardown, .timeout = 60);

static dxh_completion ask(const char *subject, const void *body, size_t bytes)
{
	dxh_completion done;

	must(dxh_post(peer, subject, body, bytes, SOON, &done));
	return done;
}

static void expect_answer(dxh_completion done, const char *text)
{
	dxh_reply reply;

	must(dxh_await(done, SOON, &reply));
	cr_expect_eq(reply.body_bytes, strlen(text));
	cr_expect_eq(memcmp(reply.body, text, strlen(text)), 0, "not '%s'", text);
	must(dxh_release(done));
}

/* Answers with the name of its thread. */
static void tell_thread(void *unused, dxh_request *request)
{
	char name[16];

	(void)unused;
	pthread_getname_np(pthread_self(), name, sizeof name);
	must(dxh_request_reply(request, name, strlen(name)));
}

Test(inline_handler, runs_on_the_io_thread_and_answers_there)
{
	must(dxh_service_handle_inline(service, "who", tell_thread, NULL));
	expect_answer(ask("who", NULL, 0), "dxh-io");
	cr_expect_eq(test_stats(server).callbacks, 1);
	cr_expect_eq(test_stats(server).replies_sent, 1);
}

Test(inline_handler, other_subjects_go_to_the_workers)
{
	dxh_request *request;
	dxh_completion done;

	must(dxh_service_handle_inline(service, "who", tell_thread, NULL));
	done = ask("else", NULL, 0);
	expect_answer(ask("who", NULL, 0), "dxh-io");
	must(dxh_service_receive(service, SOON, &request));
	cr_expect_str_eq(dxh_request_subject(request), "else");
	must(dxh_request_reply(request, "worker", 6));
	expect_answer(done, "worker");
}

Test(inline_handler, the_empty_subject_gets_the_rest_but_not_what_workers_have)
{
	must(dxh_service_handle_inline(service, "", tell_thread, NULL));
	must(dxh_service_handle(service, "slow", tell_thread, NULL));
	dxh_completion done = ask("slow", NULL, 0);

	expect_answer(ask("anything", NULL, 0), "dxh-io");
	must_be(dxh_poll(done), DXH_EWAIT, NULL);
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	must(dxh_await(done, SOON, NULL));
}

static dxh_request *_Atomic kept;

static void keep(void *unused, dxh_request *request)
{
	(void)unused;
	atomic_store(&kept, request);
}

static dxh_request *await_kept(void)
{
	while (!atomic_load(&kept))
		;
	return atomic_load(&kept);
}

Test(inline_handler, may_answer_later_on_any_thread)
{
	dxh_completion done;

	must(dxh_service_handle_inline(service, "keep", keep, NULL));
	done = ask("keep", NULL, 0);
	must(dxh_request_reply(await_kept(), "later", 5));
	expect_answer(done, "later");
}

/* Answers what was kept, and its own request behind it. */
static void answer_both(void *unused, dxh_request *request)
{
	(void)unused;
	must(dxh_request_reply(await_kept(), "first", 5));
	must(dxh_request_reply(request, "second", 6));
}

Test(inline_handler, may_answer_others_too)
{
	dxh_completion first, second;

	must(dxh_service_handle_inline(service, "keep", keep, NULL));
	must(dxh_service_handle_inline(service, "both", answer_both, NULL));
	first = ask("keep", NULL, 0);
	second = ask("both", NULL, 0);
	expect_answer(first, "first");
	expect_answer(second, "second");
	cr_expect_eq(test_stats(server).requests_received, 2);
	cr_expect_eq(test_stats(server).replies_sent, 2);
}

/* Tries all that would wait. */
static void wait_in_vain(void *unused, dxh_request *request)
{
	dxh_service *closing = service;
	dxh_request *other;

	(void)unused;
	if (dxh_service_receive(service, DXH_FOREVER, &other) == DXH_EDEADLK &&
	    dxh_request_sync(peer, "s", NULL, 0, SOON, NULL, 0, NULL) == DXH_EDEADLK &&
	    dxh_service_close(&closing) == DXH_EDEADLK)
		must(dxh_request_reply(request, "refused", 7));
	else
		must(dxh_request_reply(request, "waited", 6));
}

Test(inline_handler, what_would_wait_is_refused)
{
	must(dxh_service_handle_inline(service, "wait", wait_in_vain, NULL));
	expect_answer(ask("wait", NULL, 0), "refused");
}

static void reject(void *unused, dxh_request *request)
{
	(void)unused;
	must(dxh_request_reject(request, DXH_EREJECTED, "no"));
}

static void drop(void *unused, dxh_request *request)
{
	(void)unused;
	dxh_request_release(request);
}

Test(inline_handler, may_reject_and_release)
{
	must(dxh_service_handle_inline(service, "reject", reject, NULL));
	must(dxh_service_handle_inline(service, "drop", drop, NULL));
	must_be(dxh_await(ask("reject", NULL, 0), SOON, NULL), DXH_EREJECTED, NULL);
	must_be(dxh_await(ask("drop", NULL, 0), SOON, NULL), DXH_EREJECTED, NULL);
}

/* One of the two kinds, whoever comes first. */
Test(inline_handler, a_subject_has_one_handler)
{
	must(dxh_service_handle(service, "a", keep, NULL));
	must_be(dxh_service_handle_inline(service, "a", keep, NULL), DXH_EEXIST, "a");
	must_be(dxh_service_handle_inline(service, "b", NULL, NULL), DXH_EINVAL, NULL);
	must_be(dxh_service_handle_inline(NULL, "b", keep, NULL), DXH_EINVAL, NULL);
}

typedef struct counted {
	uint32_t next, wrong;
} counted;

static void count(void *context, dxh_request *request)
{
	counted *own = context;
	size_t bytes;
	uint32_t number;

	memcpy(&number, dxh_request_body(request, &bytes), sizeof number);
	own->wrong += bytes != sizeof number || number != own->next ||
	              !dxh_request_is_notification(request);
	own->next++;
	dxh_request_release(request);
}

Test(inline_handler, notifications_come_in_order_and_others_go_to_workers)
{
	enum { COUNT = 5000 };
	counted here = {0};
	dxh_request *request;

	must(dxh_service_handle_inline(service, "n", count, &here));
	for (uint32_t i = 0; i < COUNT; i++) {
		while (dxh_notify(peer, "n", &i, sizeof i) == DXH_EFULL)
			;
		if (i % 1000 == 0)
			must(dxh_notify(peer, "w", &i, sizeof i));
	}
	must(dxh_flush(peer, DXH_FLUSH_REPLIED, SOON));
	for (int i = 0; i < COUNT / 1000; i++) {
		must(dxh_service_receive(service, SOON, &request));
		cr_expect_str_eq(dxh_request_subject(request), "w");
		dxh_request_release(request);
	}
	must(dxh_service_stop(service)); /* orders what the I/O thread wrote */
	cr_expect_eq(here.next, COUNT);
	cr_expect_eq(here.wrong, 0);
}

/* A body that comes in parts is whole when its handler is called. */
static void measure(void *unused, dxh_request *request)
{
	const unsigned char *body;
	char text[32];
	size_t bytes, good = 0;

	(void)unused;
	body = dxh_request_body(request, &bytes);
	for (size_t i = 0; i < bytes; i++)
		good += body[i] == (unsigned char)(i * 7);
	snprintf(text, sizeof text, "%zu of %zu", good, bytes);
	must(dxh_request_reply(request, text, strlen(text)));
}

Test(inline_handler, large_bodies_come_whole)
{
	enum { BYTES = 400000 };
	unsigned char *body = malloc(BYTES);

	for (size_t i = 0; i < BYTES; i++)
		body[i] = (unsigned char)(i * 7);
	must(dxh_service_handle_inline(service, "measure", measure, NULL));
	expect_answer(ask("measure", body, BYTES), "400000 of 400000");
	free(body);
}

/* Holds the thread up, by the clock that it is measured by. */
static void linger(void *unused, dxh_request *request)
{
	int64_t until_ns = dxh_in_ms(2);

	(void)unused;
	while (dxh_now_ns() < until_ns)
		;
	must(dxh_request_reply(request, NULL, 0));
}

Test(inline_handler, slow_ones_are_counted)
{
	must(dxh_service_handle_inline(service, "slow", linger, NULL));
	must(dxh_service_handle_inline(service, "who", tell_thread, NULL));
	must(dxh_await(ask("slow", NULL, 0), SOON, NULL));
	cr_expect_eq(test_stats(server).callbacks_slow, 1);
}

static _Atomic int calls;

static void count_call(void *unused, dxh_request *request)
{
	(void)unused;
	atomic_fetch_add(&calls, 1);
	must(dxh_request_reply(request, NULL, 0));
}

Test(inline_handler, none_runs_behind_the_stop)
{
	dxh_completion done;
	int before;

	must(dxh_service_handle_inline(service, "a", count_call, NULL));
	must(dxh_await(ask("a", NULL, 0), SOON, NULL));
	must(dxh_service_stop(service));
	before = atomic_load(&calls);
	done = ask("a", NULL, 0);
	while (test_stats(server).requests_received < 2)
		;
	must(dxh_service_close(&service));
	must_be(dxh_await(done, SOON, NULL), DXH_ECLOSED, NULL);
	cr_expect_eq(atomic_load(&calls), before);
}

/* The window counts what is kept, as it does what workers have. */
Test(inline_handler, what_is_kept_counts_in_the_window)
{
	dxh_service_config config = {.client_window = 1};
	dxh_service *narrow;
	dxh_peer *other;
	dxh_completion first, second;

	must(dxh_service_bind(server, test_endpoint(), &config, &narrow));
	must(dxh_service_handle_inline(narrow, "keep", keep, NULL));
	must(dxh_peer_connect(hub, dxh_service_endpoint(narrow), NULL, &other));
	must(dxh_post(other, "keep", NULL, 0, SOON, &first));
	dxh_request *one = await_kept();
	must(dxh_post(other, "keep", NULL, 0, SOON, &second));
	must_be(dxh_await(second, dxh_in_ms(20), NULL), DXH_EWAIT, NULL);
	cr_expect_eq(atomic_load(&kept), one);
	atomic_store(&kept, NULL);
	must(dxh_request_reply(one, NULL, 0));
	must(dxh_await(first, SOON, NULL));
	must(dxh_request_reply(await_kept(), NULL, 0));
	must(dxh_await(second, SOON, NULL));
}
