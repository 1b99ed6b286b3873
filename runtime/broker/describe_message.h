/* SPDX-License-Identifier: MIT */
/* channel.describe and broker.metrics. As message.h. */
#ifndef DXI_DESCRIBE_MESSAGE_H
#define DXI_DESCRIBE_MESSAGE_H

#include "runtime/broker/consumer_message.h"

#include <dxh/broker.h>

#define DXI_SUBJECT_DESCRIBE "channel.describe"
#define DXI_SUBJECT_METRICS "broker.metrics"

enum {
	DXI_CONSUMERS_PAGE_MAX = 64, /* in one answer to channel.describe */
	DXI_DESCRIBE_WIRE_MAX = DXI_CHANNEL_WIRE_MAX + DXI_CLAIM_WIRE_MAX + DXI_SCHEMA_WIRE_MAX +
	                        DXI_CONSUMERS_PAGE_MAX * DXI_CONSUMER_WIRE_MAX,
	DXI_METRICS_WIRE_MAX = 2048
};

/* channel.describe: the channel, and those of its consumers whose uid is above `after`. */
typedef struct dxi_describe_request {
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	uint64_t after; /* 0: from the first, and with schema and zones */
} dxi_describe_request;

size_t
dxi_describe_request_write(const dxi_describe_request *request, void *bytes, size_t capacity);
dxh_status
dxi_describe_request_read(const void *bytes, size_t length, dxi_describe_request *request);

/* The answer: facts, of which only a page of consumers, and whether there are more. */
size_t dxi_describe_write(const dxh_channel_facts *facts, bool more, void *bytes, size_t capacity);
/* The schema is where it lies in `bytes`; consumers, with room for
 * DXI_CONSUMERS_PAGE_MAX, are filled by the reader. Zones are those of the schema, if the
 * answer has one, and those that are told must be the same.
 * Returns: DXH_EPROTO; DXH_ESCHEMA: a hash is not that of what came. */
dxh_status dxi_describe_read(const void *bytes, size_t length, dxh_channel_facts *facts,
                             dxh_channel_consumer *consumers, bool *more);

/* The answer to broker.metrics, whose request is an empty map. What an older broker does
 * not tell reads as 0. */
size_t dxi_broker_stats_write(const dxh_broker_stats *stats, void *bytes, size_t capacity);
dxh_status dxi_broker_stats_read(const void *bytes, size_t length, dxh_broker_stats *stats);

#endif
