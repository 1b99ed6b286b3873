/* SPDX-License-Identifier: MIT */
/* Snapshots of what is counted and timed. */
#include "base/status.h"
#include "runtime/hub.h"
#include "runtime/wire.h"

#include <string.h>

dxh_status dxh_hub_stats_get_sized(size_t stats_bytes, const dxh_hub *hub, dxh_hub_stats *stats)
{
	dxh_hub_stats now = {.slots_now = 0};
	dxh_status status;

	if (!hub || !stats)
		return dxi_fail(DXH_EINVAL,
		                "dxh_hub_stats_get needs a hub and room for the counters");
	status = dxi_hub_check_process(hub);
	if (status != DXH_OK)
		return status;
#define READ(counter) now.counter = dxi_count_get(&hub->metrics.counter);
	DXI_COUNTER_LIST(READ)
#undef READ
	now.doorbells = dxi_count_get(&hub->metrics.doorbells);
	now.requests_unknown = dxi_count_get(&hub->metrics.requests_unknown);
	now.notes_unread = dxi_count_get(&hub->metrics.notes_unread);
	now.requests_expired = dxi_count_get(&hub->metrics.requests_expired);
	now.slots_now = dxi_pool_out(hub->pool);
	now.memory_bytes += dxi_pool_bytes(hub->pool) + DXI_MESSAGE_BYTES_MAX;
	memset(stats, 0, stats_bytes);
	memcpy(stats, &now, stats_bytes < sizeof now ? stats_bytes : sizeof now);
	return DXH_OK;
}

dxh_status dxh_hub_latency_get(const dxh_hub *hub, dxh_stage stage, dxh_latency *latency)
{
	dxh_status status;

	if (!hub || !latency || (unsigned)stage > DXH_STAGE_WAKE)
		return dxi_fail(DXH_EINVAL,
		                "dxh_hub_latency_get needs a hub, a stage and room for the result");
	status = dxi_hub_check_process(hub);
	if (status == DXH_OK)
		*latency = dxi_histogram_read(&hub->latency[stage]);
	return status;
}
