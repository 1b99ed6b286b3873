/* SPDX-License-Identifier: MIT */
/* Running handlers on the I/O thread, and how long that held it up. */
#include "runtime/inline_handler.h"

#include "base/probe.h"
#include "queue/group.h"
#include "runtime/parcel.h"

/* Calls that are timed together: reading the clock takes as long as a short handler. */
enum { CALLS_TIMED = 16 };

const dxi_handler *dxi_inline_handler_of(dxh_service *service, const char *subject)
{
	const dxi_handler *handler;

	/* acquire: pairs with the release in dxh_service_handle_inline(). */
	if (atomic_load_explicit(&service->handlers.inlines, memory_order_acquire) == 0 ||
	    service->leaving || dxi_inbox_is_stopped(service->inbox))
		return NULL;
	handler = dxi_handlers_find(&service->handlers, subject);
	return handler && handler->is_inline ? handler : NULL;
}

bool dxi_inline_answered(dxh_request *request)
{
	dxh_hub *hub = request->service->hub;
	dxi_inline_handling *handling = &hub->handling;

	if (!dxi_hub_is_io_thread(hub) || !handling->running)
		return false;
	request->task.node.next = handling->answered ? &handling->answered->task.node : NULL;
	handling->answered = request;
	return true;
}

static void take_answers(dxi_inline_handling *handling)
{
	while (handling->answered) {
		dxh_request *request = handling->answered;

		handling->answered = (dxh_request *)(void *)request->task.node.next;
		dxi_service_take_answer(request);
	}
}

void dxi_inline_handle(const dxi_handler *handler, dxh_request *request)
{
	dxh_service *service = dxi_request_service(request);
	dxi_inline_handling *handling = &service->hub->handling;

	if (handling->calls++ == 0)
		handling->begun_ns = dxh_now_ns();
	DXI_PROBE(receive, request, service->endpoint, dxi_request_body_bytes(request));
	handling->running = true;
	handler->call(handler->context, request);
	handling->running = false;
	take_answers(handling);
	if (handling->calls == CALLS_TIMED)
		dxi_inline_settle(service->hub);
}

void dxi_inline_settle(dxh_hub *hub)
{
	dxi_inline_handling *handling = &hub->handling;

	if (handling->calls == 0)
		return;
	dxi_callbacks_here.count += handling->calls;
	dxi_callbacks_here.slow += dxh_now_ns() - handling->begun_ns > DXI_CALLBACK_SLOW_NS;
	handling->calls = 0;
	/* Before their answers leave: who has one finds it counted. */
	dxi_count_set(&hub->metrics->callbacks, dxi_callbacks_here.count);
	dxi_count_set(&hub->metrics->callbacks_slow, dxi_callbacks_here.slow);
}
