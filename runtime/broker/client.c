/* SPDX-License-Identifier: MIT */
/* Asking a broker about channels: one question, one answer. */
#include "base/status.h"
#include "runtime/broker/message.h"

#include <stdlib.h>
#include <string.h>

/* Room for keys that a newer broker adds. */
enum { DISCOVER_ANSWER_BYTES = 4096, LIST_ANSWER_BYTES = 4 * DXI_LIST_WIRE_MAX };

dxh_status
dxh_discover(dxh_peer *broker, const char *name, int64_t deadline_ns, dxh_channel_info *info)
{
	unsigned char question[DXI_SMALL_WIRE_MAX], answer[DISCOVER_ANSWER_BYTES];
	size_t bytes = 0;
	dxh_channel_info found;
	dxh_status status;

	if (!broker || !name || !info)
		return dxi_fail(DXH_EINVAL, "dxh_discover needs a peer, a name and room for what "
		                            "is found");
	status = dxi_channel_name_check(name);
	if (status != DXH_OK)
		return status;
	status = dxh_request_sync(broker, DXI_SUBJECT_DISCOVER, question,
	                          dxi_discover_write(name, question, sizeof question), deadline_ns,
	                          answer, sizeof answer, &bytes);
	if (status == DXH_OK)
		status = dxi_channel_read(answer, bytes, &found);
	if (status != DXH_OK)
		return status;
	if (strcmp(found.name, name) != 0)
		return dxi_fail(DXH_EPROTO, "asked for channel '%s', the broker answers of '%s'",
		                name, found.name);
	*info = found;
	return DXH_OK;
}

typedef struct list_call {
	dxh_peer *broker;
	int64_t deadline_ns;
	unsigned char *answer; /* LIST_ANSWER_BYTES */
} list_call;

static dxh_status ask_page(const list_call *call, const dxi_list_request *request,
                           dxi_list_page *page, dxh_channel_info *channels)
{
	unsigned char question[DXI_SMALL_WIRE_MAX];
	size_t bytes = 0;
	dxh_status status;

	status = dxh_request_sync(call->broker, DXI_SUBJECT_LIST, question,
	                          dxi_list_request_write(request, question, sizeof question),
	                          call->deadline_ns, call->answer, LIST_ANSWER_BYTES, &bytes);
	if (status == DXH_OK)
		status = dxi_list_read(call->answer, bytes, page, channels, request->max);
	return status;
}

/* Page after page; each begins behind the last name of the one before, so the
 * end comes, whatever the broker answers. */
static dxh_status ask_pages(const list_call *call, dxi_list_request *request,
                            dxh_channel_info *channels, size_t max, dxi_list_page *all)
{
	dxi_list_page page = {.more = true};

	do {
		dxh_channel_info *room = max > 0 ? &channels[all->count] : NULL;
		size_t left = max - all->count;
		dxh_status status;

		request->max = left < DXI_LIST_PAGE_MAX ? (uint32_t)left : DXI_LIST_PAGE_MAX;
		status = ask_page(call, request, &page, room);
		if (status != DXH_OK)
			return status;
		all->total = page.total;
		if (page.count == 0)
			break;
		if (strcmp(room->name, request->after) <= 0)
			return dxi_fail(DXH_EPROTO, "the broker lists '%s' behind '%s'", room->name,
			                request->after);
		all->count += page.count;
		memcpy(request->after, channels[all->count - 1].name, sizeof request->after);
	} while (page.more && all->count < max);
	return DXH_OK;
}

dxh_status dxh_list(dxh_peer *broker, const char *after, int64_t deadline_ns,
                    dxh_channel_info *channels, size_t max, size_t *count, size_t *total)
{
	list_call call = {.broker = broker, .deadline_ns = deadline_ns};
	dxi_list_request request = {.max = 0};
	dxi_list_page all = {.count = 0};
	dxh_status status;

	if (!broker || !count || (!channels && max > 0))
		return dxi_fail(DXH_EINVAL, "dxh_list needs a peer, room for the channels and for "
		                            "their count");
	if (after && strlen(after) > DXH_CHANNEL_NAME_MAX)
		return dxi_fail(DXH_EINVAL, "'%.80s' is longer than any channel name", after);
	if (after)
		memcpy(request.after, after, strlen(after));
	call.answer = malloc(LIST_ANSWER_BYTES);
	if (!call.answer)
		return dxi_fail(DXH_ENOMEM, "no memory for a list of channels");
	status = ask_pages(&call, &request, channels, max, &all);
	free(call.answer);
	if (status != DXH_OK)
		return status;
	*count = all.count;
	if (total)
		*total = (size_t)all.total;
	return DXH_OK;
}
