/* SPDX-License-Identifier: MIT */
/* Many peers on one I/O thread, and none of them costs anything while nothing is
 * asked; steady requests cost no memory; posting costs no system call while the I/O
 * thread is awake. */
#include "tests/support/support.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PEERS = 256 };

static test_echo echo;
static dxh_hub *hub;
static dxh_peer *peers[PEERS];
static _Atomic uint64_t ready_count;

static void count_ready(void *context, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	(void)context, (void)peer, (void)reason;
	ready_count += state == DXH_PEER_READY;
}

static void ask_each(void)
{
	dxh_completion done[PEERS];

	for (uint64_t i = 0; i < PEERS; i++)
		must(dxh_post(peers[i], "echo", &i, sizeof i, SOON, &done[i]));
	for (uint64_t i = 0; i < PEERS; i++) {
		dxh_reply reply;

		must(dxh_await(done[i], SOON, &reply));
		cr_assert(reply.body_bytes == sizeof i && memcmp(reply.body, &i, sizeof i) == 0);
		must(dxh_release(done[i]));
	}
}

/* Two sleeps of the I/O thread end in a row with nothing between: only what somebody
 * asks for wakes it. Looked at over a while, as nothing tells that nothing comes. */
static void expect_idle(const dxh_hub *of)
{
	uint64_t before;

	usleep(100000);
	before = test_stats(of).wakeups;
	usleep(500000);
	cr_expect_eq(test_stats(of).wakeups, before, "an idle hub woke up");
}

Test(scale, two_hundred_and_fifty_six_peers_work_come_back_and_are_quiet, .timeout = 120)
{
	const dxh_service_config many = {.clients_max = PEERS + 8};
	const dxh_peer_config config = {.on_state = count_ready};
	char endpoint[64];

	snprintf(endpoint, sizeof endpoint, "%s", test_endpoint());
	test_echo_open(&echo, endpoint, &many);
	must(dxh_hub_open(&(dxh_hub_config){.reconnect_min_ns = 1000000,
	                                    .reconnect_max_ns = 100000000,
	                                    .connect_timeout_ns = INT64_C(60000000000)},
	                  &hub));
	for (int i = 0; i < PEERS; i++)
		must(dxh_peer_connect(hub, endpoint, &config, &peers[i]));
	test_wait_for(&ready_count, PEERS);
	ask_each();
	expect_idle(hub);
	expect_idle(echo.hub);
	/* All at once they lose their service, and find it again. */
	test_echo_close(&echo);
	test_echo_open(&echo, endpoint, &many);
	test_wait_for(&ready_count, 2 * PEERS);
	ask_each();
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}

/* ---- allocations --------------------------------------------------------------------- */

static _Atomic uint64_t allocations;
static _Atomic int counting;

#ifndef TEST_ASAN
/* In front of libc's, for this program; libzmq's own calls come here too, and are told
 * apart by where they come from. */
static int is_ours(const void *caller)
{
	Dl_info where;

	return !(dladdr(caller, &where) && where.dli_fname && strstr(where.dli_fname, "libzmq"));
}

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
	if (counting && is_ours(__builtin_return_address(0)))
		allocations++;
	return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	if (counting && is_ours(__builtin_return_address(0)))
		allocations++;
	return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
	if (counting && is_ours(__builtin_return_address(0)))
		allocations++;
	return __libc_realloc(old, bytes);
}
#endif

static void ask(dxh_peer *peer, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		dxh_completion done[8];

		for (int k = 0; k < 8; k++)
			must(dxh_post(peer, "echo", "01234567", 8, SOON, &done[k]));
		for (int k = 0; k < 8; k++) {
			must(dxh_await(done[k], SOON, NULL));
			must(dxh_release(done[k]));
		}
	}
}

/* Client, service and both I/O threads in this process: none of our code allocates for
 * a small request once it is warm. What libzmq does for its messages is its own. */
Test(scale, a_small_request_allocates_nothing, .timeout = 60)
{
	void *volatile control;
	dxh_peer *peer;

#ifdef TEST_ASAN
	cr_skip("the sanitizer has an allocator of its own");
#endif
	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	ask(peer, 500);
	counting = 1;
	control = malloc(1); /* the control: this one is seen */
	free(control);
	cr_assert_eq(allocations, 1);
	ask(peer, 2000);
	counting = 0;
	cr_expect_eq(allocations - 1, 0, "%lu allocations in 16000 requests",
	             (unsigned long)allocations - 1);
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}

/* ---- system calls ---------------------------------------------------------------------- */

static _Atomic uint64_t entered;
static _Atomic int may_go_on;

static void hold_io_thread(void *context, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	(void)context, (void)peer, (void)reason;
	if (state != DXH_PEER_WAITING || entered++ > 0)
		return;
	while (!may_go_on)
		;
}

/* Held in a callback the I/O thread is awake for certain: no post rings. */
Test(scale, no_post_makes_a_system_call_while_the_io_thread_is_awake, .timeout = 60)
{
	enum { POSTS = 5000 };
	static dxh_completion done[POSTS];
	const dxh_peer_config config = {.on_state = hold_io_thread};
	dxh_peer *peer;
	uint64_t before;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), &config, &peer));
	test_wait_for(&entered, 1);
	before = test_stats(hub).doorbells;
	for (int i = 0; i < POSTS; i++)
		must(dxh_post(peer, "never", NULL, 0, DXH_FOREVER, &done[i]));
	cr_expect_eq(test_stats(hub).doorbells, before);
	may_go_on = 1;
	must(dxh_peer_close(&peer));
	for (int i = 0; i < POSTS; i++)
		must(dxh_release(done[i]));
	must(dxh_hub_close(&hub));
}
