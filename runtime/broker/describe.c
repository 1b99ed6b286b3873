/* SPDX-License-Identifier: MIT */
/* Asking a broker about one channel as a whole, and about itself. */
#include "base/status.h"
#include "runtime/broker/describe_message.h"

#include <stdlib.h>
#include <string.h>

/* Room for keys that a newer broker adds. */
enum { DESCRIBE_ANSWER_BYTES = 2 * DXI_DESCRIBE_WIRE_MAX, METRICS_ANSWER_BYTES = 16384 };

/* Facts while they are gathered, page after page of consumers. */
typedef struct gathering {
	dxh_channel_facts *facts;
	dxh_channel_consumer *consumers; /* facts->consumer_count of them, and a page of room */
	unsigned char *answer;           /* DESCRIBE_ANSWER_BYTES */
} gathering;

static dxh_status make_room(gathering *gathered)
{
	size_t count = gathered->facts->consumer_count + DXI_CONSUMERS_PAGE_MAX;
	dxh_channel_consumer *more =
		realloc(gathered->consumers, count * sizeof *gathered->consumers);

	if (!more)
		return dxi_fail(DXH_ENOMEM, "no memory for %zu consumers of a channel", count);
	gathered->consumers = more;
	return DXH_OK;
}

/* The schema is copied out of the answer, which the next page overwrites. */
static dxh_status keep_first(gathering *gathered, const dxh_channel_facts *page)
{
	dxh_channel_facts *facts = gathered->facts;
	void *schema = NULL;

	*facts = *page;
	if (page->schema) {
		schema = malloc(page->schema_bytes + 1);
		if (!schema)
			return dxi_fail(DXH_ENOMEM, "no memory for a schema of %zu bytes",
			                page->schema_bytes);
		memcpy(schema, page->schema, page->schema_bytes);
	}
	facts->schema = schema;
	facts->consumer_count = 0;
	return DXH_OK;
}

static dxh_status ask_page(dxh_peer *broker, const dxi_describe_request *request,
                           int64_t deadline_ns, gathering *gathered, bool *more)
{
	unsigned char question[DXI_SMALL_WIRE_MAX];
	dxh_channel_consumer *room = NULL;
	dxh_channel_facts page;
	size_t bytes = 0;
	dxh_status status = make_room(gathered);

	if (status != DXH_OK)
		return status;
	room = &gathered->consumers[gathered->facts->consumer_count];
	status = dxh_request_sync(broker, DXI_SUBJECT_DESCRIBE, question,
	                          dxi_describe_request_write(request, question, sizeof question),
	                          deadline_ns, gathered->answer, DESCRIBE_ANSWER_BYTES, &bytes);
	if (status == DXH_OK)
		status = dxi_describe_read(gathered->answer, bytes, &page, room, more);
	if (status != DXH_OK)
		return status;
	if (strcmp(page.channel.name, request->channel) != 0)
		return dxi_fail(DXH_EPROTO, "asked for channel '%s', the broker describes '%s'",
		                request->channel, page.channel.name);
	for (size_t i = 0; i < page.consumer_count; i++)
		if (room[i].uid <= (i == 0 ? request->after : room[i - 1].uid))
			return dxi_fail(DXH_EPROTO, "the broker lists consumers out of order");
	if (request->after == 0)
		status = keep_first(gathered, &page);
	gathered->facts->consumer_count += page.consumer_count;
	return status;
}

/* Each page begins behind the last consumer of the one before, so the end comes. */
static dxh_status
ask_pages(dxh_peer *broker, const char *name, int64_t deadline_ns, gathering *gathered)
{
	dxi_describe_request request = {.after = 0};
	bool more = false;
	dxh_status status;

	memcpy(request.channel, name, strlen(name));
	do {
		size_t before = gathered->facts->consumer_count;

		status = ask_page(broker, &request, deadline_ns, gathered, &more);
		if (status != DXH_OK || gathered->facts->consumer_count == before)
			return status;
		request.after = gathered->consumers[gathered->facts->consumer_count - 1].uid;
	} while (more);
	return DXH_OK;
}

dxh_status
dxh_describe(dxh_peer *broker, const char *name, int64_t deadline_ns, dxh_channel_facts **facts)
{
	gathering gathered = {.facts = NULL};
	dxh_status status;

	if (!broker || !name || !facts)
		return dxi_fail(DXH_EINVAL, "dxh_describe needs a peer, a name and room for what "
		                            "is found");
	status = dxi_channel_name_check(name);
	if (status != DXH_OK)
		return status;
	gathered.facts = calloc(1, sizeof *gathered.facts);
	gathered.answer = malloc(DESCRIBE_ANSWER_BYTES);
	if (!gathered.facts || !gathered.answer)
		status = dxi_fail(DXH_ENOMEM, "no memory for the facts of a channel");
	else
		status = ask_pages(broker, name, deadline_ns, &gathered);
	free(gathered.answer);
	if (gathered.facts)
		gathered.facts->consumers = gathered.consumers;
	if (status == DXH_OK)
		*facts = gathered.facts;
	else
		dxh_channel_facts_free(&gathered.facts);
	return status;
}

void dxh_channel_facts_free(dxh_channel_facts **facts)
{
	if (!facts || !*facts)
		return;
	/* Ours to change, since we made them. */
	free((void *)(uintptr_t)(*facts)->schema);
	free((void *)(uintptr_t)(*facts)->consumers);
	free(*facts);
	*facts = NULL;
}

dxh_status dxh_broker_stats_get_sized(size_t stats_bytes, dxh_peer *broker, int64_t deadline_ns,
                                      dxh_broker_stats *stats)
{
	static const unsigned char empty_map[] = {0x80};
	unsigned char answer[METRICS_ANSWER_BYTES];
	dxh_broker_stats told;
	size_t bytes = 0;
	dxh_status status;

	if (!broker || !stats)
		return dxi_fail(DXH_EINVAL, "dxh_broker_stats_get needs a peer and room for the "
		                            "counters");
	status = dxh_request_sync(broker, DXI_SUBJECT_METRICS, empty_map, sizeof empty_map,
	                          deadline_ns, answer, sizeof answer, &bytes);
	if (status == DXH_OK)
		status = dxi_broker_stats_read(answer, bytes, &told);
	if (status != DXH_OK)
		return status;
	memset(stats, 0, stats_bytes);
	memcpy(stats, &told, stats_bytes < sizeof told ? stats_bytes : sizeof told);
	return DXH_OK;
}
