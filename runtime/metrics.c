/* SPDX-License-Identifier: MIT */
/* Snapshots of what is counted and timed. */
#include "base/status.h"
#include "runtime/hub.h"
#include "runtime/wire.h"

#include <string.h>

dxh_hub_stats dxi_metrics_read(const dxi_metrics *metrics)
{
	dxh_hub_stats now = {.slots_now = 0};

#define READ(counter) now.counter = dxi_count_get(&metrics->counter);
	DXI_COUNTER_LIST(READ)
	DXI_SHARED_COUNTERS(READ)
#undef READ
	return now;
}

dxh_status dxh_hub_stats_get_sized(size_t stats_bytes, const dxh_hub *hub, dxh_hub_stats *stats)
{
	dxh_hub_stats now;
	dxh_status status;

	if (!hub || !stats)
		return dxi_fail(DXH_EINVAL,
		                "dxh_hub_stats_get needs a hub and room for the counters");
	status = dxi_hub_check_process(hub);
	if (status != DXH_OK)
		return status;
	now = dxi_metrics_read(hub->metrics);
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
