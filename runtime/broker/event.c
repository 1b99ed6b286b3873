/* SPDX-License-Identifier: MIT */
/* Names and bytes of events. Keys are written in byte order. */
#include "runtime/broker/event.h"

#include "base/status.h"
#include "runtime/broker/parts.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	[DXH_WATCH_OPENED] = "channel.opened",       [DXH_WATCH_CHANGED] = "producer.changed",
	[DXH_WATCH_ERROR] = "channel.error",         [DXH_WATCH_CLOSING] = "channel.closing",
	[DXH_WATCH_CONSUMER_DIED] = "consumer.died",
};

enum { NAMES = sizeof names / sizeof *names };

const char *dxi_event_name(dxh_watch_kind kind)
{
	return (unsigned)kind < NAMES ? names[kind] : NULL;
}

void dxi_event_topic(const char *channel, char topic[DXI_TOPIC_BYTES])
{
	snprintf(topic, DXI_TOPIC_BYTES, DXI_TOPIC "%s", channel);
}

size_t dxi_event_write(const dxh_watch_event *event, void *bytes, size_t capacity)
{
	const char *name = dxi_event_name(event->kind);
	dxi_writer writer = dxi_writer_of(bytes, capacity);

	if (!name)
		return 0;
	dxi_write_map(&writer, 10);
	dxi_put_uint(&writer, "broker", event->broker);
	dxi_put_text(&writer, "channel", event->channel);
	dxi_put_uint(&writer, "checksum_errors", event->checksum_errors);
	dxi_put_uint(&writer, "consumer", event->consumer);
	dxi_put_uint(&writer, "epoch", event->epoch);
	dxi_put_text(&writer, "event", name);
	dxi_put_uint(&writer, "number", event->number);
	dxi_put_uint(&writer, "pid", (uint64_t)event->pid);
	dxi_put_uint(&writer, "producer", event->producer);
	dxi_put_text(&writer, "reason", event->reason);
	return dxi_written(&writer);
}

static dxh_status take_kind(dxi_fields *fields, dxh_watch_kind *kind)
{
	char name[64] = "";

	dxi_fields_text(fields, "event", name, sizeof name);
	if (fields->status != DXH_OK)
		return fields->status;
	for (size_t i = 0; i < NAMES; i++)
		if (names[i] && strcmp(names[i], name) == 0) {
			*kind = (dxh_watch_kind)i;
			return DXH_OK;
		}
	return dxi_fail(DXH_EUNKNOWN, "the event '%s' is not known here", name);
}

dxh_status dxi_event_read(const void *bytes, size_t length, dxh_watch_event *event)
{
	dxi_fields fields = dxi_fields_of(bytes, length, DXI_MESSAGE_ELEMENTS_MAX,
	                                  "event of the broker", DXH_EPROTO);
	dxh_status status;

	*event = (dxh_watch_event){.kind = DXH_WATCH_GAP};
	dxi_fields_u64(&fields, "broker", UINT64_MAX, &event->broker);
	dxi_take_channel_name(&fields, "channel", event->channel);
	dxi_take_optional(&fields, "checksum_errors", UINT64_MAX, &event->checksum_errors);
	dxi_take_optional(&fields, "consumer", UINT64_MAX, &event->consumer);
	dxi_fields_u64(&fields, "epoch", UINT64_MAX, &event->epoch);
	dxi_fields_u64(&fields, "number", UINT64_MAX, &event->number);
	dxi_take_pid(&fields, &event->pid);
	dxi_fields_u64(&fields, "producer", UINT64_MAX, &event->producer);
	dxi_fields_text(&fields, "reason", event->reason, sizeof event->reason);
	status = take_kind(&fields, &event->kind);
	return fields.status != DXH_OK ? fields.status : status;
}
