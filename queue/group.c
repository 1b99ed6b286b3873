/* SPDX-License-Identifier: MIT */
/* Wait for any, for N, for all: a queue of ended operations with one owner. */
#include "queue/group.h"

#include "base/forked.h"
#include "base/futex.h"
#include "base/status.h"
#include "queue/doorbell.h"

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

struct dxh_group {
	dxi_queue done;
	alignas(128) _Atomic uint32_t word;
	_Atomic int64_t outstanding; /* posted and not handed out */
	_Atomic int64_t references;  /* the owner, each operation under way, each signal due */
	_Atomic int fd;              /* -1 until asked for */
	_Atomic bool closed;         /* what ends now is nobody's event */
	uint32_t process;
	dxi_node *taken; /* owner only: taken from `done`, oldest first */

	/* Of an inline group: who displaces the armed mark calls, and is the only
	 * one to take from `done` until it has armed it again; but for close(), which
	 * waits for it by `running`. */
	dxh_event_fn on_event;
	void *context;
	pthread_mutex_t running;
	_Atomic(const dxi_callbacks *) runner; /* &dxi_callbacks_here of who calls */
};

_Thread_local dxi_callbacks dxi_callbacks_here;

static dxi_slot *slot_of(dxi_node *node)
{
	return (dxi_slot *)(void *)((char *)node - offsetof(dxi_slot, group_node));
}

static dxh_status open_group(dxh_group **group)
{
	dxh_group *opened;

	if (!group)
		return dxi_fail(DXH_EINVAL, "group is NULL: pass where to put it");
	opened = aligned_alloc(alignof(dxh_group), sizeof *opened);
	if (!opened)
		return dxi_fail(DXH_ENOMEM, "no memory for a group of %zu bytes", sizeof *opened);
	*opened = (dxh_group){.process = dxi_process_id()};
	dxi_queue_init(&opened->done);
	atomic_init(&opened->references, 1);
	atomic_init(&opened->fd, -1);
	*group = opened;
	return DXH_OK;
}

dxh_status dxh_group_open(dxh_group **group)
{
	return open_group(group);
}

dxh_status dxh_group_open_inline(dxh_event_fn on_event, void *context, dxh_group **group)
{
	dxh_status status = on_event ? open_group(group) : dxi_fail(DXH_EINVAL, "on_event is NULL");

	if (status != DXH_OK)
		return status;
	(*group)->on_event = on_event;
	(*group)->context = context;
	pthread_mutex_init(&(*group)->running, NULL);
	dxi_queue_arm(&(*group)->done);
	return DXH_OK;
}

static dxi_node *next_taken(dxh_group *group)
{
	dxi_node *node;

	if (!group->taken)
		group->taken = dxi_queue_take(&group->done);
	node = group->taken;
	if (node)
		group->taken = node->next;
	return node;
}

/* Everything that was never handed out goes back to its completion. */
static void ungroup_all(dxh_group *group)
{
	dxi_node *node;

	while ((node = next_taken(group)))
		dxi_completion_ungroup(slot_of(node));
}

static void let_go(dxh_group *group, int64_t count)
{
	/* acq_rel: the last one sees all that the others did before. */
	if (atomic_fetch_sub_explicit(&group->references, count, memory_order_acq_rel) != count)
		return;
	ungroup_all(group);
	if (atomic_load_explicit(&group->fd, memory_order_relaxed) != -1)
		close(atomic_load_explicit(&group->fd, memory_order_relaxed));
	if (group->on_event)
		pthread_mutex_destroy(&group->running);
	free(group);
}

dxh_status dxi_group_expect(dxh_group *group, size_t count)
{
	if (group->process != dxi_process_id())
		return dxi_fail(DXH_EFORKED, "the group belongs to the parent process");
	atomic_fetch_add_explicit(&group->outstanding, (int64_t)count, memory_order_relaxed);
	/* relaxed: the caller holds the group, so it cannot go away meanwhile. */
	atomic_fetch_add_explicit(&group->references, (int64_t)count, memory_order_relaxed);
	return DXH_OK;
}

void dxi_group_unexpect(dxh_group *group, size_t count)
{
	/* release: pairs with the acquire in sleep_until(); who sleeps for these must
	 * look again. */
	atomic_fetch_sub_explicit(&group->outstanding, (int64_t)count, memory_order_release);
	atomic_fetch_add_explicit(&group->references, 1, memory_order_relaxed);
	dxi_group_signal(group);
	let_go(group, (int64_t)count);
}

/* What the event of an ended operation says; false: it was released before. */
static bool hand_out(dxh_group *group, dxi_slot *slot, dxh_event *event)
{
	/* relaxed: see the table in group.h. */
	atomic_fetch_sub_explicit(&group->outstanding, 1, memory_order_relaxed);
	event->completion = dxi_completion_of(slot);
	event->user = slot->user;
	event->reply = dxi_completion_result(slot);
	return dxi_completion_ungroup(slot);
}

/* ---- inline groups ------------------------------------------------------------- */

static void call(dxh_group *group, const dxh_event *event)
{
	int64_t begun_ns = dxh_now_ns();

	group->on_event(group->context, event);
	dxi_callbacks_here.count++;
	dxi_callbacks_here.slow += dxh_now_ns() - begun_ns > DXI_CALLBACK_SLOW_NS;
}

static void call_all(dxh_group *group)
{
	dxh_event event;
	dxi_node *node;

	pthread_mutex_lock(&group->running);
	/* relaxed: only the thread itself finds itself there, see close_inline(). */
	atomic_store_explicit(&group->runner, &dxi_callbacks_here, memory_order_relaxed);
	do
		while ((node = next_taken(group)))
			if (hand_out(group, slot_of(node), &event) &&
			    !atomic_load_explicit(&group->closed, memory_order_acquire))
				call(group, &event);
	while (!dxi_queue_arm(&group->done));
	atomic_store_explicit(&group->runner, NULL, memory_order_relaxed);
	pthread_mutex_unlock(&group->running);
}

/* From inside its own callback there is nothing to wait for: the caller's loop
 * sees `closed`. */
static void close_inline(dxh_group *group)
{
	if (atomic_load_explicit(&group->runner, memory_order_relaxed) == &dxi_callbacks_here)
		return;
	pthread_mutex_lock(&group->running);
	ungroup_all(group);
	pthread_mutex_unlock(&group->running);
}

static void wake_owner(dxh_group *group)
{
	/* acquire: pairs with the release in dxh_group_fd(). */
	int fd = atomic_load_explicit(&group->fd, memory_order_acquire);

	/* release: pairs with the acquire in sleep_until(). */
	atomic_fetch_add_explicit(&group->word, 1, memory_order_release);
	dxi_futex_wake(&group->word, INT_MAX, DXI_FUTEX_PRIVATE);
	if (fd != -1)
		dxi_doorbell_ring(fd);
}

void dxi_group_signal(dxh_group *group)
{
	if (group->on_event)
		call_all(group);
	else
		wake_owner(group);
	let_go(group, 1);
}

/* ---- the completing side ----------------------------------------------------------- */

void dxi_group_deliver(dxh_group *group, dxi_slot *slot, dxi_wakes *wakes)
{
	/* acquire: pairs with the release in dxh_group_close(). Who misses it leaves
	 * the completion to the last reference. */
	if (atomic_load_explicit(&group->closed, memory_order_acquire)) {
		dxi_completion_ungroup(slot);
		let_go(group, 1);
		return;
	}
	/* The operation's reference passes on to the signal, or ends here. */
	if (!dxi_queue_push(&group->done, &slot->group_node, &slot->group_node)) {
		let_go(group, 1);
	} else if (!wakes) {
		dxi_group_signal(group);
	} else {
		if (wakes->group_count == DXI_WAKES_MAX)
			dxi_wakes_issue(wakes);
		wakes->groups[wakes->group_count++] = group;
	}
}

/* Hand out what has come, up to `max`. */
static size_t collect(dxh_group *group, dxh_event *events, size_t max)
{
	size_t count = 0;
	dxi_node *node;

	while (count < max && (node = next_taken(group)))
		count += hand_out(group, slot_of(node), &events[count]);
	return count;
}

/* Sleep until something may have come; false: the deadline has passed. */
static bool sleep_until(dxh_group *group, int64_t deadline_ns)
{
	uint32_t word = atomic_load_explicit(&group->word, memory_order_acquire);
	int fd = atomic_load_explicit(&group->fd, memory_order_relaxed);

	if (fd != -1)
		dxi_doorbell_clear(fd);
	if (!dxi_queue_arm(&group->done))
		return true;
	if (deadline_ns == DXH_NOW)
		return false;
	return dxi_futex_wait(&group->word, word, deadline_ns, DXI_FUTEX_PRIVATE);
}

static bool is_empty(const dxh_group *group)
{
	return atomic_load_explicit(&group->outstanding, memory_order_relaxed) == 0;
}

static dxh_status check_wait(const dxh_group *group, size_t min, const dxh_event *events,
                             size_t max, int64_t deadline_ns, const size_t *count)
{
	if (!group || !events || !count || max == 0 || min > max)
		return dxi_fail(
			DXH_EINVAL,
			"dxh_group_wait needs a group, events, count and min %zu <= max %zu "
			">= 1",
			min, max);
	if (group->process != dxi_process_id())
		return dxi_fail(DXH_EFORKED, "the group belongs to the parent process");
	if (group->on_event)
		return dxi_fail(DXH_ESTATE,
		                "an inline group calls by itself and is not waited for");
	if (dxi_may_not_wait && deadline_ns != DXH_NOW)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait: use DXH_NOW");
	return DXH_OK;
}

dxh_status dxh_group_wait(dxh_group *group, size_t min, dxh_event *events, size_t max,
                          int64_t deadline_ns, size_t *count)
{
	dxh_status status = check_wait(group, min, events, max, deadline_ns, count);
	bool in_time = true;

	if (status != DXH_OK)
		return status;
	*count = 0;
	for (;;) {
		*count += collect(group, events + *count, max - *count);
		if (*count >= min && *count > 0)
			return DXH_OK;
		if (*count > 0 && is_empty(group))
			return DXH_OK;
		/* Armed on every other return, so that the descriptor tells of what
		 * comes next, and of nothing else. */
		if ((!in_time || is_empty(group)) && !sleep_until(group, DXH_NOW))
			return is_empty(group) ? dxi_fail(DXH_EEMPTY, "nothing of this group is "
			                                              "outstanding: post to it "
			                                              "first")
			                       : dxi_fail(DXH_EWAIT, "fewer have ended than "
			                                             "were waited for");
		in_time = in_time && sleep_until(group, deadline_ns);
	}
}

dxh_status dxh_group_next(dxh_group *group, dxh_event *event, int64_t deadline_ns)
{
	size_t count;

	return dxh_group_wait(group, 1, event, 1, deadline_ns, &count);
}

dxh_status dxh_group_dispatch(dxh_group *group, dxh_event_fn on_event, void *context, size_t max,
                              int64_t deadline_ns, size_t *count)
{
	dxh_event event;
	dxh_status status;
	size_t called = 0;

	if (count)
		*count = 0;
	if (!on_event || max == 0)
		return dxi_fail(DXH_EINVAL, "dxh_group_dispatch needs on_event and max >= 1");
	status = dxh_group_next(group, &event, deadline_ns);
	if (status != DXH_OK)
		return status;
	/* One by one: what a callback releases may be the next one. */
	do
		on_event(context, &event);
	while (++called < max && collect(group, &event, 1) == 1);
	if (count)
		*count = called;
	return DXH_OK;
}

int dxh_group_fd(dxh_group *group)
{
	int fd;

	if (!group || group->process != dxi_process_id() || group->on_event)
		return -1;
	fd = atomic_load_explicit(&group->fd, memory_order_relaxed);
	if (fd != -1 || dxi_doorbell_open(&fd) != DXH_OK)
		return fd;
	/* release: pairs with the acquire in dxi_group_signal(). */
	atomic_store_explicit(&group->fd, fd, memory_order_release);
	/* Something may wait already, or a signal may have missed the descriptor:
	 * one spare ring makes the owner look, and look arms. */
	dxi_doorbell_ring(fd);
	return fd;
}

dxh_status dxh_group_close(dxh_group **group)
{
	dxh_group *closing;

	if (!group || !*group)
		return dxi_fail(DXH_EINVAL, "the group is closed already, or was never opened");
	closing = *group;
	*group = NULL;
	if (closing->process != dxi_process_id())
		return DXH_OK;
	atomic_store_explicit(&closing->closed, true, memory_order_release);
	if (closing->on_event)
		close_inline(closing);
	else
		ungroup_all(closing);
	let_go(closing, 1);
	return DXH_OK;
}
