/* SPDX-License-Identifier: MIT */
/* Handlers by subject: who is called, on which thread, and what nobody handles. */
/* Also run over inproc, see test_hub_open(). */
#include "tests/support/support.h"

#include <stdatomic.h>
#include <stdio.h>

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

TestSuite(dispatch, .init = setup, .fini = teardown, .timeout = 60);

/* Answers with its context, a text. */
static void say(void *context, dxh_request *request)
{
	dxh_request_reply(request, context, strlen(context));
}

static dxh_completion ask(const char *subject)
{
	dxh_completion done;

	must(dxh_post(peer, subject, NULL, 0, SOON, &done));
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

Test(dispatch, each_subject_has_its_handler)
{
	dxh_completion a, b;
	size_t count = 0;

	must(dxh_service_handle(service, "a", say, "I am a"));
	must(dxh_service_handle(service, "ab", say, "I am ab"));
	a = ask("a");
	must(dxh_service_dispatch(service, 1, SOON, &count));
	cr_expect_eq(count, 1);
	expect_answer(a, "I am a");
	b = ask("ab");
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	expect_answer(b, "I am ab");
}

Test(dispatch, what_nobody_handles_is_answered_unknown_and_counted)
{
	dxh_completion done;

	must(dxh_service_handle(service, "a", say, "I am a"));
	done = ask("b");
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	must_be(dxh_await(done, SOON, NULL), DXH_EUNKNOWN, NULL);
	must(dxh_notify(peer, "b", NULL, 0));
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	cr_expect_eq(test_stats(server).requests_unknown, 2);
}

Test(dispatch, the_empty_subject_gets_the_rest)
{
	dxh_completion done;

	must(dxh_service_handle(service, "", say, "the rest"));
	must(dxh_service_handle(service, "a", say, "I am a"));
	done = ask("a");
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	expect_answer(done, "I am a");
	done = ask("anything");
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	expect_answer(done, "the rest");
}

static void keep(void *context, dxh_request *request)
{
	*(dxh_request **)context = request;
}

Test(dispatch, a_handler_may_answer_later)
{
	dxh_request *kept = NULL;
	dxh_completion done;

	must(dxh_service_handle(service, "a", keep, &kept));
	done = ask("a");
	must(dxh_service_dispatch(service, 1, SOON, NULL));
	must_be(dxh_poll(done), DXH_EWAIT, NULL);
	must(dxh_request_reply(kept, "later", 5));
	expect_answer(done, "later");
}

Test(dispatch, one_call_takes_up_to_max)
{
	enum { COUNT = 10 };
	dxh_completion done[COUNT];
	int64_t deadline_ns = SOON;
	size_t count = 0;

	must(dxh_service_handle(service, "a", say, "x"));
	for (int i = 0; i < COUNT; i++)
		done[i] = ask("a");
	while (test_stats(server).requests_received < COUNT)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	must(dxh_service_dispatch(service, 4, SOON, &count));
	cr_expect_leq(count, 4);
	for (size_t all = count; all < COUNT; all += count)
		must(dxh_service_dispatch(service, 100, SOON, &count));
	for (int i = 0; i < COUNT; i++)
		expect_answer(done[i], "x");
}

Test(dispatch, arguments_are_checked)
{
	char subject[32], long_one[DXH_SUBJECT_MAX + 2];
	size_t count = 0;

	memset(long_one, 'x', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	must_be(dxh_service_handle(NULL, "a", say, NULL), DXH_EINVAL, NULL);
	must_be(dxh_service_handle(service, NULL, say, NULL), DXH_EINVAL, NULL);
	must_be(dxh_service_handle(service, "a", NULL, NULL), DXH_EINVAL, NULL);
	must_be(dxh_service_handle(service, long_one, say, NULL), DXH_EINVAL, "255");
	must_be(dxh_service_dispatch(NULL, 1, DXH_NOW, &count), DXH_EINVAL, NULL);
	must_be(dxh_service_dispatch(service, 0, DXH_NOW, &count), DXH_EINVAL, NULL);
	must_be(dxh_service_dispatch(service, 1, DXH_NOW, &count), DXH_EWAIT, NULL);
	for (int i = 0; i < DXH_HANDLERS_MAX; i++) {
		snprintf(subject, sizeof subject, "subject %d", i);
		must(dxh_service_handle(service, subject, say, NULL));
		must_be(dxh_service_handle(service, "subject 0", say, NULL),
		        i < DXH_HANDLERS_MAX - 1 ? DXH_EEXIST : DXH_ELIMIT, NULL);
	}
	must(dxh_service_stop(service));
	must_be(dxh_service_dispatch(service, 1, SOON, &count), DXH_ECLOSED, NULL);
}

/* ---- several threads ---- */

enum { WORKERS = 4 };

static _Atomic uint64_t inside;

/* Returns once all workers are in a handler: they run at once, or never end. */
static void meet(void *unused, dxh_request *request)
{
	(void)unused;
	inside++;
	test_wait_for(&inside, WORKERS);
	dxh_request_reply(request, "met", 3);
}

static void *work(void *unused)
{
	(void)unused;
	while (dxh_service_dispatch(service, 1, DXH_FOREVER, NULL) == DXH_OK)
		;
	return NULL;
}

Test(dispatch, handlers_run_on_several_threads_at_once)
{
	pthread_t workers[WORKERS];
	dxh_completion done[WORKERS];

	must(dxh_service_handle(service, "meet", meet, NULL));
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, work, NULL);
	for (int i = 0; i < WORKERS; i++)
		done[i] = ask("meet");
	for (int i = 0; i < WORKERS; i++)
		expect_answer(done[i], "met");
	must(dxh_service_stop(service));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
}

static _Atomic uint64_t taken;

static void *handle_all(void *unused)
{
	char subject[32];

	(void)unused;
	for (int i = 0; i < 500; i++) {
		snprintf(subject, sizeof subject, "s%d", i);
		if (dxh_service_handle(service, subject, say, "x") == DXH_OK)
			taken++;
	}
	return NULL;
}

Test(dispatch, of_several_that_want_a_subject_one_gets_it)
{
	pthread_t threads[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, handle_all, NULL);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(taken, 500);
}
