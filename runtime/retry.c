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

/* What is to be sent again, in the order it was sent. */
typedef struct again {
	dxi_operation_list small, large;
} again;

static void add_again(again *list, dxi_operation *operation)
{
	dxi_operation_remove(operation);
	dxi_operation_append(dxi_operation_is_large(operation) ? &list->large : &list->small,
	                     operation, DXI_NOWHERE);
}

/* In front of what was never sent. */
static void send_again(dxh_peer *peer, again *list)
{
	dxi_operation_prepend_all(&peer->lane, &list->small, DXI_IN_LANE);
	dxi_transfers_take_again(peer, &list->large);
}

static void hold(dxi_operation *operation)
{
	/* It counts as sent before from now on. */
	if (operation->attempt < UINT8_MAX)
		operation->attempt++;
	dxi_operation_remove(operation);
	dxi_operation_append(&operation->peer->retries.held, operation, DXI_IN_HELD);
}

void dxi_retry_lost(dxh_peer *peer, const char *reason)
{
	again list = {{NULL, NULL, 0}, {NULL, NULL, 0}};
	dxi_operation *operation;

	while ((operation = peer->sent.first)) {
		if (operation->hold && peer->memory != 0)
			hold(operation);
		else if (may_repeat(operation))
			add_again(&list, operation);
		else
			dxi_operation_end(operation, DXH_ELOST, DXH_MAYBE_EXECUTED, reason,
			                  strlen(reason));
	}
	send_again(peer, &list);
}

void dxi_retries_resume(dxh_peer *peer, bool has_memory_of_before)
{
	dxi_operation_list *held = &peer->retries.held;
	again list = {{NULL, NULL, 0}, {NULL, NULL, 0}};

	if (!has_memory_of_before)
		dxi_operation_end_all(held, DXH_ELOST, DXH_MAYBE_EXECUTED,
		                      "the service was restarted, or has forgotten whether it "
		                      "executed this");
	dxi_count(&peer->hub->metrics->held, held->count);
	while (held->first)
		add_again(&list, held->first);
	send_again(peer, &list);
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
