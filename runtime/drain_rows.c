/* SPDX-License-Identifier: MIT */
/* What is left at the end of a drain, taken down row by row before it is given up. */
#include "runtime/clients.h"
#include "runtime/lent.h"
#include "runtime/peer.h"

#include <stdlib.h>
#include <string.h>

typedef struct amount {
	uint64_t count, bytes;
} amount;

/* ---- rows as memory ----------------------------------------------------------------- */

static bool make_room(dxi_drain_rows *rows)
{
	size_t capacity = rows->capacity ? rows->capacity * 2 : 16;
	dxh_drain_row **more;

	if (rows->count < rows->capacity)
		return true;
	more = realloc(rows->rows, capacity * sizeof *more);
	if (!more)
		return false;
	rows->rows = more;
	rows->capacity = capacity;
	return true;
}

/* Peers may be closed before the row is read. */
static char *keep(char *at, const char *text, const char **kept)
{
	size_t bytes = strlen(text) + 1;

	*kept = memcpy(at, text, bytes);
	return at + bytes;
}

/* Add a copy, if it tells of anything. */
static void add(dxi_drain_rows *rows, const dxh_drain_row *row)
{
	size_t texts = strlen(row->endpoint) + strlen(row->reason) + 2 +
	               (row->client ? strlen(row->client) + 1 : 0);
	dxh_drain_row *kept;
	char *at;

	if (row->unsent + row->unanswered == 0)
		return;
	kept = make_room(rows) ? malloc(sizeof *kept + texts) : NULL;
	if (!kept) {
		rows->missing++;
		return;
	}
	*kept = *row;
	at = keep((char *)(kept + 1), row->endpoint, &kept->endpoint);
	at = keep(at, row->reason, &kept->reason);
	if (row->client)
		keep(at, row->client, &kept->client);
	rows->rows[rows->count++] = kept;
}

void dxi_drain_rows_free(dxi_drain_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->rows[i]);
	free(rows->rows);
	*rows = (dxi_drain_rows){.count = 0};
}

/* ---- peers ---------------------------------------------------------------------------- */

/* Those of a list that were sent before, or that were not; flushes have no bytes. */
static amount of_list(const dxi_operation_list *list, bool sent_before)
{
	amount sum = {0, 0};

	for (const dxi_operation *each = list->first; each; each = each->next) {
		if ((each->attempt > 0) != sent_before)
			continue;
		sum.count++;
		if (each->kind == DXI_OP_REQUEST)
			sum.bytes += (uint64_t)each->subject_bytes + each->body_bytes;
	}
	return sum;
}

static void add_unsent(dxh_drain_row *row, amount more)
{
	row->unsent += more.count;
	row->unsent_bytes += more.bytes;
}

static void add_unanswered(dxh_drain_row *row, amount more)
{
	row->unanswered += more.count;
	row->unanswered_bytes += more.bytes;
}

static void look_at_control(dxh_drain_row *row, const dxh_peer *peer)
{
	row->lane = DXH_LANE_CONTROL;
	add_unsent(row, of_list(&peer->flushes, false));
	add_unsent(row, (amount){dxi_control_lane_count(&peer->control), peer->control.used});
	add_unsent(row, (amount){peer->subscriptions.due + peer->subscriptions.ended_count, 0});
	add_unanswered(row, of_list(&peer->flushing, false));
}

static void look_at_requests(dxh_drain_row *row, const dxh_peer *peer)
{
	row->lane = DXH_LANE_REQUEST;
	add_unsent(row, of_list(&peer->lane, false));
	add_unanswered(row, of_list(&peer->lane, true));
	add_unanswered(row, of_list(&peer->retries.resting, true));
	add_unsent(row, of_list(&peer->transfers.waiting, false));
	add_unsent(row, of_list(&peer->transfers.under_way, false));
	add_unanswered(row, of_list(&peer->transfers.waiting, true));
	add_unanswered(row, of_list(&peer->transfers.under_way, true));
	add_unanswered(row, of_list(&peer->sent, false));
	add_unanswered(row, of_list(&peer->sent, true));
}

void dxi_drain_abandon(dxi_drain_rows *rows, dxh_peer *peer, const char *reason)
{
	const dxh_drain_row of_peer = {.endpoint = peer->endpoint,
	                               .state = dxh_peer_state_get(peer),
	                               .reason = peer->reason};
	dxh_drain_row control = of_peer, requests = of_peer, notifications = of_peer;

	look_at_control(&control, peer);
	look_at_requests(&requests, peer);
	/* Posters may still be filling frames: only the drop tells how much there was. */
	notifications.lane = DXH_LANE_NOTIFICATION;
	notifications.unsent = peer->notes.dropped;
	notifications.unsent_bytes = peer->notes.dropped_bytes;
	dxi_peer_abandon(peer, reason);
	notifications.unsent = peer->notes.dropped - notifications.unsent;
	notifications.unsent_bytes = peer->notes.dropped_bytes - notifications.unsent_bytes;
	add(rows, &control);
	add(rows, &requests);
	add(rows, &notifications);
}

/* ---- services -------------------------------------------------------------------------- */

static bool answers_request(const dxh_request *answer)
{
	return answer->answer_kind == DXI_REPLY || answer->answer_kind == DXI_ERROR;
}

static amount of_answers(const dxi_client *client, bool to_requests)
{
	const dxi_request_list *lists[] = {&client->answers, &client->large, &client->departing};
	amount sum = {0, 0};

	for (int i = 0; i < 3; i++)
		for (const dxh_request *each = lists[i]->first; each; each = each->next)
			if (answers_request(each) == to_requests) {
				sum.count++;
				sum.bytes += each->answer_bytes;
			}
	return sum;
}

static amount of_open(const dxi_client *client)
{
	amount sum = {0, 0};

	for (const dxh_request *each = client->open.first; each; each = each->next) {
		sum.count++;
		sum.bytes += each->subject_bytes + each->body_bytes;
	}
	return sum;
}

static void look_at_client(dxi_drain_rows *rows, const dxi_client *client)
{
	const dxh_drain_row of_client = {
		.endpoint = client->service->endpoint,
		.client = client->name,
		.state = DXH_PEER_READY,
		.reason = client->queued == DXI_QUEUED_PARKED ? "it does not read" : ""};
	dxh_drain_row control = of_client, requests = of_client, notes = of_client;

	control.lane = DXH_LANE_CONTROL;
	add_unsent(&control, of_answers(client, false));
	requests.lane = DXH_LANE_REQUEST;
	add_unsent(&requests, of_answers(client, true));
	add_unanswered(&requests, of_open(client));
	notes.lane = DXH_LANE_NOTIFICATION;
	add_unsent(&notes, (amount){client->notes.count, client->notes.bytes});
	add(rows, &control);
	add(rows, &requests);
	add(rows, &notes);
}

uint64_t dxi_drain_look_at(dxi_drain_rows *rows, const dxh_service *service)
{
	dxh_drain_row rest = {.endpoint = service->endpoint,
	                      .client = "",
	                      .lane = DXH_LANE_NOTIFICATION,
	                      .state = DXH_PEER_READY,
	                      .reason = "",
	                      .unanswered = service->requests_out,
	                      .unanswered_bytes = service->bytes_out};
	uint64_t answers = 0;

	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (const dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket) {
			look_at_client(rows, client);
			answers += client->replies;
			rest.unanswered -= client->open.count;
			for (const dxh_request *each = client->open.first; each; each = each->next)
				rest.unanswered_bytes -= dxi_request_holds(each);
		}
	add(rows, &rest);
	return answers;
}
