/* SPDX-License-Identifier: MIT */
/* A repeated request keeps its id and its deadline, and its attempt number goes up. A
 * retry costs a token; requests earn tokens, a tenth each unless told otherwise: when
 * everything fails, retries add a tenth to the load and not a multiple. */
#include "runtime/retry.h"

#include "runtime/peer.h"

#include <string.h>

enum { TOKEN = 1000, TOKENS_FREE = 10 * TOKEN };

static void resume(void *context)
{
	dxh_peer *peer = context;

	while (peer->retries.resting.first) {
		dxi_operation *operation = peer->retries.resting.first;

		dxi_operation_remove(operation);
		dxi_peer_take(peer, operation);
	}
}

void dxi_retries_init(dxh_peer *peer)
{
	peer->retries.tokens = TOKENS_FREE;
	peer->retries.alarm = (dxi_tick){.fn = resume, .context = peer};
}

void dxi_retries_stop(dxh_peer *peer)
{
	dxi_wheel_disarm(&peer->hub->ticks, &peer->retries.alarm.timer);
}

void dxi_retries_earn(dxh_peer *peer)
{
	int64_t more = (int64_t)peer->config.retry_percent * TOKEN / 100;

	/* What a full window earns can be saved up for the loss of a full window. */
	if (peer->retries.tokens < TOKENS_FREE + more * peer->config.requests_max)
		peer->retries.tokens += more;
}

void dxi_retries_relax(dxh_peer *peer)
{
	peer->retries.pause_ns = 0;
}

/* May it be sent once more? Takes what that costs. */
static bool may_repeat(dxi_operation *operation)
{
	dxh_peer *peer = operation->peer;
	dxi_metrics *metrics = peer->hub->metrics;

	if (!operation->idempotent || operation->attempt >= peer->config.retries_max)
		return false;
	if (peer->retries.tokens < TOKEN) {
		dxi_count(&metrics->retries_refused, 1);
		return false;
	}
	peer->retries.tokens -= TOKEN;
	operation->attempt++;
	dxi_count(&metrics->retries, 1);
	return true;
}

/* It is sent again if the next connection finds the memory of this one; see
 * dxi_retry_uncertain(). That is no retry, and costs nothing. */
static bool may_hold(dxi_operation *operation)
{
	dxh_peer *peer = operation->peer;

	if (!operation->hold || peer->memory == 0)
		return false;
	if (operation->attempt < UINT8_MAX)
		operation->attempt++;
	dxi_count(&peer->hub->metrics->held, 1);
	return true;
}

void dxi_retry_lost(dxh_peer *peer, const char *reason)
{
	dxi_operation_list again = {NULL, NULL, 0}, large = {NULL, NULL, 0};
	dxi_operation *operation;

	while ((operation = peer->sent.first)) {
		if (!may_hold(operation) && !may_repeat(operation)) {
			dxi_operation_end(operation, DXH_ELOST, DXH_MAYBE_EXECUTED, reason,
			                  strlen(reason));
			continue;
		}
		dxi_operation_remove(operation);
		dxi_operation_append(dxi_operation_is_large(operation) ? &large : &again, operation,
		                     DXI_NOWHERE);
	}
	/* In front of what was never sent, in their old order. */
	dxi_operation_prepend_all(&peer->lane, &again, DXI_IN_LANE);
	dxi_transfers_take_again(peer, &large);
}

static void end_uncertain(dxi_operation_list *list)
{
	static const char reason[] = "the service was restarted, or has forgotten whether it "
				     "executed this";
	dxi_operation *next;

	for (dxi_operation *operation = list->first; operation; operation = next) {
		next = operation->next;
		if (operation->hold && operation->attempt > 0)
			dxi_operation_end(operation, DXH_ELOST, DXH_MAYBE_EXECUTED, reason,
			                  sizeof reason - 1);
	}
}

void dxi_retry_uncertain(dxh_peer *peer)
{
	/* Also what was resumed on a connection that ended before it left. */
	end_uncertain(&peer->lane);
	end_uncertain(&peer->transfers.waiting);
}

bool dxi_retry_later(dxi_operation *operation)
{
	dxh_peer *peer = operation->peer;
	dxi_retries *retries = &peer->retries;
	int64_t longest = peer->config.retry_max_ns;

	if (!may_repeat(operation))
		return false;
	dxi_operation_remove(operation);
	dxi_operation_append(&retries->resting, operation, DXI_IN_REST);
	if (dxi_timer_armed(&retries->alarm.timer))
		return true;
	/* Full jitter, from twice as long a time at each try that finds it overloaded. */
	retries->pause_ns = retries->pause_ns == 0            ? peer->config.retry_min_ns
	                    : retries->pause_ns > longest / 2 ? longest
	                                                      : retries->pause_ns * 2;
	dxi_wheel_arm(
		&peer->hub->ticks, &retries->alarm.timer,
		dxi_hub_after(peer->hub,
	                      1 + (int64_t)dxi_hub_random(peer->hub, (uint64_t)retries->pause_ns)));
	return true;
}
