/* SPDX-License-Identifier: MIT */
/* What several tests need: names of their own, a pair of hubs, an echo service. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <dxh.h>

#include "tests/support/asan.h"

#include <criterion/criterion.h>
#include <pthread.h>

/* The call must succeed; otherwise the test fails with the reason. */
#define must(call)                                                                                 \
	do {                                                                                       \
		dxh_status must_status = (call);                                                   \
		cr_assert_eq(must_status, DXH_OK, "%s: %s", #call, dxh_last_error());              \
	} while (0)

/* The call must end so, and its reason must say this (NULL: anything). */
#define must_be(call, expected, words)                                                             \
	do {                                                                                       \
		dxh_status must_status = (call);                                                   \
		const char *must_words = (words);                                                  \
		cr_assert_eq(must_status, expected, "%s is %s, not %s (%s)", #call,                \
		             dxh_status_name(must_status), dxh_status_name(expected),              \
		             dxh_last_error());                                                    \
		cr_assert(!must_words || strstr(dxh_last_error(), must_words),                     \
		          "'%s' does not say '%s'", dxh_last_error(), must_words);                 \
	} while (0)

/* Time enough for anything that is to happen at all. */
#define SOON dxh_in_ms(20000)

/* An ipc endpoint that nobody else has and that leaves no file; an inproc one when the
 * environment has DXH_TEST_INPROC. Static buffer, another at each call, eight in turn. */
const char *test_endpoint(void);
int test_is_inproc(void);

/* dxh_hub_open() and dxh_hub_close() of hubs that talk to each other: with inproc all of
 * them are one hub, which lives until the last close. Not for hubs whose own end or
 * numbers are what is tested. */
dxh_status test_hub_open(const dxh_hub_config *config, dxh_hub **hub);
dxh_status test_hub_close(dxh_hub **hub);

/* What is tested takes sockets, strangers, or two hubs: over inproc it is skipped. */
#define test_needs_sockets()                                                                       \
	do {                                                                                       \
		if (test_is_inproc())                                                              \
			cr_skip_test("not over inproc");                                           \
	} while (0)

/* A service that echoes requests and counts notifications, on a hub and with a
 * thread of its own. Subjects: "echo"; "hold" is kept until test_echo_release();
 * "drop" is released unanswered; "twice" echoes the body twice; "reject" is rejected as DXH_EREJECTED "no". */
typedef struct test_echo {
	dxh_hub *hub;
	dxh_service *service;
	pthread_t thread;
	_Atomic uint64_t requests;
	_Atomic uint64_t notifications;
	_Atomic uint64_t held_count;
	dxh_request *held[64];
} test_echo;

void test_echo_open(test_echo *echo, const char *endpoint, const dxh_service_config *config);

/* Answer what "hold" kept. Only once everything expected is held. */
void test_echo_release(test_echo *echo);

/* Stop serving; hub stays open. */
void test_echo_close(test_echo *echo);

/* Wait until *counter is at least `value`. */
void test_wait_for(const _Atomic uint64_t *counter, uint64_t value);

/* Wait until the peer is in that state. */
void test_wait_state(const dxh_peer *peer, dxh_peer_state state);

dxh_hub_stats test_stats(const dxh_hub *hub);

#endif
