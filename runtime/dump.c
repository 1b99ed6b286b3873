/* SPDX-License-Identifier: MIT */
/* What a hub is doing right now, as lines for people: taken on the I/O thread, where
 * nothing changes meanwhile, and bounded. */
#include "base/clock.h"
#include "base/status.h"
#include "runtime/clients.h"
#include "runtime/peer.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_BYTES = 512, SHOWN_MAX = 100 };

typedef struct dump {
	dxh_hub *hub;
	dxh_dump_fn write;
	void *context;
	unsigned shown;
} dump;

static void DXH_PRINTF(2, 3) say(dump *to, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	dxi_make_printable(line);
	to->write(to->context, line);
}

static const char *state_name(dxh_peer_state state)
{
	switch (state) {
	case DXH_PEER_CONNECTING:
		return "connecting";
	case DXH_PEER_READY:
		return "ready";
	case DXH_PEER_WAITING:
		return "waiting";
	case DXH_PEER_REFUSED:
		return "refused";
	}
	return "?";
}

static void say_left(char *text, size_t bytes, int64_t deadline_ns, int64_t now_ns)
{
	if (deadline_ns == DXH_FOREVER)
		snprintf(text, bytes, "no deadline");
	else
		snprintf(text, bytes, "%lld ms left",
		         (long long)((deadline_ns - now_ns) / DXI_NS_PER_MS));
}

/* Of operations and clients a hundred are shown, the others counted. */
static bool shows_one_more(dump *to)
{
	return to->shown++ < SHOWN_MAX;
}

static void say_operation(dump *to, const dxi_operation *operation, const char *state)
{
	int64_t now_ns = to->hub->now_ns;
	uint32_t age_ms = (uint32_t)(now_ns / DXI_NS_PER_MS) - operation->cancel.number;
	char left[48];

	if (!shows_one_more(to))
		return;
	say_left(left, sizeof left, operation->timer.deadline_ns, now_ns);
	if (operation->kind != DXI_OP_REQUEST) {
		say(to, "    flush: %s, %u ms old, %s", state, age_ms, left);
		return;
	}
	say(to, "    '%.*s', %u bytes: %s, %u ms old, %s, attempt %u%s%s", operation->subject_bytes,
	    (const char *)operation->payload, operation->body_bytes, state, age_ms, left,
	    operation->attempt, operation->idempotent ? ", idempotent" : "",
	    operation->hold ? ", to be held" : "");
}

static void say_operations(dump *to, const dxi_operation_list *list, const char *state)
{
	for (const dxi_operation *each = list->first; each; each = each->next)
		say_operation(to, each, state);
}

/* What was sent before, and waits for a connection that it may be sent on again. */
static const char *waiting_state(const dxi_operation *operation)
{
	if (operation->kind != DXI_OP_REQUEST || operation->attempt == 0)
		return "waiting";
	return operation->hold ? "held" : "to be repeated";
}

static void say_waiting(dump *to, const dxi_operation_list *list)
{
	for (const dxi_operation *each = list->first; each; each = each->next)
		say_operation(to, each, waiting_state(each));
}

static void say_peer(dump *to, const dxh_peer *peer)
{
	dxh_peer_state state = dxh_peer_state_get(peer);

	say(to,
	    "  peer '%s': %s%s%s; %zu to be sent, %zu sent, %zu to be repeated, %llu frames of "
	    "notifications waiting",
	    peer->endpoint, state_name(state), peer->reason[0] ? ": " : "", peer->reason,
	    peer->lane.count + peer->transfers.waiting.count + peer->transfers.under_way.count,
	    peer->sent.count, peer->retries.resting.count,
	    (unsigned long long)(peer->notes.in - dxi_notify_lane_out(&peer->notes)));
	say_operations(to, &peer->sent, "sent");
	say_operations(to, &peer->flushing, "sent");
	say_operations(to, &peer->retries.resting, "to be repeated");
	say_operations(to, &peer->transfers.under_way, "being sent");
	say_waiting(to, &peer->transfers.waiting);
	say_waiting(to, &peer->lane);
	say_waiting(to, &peer->flushes);
}

static void say_client(dump *to, const dxi_client *client)
{
	say(to,
	    "    a client: %zu requests open, %zu answers and %u notes waiting, %u "
	    "subscriptions%s, heard %lld ms ago",
	    client->open.count,
	    client->answers.count + client->large.count + client->departing.count,
	    client->notes.count, client->subscriber_count,
	    client->queued == DXI_QUEUED_PARKED ? ", full" : "",
	    (long long)((to->hub->now_ns - client->heard_ns) / DXI_NS_PER_MS));
}

static void say_service(dump *to, const dxh_service *service)
{
	say(to, "  service '%s': %u clients, %llu requests of %llu bytes with workers or waiting%s",
	    service->endpoint, service->client_count, (unsigned long long)service->requests_out,
	    (unsigned long long)service->bytes_out, service->leaving ? ", closing" : "");
	for (uint32_t i = 0; i < service->bucket_count; i++)
		for (const dxi_client *client = service->buckets[i]; client;
		     client = client->next_in_bucket)
			if (shows_one_more(to))
				say_client(to, client);
}

static dxh_status write_all(void *context)
{
	dump *to = context;
	const dxh_hub *hub = to->hub;

	say(to, "hub '%s': %llu operations open, %u completions not released", hub->name,
	    (unsigned long long)dxi_count_get(&hub->metrics->open_now), dxi_pool_out(hub->pool));
	for (const dxh_peer *peer = hub->peers; peer; peer = peer->next)
		say_peer(to, peer);
	for (const dxh_service *service = hub->services; service; service = service->next)
		say_service(to, service);
	if (to->shown > SHOWN_MAX)
		say(to, "  and %u more operations and clients", to->shown - SHOWN_MAX);
	return DXH_OK;
}

dxh_status dxh_hub_dump(dxh_hub *hub, dxh_dump_fn write, void *context)
{
	dump to = {.hub = hub, .write = write, .context = context};
	dxh_status status;

	if (!hub || !write)
		return dxi_fail(DXH_EINVAL, "dxh_hub_dump needs a hub and where to write");
	status = dxi_hub_check_process(hub);
	return status == DXH_OK ? dxi_hub_call(hub, write_all, &to) : status;
}
