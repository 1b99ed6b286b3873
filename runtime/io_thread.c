/* SPDX-License-Identifier: MIT */
/* The one thread that touches sockets: turn after turn, and sleep in between.
 *
 *   take all ─> lanes ─> look at links (receive, send) ─> expire ─> complete
 *
 * It sleeps only when a turn did nothing, no link is touched, and the queue
 * could be armed; so nothing that happened before the sleep is slept over.
 * Before that, those who wait for its processor may run, once.
 */
#include "base/clock.h"
#include "base/probe.h"
#include "queue/group.h"
#include "runtime/hub.h"
#include "runtime/metrics_block.h"
#include "runtime/peer.h"
#include "runtime/publish.h"
#include "runtime/room.h"
#include "runtime/socket.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

/* After so many turns without a sleep the descriptors are asked all the same: a link whose
 * news only they tell must not wait for the others to fall silent. */
enum { EVENTS_MAX = 64, TURNS_IN_A_ROW = 16 };

/* A yield that took so long gave the processor to somebody who computes: then so many
 * sleeps go without one, twice as many each time. */
enum { YIELD_LONG_NS = 200 * 1000, STRIDE_MIN = 16, STRIDE_MAX = 1024 };

struct yields {
	bool due;         /* work was done since the last one */
	unsigned forgone; /* sleeps that still go without one */
	unsigned stride;  /* how many do after the next that takes long */
};

static dxi_operation *posted_of(dxi_task *task)
{
	return (dxi_operation *)(void *)((char *)task - offsetof(dxi_operation, post));
}

static void run_task(dxh_hub *hub, dxi_task *task)
{
	switch ((dxi_task_kind)task->kind) {
	case DXI_TASK_OPERATION:
		dxi_operation_arrived(hub, posted_of(task));
		break;
	case DXI_TASK_CANCEL:
		dxi_operation_cancel_arrived(hub, (dxi_operation *)(void *)task);
		break;
	case DXI_TASK_BATCH:
		dxi_peer_take_batch(((dxi_batch *)(void *)task)->peer, (dxi_batch *)(void *)task);
		break;
	case DXI_TASK_RIPE:
		dxi_notify_lane_take_kick(task);
		break;
	case DXI_TASK_ANSWER:
		dxi_service_take_answer((dxh_request *)(void *)task);
		break;
	case DXI_TASK_PARCEL:
		dxi_service_take_parcel((dxi_parcel *)(void *)task);
		break;
	case DXI_TASK_REFILL:
		dxi_service_poked(task);
		break;
	case DXI_TASK_PUBLISH:
		dxi_publication_arrived(task);
		break;
	case DXI_TASK_CALL:
		dxi_hub_run_call(task);
		break;
	case DXI_TASK_NOTE: /* it is not given back alone */
		abort();
	case DXI_TASK_ROOM:
		dxi_room_asked(task);
		break;
	}
}

static size_t take_all(dxh_hub *hub)
{
	dxi_node *node = dxi_queue_take(&hub->queue);
	size_t count = 0;

	while (node) {
		dxi_node *next = node->next; /* the task may be gone after it has run */

		run_task(hub, (dxi_task *)node);
		node = next;
		count++;
	}
	dxi_rooms_make(hub);
	return count;
}

static size_t run_ticks(dxh_hub *hub)
{
	size_t count = 0;
	dxi_timer *timer;

	while ((timer = dxi_wheel_expire(&hub->ticks, hub->now_ns))) {
		dxi_tick *tick = (dxi_tick *)timer;

		if (tick->interval_ns > 0)
			dxi_wheel_arm(&hub->ticks, timer, dxi_hub_after(hub, tick->interval_ns));
		tick->fn(tick->context);
		count++;
	}
	return count;
}

size_t dxi_io_turn(dxh_hub *hub, int64_t now_ns)
{
	size_t work;

	hub->now_ns = now_ns;
	work = take_all(hub);
	work += dxi_notify_lanes_expire(hub);
	work += dxi_links_look(&hub->links);
	for (dxh_service *service = hub->services; service; service = service->next)
		work += dxi_service_answer(service);
	work += dxi_operation_expire(hub);
	work += run_ticks(hub);
	/* After the whole batch: see dxi_wakes. */
	dxi_wakes_issue(&hub->wakes);
	if (hub->sampled_ended)
		dxi_histogram_add(&hub->latency[DXH_STAGE_WAKE], dxh_now_ns() - now_ns);
	hub->latency_untold |= hub->sampled_ended;
	hub->sampled_ended = false;
	dxi_count_set(&hub->metrics->futex_wakes, hub->wakes.issued);
	dxi_count_set(&hub->metrics->callbacks, dxi_callbacks_here.count);
	dxi_count_set(&hub->metrics->callbacks_slow, dxi_callbacks_here.slow);
	if (hub->metrics_block)
		dxi_metrics_block_tell(hub);
	if (work == 0 && !hub->stop &&
	    atomic_load_explicit(&hub->state, memory_order_relaxed) == DXI_HUB_DRAINING)
		dxi_hub_look_drained(hub);
	return work;
}

/* What the descriptors tell within `left`, or ever (NULL). Returns how many had news. */
static int hear(dxh_hub *hub, const struct timespec *left)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_pwait2(hub->epoll, events, EVENTS_MAX, left, NULL);

	/* The doorbell (NULL) is watched for edges: each ring is one, and nothing is read. */
	for (int i = 0; i < count; i++)
		if (events[i].data.ptr)
			dxi_sockets_fired(events[i].data.ptr);
	return count;
}

static void sleep_until(dxh_hub *hub, int64_t wake_ns)
{
	int64_t now_ns = wake_ns == DXH_FOREVER ? 0 : dxh_now_ns();
	struct timespec left = dxi_timespec(wake_ns > now_ns ? wake_ns - now_ns : 0);
	int count;

	if (hub->metrics_block)
		dxi_metrics_block_tell_before_sleep(hub);
	DXI_PROBE(sleep, hub->name, wake_ns);
	count = hear(hub, wake_ns == DXH_FOREVER ? NULL : &left);
	DXI_PROBE(wakeup, hub->name, count);
	(void)count; /* without probes */
	dxi_count(&hub->metrics->wakeups, 1);
}

/* Once after work and before the sleep: who was woken by this work, and waits for this
 * processor, runs now, and what he posts finds this thread awake: no bell is rung, and no
 * sleep begun. Returns whether others were let run. */
static bool let_others_run(struct yields *yields)
{
	int64_t begun_ns;

	if (!yields->due)
		return false;
	yields->due = false;
	if (yields->forgone > 0) {
		yields->forgone--;
		return false;
	}
	begun_ns = dxh_now_ns();
	sched_yield();
	if (dxh_now_ns() - begun_ns >= YIELD_LONG_NS) {
		yields->forgone = yields->stride;
		yields->stride = yields->stride < STRIDE_MAX ? yields->stride * 2 : STRIDE_MAX;
	} else {
		yields->stride = yields->stride > STRIDE_MIN ? yields->stride / 2 : STRIDE_MIN;
	}
	return true;
}

static int64_t next_wake_ns(const dxh_hub *hub)
{
	int64_t deadline_ns = dxi_wheel_next_ns(&hub->deadlines);
	int64_t tick_ns = dxi_wheel_next_ns(&hub->ticks);

	int64_t linger_ns = dxi_notify_lanes_next_ns(hub);

	if (tick_ns < deadline_ns)
		deadline_ns = tick_ns;
	return linger_ns < deadline_ns ? linger_ns : deadline_ns;
}

void *dxi_io_thread(void *context)
{
	static const struct timespec at_once = {0};
	dxh_hub *hub = context;
	struct yields yields = {.stride = STRIDE_MIN};
	unsigned turns = 0;

	dxi_may_not_wait = true;
	pthread_setname_np(pthread_self(), "dxh-io");
	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	/* A cancel that travels points at the queue: it is awaited. */
	while (!hub->stop || hub->cancels_under_way > 0) {
		bool idle = dxi_io_turn(hub, dxh_now_ns()) == 0 && dxi_links_quiet(&hub->links);

		yields.due |= !idle;
		if (idle && let_others_run(&yields))
			continue;
		if (idle && dxi_queue_arm(&hub->queue))
			sleep_until(hub, next_wake_ns(hub));
		else if (++turns % TURNS_IN_A_ROW == 0)
			hear(hub, &at_once);
	}
	return NULL;
}
