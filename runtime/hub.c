/* SPDX-License-Identifier: MIT */
/* Opening and closing a hub, and how other threads reach its own. */
#include "runtime/hub.h"

#include "base/clock.h"
#include "base/forked.h"
#include "base/futex.h"
#include "base/status.h"
#include "queue/doorbell.h"
#include "runtime/descriptors.h"
#include "runtime/doorkeeper.h"
#include "runtime/lent.h"
#include "runtime/metrics_block.h"
#include "runtime/peer.h"
#include "runtime/service.h"
#include "runtime/socket.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	OPERATIONS_DEFAULT = 65536,
	OPERATIONS_MAX = 1 << 22, /* the slot table of a process */
	FRAME_DEFAULT = 65536,    /* see docs/decisions.md */
	FRAME_MIN = 1024,
	BODY_DEFAULT = 512 * 1024,
	BODY_MAX = 1 << 30,
	SAMPLE_DEFAULT = 64,
	DRAINED_LINGER_MS_MAX = 1000
};

/* ---- calls to the I/O thread ---------------------------------------------------- */

struct call {
	dxi_task task;
	dxh_status (*fn)(void *context);
	void *context;
	dxh_status status;
	char error[512];
	_Atomic uint32_t done;
};

static void run_call(struct call *call)
{
	call->status = call->fn(call->context);
	if (call->status != DXH_OK)
		snprintf(call->error, sizeof call->error, "%s", dxh_last_error());
	/* release: publishes status, error and what fn did. Pairs with the acquire in
	 * dxi_hub_call(). The caller's stack may be gone right after. */
	atomic_store_explicit(&call->done, 1, memory_order_release);
	dxi_futex_wake(&call->done, 1, DXI_FUTEX_PRIVATE);
}

void dxi_hub_run_call(dxi_task *task)
{
	run_call((struct call *)(void *)task);
}

void dxi_hub_push(dxh_hub *hub, dxi_task *newest, dxi_task *oldest)
{
	if (!dxi_queue_push(&hub->queue, &newest->node, &oldest->node))
		return;
	/* relaxed: a figure for people. */
	atomic_fetch_add_explicit(&hub->metrics->doorbells, 1, memory_order_relaxed);
	dxi_doorbell_ring(hub->doorbell);
}

dxh_status dxi_hub_call(dxh_hub *hub, dxh_status (*fn)(void *context), void *context)
{
	struct call call = {.task.kind = DXI_TASK_CALL, .fn = fn, .context = context};

	if (pthread_equal(pthread_self(), hub->thread))
		return fn(context);
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK,
		                "the I/O thread of one hub may not wait for another's");
	dxi_hub_push(hub, &call.task, &call.task);
	while (!atomic_load_explicit(&call.done, memory_order_acquire))
		dxi_futex_wait(&call.done, 0, DXH_FOREVER, DXI_FUTEX_PRIVATE);
	if (call.status != DXH_OK)
		dxi_fail_as(call.error);
	return call.status;
}

dxh_status dxi_hub_fail_forked(const dxh_hub *hub)
{
	return dxi_fail(DXH_EFORKED, "hub '%s' belongs to the parent process: open a new one here",
	                hub->name);
}

bool dxi_hub_is_io_thread(const dxh_hub *hub)
{
	return pthread_equal(pthread_self(), hub->thread);
}

dxh_status dxi_hub_check_open(const dxh_hub *hub)
{
	dxh_status status = dxi_hub_check_process(hub);

	if (status != DXH_OK)
		return status;
	/* relaxed: a post that races with the drain is ended by it. */
	switch ((dxi_hub_state)atomic_load_explicit(&hub->state, memory_order_relaxed)) {
	case DXI_HUB_RUNNING:
		return DXH_OK;
	case DXI_HUB_DRAINING:
		return dxi_fail(DXH_EDRAINING, "hub '%s' is draining: post before that", hub->name);
	case DXI_HUB_CLOSED:
		break;
	}
	return dxi_fail(DXH_ECLOSED, "hub '%s' was drained: open a new one", hub->name);
}

struct tick_call {
	dxh_hub *hub;
	dxi_tick *tick;
};

static dxh_status start_tick(void *context)
{
	struct tick_call *call = context;

	dxi_wheel_arm(&call->hub->ticks, &call->tick->timer,
	              dxi_hub_after(call->hub, call->tick->interval_ns));
	return DXH_OK;
}

static dxh_status stop_tick(void *context)
{
	struct tick_call *call = context;

	dxi_wheel_disarm(&call->hub->ticks, &call->tick->timer);
	return DXH_OK;
}

void dxi_hub_tick_start(dxh_hub *hub, dxi_tick *tick)
{
	(void)dxi_hub_call(hub, start_tick, &(struct tick_call){hub, tick});
}

void dxi_hub_tick_stop(dxh_hub *hub, dxi_tick *tick)
{
	(void)dxi_hub_call(hub, stop_tick, &(struct tick_call){hub, tick});
}

int64_t dxi_hub_after(const dxh_hub *hub, int64_t ns)
{
	return ns > DXH_FOREVER - hub->now_ns ? DXH_FOREVER : hub->now_ns + ns;
}

uint64_t dxi_hub_random(dxh_hub *hub, uint64_t below)
{
	/* xorshift64* (Vigna 2016): spreads retries, guards no secret. */
	hub->random_state ^= hub->random_state >> 12;
	hub->random_state ^= hub->random_state << 25;
	hub->random_state ^= hub->random_state >> 27;
	return below ? hub->random_state * UINT64_C(2685821657736338717) % below : 0;
}

/* ---- open ------------------------------------------------------------------------- */

static dxh_status check_config(dxh_hub_config *config)
{
	if (config->operations_max == 0)
		config->operations_max = OPERATIONS_DEFAULT;
	if (config->frame_bytes == 0)
		config->frame_bytes = FRAME_DEFAULT;
	if (config->body_bytes_max == 0)
		config->body_bytes_max = BODY_DEFAULT;
	if (config->connect_timeout_ns == 0)
		config->connect_timeout_ns = (int64_t)5 * DXI_NS_PER_S;
	if (config->reconnect_min_ns == 0)
		config->reconnect_min_ns = (int64_t)10 * DXI_NS_PER_MS;
	if (config->reconnect_max_ns == 0)
		config->reconnect_max_ns = DXI_NS_PER_S;
	if (config->sample_one_in == 0)
		config->sample_one_in = SAMPLE_DEFAULT;
	if (config->operations_max > OPERATIONS_MAX)
		return dxi_fail(DXH_EINVAL, "operations_max is at most %d, not %u", OPERATIONS_MAX,
		                config->operations_max);
	if (config->frame_bytes < FRAME_MIN || config->frame_bytes > DXI_FRAME_BYTES_MAX ||
	    config->frame_bytes % 8 != 0)
		return dxi_fail(DXH_EINVAL, "frame_bytes is a multiple of 8 in %d..%d, not %u",
		                FRAME_MIN, DXI_FRAME_BYTES_MAX, config->frame_bytes);
	if (config->body_bytes_max > BODY_MAX)
		return dxi_fail(DXH_EINVAL, "body_bytes_max is at most %d, not %llu", BODY_MAX,
		                (unsigned long long)config->body_bytes_max);
	if (config->connect_timeout_ns < 0 || config->reconnect_min_ns < 0 ||
	    config->reconnect_max_ns < config->reconnect_min_ns)
		return dxi_fail(DXH_EINVAL, "connect_timeout_ns and reconnect_min_ns <= "
		                            "reconnect_max_ns are not negative");
	return DXH_OK;
}

static dxh_status open_loop(dxh_hub *hub)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	dxh_status status = dxi_descriptors_reserve("a hub", DXI_DESCRIPTORS_OF_HUB);

	if (status == DXH_OK)
		status = dxi_doorbell_open(&hub->doorbell);
	if (status != DXH_OK)
		return status;
	hub->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hub->epoll == -1 || epoll_ctl(hub->epoll, EPOLL_CTL_ADD, hub->doorbell, &event) == -1)
		return dxi_fail_errno(errno, "cannot make an epoll set");
	if (epoll_pwait2(hub->epoll, &event, 1, &(struct timespec){0}, NULL) == -1)
		return dxi_fail(DXH_EUNSUPPORTED,
		                "this kernel, or its filter of system calls, lacks "
		                "epoll_pwait2: Linux 5.11 or later is needed");
	status = dxi_context_open(&hub->context);
	if (status == DXH_OK)
		status = dxi_links_open(&hub->links, hub->context, hub->epoll);
	return status;
}

static dxh_status allocate(dxh_hub *hub)
{
	hub->pool = dxi_pool_open(hub->config.operations_max, &hub->queue, hub->doorbell);
	hub->scratch = aligned_alloc(64, DXI_MESSAGE_BYTES_MAX);
	if (!hub->pool || !hub->scratch)
		return dxi_fail(DXH_ENOMEM, "no memory for hub '%s'", hub->name);
	return DXH_OK;
}

/* Signals are for the program's own threads. */
static dxh_status start_thread(dxh_hub *hub)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&hub->thread, NULL, dxi_io_thread, hub);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error ? dxi_fail_errno(error, "cannot start the I/O thread") : DXH_OK;
}

/* Free what open() made; also half of it. */
static void free_hub(dxh_hub *hub)
{
	dxi_links_close(&hub->links);
	if (hub->context)
		dxi_context_close(hub->context);
	if (hub->epoll != -1)
		close(hub->epoll);
	if (hub->pool)
		dxi_pool_close(hub->pool);
	if (hub->doorbell != -1)
		close(hub->doorbell);
	dxi_metrics_block_close(hub);
	dxi_drain_rows_free(&hub->drain_rows);
	free(hub->scratch);
	free(hub);
}

dxh_status dxh_hub_open_sized(size_t config_bytes, const dxh_hub_config *given, dxh_hub **opened)
{
	dxh_hub_config config;
	dxh_status status = dxi_config_read(&config, sizeof config, given, config_bytes);
	dxh_hub *hub;

	if (status == DXH_OK)
		status = check_config(&config);
	if (status != DXH_OK)
		return status;
	if (!opened)
		return dxi_fail(DXH_EINVAL, "dxh_hub_open needs room for the hub");
	hub = aligned_alloc(alignof(dxh_hub), sizeof *hub);
	if (!hub)
		return dxi_fail(DXH_ENOMEM, "no memory for a hub");
	memset(hub, 0, sizeof *hub);
	hub->doorbell = hub->epoll = -1;
	hub->config = config;
	hub->metrics = &hub->own_metrics;
	hub->latency = hub->own_latency;
	hub->process = dxi_process_id();
	snprintf(hub->name, sizeof hub->name, "%s",
	         config.name ? config.name : program_invocation_short_name);
	hub->config.name = hub->name;
	hub->config.metrics_block = NULL; /* the caller's */
	dxi_queue_init(&hub->queue);
	hub->now_ns = dxh_now_ns();
	dxi_wheel_init(&hub->deadlines, hub->now_ns);
	dxi_wheel_init(&hub->ticks, hub->now_ns);
	if (getrandom(&hub->incarnation, sizeof hub->incarnation, 0) == -1 ||
	    getrandom(&hub->random_state, sizeof hub->random_state, 0) == -1)
		status = dxi_fail_errno(errno, "the system gives no random numbers");
	hub->random_state |= 1;
	if (status == DXH_OK)
		status = open_loop(hub);
	if (status == DXH_OK)
		status = allocate(hub);
	if (status == DXH_OK && config.metrics_block)
		status = dxi_metrics_block_open(hub, config.metrics_block);
	if (status == DXH_OK)
		status = start_thread(hub);
	if (status != DXH_OK) {
		free_hub(hub);
		return status;
	}
	*opened = hub;
	return DXH_OK;
}

/* ---- close ---------------------------------------------------------------------------- */

/* What was handed to the network may still leave, if a drain asked for it. */
static int linger_ms(const dxh_hub *hub)
{
	int64_t left_ms;

	if (!atomic_load_explicit(&hub->drained, memory_order_relaxed))
		return 0;
	left_ms = (hub->drain_deadline_ns - hub->now_ns) / DXI_NS_PER_MS;
	if (left_ms < 0)
		return 0;
	return left_ms < DRAINED_LINGER_MS_MAX ? (int)left_ms : DRAINED_LINGER_MS_MAX;
}

static dxh_status shut_down(void *context)
{
	dxh_hub *hub = context;
	int linger = linger_ms(hub);

	atomic_store_explicit(&hub->state, DXI_HUB_CLOSED, memory_order_relaxed);
	dxi_hub_abandon_all(hub, "the hub was closed");
	while (hub->services) {
		dxh_service *service = hub->services;

		hub->services = service->next;
		dxi_service_free(service, linger);
	}
	while (hub->peers) {
		dxh_peer *peer = hub->peers;

		hub->peers = peer->next;
		dxi_peer_free(peer, linger);
	}
	dxi_return_all(hub);
	dxi_doorkeeper_close(hub);
	hub->stop = true;
	return DXH_OK;
}

dxh_status dxh_hub_close(dxh_hub **hub)
{
	dxh_hub *closing;
	int64_t leave_ns;

	if (!hub || !*hub)
		return dxi_fail(DXH_EINVAL, "the hub is closed already, or was never opened");
	closing = *hub;
	if (closing->process != dxi_process_id()) {
		*hub = NULL; /* thread, sockets and memory are the parent's */
		return DXH_OK;
	}
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread cannot wait for its own end");
	for (dxh_service *service = closing->services; service; service = service->next)
		dxi_service_begin_leave(service);
	leave_ns = dxh_in_ns(DXI_FAREWELL_NS);
	for (dxh_service *service = closing->services; service; service = service->next)
		dxi_service_await_leave(service, leave_ns);
	(void)dxi_hub_call(closing, shut_down, closing);
	pthread_join(closing->thread, NULL);
	free_hub(closing);
	*hub = NULL;
	return DXH_OK;
}
