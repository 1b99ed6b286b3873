/* SPDX-License-Identifier: MIT */
/* A watcher is a subscription to what the broker publishes, read as events; where notes
 * are missing it says so before it goes on. */
#include "base/status.h"
#include "queue/completion.h"
#include "runtime/broker/event.h"
#include "runtime/broker/message.h"

#include <dxh/watch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dxh_watcher {
	dxh_subscription *subscription;
	const dxh_note *held; /* behind a gap that was told; NULL: none */
};

static dxh_status check_prefix(const char *prefix)
{
	if (strlen(prefix) <= DXH_CHANNEL_NAME_MAX)
		return DXH_OK;
	return dxi_fail(DXH_EINVAL, "'%.80s' is longer than any channel name", prefix);
}

static dxh_status open_watcher(dxh_peer *broker, const char *prefix, const dxh_watch_config *config,
                               int64_t deadline_ns, dxh_watcher *watcher)
{
	char topic[DXI_TOPIC_BYTES];
	dxh_status status;

	dxi_event_topic(prefix, topic);
	status = dxh_subscribe(
		broker, topic,
		&(dxh_subscription_config){.inbox_max = config->events_max, .tell_gaps = 1},
		&watcher->subscription);
	if (status != DXH_OK)
		return status;
	status = dxh_subscription_await(watcher->subscription, deadline_ns);
	if (status != DXH_OK) {
		char why[256];

		snprintf(why, sizeof why, "%s", dxh_last_error());
		(void)dxh_subscription_close(&watcher->subscription);
		dxi_fail_as(why);
	}
	return status;
}

dxh_status dxh_watch_sized(size_t config_bytes, dxh_peer *broker, const char *prefix,
                           const dxh_watch_config *given, int64_t deadline_ns,
                           dxh_watcher **watcher)
{
	dxh_watch_config config;
	dxh_watcher *made;
	dxh_status status = dxi_config_read(&config, sizeof config, given, config_bytes);

	if (status == DXH_OK && (!broker || !prefix || !watcher))
		status = dxi_fail(DXH_EINVAL, "dxh_watch needs a peer, a prefix (\"\" is all) and "
		                              "room for the watcher");
	if (status == DXH_OK)
		status = check_prefix(prefix);
	if (status == DXH_OK && dxi_may_not_wait)
		status = dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for the broker");
	if (status != DXH_OK)
		return status;
	made = calloc(1, sizeof *made);
	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a watcher");
	status = open_watcher(broker, prefix, &config, deadline_ns, made);
	if (status == DXH_OK)
		*watcher = made;
	else
		free(made);
	return status;
}

/* ---- taking events ---- */

static bool is_mark(const dxh_note *note)
{
	return note->topic[0] == '\0';
}

static dxh_status tell_gap(uint64_t lost, dxh_watch_event *event)
{
	*event = (dxh_watch_event){.kind = DXH_WATCH_GAP, .lost = lost};
	return DXH_OK;
}

/* A new connection, on which the broker may refuse what it granted before. */
static dxh_status take_mark(dxh_watcher *watcher, dxh_watch_event *event)
{
	dxh_status status = dxh_subscription_await(watcher->subscription, DXH_NOW);

	return status == DXH_OK || status == DXH_EWAIT ? tell_gap(0, event) : status;
}

/* False: an event of a newer broker, which nobody here would understand. */
static bool take_event(const dxh_note *note, dxh_watch_event *event)
{
	switch (dxi_event_read(note->body, note->body_bytes, event)) {
	case DXH_OK:
		return true;
	case DXH_EUNKNOWN:
		return false;
	default:
		dxi_log(DXH_LOG_WARNING, "a watcher cannot read what its broker sends: %s",
		        dxh_last_error());
		(void)tell_gap(1, event);
		return true;
	}
}

static dxh_status next(dxh_watcher *watcher, int64_t deadline_ns, dxh_watch_event *event)
{
	/* Each turn takes a note; only those not understood make another. */
	for (;;) {
		const dxh_note *note = watcher->held;
		bool was_held = note != NULL, understood;
		dxh_status status = DXH_OK;

		if (!was_held)
			status =
				dxh_subscription_receive(watcher->subscription, deadline_ns, &note);
		watcher->held = NULL;
		if (status != DXH_OK)
			return status;
		if (is_mark(note)) {
			dxh_note_release(note);
			return take_mark(watcher, event);
		}
		if (!was_held && (note->lost > 0 || note->reconnected)) {
			watcher->held = note;
			return tell_gap(note->lost, event);
		}
		understood = take_event(note, event);
		dxh_note_release(note);
		if (understood)
			return DXH_OK;
	}
}

static dxh_status check(const dxh_watcher *watcher)
{
	return watcher ? DXH_OK : dxi_fail(DXH_EINVAL, "the watcher is NULL");
}

dxh_status dxh_watcher_next_sized(size_t event_bytes, dxh_watcher *watcher, int64_t deadline_ns,
                                  dxh_watch_event *event)
{
	dxh_watch_event taken;
	dxh_status status = check(watcher);

	if (status == DXH_OK && !event)
		status = dxi_fail(DXH_EINVAL, "event is NULL");
	if (status == DXH_OK)
		status = next(watcher, deadline_ns, &taken);
	if (status != DXH_OK)
		return status;
	memset(event, 0, event_bytes);
	memcpy(event, &taken, event_bytes < sizeof taken ? event_bytes : sizeof taken);
	return DXH_OK;
}

dxh_status dxh_watcher_dispatch(dxh_watcher *watcher, dxh_watch_fn on_event, void *context,
                                size_t max, int64_t deadline_ns, size_t *count)
{
	dxh_watch_event event;
	size_t calls = 0;
	dxh_status status = check(watcher);

	if (status == DXH_OK && (!on_event || max == 0))
		status = dxi_fail(DXH_EINVAL, "dxh_watcher_dispatch needs a function, and at least "
		                              "one event at most");
	if (status == DXH_OK)
		status = next(watcher, deadline_ns, &event);
	if (status != DXH_OK)
		return status;
	do {
		on_event(context, &event);
		calls++;
	} while (calls < max && next(watcher, DXH_NOW, &event) == DXH_OK);
	if (count)
		*count = calls;
	return DXH_OK;
}

int dxh_watcher_fd(dxh_watcher *watcher)
{
	return check(watcher) == DXH_OK ? dxh_subscription_fd(watcher->subscription) : -1;
}

dxh_status dxh_watcher_stop(dxh_watcher *watcher)
{
	dxh_status status = check(watcher);

	return status == DXH_OK ? dxh_subscription_stop(watcher->subscription) : status;
}

dxh_status dxh_watcher_close(dxh_watcher **watcher)
{
	dxh_watcher *closing = watcher ? *watcher : NULL;
	dxh_status status = check(closing);

	if (status != DXH_OK)
		return status;
	dxh_note_release(closing->held);
	closing->held = NULL;
	status = dxh_subscription_close(&closing->subscription);
	if (status != DXH_OK)
		return status;
	*watcher = NULL;
	free(closing);
	return DXH_OK;
}
