/* SPDX-License-Identifier: MIT */
/* A beat goes out when the service owes something and has said nothing for an
 * interval; a connection that is silent for much longer has ended, whatever the
 * kernel thinks: a stopped process or a pulled cable says nothing at all. */
#include "runtime/pulse.h"

#include "base/clock.h"
#include "runtime/peer.h"

#include <stdio.h>

/* Requests, flushes, room for notifications, or notes of a subscription that stands. */
static bool expects_something(const dxh_peer *peer)
{
	return peer->sent.count + peer->flushing.count + peer->transfers.under_way.count > 0 ||
	       peer->subscriptions.first || dxi_notify_lane_is_held(peer);
}

static void rearm(dxh_peer *peer)
{
	dxi_wheel_arm(&peer->hub->ticks, &peer->pulse.alarm.timer,
	              dxi_hub_after(peer->hub, peer->config.beat_ns));
}

static void look(void *context)
{
	dxh_peer *peer = context;
	int64_t silent_ns = peer->hub->now_ns - peer->pulse.heard_ns;
	char reason[80];

	if (!peer->link || !expects_something(peer))
		return; /* armed again by dxi_pulse_expect() */
	if (silent_ns >= peer->config.silence_ns) {
		snprintf(reason, sizeof reason, "the service has said nothing for %lld ms",
		         (long long)(silent_ns / DXI_NS_PER_MS));
		dxi_connection_silent(peer, reason);
		return;
	}
	if (silent_ns >= peer->config.beat_ns) {
		peer->pulse.beat_due = true;
		dxi_link_touch(peer->link);
	}
	rearm(peer);
}

void dxi_pulse_init(dxh_peer *peer)
{
	peer->pulse.alarm = (dxi_tick){.fn = look, .context = peer};
}

void dxi_pulse_start(dxh_peer *peer, bool is_answered)
{
	peer->pulse.is_answered = is_answered;
	peer->pulse.heard_ns = peer->hub->now_ns;
	if (expects_something(peer))
		dxi_pulse_expect(peer);
}

void dxi_pulse_stop(dxh_peer *peer)
{
	dxi_wheel_disarm(&peer->hub->ticks, &peer->pulse.alarm.timer);
	peer->pulse.beat_due = false;
}

void dxi_pulse_expect(dxh_peer *peer)
{
	if (!peer->pulse.is_answered || peer->config.beat_ns < 0 ||
	    dxi_timer_armed(&peer->pulse.alarm.timer))
		return;
	/* What was silent because nothing was asked is not silent now. */
	peer->pulse.heard_ns = peer->hub->now_ns;
	rearm(peer);
}
