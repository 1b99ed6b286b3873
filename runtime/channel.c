/* SPDX-License-Identifier: MIT */
/* Looking for a channel: the broker answers at once, so it is asked again and again,
 * until the channel is there or the caller's deadline passes.
 */
#include "runtime/channel.h"

#include "base/clock.h"
#include "base/status.h"
#include "queue/completion.h"
#include "runtime/peer.h"

#include <stdio.h>
#include <time.h>

/* Between two questions for a channel that is not there yet. */
enum { PAUSE_MIN_NS = 20 * DXI_NS_PER_MS, PAUSE_MAX_NS = 200 * DXI_NS_PER_MS };

dxh_status dxi_channel_check_call(dxh_peer *broker, const char *name, const void *room)
{
	if (!broker || !name || !room)
		return dxi_fail(DXH_EINVAL, "%s is NULL",
		                !broker ? "the broker's peer"
		                : !name ? "the name"
		                        : "the room for what is opened");
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread may not wait for the broker");
	return dxi_hub_check_open(dxi_peer_hub(broker));
}

typedef struct search {
	dxh_peer *broker;
	const char *name;
	int64_t deadline_ns;
	dxi_found_fn found;
	void *context;
	dxh_status last; /* why it is not there yet; DXH_OK: nothing was asked before */
	char why[256];
} search;

/* May the broker say something else in a moment? Our own hub is looked at apart. To the caller
 * that is no answer: DXH_ECLOSED would tell of a hub of its own that is closed. */
static bool is_passing(dxh_status status)
{
	return status == DXH_ELOST || status == DXH_ECLOSED || status == DXH_EOVERLOADED ||
	       status == DXH_EFULL;
}

static dxh_status fail_unanswered(void)
{
	char why[200];

	snprintf(why, sizeof why, "%s", dxh_last_error());
	return dxi_fail(DXH_EEXPIRED, "the broker did not answer: %s", why);
}

static dxi_outcome look_once(const search *wanted, dxh_status *status)
{
	dxh_channel_info told;

	*status = dxh_discover(wanted->broker, wanted->name, wanted->deadline_ns, &told);
	if (is_passing(*status)) {
		*status = fail_unanswered();
		return DXI_NOT_YET;
	}
	if (*status != DXH_OK)
		return DXI_DECIDED;
	if (told.state == DXH_CHANNEL_FOUND)
		return wanted->found(wanted->context, &told, status);
	if (told.state == DXH_CHANNEL_PENDING)
		*status =
			dxi_fail(DXH_EDEAD, "channel '%s' is known, its producer is not there: %s",
		                 wanted->name, told.reason);
	else
		*status = dxi_fail(DXH_ENOTFOUND, "the broker knows no channel '%s'", wanted->name);
	return DXI_NOT_YET;
}

static void pause_until(int64_t wake_ns)
{
	struct timespec wake = dxi_timespec(wake_ns);

	/* Woken early by a signal it only asks early. */
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
}

static dxh_status look_until_decided(search *wanted)
{
	int64_t pause_ns = PAUSE_MIN_NS, wake_ns;
	dxh_status status;

	/* Bounded by the deadline; each turn but the last sleeps. */
	for (;;) {
		if (look_once(wanted, &status) == DXI_DECIDED) {
			if (status != DXH_EEXPIRED || wanted->last == DXH_OK)
				return status;
			break; /* the answer to the question before says more */
		}
		wanted->last = status;
		snprintf(wanted->why, sizeof wanted->why, "%s", dxh_last_error());
		status = dxi_hub_check_open(dxi_peer_hub(wanted->broker));
		if (status != DXH_OK)
			return status;
		if (wanted->deadline_ns <= dxh_in_ns(PAUSE_MIN_NS))
			break;
		/* The last question shortly before the deadline. */
		wake_ns = dxh_in_ns(pause_ns);
		if (wake_ns > wanted->deadline_ns - PAUSE_MIN_NS)
			wake_ns = wanted->deadline_ns - PAUSE_MIN_NS;
		pause_until(wake_ns);
		pause_ns = pause_ns * 2 < PAUSE_MAX_NS ? pause_ns * 2 : PAUSE_MAX_NS;
	}
	dxi_fail_as(wanted->why);
	return wanted->last;
}

dxh_status dxi_channel_search(dxh_peer *broker, const char *name, int64_t deadline_ns,
                              dxi_found_fn found, void *context)
{
	search wanted = {.broker = broker,
	                 .name = name,
	                 .deadline_ns = deadline_ns,
	                 .found = found,
	                 .context = context};

	return look_until_decided(&wanted);
}
