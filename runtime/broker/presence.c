/* SPDX-License-Identifier: MIT */
/* Two clocks per producer: since its last beat, and since its last progress. */
#include "runtime/broker/presence.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

void dxi_presence_start(dxi_presence *presence, uint64_t stall_ms, int64_t now_ns)
{
	*presence = (dxi_presence){.beat_ns = now_ns, .progress_ns = now_ns, .stall_ms = stall_ms};
}

void dxi_presence_seen(dxi_presence *presence, int64_t now_ns)
{
	presence->beat_ns = now_ns;
}

void dxi_presence_beat(dxi_presence *presence, uint64_t progress, int64_t now_ns)
{
	presence->beat_ns = now_ns;
	if (progress == presence->progress)
		return;
	presence->progress = progress;
	presence->progress_ns = now_ns;
}

static uint64_t ms_since(int64_t then_ns, int64_t now_ns)
{
	return now_ns <= then_ns ? 0 : (uint64_t)(now_ns - then_ns) / DXI_NS_PER_MS;
}

uint64_t dxi_presence_silent_ms(const dxi_presence *presence, int64_t now_ns)
{
	return ms_since(presence->beat_ns, now_ns);
}

static int64_t after_ms(int64_t ns, uint64_t ms)
{
	return ms > (uint64_t)((DXH_FOREVER - ns) / DXI_NS_PER_MS)
	               ? DXH_FOREVER
	               : ns + (int64_t)ms * DXI_NS_PER_MS;
}

int64_t dxi_presence_dead_ns(const dxi_presence *presence, const dxi_presence_rules *rules)
{
	int64_t silent_ns =
		after_ms(presence->beat_ns, (uint64_t)rules->beat_ms * rules->beats_missed);
	int64_t still_ns = presence->stall_ms > 0
	                           ? after_ms(presence->progress_ns, presence->stall_ms)
	                           : DXH_FOREVER;

	return silent_ns < still_ns ? silent_ns : still_ns;
}

int64_t dxi_presence_over_ns(const dxi_presence *presence, const dxi_presence_rules *rules)
{
	if (rules->beats_kept == 0)
		return DXH_FOREVER;
	return after_ms(presence->beat_ns,
	                (uint64_t)rules->beat_ms *
	                        ((uint64_t)rules->beats_missed + rules->beats_kept));
}

bool dxi_presence_alive(const dxi_presence *presence, const dxi_presence_rules *rules,
                        int64_t now_ns, char *reason, size_t capacity)
{
	uint64_t silent_ms = ms_since(presence->beat_ns, now_ns);
	uint64_t still_ms = ms_since(presence->progress_ns, now_ns);

	reason[0] = '\0';
	if (silent_ms >= (uint64_t)rules->beat_ms * rules->beats_missed)
		snprintf(reason, capacity,
		         "no beat for %" PRIu64 " ms: dead after %" PRIu32 " of %" PRIu32 " ms",
		         silent_ms, rules->beats_missed, rules->beat_ms);
	else if (presence->stall_ms > 0 && still_ms >= presence->stall_ms)
		snprintf(reason, capacity,
		         "it beats, but made no progress for %" PRIu64 " ms: hung after %" PRIu64
		         " ms",
		         still_ms, presence->stall_ms);
	return reason[0] == '\0';
}
