/* SPDX-License-Identifier: MIT */
/* Messages of the broker with a value of its own in each field. */
#ifndef BROKER_EXAMPLES_H
#define BROKER_EXAMPLES_H

#include "runtime/broker/describe_message.h"
#include "runtime/broker/event.h"
#include "runtime/broker/zones.h"

#include "base/hash.h"
#include "base/pack.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char buffer[DXI_DESCRIBE_WIRE_MAX];
static unsigned char schema[1024];
static size_t schema_bytes;

/* {name: "t", zones: [{name: "z", size: i} x count]} is all that the broker looks for. */
static inline void write_schema(size_t zones)
{
	dxi_writer writer = dxi_writer_of(schema, sizeof schema);

	dxi_write_map(&writer, 2);
	dxi_write_text(&writer, "name");
	dxi_write_text(&writer, "t");
	dxi_write_text(&writer, "zones");
	dxi_write_array(&writer, zones);
	for (size_t i = 0; i < zones; i++) {
		dxi_write_map(&writer, 2);
		dxi_put_text(&writer, "name", "z");
		dxi_put_uint(&writer, "size", i);
	}
	schema_bytes = writer.used;
}

static inline dxh_channel_info example_info(void)
{
	dxh_channel_info info = {.state = DXH_CHANNEL_PENDING,
	                         .producer_uid = UINT64_MAX - 1,
	                         .producer_pid = 4711,
	                         .epoch = 3,
	                         .slot_bytes = UINT64_C(1) << 33,
	                         .slot_count = 8,
	                         .zone_count = 3,
	                         .checksum_errors = 5,
	                         .consumers = 6};

	snprintf(info.name, sizeof info.name, "camera/front");
	snprintf(info.directory, sizeof info.directory, "/dev/shm");
	snprintf(info.endpoint, sizeof info.endpoint, "ipc://@camera");
	snprintf(info.reason, sizeof info.reason, "no beat");
	memset(info.block_uuid, 0x11, sizeof info.block_uuid);
	memset(info.schema_hash, 0x22, sizeof info.schema_hash);
	return info;
}

static inline dxi_claim example_claim(void)
{
	dxi_claim claim = {.info = example_info(), .stall_ms = 900};

	write_schema(3);
	claim.schema = schema;
	claim.schema_bytes = schema_bytes;
	dxi_hash(schema, schema_bytes, claim.info.schema_hash);
	cr_assert_eq(dxi_zones_of_schema(schema, schema_bytes, claim.zones, &claim.info.zone_count),
	             DXH_OK);
	claim.start = UINT64_MAX - 2;
	memset(claim.boot, 0x33, sizeof claim.boot);
	return claim;
}

static inline dxh_channel_consumer example_consumer(uint64_t uid)
{
	dxh_channel_consumer consumer = {.uid = uid,
	                                 .pid = INT32_MAX,
	                                 .start = UINT64_MAX,
	                                 .discipline = DXH_LOSSLESS,
	                                 .silent_ms = UINT32_MAX,
	                                 .next_ticket = UINT64_MAX,
	                                 .read = UINT64_MAX - 1,
	                                 .lost = UINT64_MAX - 2,
	                                 .corrupt = UINT64_MAX - 3,
	                                 .lag = UINT64_MAX - 4};

	memset(consumer.name, 'c', sizeof consumer.name - 1);
	memset(consumer.block_uuid, 0x44, sizeof consumer.block_uuid);
	return consumer;
}

static inline size_t write_claim(const dxi_claim *claim)
{
	size_t length = dxi_claim_write(claim, buffer, sizeof buffer);

	cr_assert_gt(length, 0);
	return length;
}

static dxh_channel_consumer page_of_consumers[DXI_CONSUMERS_PAGE_MAX];

/* The longest description there is but for its schema. */
static inline dxh_channel_facts example_facts(void)
{
	dxi_claim claim = example_claim();
	dxh_channel_facts facts = {.channel = example_info(),
	                           .schema = claim.schema,
	                           .schema_bytes = claim.schema_bytes,
	                           .consumers = page_of_consumers,
	                           .consumer_count = DXI_CONSUMERS_PAGE_MAX,
	                           .producer_start = 11,
	                           .progress = 12,
	                           .silent_ms = 13};

	memcpy(facts.channel.schema_hash, claim.info.schema_hash, 32);
	memcpy(facts.zones, claim.zones, sizeof facts.zones);
	memset(facts.boot_id, 0x66, sizeof facts.boot_id);
	for (size_t i = 0; i < DXI_CONSUMERS_PAGE_MAX; i++)
		page_of_consumers[i] = example_consumer(UINT64_MAX - DXI_CONSUMERS_PAGE_MAX + i);
	return facts;
}

#endif
