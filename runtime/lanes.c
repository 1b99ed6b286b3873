/* SPDX-License-Identifier: MIT */
/* The I/O thread's side of a peer: what waits to be sent, what was sent, and what
 * comes back. */
#include "runtime/peer.h"

#include "base/probe.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

/* So that one busy peer cannot hold the others up. */
enum { FRAMES_PER_LOOK = 64 };

/* After so many parts of large bodies, what was posted meanwhile is taken in, and goes
 * first. */
enum { PARTS_PER_LOOK = 4 };

/* Requests go before notifications, but of so many frames and one more, one is of
 * notifications if any wait. */
enum { REQUEST_FRAMES_IN_ROW = 3 };

static size_t send_all(dxh_peer *peer);

/* ---- into the lanes ---------------------------------------------------------------- */

/* Only a ready peer sends; before that its lanes just grow. */
void dxi_peer_touch(dxh_peer *peer)
{
	if (peer->link && dxh_peer_state_get(peer) == DXH_PEER_READY)
		dxi_link_touch(peer->link);
}

void dxi_peer_settle_flushes(dxh_peer *peer)
{
	dxi_operation *flush = peer->flushes.first;

	/* In order of flush_after; those that want a reply stay for encode_flushes(). */
	while (flush && flush->flush_after <= dxi_notify_lane_out(&peer->notes)) {
		dxi_operation *next = flush->next;

		if (flush->kind == DXI_OP_FLUSH_SENT)
			dxi_operation_end(flush, DXH_OK, DXH_MAYBE_EXECUTED, NULL, 0);
		flush = next;
	}
}

void dxi_peer_take(dxh_peer *peer, dxi_operation *operation)
{
	if (operation->kind == DXI_OP_REQUEST && dxi_operation_is_large(operation)) {
		dxi_transfer_take(peer, operation);
	} else if (operation->kind == DXI_OP_REQUEST) {
		dxi_operation_append(&peer->lane, operation, DXI_IN_LANE);
	} else {
		operation->flush_after = peer->notes.ripe_up_to = peer->notes.in;
		dxi_operation_append(&peer->flushes, operation, DXI_IN_FLUSHES);
		dxi_peer_settle_flushes(peer);
	}
	dxi_peer_touch(peer);
}

void dxi_peer_tell_canceled(dxh_peer *peer, uint64_t id)
{
	/* A hint without an answer: when there is no room, it is not told. */
	(void)dxi_peer_control(peer, &(dxi_record){.kind = DXI_CANCEL, .id = id});
}

bool dxi_peer_control(dxh_peer *peer, const dxi_record *record)
{
	if (!peer->link || dxh_peer_state_get(peer) != DXH_PEER_READY)
		return false;
	dxi_peer_touch(peer);
	if (dxi_control_lane_put(&peer->control, record))
		return true;
	dxi_count(&peer->hub->metrics->control_refused, 1);
	return false;
}

void dxi_peer_abandon(dxh_peer *peer, const char *reason)
{
	dxi_operation_end_all(&peer->retries.resting, DXH_ECLOSED, DXH_MAYBE_EXECUTED, reason);
	dxi_operation_end_all(&peer->lane, DXH_ECLOSED, DXH_NOT_SENT, reason);
	dxi_operation_end_all(&peer->transfers.waiting, DXH_ECLOSED, DXH_NOT_SENT, reason);
	dxi_operation_end_all(&peer->transfers.under_way, DXH_ECLOSED, DXH_NOT_SENT, reason);
	dxi_operation_end_all(&peer->sent, DXH_ECLOSED, DXH_MAYBE_EXECUTED, reason);
	dxi_operation_end_all(&peer->flushes, DXH_ECLOSED, DXH_NOT_SENT, reason);
	dxi_operation_end_all(&peer->flushing, DXH_ECLOSED, DXH_MAYBE_EXECUTED, reason);
	while (dxi_notify_lane_drop_oldest(peer))
		;
}

void dxi_peer_make_room(dxh_peer *peer)
{
	dxi_batches *batches = &peer->batches;
	dxi_batch *frame;

	while (batches->wanted && (frame = dxi_batches_reserve(batches))) {
		batches->wanted->frame = frame;
		batches->wanted = batches->wanted->next;
	}
	/* What can be sent is not dropped. */
	if (batches->wanted && peer->link && dxh_peer_state_get(peer) == DXH_PEER_READY)
		send_all(peer);
	while (batches->wanted && dxi_notify_lane_drop_oldest(peer))
		;
	dxi_peer_settle_flushes(peer);
}

bool dxi_peer_is_idle(const dxh_peer *peer)
{
	return peer->lane.count + peer->transfers.waiting.count + peer->transfers.under_way.count +
	                       peer->sent.count + peer->retries.resting.count +
	                       peer->flushes.count + peer->flushing.count ==
	               0 &&
	       !peer->notes.first;
}

/* ---- sending ------------------------------------------------------------------------- */

bool dxi_window_has_room(const dxh_peer *peer, size_t more_records, uint64_t more_bytes,
                         const dxi_operation *operation)
{
	return peer->sent.count + peer->transfers.under_way.count + more_records < peer->window &&
	       peer->open_bytes + more_bytes + operation->body_bytes <= peer->window_bytes;
}

bool dxi_window_can_hold(const dxh_peer *peer, const dxi_operation *operation)
{
	return operation->body_bytes <= peer->window_bytes;
}

void dxi_window_refuse(dxh_peer *peer, dxi_operation *operation)
{
	char text[128];
	int bytes = snprintf(text, sizeof text,
	                     "a body of %u bytes; the service grants a window of %llu",
	                     operation->body_bytes, (unsigned long long)peer->window_bytes);

	dxi_operation_end(operation, DXH_ETOOBIG, dxi_operation_certainty(operation), text,
	                  (size_t)bytes);
}

/* What may come again, and the service is to keep the answer of. */
static uint8_t request_flags(const dxi_operation *operation)
{
	if (operation->peer->memory == 0)
		return 0;
	if (operation->hold)
		return DXI_FLAG_KEEP | DXI_FLAG_ONCE;
	return operation->idempotent ? DXI_FLAG_KEEP : 0;
}

dxi_record dxi_request_record(dxi_operation *operation, const dxh_hub *hub)
{
	return (dxi_record){.kind = DXI_REQUEST,
	                    .flags = request_flags(operation),
	                    .id = dxi_operation_id(operation),
	                    .attempt = operation->attempt,
	                    .budget_us =
	                            dxi_budget_encode(operation->timer.deadline_ns, hub->now_ns),
	                    .subject = (const char *)operation->payload,
	                    .subject_bytes = operation->subject_bytes,
	                    .body = dxi_operation_body(operation),
	                    .body_bytes = operation->body_bytes};
}

void dxi_request_body_behind(dxi_outgoing *message, const dxi_operation *operation,
                             const dxi_record *record)
{
	dxi_body *held = dxi_operation_held_body(operation);

	message->body = record->body;
	message->body_bytes = record->body_bytes;
	/* What is borrowed must not be read by libzmq later. */
	message->owner = held && !held->is_borrowed ? held : NULL;
}

/* What the window will never have room for must not hold up the others. */
static void refuse_impossible(dxh_peer *peer)
{
	while (peer->lane.first && !dxi_window_can_hold(peer, peer->lane.first))
		dxi_window_refuse(peer, peer->lane.first);
}

/* Put requests into a frame behind the control records, and the body of the last one
 * behind the frame if it is of some size. Nothing changes its place yet: the socket may
 * refuse. Returns how many are in it. */
static size_t encode_requests(dxh_peer *peer, dxi_frame_writer *writer, dxi_outgoing *message)
{
	uint64_t bytes = 0;
	size_t count = 0;

	for (dxi_operation *next = peer->lane.first;
	     next && dxi_window_has_room(peer, count, bytes, next); next = next->next) {
		dxi_record record = dxi_request_record(next, peer->hub);
		bool is_behind = peer->takes_parts && record.body_bytes >= DXI_BODY_IN_PLACE_MIN;

		if (is_behind)
			record.flags |= DXI_FLAG_BODY_IN_NEXT_PART;
		/* A large request gets a frame of its own size, alone. */
		if (writer->records == 0)
			writer->capacity = DXI_MESSAGE_BYTES_MAX;
		else if (writer->used >= peer->frame_bytes)
			break;
		if (!dxi_frame_append(writer, &record))
			break;
		writer->capacity = peer->frame_bytes;
		bytes += record.body_bytes;
		count++;
		if (is_behind) {
			dxi_request_body_behind(message, next, &record);
			break;
		}
	}
	return count;
}

/* FLUSH behind the notifications it asks about: those are all sent. */
static size_t encode_flushes(dxh_peer *peer, dxi_frame_writer *writer)
{
	size_t count = 0;

	for (dxi_operation *next = peer->flushes.first;
	     next && next->flush_after <= dxi_notify_lane_out(&peer->notes); next = next->next) {
		if (!dxi_frame_append(
			    writer, &(dxi_record){.kind = DXI_FLUSH, .id = dxi_operation_id(next)}))
			break;
		count++;
	}
	return count;
}

static void move_to(dxi_operation_list *from, dxi_operation_list *to, size_t count)
{
	while (count-- > 0) {
		dxi_operation *operation = from->first;

		dxi_operation_remove(operation);
		dxi_operation_was_sent(operation);
		dxi_operation_append(to, operation, DXI_IN_SENT);
	}
}

static void count_frame(dxh_hub *hub, uint32_t records)
{
	dxi_count(&hub->metrics->frames_sent, 1);
	dxi_count(&hub->metrics->records_sent, records);
}

/* One frame: control records first, then as many requests as fit. */
static bool send_requests(dxh_peer *peer)
{
	dxi_frame_writer writer = dxi_frame_begin(peer->hub->scratch, peer->frame_bytes);
	dxi_outgoing message = {.frame = peer->hub->scratch};
	size_t flushes, requests;

	refuse_impossible(peer);
	if (peer->pulse.beat_due)
		dxi_frame_append(&writer, &(dxi_record){.kind = DXI_BEAT});
	dxi_control_lane_encode(&peer->control, &writer);
	flushes = encode_flushes(peer, &writer);
	dxi_subscriptions_encode(peer, &writer);
	/* Before the requests: the service makes room for their answers. */
	dxi_acks_encode(peer, &writer,
	                peer->lane.first && dxi_window_has_room(peer, 0, 0, peer->lane.first));
	requests = encode_requests(peer, &writer, &message);
	message.frame_bytes = dxi_frame_end(&writer);
	if (message.frame_bytes == 0 || dxi_link_send(peer->link, &message) != DXI_SENT_ALL)
		return false;
	peer->pulse.beat_due = false;
	dxi_control_lane_sent(&peer->control);
	dxi_subscriptions_sent(peer);
	dxi_acks_sent(peer);
	move_to(&peer->lane, &peer->sent, requests);
	move_to(&peer->flushes, &peer->flushing, flushes);
	dxi_peer_settle_flushes(peer);
	dxi_pulse_expect(peer);
	count_frame(peer->hub, writer.records);
	return true;
}

/* Whose turn it is, kept over looks: a socket that takes one frame a look would
 * otherwise never come to the other lanes. Control records always go first: they
 * travel in the frames of the requests. */
static bool is_turn_of_others(dxh_peer *peer)
{
	return peer->request_frames >= REQUEST_FRAMES_IN_ROW &&
	       dxi_control_lane_is_empty(&peer->control) && !peer->pulse.beat_due &&
	       (dxi_notify_lane_is_ripe(peer) || dxi_transfers_are_ready(peer));
}

static bool send_notifications(dxh_peer *peer)
{
	bool sent = dxi_notify_lane_send(peer);

	if (sent)
		dxi_peer_settle_flushes(peer);
	return sent;
}

/* A frame of notifications or a part of a large request, in turn. */
static bool send_others(dxh_peer *peer)
{
	bool parts_first = !peer->parts_were_last;

	peer->parts_were_last = parts_first;
	if (parts_first ? dxi_transfers_send(peer) : send_notifications(peer))
		return true;
	peer->parts_were_last = !parts_first;
	return parts_first ? send_notifications(peer) : dxi_transfers_send(peer);
}

static size_t send_all(dxh_peer *peer)
{
	size_t frames = 0, parts = 0;
	bool sent = true;

	while (sent && frames < FRAMES_PER_LOOK && parts < PARTS_PER_LOOK) {
		sent = !is_turn_of_others(peer) && send_requests(peer);
		if (sent) {
			peer->request_frames++;
		} else {
			sent = send_others(peer);
			if (sent)
				peer->request_frames = 0;
			parts += sent && peer->parts_were_last;
		}
		frames += (size_t)sent;
	}
	dxi_notify_lane_set_due(peer);
	return frames;
}

/* ---- receiving -------------------------------------------------------------------------- */

/* A service that will not take all of a body says so in the midst of it. */
static bool is_answerable(const dxi_operation *operation)
{
	return operation->place == DXI_IN_SENT ||
	       (operation->kind == DXI_OP_REQUEST && dxi_transfer_is_half_sent(operation));
}

/* The operation that a reply of this peer is for; NULL, counted. */
static dxi_operation *find_sent(dxh_peer *peer, uint64_t id, bool flush)
{
	dxh_hub *hub = peer->hub;
	bool late;
	dxi_slot *slot = dxi_completion_find_open(hub->pool, id ^ hub->incarnation, &late);
	dxi_operation *operation = slot ? dxi_operation_of(slot) : NULL;

	if (operation && operation->peer == peer && is_answerable(operation) &&
	    (operation->kind != DXI_OP_REQUEST) == flush)
		return operation;
	dxi_count(late && !operation ? &hub->metrics->replies_late : &hub->metrics->replies_foreign,
	          1);
	return NULL;
}

static void take_reply(dxh_peer *peer, const dxi_record *record, dxh_status status)
{
	dxi_operation *operation = find_sent(peer, record->id, record->kind == DXI_FLUSHED);
	/* As a service says of what it has forgotten. */
	dxh_certainty certainty = status == DXH_ELOST ? DXH_MAYBE_EXECUTED : DXH_REPLIED;
	static const char too_big[] = "the reply exceeds this hub's body_bytes_max";

	DXI_PROBE(reply, record->id ^ peer->hub->incarnation, (int)status, record->body_bytes);
	if (operation && status == DXH_EOVERLOADED && dxi_retry_later(operation))
		return;
	if (status != DXH_EOVERLOADED)
		dxi_retries_relax(peer);
	if (record->flags & DXI_FLAG_PART)
		dxi_reply_part_taken(peer, operation, record);
	else if (operation && record->body_bytes > peer->hub->config.body_bytes_max)
		dxi_operation_end(operation, DXH_ETOOBIG, DXH_REPLIED, too_big, sizeof too_big - 1);
	else if (operation)
		dxi_operation_end(operation, status, certainty, record->body, record->body_bytes);
}

/* The status of an ERROR record, as this side may hand it out. */
static dxh_status error_status(const dxi_record *record)
{
	switch ((dxh_status)record->status) {
	case DXH_OK: /* no error, and the others speak of this side's own handles */
	case DXH_EWAIT:
	case DXH_ESTALE:
	case DXH_EDEADLK:
	case DXH_EFORKED:
	case DXH_EEMPTY:
		return DXH_EREJECTED;
	default:
		return dxi_status_is_known(record->status) ? (dxh_status)record->status
		                                           : DXH_EREJECTED;
	}
}

static void take_record(dxh_peer *peer, const dxi_record *record)
{
	switch (record->kind) {
	case DXI_REPLY:
	case DXI_FLUSHED:
		take_reply(peer, record, DXH_OK);
		break;
	case DXI_ERROR:
		if (dxh_peer_state_get(peer) == DXH_PEER_READY)
			take_reply(peer, record, error_status(record));
		else
			dxi_connection_refused(peer, record);
		break;
	case DXI_WELCOME:
		dxi_connection_welcomed(peer, record);
		break;
	case DXI_GOODBYE:
		dxi_connection_goodbye(peer);
		break;
	case DXI_SUBSCRIBE:
		dxi_subscriptions_confirmed(peer, record);
		break;
	case DXI_NOTIFY:
		dxi_subscriptions_notified(peer, record);
		break;
	case DXI_CREDIT:
		dxi_notify_lane_credited(peer, record->id);
		break;
	case DXI_BEAT:
		break;
	default:
		/* A kind that only clients send: the other side is confused. */
		dxi_count(&peer->hub->metrics->frames_bad, 1);
	}
}

static void take_frame(dxh_peer *peer, const dxi_message *message)
{
	dxi_metrics *metrics = peer->hub->metrics;
	dxi_frame_reader reader;
	dxi_record record;

	peer->pulse.heard_ns = peer->hub->now_ns;
	dxi_count(&metrics->frames_received, 1);
	if (message->bytes == 0 && !message->malformed) {
		dxi_connection_forgotten(peer);
		return;
	}
	if (message->malformed || dxi_message_open(&reader, message->frame, message->bytes,
	                                           message->body, message->body_bytes) != DXH_OK) {
		dxi_count(&metrics->frames_bad, 1);
		dxi_log(DXH_LOG_INFO, "dropped a bad frame from '%s': %s", peer->endpoint,
		        message->malformed ? "it has more than two parts" : dxh_last_error());
		return;
	}
	/* A record may end the connection; that receives what is left into the memory
	 * this frame lies in. */
	while (peer->link && dxi_frame_next(&reader, &record) == DXH_OK) {
		dxi_count(&metrics->records_received, 1);
		take_record(peer, &record);
	}
}

static size_t receive(dxh_peer *peer, size_t frames_max, size_t bytes_max)
{
	dxi_message message;
	size_t frames = 0, bytes = 0;

	/* What is taken in may end the connection. */
	while (frames < frames_max && bytes < bytes_max && peer->link &&
	       dxi_link_receive(peer->link, &message)) {
		bytes += message.bytes + message.body_bytes;
		take_frame(peer, &message);
		frames++;
	}
	return frames;
}

void dxi_peer_receive_rest(dxh_peer *peer)
{
	/* As much as libzmq may hold of one connection. If it lives and goes on
	 * sending, the rest is not waited for. */
	receive(peer, DXI_RECEIVE_FRAMES_MAX, SIZE_MAX);
}

size_t dxi_peer_exchange(dxh_peer *peer, bool can_receive, bool can_send)
{
	size_t work = can_receive ? receive(peer, FRAMES_PER_LOOK, DXI_RECEIVE_BYTES_PER_LOOK) : 0;

	dxi_subscriptions_signal(peer);
	if (can_send && peer->link && dxh_peer_state_get(peer) == DXH_PEER_READY)
		work += send_all(peer);
	return work;
}
