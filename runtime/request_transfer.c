/* SPDX-License-Identifier: MIT */
/* A part of each large request in turn, of so many at a time as the protocol allows,
 * within the window that the service grants.
 *
 * A service executes nothing before the last part, so a request of which some parts
 * have left still counts as not sent: it begins again on the next connection, as the same
 * attempt. */
#include "runtime/request_transfer.h"

#include "runtime/peer.h"

#include <string.h>

void dxi_transfer_take(dxh_peer *peer, dxi_operation *operation)
{
	operation->large.sent_bytes = 0;
	dxi_operation_append(&peer->transfers.waiting, operation, DXI_IN_LARGE_LANE);
}

void dxi_transfers_take_again(dxh_peer *peer, dxi_operation_list *first)
{
	for (dxi_operation *each = first->first; each; each = each->next)
		each->large.sent_bytes = 0;
	dxi_operation_prepend_all(&peer->transfers.waiting, first, DXI_IN_LARGE_LANE);
}

bool dxi_transfer_is_half_sent(const dxi_operation *operation)
{
	return operation->place == DXI_IN_TRANSFER && operation->large.sent_bytes > 0;
}

void dxi_transfers_interrupt(dxh_peer *peer)
{
	dxi_operation_list again = {NULL, NULL, 0};
	dxi_operation *operation;

	while ((operation = peer->transfers.under_way.first)) {
		dxi_operation_remove(operation);
		dxi_operation_append(&again, operation, DXI_NOWHERE);
	}
	dxi_transfers_take_again(peer, &again);
}

/* ---- sending ---------------------------------------------------------------------- */

/* To a service that takes no parts, it goes whole or not at all. */
static bool fits_in_a_frame(const dxi_operation *operation)
{
	return dxi_record_bytes(operation->subject_bytes, operation->body_bytes) <=
	       DXI_MESSAGE_BYTES_MAX - DXI_FRAME_HEADER_BYTES;
}

/* Those that this service will never take. */
static void refuse_impossible(dxh_peer *peer)
{
	static const char no_parts[] = "the service takes no bodies in parts, and this one does "
				       "not fit in a frame";
	dxi_operation *operation;

	while ((operation = peer->transfers.waiting.first)) {
		if (!peer->takes_parts && !fits_in_a_frame(operation))
			dxi_operation_end(operation, DXH_ETOOBIG,
			                  dxi_operation_certainty(operation), no_parts,
			                  sizeof no_parts - 1);
		else if (!dxi_window_can_hold(peer, operation))
			dxi_window_refuse(peer, operation);
		else
			return;
	}
}

bool dxi_transfers_are_ready(dxh_peer *peer)
{
	dxi_transfers *transfers = &peer->transfers;

	refuse_impossible(peer);
	while (transfers->under_way.count < DXI_PARTED_BODIES_MAX && transfers->waiting.first &&
	       dxi_window_has_room(peer, 0, 0, transfers->waiting.first)) {
		dxi_operation *operation = transfers->waiting.first;

		dxi_operation_remove(operation);
		dxi_operation_append(&transfers->under_way, operation, DXI_IN_TRANSFER);
		refuse_impossible(peer);
	}
	return transfers->under_way.first != NULL;
}

static dxi_record next_part(const dxh_peer *peer, dxi_operation *operation)
{
	dxi_record part = dxi_request_record(operation, peer->hub);
	size_t left = operation->body_bytes - operation->large.sent_bytes;

	if (!peer->takes_parts)
		return part;
	part.flags |= DXI_FLAG_PART | DXI_FLAG_BODY_IN_NEXT_PART;
	part.total_bytes = operation->body_bytes;
	part.offset = operation->large.sent_bytes;
	part.body = dxi_operation_body(operation) + part.offset;
	part.body_bytes = left;
	if (left > DXI_BODY_PART_BYTES_MAX) {
		part.flags |= DXI_FLAG_MORE;
		part.body_bytes = DXI_BODY_PART_BYTES_MAX;
	}
	if (part.offset > 0) { /* the first part has said it */
		part.flags &= (uint8_t) ~(DXI_FLAG_KEEP | DXI_FLAG_ONCE);
		part.subject_bytes = 0;
		part.budget_us = 0;
		part.attempt = 0;
	}
	return part;
}

/* The part has left: it was the last, or the next one comes after those of others. */
static void move_on(dxh_peer *peer, dxi_operation *operation, size_t part_bytes)
{
	operation->large.sent_bytes += (uint32_t)part_bytes;
	dxi_operation_remove(operation);
	if (operation->large.sent_bytes < operation->body_bytes) {
		dxi_operation_append(&peer->transfers.under_way, operation, DXI_IN_TRANSFER);
		return;
	}
	dxi_operation_was_sent(operation);
	dxi_operation_append(&peer->sent, operation, DXI_IN_SENT);
}

bool dxi_transfers_send(dxh_peer *peer)
{
	dxi_frame_writer writer = dxi_frame_begin(peer->hub->scratch, DXI_MESSAGE_BYTES_MAX);
	dxi_outgoing message = {.frame = peer->hub->scratch};
	dxi_operation *operation;
	dxi_record part;

	if (!dxi_transfers_are_ready(peer))
		return false;
	operation = peer->transfers.under_way.first;
	part = next_part(peer, operation);
	dxi_frame_append(&writer, &part);
	message.frame_bytes = dxi_frame_end(&writer);
	if (part.flags & DXI_FLAG_BODY_IN_NEXT_PART)
		dxi_request_body_behind(&message, operation, &part);
	if (dxi_link_send(peer->link, &message) != DXI_SENT_ALL)
		return false;
	dxi_count(&peer->hub->metrics->frames_sent, 1);
	dxi_count(&peer->hub->metrics->records_sent, 1);
	move_on(peer, operation, part.body_bytes);
	dxi_pulse_expect(peer);
	return true;
}
