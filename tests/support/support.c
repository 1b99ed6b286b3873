/* SPDX-License-Identifier: MIT */
/* The echo service, and waiting for counters without sleeping to be right: what
 * is waited for happens by itself, the pauses only spare the processor. */
#include "tests/support/support.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Criterion's own time limit does not fire in every case; this one does. It is for
 * the worker that runs one test, not for the runner. */
__attribute__((constructor)) static void limit_time(void)
{
	enum { TEST_SECONDS_MAX = 300 };

	if (strcmp(program_invocation_short_name, "boxfort-worker") == 0)
		alarm(TEST_SECONDS_MAX);
}

const char *test_endpoint(void)
{
	static char buffers[8][64];
	static unsigned count;
	char *buffer = buffers[count % 8];

	snprintf(buffer, sizeof buffers[0], "%sdxh-test-%d-%u",
	         test_is_inproc() ? "inproc://" : "ipc://@", getpid(), count++);
	return buffer;
}

int test_is_inproc(void)
{
	return getenv("DXH_TEST_INPROC") != NULL;
}

static dxh_hub *shared;
static unsigned users;

dxh_status test_hub_open(const dxh_hub_config *config, dxh_hub **opened)
{
	dxh_status status = DXH_OK;

	if (!test_is_inproc())
		return dxh_hub_open(config, opened);
	if (users == 0)
		status = dxh_hub_open(config, &shared);
	if (status == DXH_OK) {
		*opened = shared;
		users++;
	}
	return status;
}

dxh_status test_hub_close(dxh_hub **closed)
{
	if (!test_is_inproc())
		return dxh_hub_close(closed);
	*closed = NULL;
	return --users == 0 ? dxh_hub_close(&shared) : DXH_OK;
}

static void answer(test_echo *echo, dxh_request *request)
{
	const char *subject = dxh_request_subject(request);
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);

	if (dxh_request_is_notification(request)) {
		echo->notifications++;
		dxh_request_release(request);
		return;
	}
	echo->requests++;
	if (strcmp(subject, "hold") == 0) {
		echo->held[echo->held_count] = request;
		echo->held_count++;
	} else if (strcmp(subject, "drop") == 0) {
		dxh_request_release(request);
	} else if (strcmp(subject, "twice") == 0) {
		char *twice = malloc(2 * bytes);

		memcpy(twice, body, bytes);
		memcpy(twice + bytes, body, bytes);
		cr_assert_eq(dxh_request_reply(request, twice, 2 * bytes), DXH_OK);
		free(twice);
	} else if (strcmp(subject, "reject") == 0) {
		cr_assert_eq(dxh_request_reject(request, DXH_EREJECTED, "no"), DXH_OK);
	} else {
		cr_assert_eq(dxh_request_reply(request, body, bytes), DXH_OK);
	}
}

static void *serve(void *context)
{
	test_echo *echo = context;
	dxh_request *request;

	while (dxh_service_receive(echo->service, DXH_FOREVER, &request) == DXH_OK)
		answer(echo, request);
	return NULL;
}

void test_echo_open(test_echo *echo, const char *endpoint, const dxh_service_config *config)
{
	memset(echo, 0, sizeof *echo);
	must(test_hub_open(NULL, &echo->hub));
	must(dxh_service_bind(echo->hub, endpoint, config, &echo->service));
	cr_assert_eq(pthread_create(&echo->thread, NULL, serve, echo), 0);
}

void test_echo_release(test_echo *echo)
{
	for (uint64_t i = 0; i < echo->held_count; i++)
		dxh_request_reply(echo->held[i], "late", 4);
	echo->held_count = 0;
}

void test_echo_close(test_echo *echo)
{
	must(dxh_service_stop(echo->service));
	pthread_join(echo->thread, NULL);
	must(dxh_service_close(&echo->service));
	must(test_hub_close(&echo->hub));
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

void test_wait_for(const _Atomic uint64_t *counter, uint64_t value)
{
	int64_t deadline_ns = SOON;

	while (*counter < value) {
		cr_assert(dxh_now_ns() < deadline_ns, "%llu never came to %llu",
		          (unsigned long long)*counter, (unsigned long long)value);
		pause_a_little();
	}
}

void test_wait_state(const dxh_peer *peer, dxh_peer_state state)
{
	int64_t deadline_ns = SOON;

	while (dxh_peer_state_get(peer) != state) {
		cr_assert(dxh_now_ns() < deadline_ns, "the peer never came to state %d", state);
		pause_a_little();
	}
}

dxh_hub_stats test_stats(const dxh_hub *hub)
{
	dxh_hub_stats stats;

	must(dxh_hub_stats_get(hub, &stats));
	return stats;
}
