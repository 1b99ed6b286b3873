/* SPDX-License-Identifier: MIT */
/* What a first part announces is paid for at once, out of the client's window and the
 * service's inbox; a request goes on to the workers when its last part has come. */
#include "runtime/request_assembly.h"

#include "runtime/lent.h"

#include "runtime/repeat.h"

#include "base/clock.h"
#include "base/status.h"

#include <string.h>

/* How often a body that is under way is looked at, whether it still comes. */
static const int64_t LOOK_NS = DXI_NS_PER_S;

/* The request is on its way to the workers, or gone. */
static void forget(dxi_client *client, dxi_assembly *assembly)
{
	dxh_service *service = client->service;

	dxi_wheel_disarm(&service->hub->ticks, &assembly->alarm.timer);
	client->bytes -= assembly->total_bytes;
	service->bytes_out -= dxi_request_holds(assembly->request);
	dxi_assembly_remove(&client->arriving, assembly);
}

static void drop(dxi_client *client, dxi_assembly *assembly)
{
	dxh_request *request = assembly->request;

	forget(client, assembly);
	dxi_request_free(request);
}

static void
drop_and_refuse(dxi_client *client, dxi_assembly *assembly, dxh_status status, const char *text)
{
	uint64_t id = assembly->id;

	drop(client, assembly);
	dxi_request_refuse(client, id, status, text);
}

static void set_alarm(dxi_assembly *assembly)
{
	dxh_hub *hub = assembly->client->service->hub;
	int64_t look_ns = dxi_hub_after(hub, LOOK_NS);
	int64_t deadline_ns = assembly->request->deadline_ns;

	dxi_wheel_arm(&hub->ticks, &assembly->alarm.timer,
	              deadline_ns < look_ns ? deadline_ns : look_ns);
}

static void expire(dxi_client *client, dxi_assembly *assembly)
{
	/* relaxed: a figure for people. */
	atomic_fetch_add_explicit(&client->service->hub->metrics->requests_expired, 1,
	                          memory_order_relaxed);
	drop_and_refuse(client, assembly, DXH_EEXPIRED, "expired before all of it had come");
}

/* A router is not told when a client goes; sending to it tells. */
static bool is_gone(const dxi_client *client)
{
	return dxi_answer_past_queue(client->service, client->id, client->id_bytes,
	                             (dxi_record){.kind = DXI_BEAT}) == DXI_SENT_NEVER;
}

static void look(void *context)
{
	dxi_assembly *assembly = context;
	dxi_client *client = assembly->client;
	bool has_stalled = assembly->have_bytes == assembly->had_bytes;

	assembly->had_bytes = assembly->have_bytes;
	if (assembly->request->deadline_ns <= client->service->hub->now_ns)
		expire(client, assembly);
	else if (has_stalled && is_gone(client))
		dxi_client_drop(client);
	else
		set_alarm(assembly);
}

/* Set memory aside for what the first part announces. NULL: refused, with *text. */
static dxi_assembly *begin(dxi_client *client, const dxi_record *part, const char **text)
{
	dxh_service *service = client->service;
	dxi_assembly *assembly;
	dxh_request *request;

	*text = "more bodies in parts at a time than the protocol allows";
	if (client->arriving.count >= DXI_PARTED_BODIES_MAX)
		return NULL;
	*text = "the service is out of memory";
	request = dxi_request_announced(service, part, part->total_bytes);
	if (!request)
		return NULL;
	*text = "the service's inbox_bytes are used up";
	assembly = service->bytes_out + dxi_request_holds(request) > service->config.inbox_bytes
	                   ? NULL
	                   : dxi_assembly_add(&client->arriving, part);
	if (!assembly) {
		dxi_request_free(request);
		return NULL;
	}
	assembly->client = client;
	assembly->request = request;
	assembly->bytes = request->body;
	assembly->alarm = (dxi_tick){.fn = look, .context = assembly};
	set_alarm(assembly);
	client->bytes += assembly->total_bytes;
	service->bytes_out += dxi_request_holds(request);
	return assembly;
}

static void take(dxi_client *client, dxi_assembly *assembly, const dxi_record *part)
{
	dxh_request *request = assembly->request;

	if (!dxi_assembly_take(assembly, part))
		return;
	forget(client, assembly);
	dxi_request_accept(client, request);
}

static void take_first(dxi_client *client, const dxi_record *part)
{
	const char *text = dxi_part_fault(part, part->total_bytes, 0);
	dxi_assembly *assembly = NULL;
	dxh_status status;

	if (!text && dxi_repeat_taken(client, part))
		return;
	status = text ? DXH_EPROTO : dxi_request_admit(client, part->total_bytes, &text);
	dxi_count(&client->service->hub->metrics->requests_received, 1);
	if (status == DXH_OK) {
		assembly = begin(client, part, &text);
		status = DXH_EOVERLOADED;
	}
	if (assembly)
		take(client, assembly, part);
	else
		dxi_request_refuse(client, part->id, status, text);
}

void dxi_request_part_taken(dxi_client *client, const dxi_record *part)
{
	dxi_assembly *assembly = dxi_assembly_find(&client->arriving, part->id);
	const char *fault;

	if (!assembly && dxi_part_is_first(part)) {
		take_first(client, part);
		return;
	}
	if (!assembly) {
		/* It was refused or has ended, and this was on its way. */
		dxi_count(&client->service->hub->metrics->parts_dropped, 1);
		return;
	}
	fault = dxi_part_fault(part, assembly->total_bytes, assembly->have_bytes);
	/* Nothing is ever written to what is lent. */
	if (!fault && assembly->request->lender &&
	    part->body != assembly->bytes + assembly->have_bytes)
		fault = "a part that does not lie behind the one before";
	if (fault)
		drop_and_refuse(client, assembly, DXH_EPROTO, fault);
	else
		take(client, assembly, part);
}

bool dxi_request_parts_cancel(dxi_client *client, uint64_t id)
{
	dxi_assembly *assembly = dxi_assembly_find(&client->arriving, id);

	if (!assembly)
		return false;
	drop(client, assembly);
	dxi_count(&client->service->hub->metrics->replies_dropped, 1);
	return true;
}

void dxi_request_parts_refuse(dxi_client *client, dxh_status status, const char *text)
{
	while (client->arriving.first)
		drop_and_refuse(client, client->arriving.first, status, text);
}

void dxi_request_parts_drop(dxi_client *client)
{
	dxi_count(&client->service->hub->metrics->replies_dropped, client->arriving.count);
	while (client->arriving.first)
		drop(client, client->arriving.first);
}
