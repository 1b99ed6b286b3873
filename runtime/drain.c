/* SPDX-License-Identifier: MIT */
/* Draining: asked for by one thread, watched by the I/O thread, ended by it when
 * nothing is left or the deadline has passed. */
#include "base/futex.h"
#include "base/status.h"
#include "runtime/peer.h"
#include "runtime/service.h"

#include <limits.h>
#include <string.h>

static uint64_t ended(const dxi_metrics *metrics)
{
	return dxi_count_get(&metrics->posted) - dxi_count_get(&metrics->open_now);
}

void dxi_hub_abandon_all(dxh_hub *hub, const char *reason)
{
	for (dxh_peer *peer = hub->peers; peer; peer = peer->next)
		dxi_peer_abandon(peer, reason);
}

static bool is_drained(const dxh_hub *hub)
{
	/* acquire: pairs with the release in finish_drain(), which publishes report and rows. */
	return atomic_load_explicit(&hub->drained, memory_order_acquire) != 0;
}

static void finish_drain(dxh_hub *hub)
{
	dxi_metrics *metrics = hub->metrics;
	uint64_t closed_before = dxi_count_get(&metrics->closed);
	uint64_t dropped_before = dxi_count_get(&metrics->notifications_dropped);
	dxh_drain_report *report = &hub->drain_report;

	report->completed = ended(metrics) - hub->drain_ended_before;
	report->notifications_sent =
		dxi_count_get(&metrics->notifications_sent) - hub->drain_sent_before;
	dxi_wheel_disarm(&hub->ticks, &hub->drain_tick.timer);
	/* relaxed: posters that miss it are ended as they arrive. */
	atomic_store_explicit(&hub->state, DXI_HUB_CLOSED, memory_order_relaxed);
	for (dxh_peer *peer = hub->peers; peer; peer = peer->next)
		dxi_drain_abandon(&hub->drain_rows, peer, "the hub's drain reached its deadline");
	for (const dxh_service *service = hub->services; service; service = service->next)
		report->answers_left += dxi_drain_look_at(&hub->drain_rows, service);
	report->rows_missing = hub->drain_rows.missing;
	report->abandoned = dxi_count_get(&metrics->closed) - closed_before;
	report->notifications_left =
		dxi_count_get(&metrics->notifications_dropped) - dropped_before;
	dxi_wakes_issue(&hub->wakes);
	/* release: publishes the report. Pairs with the acquire in is_drained(). */
	atomic_store_explicit(&hub->drained, 1, memory_order_release);
	dxi_futex_wake(&hub->drained, INT_MAX, DXI_FUTEX_PRIVATE);
}

static void drain_deadline_passed(void *hub)
{
	finish_drain(hub);
}

void dxi_hub_look_drained(dxh_hub *hub)
{
	if (dxi_count_get(&hub->metrics->open_now) > 0)
		return;
	for (const dxh_peer *peer = hub->peers; peer; peer = peer->next)
		if (!dxi_peer_is_idle(peer))
			return;
	for (const dxh_service *service = hub->services; service; service = service->next)
		if (!dxi_service_is_idle(service))
			return;
	finish_drain(hub);
}

struct drain_call {
	dxh_hub *hub;
	int64_t deadline_ns;
};

static dxh_status begin_drain(void *context)
{
	const struct drain_call *call = context;
	dxh_hub *hub = call->hub;

	if (atomic_load_explicit(&hub->state, memory_order_relaxed) != DXI_HUB_RUNNING)
		return dxi_fail(DXH_ECLOSED, "hub '%s' was drained before", hub->name);
	atomic_store_explicit(&hub->state, DXI_HUB_DRAINING, memory_order_relaxed);
	hub->drain_deadline_ns = call->deadline_ns;
	hub->drain_ended_before = ended(hub->metrics);
	hub->drain_sent_before = dxi_count_get(&hub->metrics->notifications_sent);
	hub->drain_tick = (dxi_tick){.fn = drain_deadline_passed, .context = hub};
	dxi_wheel_arm(&hub->ticks, &hub->drain_tick.timer, hub->drain_deadline_ns);
	return DXH_OK;
}

dxh_status dxh_hub_drain_sized(size_t report_bytes, dxh_hub *hub, int64_t deadline_ns,
                               dxh_drain_report *report)
{
	const dxh_drain_report *found;
	dxh_status status;

	if (!hub)
		return dxi_fail(DXH_EINVAL, "the hub is NULL");
	status = dxi_hub_check_process(hub);
	if (status != DXH_OK)
		return status;
	if (dxi_may_not_wait)
		return dxi_fail(DXH_EDEADLK, "the I/O thread cannot wait for its own drain");
	status = dxi_hub_call(hub, begin_drain, &(struct drain_call){hub, deadline_ns});
	if (status != DXH_OK)
		return status;
	while (!is_drained(hub))
		dxi_futex_wait(&hub->drained, 0, DXH_FOREVER, DXI_FUTEX_PRIVATE);
	found = &hub->drain_report;
	if (report) {
		memset(report, 0, report_bytes);
		memcpy(report, found, report_bytes < sizeof *found ? report_bytes : sizeof *found);
	}
	if (found->abandoned + found->notifications_left + found->answers_left == 0)
		return DXH_OK;
	return dxi_fail(DXH_EWAIT,
	                "the drain's deadline passed with %llu operations, %llu notifications and "
	                "%llu answers left: dxh_hub_drain_row() tells where",
	                (unsigned long long)found->abandoned,
	                (unsigned long long)found->notifications_left,
	                (unsigned long long)found->answers_left);
}

const char *dxh_lane_name(dxh_lane lane)
{
	switch (lane) {
	case DXH_LANE_CONTROL:
		return "control";
	case DXH_LANE_REQUEST:
		return "request";
	case DXH_LANE_NOTIFICATION:
		return "notification";
	}
	return "?";
}

const dxh_drain_row *dxh_hub_drain_row(const dxh_hub *hub, size_t index)
{
	if (!hub || dxi_hub_check_process(hub) != DXH_OK || !is_drained(hub))
		return NULL;
	return index < hub->drain_rows.count ? hub->drain_rows.rows[index] : NULL;
}
