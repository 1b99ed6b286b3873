/* SPDX-License-Identifier: MIT */
/* Which clients are sent to next, and which are full: those wait aside until there may be
 * room again. */
#include "runtime/clients.h"

#include "base/clock.h"

/* How often those that are full are tried though nothing was told of them: soon, and less and
 * less often. */
static const int64_t AGAIN_MIN_NS = DXI_NS_PER_MS;
static const int64_t AGAIN_MAX_NS = 128 * DXI_NS_PER_MS;

static dxi_client_queue *queue_of(dxh_service *service, dxi_queued where)
{
	return where == DXI_QUEUED_PARKED ? &service->parked : &service->answering;
}

static void enqueue(dxi_client *client, dxi_queued where)
{
	dxi_client_queue *queue = queue_of(client->service, where);

	client->previous_queued = queue->last;
	client->next_queued = NULL;
	if (queue->last)
		queue->last->next_queued = client;
	else
		queue->first = client;
	queue->last = client;
	client->queued = where;
}

void dxi_client_dequeue(dxi_client *client)
{
	dxi_client_queue *queue = queue_of(client->service, client->queued);

	if (client->queued == DXI_QUEUED_NOWHERE)
		return;
	if (client->previous_queued)
		client->previous_queued->next_queued = client->next_queued;
	else
		queue->first = client->next_queued;
	if (client->next_queued)
		client->next_queued->previous_queued = client->previous_queued;
	else
		queue->last = client->previous_queued;
	client->queued = DXI_QUEUED_NOWHERE;
}

void dxi_client_has_something(dxi_client *client)
{
	if (client->queued == DXI_QUEUED_NOWHERE)
		enqueue(client, DXI_QUEUED_ANSWERING);
}

void dxi_client_requeue(dxi_client *client)
{
	dxi_client_dequeue(client);
	enqueue(client, DXI_QUEUED_ANSWERING);
}

void dxi_answer_unpark(dxh_service *service, bool fired)
{
	dxi_client *next;

	for (dxi_client *client = service->parked.first; client; client = next) {
		next = client->next_queued;
		if (client->retried && !fired)
			continue;
		client->retried = !fired;
		dxi_client_requeue(client);
	}
}

/* ---- news that nobody hears ---------------------------------------------------------------- */

/* That a client has room again libzmq tells once, and any call on the socket may take that
 * in: a receive that finds nothing, a look at its events, even a try to send to another
 * client. Each of these wants to be the last one before a sleep, and no event of a ROUTER
 * speaks of one client. So what is full is also tried by the clock. */
static void try_again(void *context)
{
	dxh_service *service = context;
	dxi_tick *again = &service->again;

	if (!service->parked.first) {
		dxi_answer_queue_stop(service);
		return;
	}
	again->interval_ns *= again->interval_ns < AGAIN_MAX_NS ? 2 : 1;
	dxi_answer_unpark(service, true);
}

void dxi_client_park(dxi_client *client)
{
	dxh_service *service = client->service;
	dxi_tick *again = &service->again;

	dxi_client_dequeue(client);
	enqueue(client, DXI_QUEUED_PARKED);
	if (client->full)
		return;
	client->full = true;
	again->fn = try_again;
	again->context = service;
	again->interval_ns = AGAIN_MIN_NS;
	dxi_wheel_arm(&service->hub->ticks, &again->timer,
	              dxi_hub_after(service->hub, AGAIN_MIN_NS));
}

void dxi_answer_queue_stop(dxh_service *service)
{
	dxi_wheel_disarm(&service->hub->ticks, &service->again.timer);
}
