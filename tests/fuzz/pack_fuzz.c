/* SPDX-License-Identifier: MIT */
/* Any bytes as MessagePack: what the scan accepts can be read and stepped over to its
 * exact end; schemas and the broker's messages in it are refused or read. */
#include "base/pack.h"
#include "runtime/broker/describe_message.h"
#include "runtime/broker/event.h"
#include "shm/schema.h"

#include <stdlib.h>

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* Every value one by one, then all of it in one step. */
static void read_all(const uint8_t *data, size_t size)
{
	dxi_reader each = dxi_reader_of(data, size), whole = each;
	uint64_t number;
	char text[64];
	dxi_value value;
	size_t values = 0;

	while (dxi_read(&each, &value)) {
		if (value.kind == DXI_TEXT || value.kind == DXI_BIN)
			must(value.data >= data && value.data + value.bytes <= data + size);
		values++;
		must(values <= size);
	}
	must(each.at == each.end);
	must(dxi_skip(&whole) && whole.at == whole.end);
	(void)dxi_find_uint(data, size, "pid", &number);
	(void)dxi_find_text(data, size, "channel", text, sizeof text);
}

static void read_messages(const uint8_t *data, size_t size)
{
	static dxi_claim claim;
	static dxh_channel_info info;
	dxi_list_request list;
	dxi_owner owner;
	dxi_terms terms;
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	static dxh_channel_consumer consumers[DXI_CONSUMERS_PAGE_MAX];
	static dxh_channel_facts facts;
	dxi_describe_request description;
	dxi_reader_claim reader;
	dxi_reader_word word;
	dxh_broker_stats stats;
	dxh_watch_event event;
	bool more;

	(void)dxi_reader_claim_read(data, size, &reader);
	(void)dxi_reader_leave_read(data, size, &word);
	(void)dxi_reader_beat_read(data, size, &word);
	(void)dxi_checksum_error_read(data, size, &word);
	(void)dxi_describe_request_read(data, size, &description);
	if (dxi_describe_read(data, size, &facts, consumers, &more) == DXH_OK)
		must(facts.consumer_count <= DXI_CONSUMERS_PAGE_MAX &&
		     facts.channel.zone_count <= DXH_ZONES_MAX);
	(void)dxi_broker_stats_read(data, size, &stats);
	(void)dxi_event_read(data, size, &event);
	(void)dxi_claim_read(data, size, &claim);
	(void)dxi_terms_read(data, size, &terms);
	(void)dxi_deregister_read(data, size, &owner);
	(void)dxi_heartbeat_read(data, size, &owner);
	(void)dxi_discover_read(data, size, channel);
	(void)dxi_channel_read(data, size, &info);
	(void)dxi_list_request_read(data, size, &list);
}

struct walked {
	const dxh_schema *outermost;
	size_t visits;
};

/* A member lies within the struct that was walked, and is aligned if it is atomic. */
static dxh_status visit(void *context, const char *path, const dxh_field *field, size_t offset)
{
	struct walked *walked = context;

	must(path[0] != '\0' && field->nested == NULL);
	must(offset + field->bytes <= walked->outermost->bytes);
	must(!field->atomic || offset % dxh_type_bytes(field->type) == 0);
	/* Arrays of many structs are many visits. */
	return ++walked->visits < 1000 ? DXH_OK : DXH_EEMPTY;
}

static void walk_schema(const dxi_schema *schema)
{
	for (uint32_t i = 0; i < schema->zone_count; i++) {
		struct walked walked = {&schema->zones[i].layout, 0};

		(void)dxh_schema_walk(walked.outermost, visit, &walked);
		if (schema->zones[i].typed)
			must(dxi_schema_compare("it", walked.outermost, &schema->zones[i],
			                        DXI_MATCH_SAME) == DXH_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	dxi_scan_limits limits = {.elements_max = 4096, .canonical = size % 2};
	dxi_schema schema = {0};

	if (dxi_scan(data, size, limits) == DXH_OK)
		read_all(data, size);
	read_messages(data, size);
	if (dxi_schema_parse(data, size, 0, &schema) == DXH_OK)
		walk_schema(&schema);
	dxi_schema_fini(&schema); /* also of half a schema */
	return 0;
}
