/* SPDX-License-Identifier: MIT */
/* Events as lines, and figures. */
#include "json.h"
#include "ls.h"

#include <dxh.h>

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *name_of(dxh_watch_kind kind)
{
	switch (kind) {
	case DXH_WATCH_OPENED:
		return "opened";
	case DXH_WATCH_CHANGED:
		return "changed";
	case DXH_WATCH_ERROR:
		return "error";
	case DXH_WATCH_CLOSING:
		return "closing";
	case DXH_WATCH_CONSUMER_DIED:
		return "consumer died";
	case DXH_WATCH_GAP:
		break;
	}
	return "gap";
}

static void show_json(const dxh_watch_event *event)
{
	struct json json = {.out = stdout, .one_line = true};

	json_object(&json, NULL);
	json_text(&json, "event", name_of(event->kind));
	json_text(&json, "channel", event->channel);
	json_integer(&json, "pid", event->pid);
	json_number(&json, "epoch", event->epoch);
	json_number(&json, "checksum_errors", event->checksum_errors);
	json_number(&json, "number", event->number);
	json_number(&json, "lost", event->lost);
	json_text(&json, "reason", event->reason);
	json_end_object(&json);
	(void)json_finish(&json);
}

static void show_text(const dxh_watch_event *event)
{
	if (event->kind == DXH_WATCH_GAP)
		printf("-- something may be missing here: all channels again\n");
	else
		printf("%-13s %-32s pid %8" PRId64 "  %s\n", name_of(event->kind), event->channel,
		       event->pid, event->reason);
}

dxh_status ls_watch(dxh_peer *broker, int64_t deadline_ns, uint64_t most, bool as_json,
                    dxh_status (*list)(void *context), void *context)
{
	dxh_watch_event event;
	dxh_watcher *watcher = NULL;
	dxh_status status = dxh_watch(broker, "", NULL, deadline_ns, &watcher);
	bool look = true;

	/* Until it is interrupted, or has seen what was asked for. */
	for (uint64_t seen = 0; status == DXH_OK && (most == 0 || seen < most); seen++) {
		if (look && !as_json)
			status = list(context);
		if (fflush(stdout) == EOF)
			break; /* main() says so */
		if (status == DXH_OK)
			status = dxh_watcher_next(watcher, DXH_FOREVER, &event);
		if (status != DXH_OK)
			break;
		if (as_json)
			show_json(&event);
		else
			show_text(&event);
		look = event.kind == DXH_WATCH_GAP;
	}
	/* What went wrong stays the last error: a close that succeeds says nothing. */
	if (watcher)
		(void)dxh_watcher_close(&watcher);
	return status;
}

static const struct {
	const char *name;
	size_t offset; /* of a uint64_t */
} figures[] = {
#define FIGURE(name)                                                                               \
	{                                                                                          \
#name, offsetof(dxh_broker_stats, name)                                            \
	}
	FIGURE(uptime_ms),
	FIGURE(channels_now),
	FIGURE(channels_live_now),
	FIGURE(consumers_now),
	FIGURE(watchers_now),
	FIGURE(schema_bytes_now),
	FIGURE(requests),
	FIGURE(registrations),
	FIGURE(deregistrations),
	FIGURE(discoveries),
	FIGURE(lists),
	FIGURE(descriptions),
	FIGURE(metrics),
	FIGURE(consumer_registrations),
	FIGURE(consumer_deregistrations),
	FIGURE(refused),
	FIGURE(beats),
	FIGURE(beats_stray),
	FIGURE(checksum_errors),
	FIGURE(events),
#undef FIGURE
};

dxh_status ls_figures(dxh_peer *broker, int64_t deadline_ns, bool as_json)
{
	struct json json = {.out = stdout};
	dxh_broker_stats stats;
	dxh_status status = dxh_broker_stats_get(broker, deadline_ns, &stats);

	if (status != DXH_OK)
		return status;
	if (as_json)
		json_object(&json, NULL);
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
		uint64_t number;

		memcpy(&number, (const char *)&stats + figures[i].offset, sizeof number);
		if (as_json)
			json_number(&json, figures[i].name, number);
		else
			printf("%-26s %12" PRIu64 "\n", figures[i].name, number);
	}
	if (as_json) {
		json_end_object(&json);
		(void)json_finish(&json);
	}
	return DXH_OK;
}
