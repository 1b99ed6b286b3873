/* SPDX-License-Identifier: MIT */
/* One array, emptied from its front. It holds no more ids than requests were sent since
 * acks could leave last, which the window bounds. */
#include "runtime/acks.h"

#include "base/clock.h"
#include "runtime/peer.h"

#include <stdlib.h>
#include <string.h>

enum {
	SOON = 64, /* so many do not wait for requests to travel with */
	IN_FRAME_MAX = 512,
	LIMIT = 1 << 20, /* what cannot be remembered, the service gives up by itself */
	WAIT_NS = 100 * DXI_NS_PER_MS
};

static void set_due(void *context)
{
	dxh_peer *peer = context;

	peer->acks.is_due = true;
	dxi_peer_touch(peer);
}

void dxi_acks_init(dxh_peer *peer)
{
	peer->acks.alarm = (dxi_tick){.fn = set_due, .context = peer};
}

static void clear(dxh_peer *peer)
{
	dxi_acks *acks = &peer->acks;

	dxi_wheel_disarm(&peer->hub->ticks, &acks->alarm.timer);
	dxi_count_down(&peer->hub->metrics->memory_bytes, acks->capacity * sizeof *acks->ids);
	free(acks->ids);
	acks->ids = NULL;
	acks->count = acks->capacity = acks->in_frame = 0;
	acks->is_due = false;
}

void dxi_acks_stop(dxh_peer *peer)
{
	clear(peer);
}

static bool make_room(dxh_peer *peer)
{
	dxi_acks *acks = &peer->acks;
	uint32_t capacity = acks->capacity > 0 ? acks->capacity * 2 : SOON;
	uint64_t *more;

	if (acks->count < acks->capacity)
		return true;
	more = capacity <= LIMIT ? realloc(acks->ids, capacity * sizeof *more) : NULL;
	if (!more)
		return false;
	dxi_count(&peer->hub->metrics->memory_bytes, (capacity - acks->capacity) * sizeof *more);
	acks->ids = more;
	acks->capacity = capacity;
	return true;
}

void dxi_acks_add(dxh_peer *peer, uint64_t id)
{
	dxi_acks *acks = &peer->acks;

	if (!make_room(peer))
		return;
	acks->ids[acks->count++] = id;
	if (acks->count >= SOON)
		set_due(peer);
	else if (!dxi_timer_armed(&acks->alarm.timer))
		dxi_wheel_arm(&peer->hub->ticks, &acks->alarm.timer,
		              dxi_hub_after(peer->hub, WAIT_NS));
}

void dxi_acks_welcomed(dxh_peer *peer)
{
	if (peer->memory == 0)
		clear(peer);
}

/* How many ids there is room for in a frame. */
static uint32_t room_in(const dxi_frame_writer *writer)
{
	size_t used = writer->used + dxi_record_bytes(0, 0);
	size_t room = used < writer->capacity ? (writer->capacity - used) / DXI_ID_BYTES : 0;

	return room < IN_FRAME_MAX ? (uint32_t)room : IN_FRAME_MAX;
}

void dxi_acks_encode(dxh_peer *peer, dxi_frame_writer *writer, bool requests_follow)
{
	dxi_acks *acks = &peer->acks;
	uint32_t room = room_in(writer), count = acks->count < room ? acks->count : room;
	unsigned char body[IN_FRAME_MAX * DXI_ID_BYTES];

	acks->in_frame = 0;
	if (count == 0 || !(acks->is_due || requests_follow))
		return;
	dxi_ids_write(acks->ids, count, body);
	if (dxi_frame_append(writer, &(dxi_record){.kind = DXI_ACK,
	                                           .body = body,
	                                           .body_bytes = count * DXI_ID_BYTES}))
		acks->in_frame = count;
}

void dxi_acks_sent(dxh_peer *peer)
{
	dxi_acks *acks = &peer->acks;

	if (acks->in_frame == 0)
		return;
	acks->count -= acks->in_frame;
	memmove(acks->ids, acks->ids + acks->in_frame, acks->count * sizeof *acks->ids);
	acks->in_frame = 0;
	acks->is_due = acks->count >= SOON;
}
