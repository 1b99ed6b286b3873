/* SPDX-License-Identifier: MIT */
/* Frames go to those who ask before they are free for all, and nobody is asked for one
 * before all that are on the queue have come to the lane. Otherwise a poster that is a
 * little slower than the others would find none, however often it asked. */
#include "runtime/room.h"

#include "base/futex.h"
#include "runtime/peer.h"

/* On the stack of who asks. */
typedef struct room {
	dxi_task task; /* kind DXI_TASK_ROOM */
	struct dxh_peer *peer;
	dxi_batch_want want;
	_Atomic uint32_t done; /* futex */
} room;

static room *room_of(dxi_batch_want *want)
{
	return (room *)(void *)((char *)want - offsetof(room, want));
}

/* Whoever calls from the I/O thread may stand in the midst of sending: there it only
 * drops, and what follows from that comes by the queue. */
static dxh_status ask_here(void *context)
{
	room *asking = context;
	dxi_batches *batches = &asking->peer->batches;

	asking->want.next = batches->wanted;
	batches->wanted = &asking->want;
	dxi_notify_lane_drop_oldest(asking->peer);
	if (!asking->want.frame)
		batches->wanted = asking->want.next;
	else
		dxi_notify_lane_kick(asking->peer, DXI_KICK_LOOK);
	return DXH_OK;
}

dxi_batch *dxi_room_ask(struct dxh_peer *peer)
{
	room asking = {.task.kind = DXI_TASK_ROOM, .peer = peer};

	if (dxi_may_not_wait) {
		(void)dxi_hub_call(peer->hub, ask_here, &asking);
		return asking.want.frame;
	}
	dxi_hub_push(peer->hub, &asking.task, &asking.task);
	/* acquire: pairs with the release in answer(); publishes the frame. */
	while (!atomic_load_explicit(&asking.done, memory_order_acquire))
		dxi_futex_wait(&asking.done, 0, DXH_FOREVER, DXI_FUTEX_PRIVATE);
	return asking.want.frame;
}

void dxi_room_asked(dxi_task *task)
{
	room *asking = (room *)(void *)task;
	dxi_batch_want **at = &asking->peer->batches.wanted;

	if (!*at) {
		asking->peer->next_wanting = asking->peer->hub->wanting;
		asking->peer->hub->wanting = asking->peer;
	}
	while (*at) /* as many as there are posters */
		at = &(*at)->next;
	*at = &asking->want;
}

/* Who asked may be gone right after. */
static void answer(room *asking)
{
	/* release: publishes the frame. */
	atomic_store_explicit(&asking->done, 1, memory_order_release);
	dxi_futex_wake(&asking->done, 1, DXI_FUTEX_PRIVATE);
}

static void make_rooms(dxh_peer *peer)
{
	dxi_batch_want *next, *want = peer->batches.wanted;

	dxi_peer_make_room(peer);
	peer->batches.wanted = NULL;
	for (; want; want = next) {
		next = want->next;
		answer(room_of(want));
	}
}

void dxi_rooms_make(dxh_hub *hub)
{
	while (hub->wanting) {
		dxh_peer *peer = hub->wanting;

		hub->wanting = peer->next_wanting;
		make_rooms(peer);
	}
}
