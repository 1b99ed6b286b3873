/* SPDX-License-Identifier: MIT */
/* Writer and reader of each message side by side. Keys are written in byte order. */
#include "runtime/broker/describe_message.h"

#include "base/hash.h"
#include "base/status.h"
#include "runtime/broker/zones.h"

#include <string.h>

enum {
	/* Keys and values of zones, consumers and the channel, and room for newer keys. */
	DESCRIBE_ELEMENTS_MAX = DXI_MESSAGE_ELEMENTS_MAX * (DXI_CONSUMERS_PAGE_MAX + 4)
};

/* ---- channel.describe ---- */

size_t dxi_describe_request_write(const dxi_describe_request *request, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, 2);
	dxi_put_uint(&writer, "after", request->after);
	dxi_put_text(&writer, "channel", request->channel);
	return dxi_written(&writer);
}

dxh_status
dxi_describe_request_read(const void *bytes, size_t length, dxi_describe_request *request)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  DXI_SUBJECT_DESCRIBE, DXH_EINVAL);

	*request = (dxi_describe_request){.after = 0};
	dxi_take_optional(&fields, "after", UINT64_MAX, &request->after);
	dxi_take_channel_name(&fields, "channel", request->channel);
	return fields.status;
}

static void write_tables(dxi_writer *writer, const dxh_channel_facts *facts)
{
	dxi_put_bin(writer, "schema", facts->schema, facts->schema_bytes);
	dxi_put_uint(writer, "silent_ms", facts->silent_ms);
	dxi_put_uint(writer, "start", facts->producer_start);
	dxi_write_text(writer, "zones");
	dxi_zones_write(facts->zones, facts->channel.zone_count, writer);
}

size_t dxi_describe_write(const dxh_channel_facts *facts, bool more, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);
	bool with_tables = facts->schema != NULL;

	dxi_write_map(&writer, with_tables ? 9 : 3);
	if (with_tables)
		dxi_put_bin(&writer, "boot", facts->boot_id, sizeof facts->boot_id);
	dxi_write_text(&writer, "channel");
	dxi_channel_put(&writer, &facts->channel);
	dxi_write_text(&writer, "consumers");
	dxi_write_array(&writer, facts->consumer_count);
	for (size_t i = 0; i < facts->consumer_count; i++)
		dxi_consumer_put(&writer, &facts->consumers[i]);
	dxi_put_bool(&writer, "more", more);
	if (with_tables) {
		dxi_put_uint(&writer, "progress", facts->progress);
		write_tables(&writer, facts);
	}
	return dxi_written(&writer);
}

static void take_channel(dxi_fields *fields, dxh_channel_info *channel)
{
	dxi_value value;
	dxi_fields inside;

	if (fields->status != DXH_OK)
		return;
	if (!dxi_find(fields->bytes, fields->length, "channel", &value)) {
		dxi_fields_refuse(fields, "channel", "is missing");
		return;
	}
	inside = dxi_fields_inside(
		fields, value.begin,
		(size_t)((const unsigned char *)fields->bytes + fields->length - value.begin));
	dxi_channel_take(&inside, channel);
	fields->status = inside.status;
}

/* The hash that the broker tells is of what it sends, or it is not believed. */
static dxh_status check_schema(dxh_channel_facts *facts)
{
	unsigned char hash[DXI_HASH_BYTES];

	dxi_hash(facts->schema, facts->schema_bytes, hash);
	if (memcmp(hash, facts->channel.schema_hash, sizeof hash) != 0)
		return dxi_fail(DXH_ESCHEMA,
		                "answer to channel.describe: key 'schema_hash' is not the "
		                "BLAKE2b-256 of key 'schema'");
	return dxi_zones_of_schema(facts->schema, facts->schema_bytes, facts->zones,
	                           &facts->channel.zone_count);
}

static void take_tables(dxi_fields *fields, dxh_channel_facts *facts)
{
	dxi_fields_bytes(fields, "boot", facts->boot_id, sizeof facts->boot_id);
	dxi_fields_u64(fields, "progress", UINT64_MAX, &facts->progress);
	dxi_fields_bin(fields, "schema", &facts->schema, &facts->schema_bytes);
	dxi_fields_u32(fields, "silent_ms", &facts->silent_ms);
	dxi_fields_u64(fields, "start", UINT64_MAX, &facts->producer_start);
	if (fields->status == DXH_OK)
		fields->status = check_schema(facts);
	dxi_zones_compare(fields, facts->zones, facts->channel.zone_count);
}

static void
take_consumers(dxi_fields *fields, dxh_channel_facts *facts, dxh_channel_consumer *consumers)
{
	size_t count = 0, length = 0;
	const void *first = NULL;
	dxi_reader reader;

	dxi_fields_array(fields, "consumers", &count, &first, &length);
	if (count > DXI_CONSUMERS_PAGE_MAX)
		dxi_fields_refuse(fields, "consumers", "holds more than 64 consumers");
	reader = dxi_reader_of(first, length);
	for (size_t i = 0; i < count && fields->status == DXH_OK; i++) {
		dxi_fields one = dxi_take_element(fields, &reader);

		dxi_consumer_take(&one, &consumers[i]);
		fields->status = one.status;
	}
	facts->consumers = consumers;
	facts->consumer_count = fields->status == DXH_OK ? count : 0;
}

dxh_status dxi_describe_read(const void *bytes, size_t length, dxh_channel_facts *facts,
                             dxh_channel_consumer *consumers, bool *more)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DESCRIBE_ELEMENTS_MAX,
	                                  "answer to channel.describe", DXH_EPROTO);

	*facts = (dxh_channel_facts){.schema = NULL};
	take_channel(&fields, &facts->channel);
	take_consumers(&fields, facts, consumers);
	dxi_fields_bool(&fields, "more", more);
	if (dxi_fields_has(&fields, "schema"))
		take_tables(&fields, facts);
	return fields.status;
}

/* ---- broker.metrics ---- */

static const struct {
	const char *key;
	size_t offset; /* of a uint64_t */
} figures[] = {
#define FIGURE(name)                                                                               \
	{                                                                                          \
#name, offsetof(dxh_broker_stats, name)                                            \
	}
	FIGURE(beats),
	FIGURE(beats_stray),
	FIGURE(channels_live_now),
	FIGURE(channels_now),
	FIGURE(checksum_errors),
	FIGURE(consumer_deregistrations),
	FIGURE(consumer_registrations),
	FIGURE(consumers_now),
	FIGURE(deregistrations),
	FIGURE(descriptions),
	FIGURE(discoveries),
	FIGURE(events),
	FIGURE(lists),
	FIGURE(metrics),
	FIGURE(refused),
	FIGURE(registrations),
	FIGURE(requests),
	FIGURE(schema_bytes_now),
	FIGURE(uptime_ms),
	FIGURE(watchers_now),
#undef FIGURE
};

enum { FIGURES = sizeof figures / sizeof *figures };

size_t dxi_broker_stats_write(const dxh_broker_stats *stats, void *bytes, size_t capacity)
{
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	dxi_write_map(&writer, FIGURES);
	for (size_t i = 0; i < FIGURES; i++) {
		uint64_t number;

		memcpy(&number, (const char *)stats + figures[i].offset, sizeof number);
		dxi_put_uint(&writer, figures[i].key, number);
	}
	return dxi_written(&writer);
}

dxh_status dxi_broker_stats_read(const void *bytes, size_t length, dxh_broker_stats *stats)
{
	dxi_fields fields = dxi_fields_of(bytes, length, 4 * DXI_MESSAGE_ELEMENTS_MAX,
	                                  "answer to broker.metrics", DXH_EPROTO);

	*stats = (dxh_broker_stats){.requests = 0};
	for (size_t i = 0; i < FIGURES; i++) {
		uint64_t number = 0;

		dxi_take_optional(&fields, figures[i].key, UINT64_MAX, &number);
		memcpy((char *)stats + figures[i].offset, &number, sizeof number);
	}
	return fields.status;
}
