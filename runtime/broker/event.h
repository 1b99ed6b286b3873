/* SPDX-License-Identifier: MIT */
/* What happened to a channel, as the registry tells it and as it is pushed to watchers:
 * the body of a note whose topic is the channel's name behind "channel/". Pure. */
#ifndef DXI_EVENT_H
#define DXI_EVENT_H

#include "runtime/broker/parts.h"

#include <dxh/watch.h>

#define DXI_TOPIC "channel/"

enum { DXI_TOPIC_BYTES = sizeof DXI_TOPIC + DXH_CHANNEL_NAME_MAX, DXI_EVENT_WIRE_MAX = 512 };

/* Who wants to know; `tell` may be NULL. An event is valid until it returns. */
typedef struct dxi_listener {
	void (*tell)(void *context, const dxh_watch_event *event);
	void *context;
} dxi_listener;

static inline void dxi_tell(const dxi_listener *listener, const dxh_watch_event *event)
{
	if (listener->tell)
		listener->tell(listener->context, event);
}

/* The name of a kind on the wire, "channel.opened"; NULL for one that does not travel. */
const char *dxi_event_name(dxh_watch_kind kind);

void dxi_event_topic(const char *channel, char topic[DXI_TOPIC_BYTES]);

size_t dxi_event_write(const dxh_watch_event *event, void *bytes, size_t capacity);
/* Returns: DXH_EPROTO naming the key; DXH_EUNKNOWN: an event of a newer broker. */
dxh_status dxi_event_read(const void *bytes, size_t length, dxh_watch_event *event);

#endif
