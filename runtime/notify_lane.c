/* SPDX-License-Identifier: MIT */
/* Frames of notifications between their posters and the socket. Linger deadlines are
 * one per peer, in nanoseconds, beside the wheel and its ticks of 1 ms. */
#include "runtime/notify_lane.h"

#include "runtime/peer.h"

#include <stdlib.h>

static bool is_draining(const dxh_hub *hub)
{
	return atomic_load_explicit(&hub->state, memory_order_relaxed) != DXI_HUB_RUNNING;
}

static int64_t due_of(const dxh_peer *peer, const dxi_batch *batch)
{
	return batch->opened_ns + (int64_t)peer->config.linger_us * 1000;
}

static bool is_ripe(const dxh_peer *peer, const dxi_batch *batch)
{
	return peer->config.linger_us == 0 || batch->sequence <= peer->notes.ripe_up_to ||
	       due_of(peer, batch) <= peer->hub->now_ns || dxi_batch_is_filled(batch) ||
	       is_draining(peer->hub);
}

/* The first ripe one; *before is the one in front of it. Frames of one thread ripen in
 * their order, for a thread opens the next when the last is filled or closed. */
static dxi_batch *find_ripe(const dxh_peer *peer, dxi_batch **before)
{
	dxi_batch *batch = peer->notes.first;

	*before = NULL;
	while (batch && !is_ripe(peer, batch)) {
		*before = batch;
		batch = batch->next;
	}
	return batch;
}

static void take_out(dxi_notify_lane *lane, dxi_batch *batch, dxi_batch *before)
{
	if (before)
		before->next = batch->next;
	else
		lane->first = batch->next;
	if (lane->last == batch)
		lane->last = before;
}

uint64_t dxi_notify_lane_out(const dxi_notify_lane *lane)
{
	return lane->first ? lane->first->sequence - 1 : lane->in;
}

/* Whatever the window is, one frame may be under way. */
static bool has_window(const dxh_peer *peer)
{
	const dxi_notify_lane *lane = &peer->notes;
	uint64_t under_way = lane->sent_bytes - lane->taken_bytes;

	return lane->window == 0 || under_way == 0 ||
	       under_way + peer->batches.frame_bytes <= lane->window;
}

bool dxi_notify_lane_is_ripe(const dxh_peer *peer)
{
	dxi_batch *before;

	return has_window(peer) && find_ripe(peer, &before) != NULL;
}

bool dxi_notify_lane_is_held(const dxh_peer *peer)
{
	return peer->notes.first && !has_window(peer);
}

void dxi_notify_lane_welcomed(dxh_peer *peer, uint64_t window)
{
	peer->notes.window = window;
	peer->notes.sent_bytes = peer->notes.taken_bytes = 0;
}

void dxi_notify_lane_credited(dxh_peer *peer, uint64_t taken_bytes)
{
	dxi_notify_lane *lane = &peer->notes;

	/* It only grows, and never beyond what was sent. */
	if (taken_bytes <= lane->taken_bytes || taken_bytes > lane->sent_bytes) {
		dxi_count(&peer->hub->metrics->frames_bad, taken_bytes != lane->taken_bytes);
		return;
	}
	lane->taken_bytes = taken_bytes;
	dxi_peer_touch(peer);
}

static bool drop(dxh_peer *peer, dxi_batch *batch)
{
	dxi_metrics *metrics = peer->hub->metrics;
	uint32_t records;
	size_t bytes;

	if (!dxi_batch_close(batch, &bytes, &records))
		return false; /* its writer hands it over again, with all that is in it */
	dxi_count(&metrics->notifications_posted, records);
	dxi_count(&metrics->notifications_dropped, records);
	peer->notes.dropped += records;
	peer->notes.dropped_bytes += bytes - DXI_FRAME_HEADER_BYTES;
	dxi_batch_recycle(&peer->batches, batch);
	dxi_batches_tell(&peer->batches, !peer->notes.first);
	return true;
}

bool dxi_notify_lane_drop_oldest(dxh_peer *peer)
{
	bool dropped = false;

	while (peer->notes.first && !dropped) {
		dxi_batch *batch = peer->notes.first;

		take_out(&peer->notes, batch, NULL);
		dropped = drop(peer, batch);
	}
	return dropped;
}

void dxi_peer_take_batch(dxh_peer *peer, dxi_batch *batch)
{
	dxi_notify_lane *lane = &peer->notes;

	if (atomic_load_explicit(&peer->hub->state, memory_order_relaxed) == DXI_HUB_CLOSED) {
		drop(peer, batch);
		return;
	}
	if (batch->sequence == 0) { /* it is new */
		lane->bytes += peer->batches.frame_bytes;
		dxi_count(&peer->hub->metrics->memory_bytes, peer->batches.frame_bytes);
	}
	batch->next = NULL;
	batch->sequence = ++lane->in;
	if (lane->last)
		lane->last->next = batch;
	else
		lane->first = batch;
	lane->last = batch;
	if (is_ripe(peer, batch))
		dxi_peer_touch(peer);
	else if (due_of(peer, batch) < lane->due_ns)
		lane->due_ns = due_of(peer, batch);
}

/* A copy of a full frame takes as long as all else that is done for it here, so the socket
 * gets its memory and the frame another. */
static bool send_frame(dxh_peer *peer, dxi_batch *batch, size_t bytes)
{
	unsigned char *other =
		bytes >= DXI_FRAME_TAKEN_MIN ? malloc(peer->batches.frame_bytes) : NULL;
	dxi_outgoing message = {.frame = batch->bytes,
	                        .frame_bytes = bytes,
	                        .memory = other ? &batch->bytes : NULL};
	bool sent = dxi_link_send(peer->link, &message) == DXI_SENT_ALL;

	if (batch->bytes)
		free(other);
	else
		batch->bytes = other;
	return sent;
}

bool dxi_notify_lane_send(dxh_peer *peer)
{
	dxi_metrics *metrics = peer->hub->metrics;
	dxi_batch *before, *batch = find_ripe(peer, &before);
	uint32_t records;
	size_t bytes;

	if (!batch)
		return false;
	if (!has_window(peer)) {
		dxi_pulse_expect(peer); /* what holds it may have died */
		return false;
	}
	if (!dxi_batch_close(batch, &bytes, &records)) {
		take_out(&peer->notes, batch, before); /* it will come again */
		return true;
	}
	if (!send_frame(peer, batch, bytes))
		return false;
	take_out(&peer->notes, batch, before);
	peer->notes.sent_bytes += bytes - DXI_FRAME_HEADER_BYTES;
	dxi_count(&metrics->notifications_posted, records);
	dxi_count(&metrics->notifications_sent, records);
	dxi_count(&metrics->frames_sent, 1);
	dxi_count(&metrics->records_sent, records);
	dxi_batch_recycle(&peer->batches, batch);
	dxi_batches_tell(&peer->batches, !peer->notes.first);
	return true;
}

/* ---- looking in time ------------------------------------------------------------- */

void dxi_notify_lane_kick(dxh_peer *peer, uint32_t bits)
{
	/* seq_cst RMW on both sides: either take_kick() comes behind this one and sees
	 * what was appended before it, or the task is pushed anew. */
	if (atomic_fetch_or(&peer->notes.kicked, bits) == 0)
		dxi_hub_push(peer->hub, &peer->notes.task, &peer->notes.task);
}

void dxi_notify_lane_take_kick(dxi_task *task)
{
	dxh_peer *peer = (dxh_peer *)(void *)((char *)task - offsetof(dxh_peer, notes.task));

	if (atomic_exchange(&peer->notes.kicked, 0) & DXI_KICK_HURRY)
		peer->notes.ripe_up_to = peer->notes.in;
	dxi_peer_settle_flushes(peer);
	dxi_peer_touch(peer);
}

void dxi_notify_lane_set_due(dxh_peer *peer)
{
	peer->notes.due_ns = DXH_FOREVER;
	if (peer->config.linger_us == 0)
		return;
	for (const dxi_batch *batch = peer->notes.first; batch; batch = batch->next)
		/* A ripe one waits for the socket, not for a time. */
		if (!is_ripe(peer, batch) && due_of(peer, batch) < peer->notes.due_ns)
			peer->notes.due_ns = due_of(peer, batch);
}

size_t dxi_notify_lanes_expire(dxh_hub *hub)
{
	size_t count = 0;

	for (dxh_peer *peer = hub->peers; peer && hub->lingering > 0; peer = peer->next) {
		if (peer->notes.due_ns == DXH_FOREVER ||
		    (peer->notes.due_ns > hub->now_ns && !is_draining(hub)))
			continue;
		peer->notes.due_ns = DXH_FOREVER;
		dxi_peer_touch(peer);
		count++;
	}
	return count;
}

int64_t dxi_notify_lanes_next_ns(const dxh_hub *hub)
{
	int64_t next_ns = DXH_FOREVER;

	for (const dxh_peer *peer = hub->peers; peer && hub->lingering > 0; peer = peer->next)
		if (peer->notes.due_ns < next_ns)
			next_ns = peer->notes.due_ns;
	return next_ns;
}
