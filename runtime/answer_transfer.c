/* SPDX-License-Identifier: MIT */
/* A part of each large answer in turn, of so many at a time as the protocol allows. */
#include "runtime/answer_transfer.h"

/* From the large ones that wait to those that leave. */
static void begin_more(dxi_client *client)
{
	while (client->departing.count < DXI_PARTED_BODIES_MAX && client->large.first) {
		dxh_request *request = client->large.first;

		dxi_request_remove(&client->large, request);
		dxi_request_append(&client->departing, request);
	}
}

dxh_request *dxi_answer_part_encode(dxi_client *client, dxi_outgoing *message)
{
	dxh_hub *hub = client->service->hub;
	dxi_frame_writer writer = dxi_frame_begin(hub->scratch, DXI_FRAME_BYTES_MAX);
	dxh_request *request;
	dxi_record part;
	size_t left;

	begin_more(client);
	request = client->departing.first;
	left = request->answer_bytes - request->answer_sent;
	part = (dxi_record){.kind = request->answer_kind,
	                    .flags = DXI_FLAG_PART | DXI_FLAG_BODY_IN_NEXT_PART,
	                    .id = request->id,
	                    .total_bytes = request->answer_bytes,
	                    .offset = request->answer_sent,
	                    .body_bytes = left};
	if (left > DXI_BODY_PART_BYTES_MAX) {
		part.flags |= DXI_FLAG_MORE;
		part.body_bytes = DXI_BODY_PART_BYTES_MAX;
	}
	dxi_frame_append(&writer, &part);
	message->body = (const unsigned char *)request->answer + request->answer_sent;
	message->body_bytes = part.body_bytes;
	message->owner = request->answer_body;
	message->frame_bytes = dxi_frame_end(&writer);
	dxi_count(&hub->metrics->records_sent, 1);

	request->answer_sent += part.body_bytes;
	dxi_request_remove(&client->departing, request);
	if (part.flags & DXI_FLAG_MORE) {
		dxi_request_append(&client->departing, request);
		return NULL;
	}
	dxi_answer_left(client, request);
	return request;
}

static dxh_request *find(const dxi_request_list *list, uint64_t id)
{
	dxh_request *request = list->first;

	while (request && request->id != id)
		request = request->next;
	return request;
}

static void drop(dxi_client *client, dxi_request_list *list, dxh_request *request)
{
	dxi_request_remove(list, request);
	dxi_answer_forget(client, request);
	dxi_request_free(request);
}

bool dxi_answer_parts_cancel(dxi_client *client, uint64_t id)
{
	dxi_request_list *lists[] = {&client->departing, &client->large};

	for (int i = 0; i < 2; i++) {
		dxh_request *request = find(lists[i], id);

		if (request) {
			drop(client, lists[i], request);
			dxi_count(&client->service->hub->metrics->replies_dropped, 1);
			return true;
		}
	}
	return false;
}

void dxi_answer_parts_drop(dxi_client *client)
{
	while (client->departing.first)
		drop(client, &client->departing, client->departing.first);
	while (client->large.first)
		drop(client, &client->large, client->large.first);
}
