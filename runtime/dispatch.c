/* SPDX-License-Identifier: MIT */
/* Running handlers on the threads that ask for it. */
#include "runtime/service.h"

#include "base/status.h"

static void run(dxh_service *service, dxh_request *request)
{
	const dxi_handler *handler =
		dxi_handlers_find(&service->handlers, dxh_request_subject(request));

	if (handler) {
		handler->call(handler->context, request);
		return;
	}
	/* relaxed: a figure for people. */
	atomic_fetch_add_explicit(&service->hub->metrics->requests_unknown, 1,
	                          memory_order_relaxed);
	if (dxh_request_is_notification(request))
		dxh_request_release(request);
	else
		dxh_request_reject(request, DXH_EUNKNOWN, "the service does not know this subject");
}

dxh_status
dxh_service_dispatch(dxh_service *service, size_t max, int64_t deadline_ns, size_t *count)
{
	dxh_request *request;
	dxh_status status;
	size_t taken = 0;

	if (max == 0)
		return dxi_fail(DXH_EINVAL, "dxh_service_dispatch of none at most does nothing");
	status = dxh_service_receive(service, deadline_ns, &request);
	if (status != DXH_OK)
		return status;
	do {
		run(service, request);
		taken++;
	} while (taken < max && dxh_service_receive(service, DXH_NOW, &request) == DXH_OK);
	if (count)
		*count = taken;
	return DXH_OK;
}
