/* SPDX-License-Identifier: MIT */
/* Which handler a subject has: setting and finding them. */
#include "runtime/operation.h"
#include "runtime/service.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 32 bits (Fowler, Noll, Vo). */
static struct dxi_handler *_Atomic *bucket_of(dxi_handlers *handlers, const char *subject)
{
	uint32_t hash = 2166136261u;

	for (; *subject; subject++)
		hash = (hash ^ (unsigned char)*subject) * 16777619u;
	return &handlers->buckets[hash % DXI_HANDLER_BUCKETS];
}

static const dxi_handler *find_from(const dxi_handler *handler, const char *subject)
{
	while (handler && strcmp(handler->subject, subject) != 0)
		handler = handler->next;
	return handler;
}

static const dxi_handler *find(dxi_handlers *handlers, const char *subject)
{
	/* acquire: pairs with the release in publish(). */
	return find_from(atomic_load_explicit(bucket_of(handlers, subject), memory_order_acquire),
	                 subject);
}

const dxi_handler *dxi_handlers_find(dxi_handlers *handlers, const char *subject)
{
	const dxi_handler *handler = find(handlers, subject);

	return handler ? handler : find(handlers, "");
}

/* Into its bucket; false: another one with its subject is there. */
static bool publish(dxi_handlers *handlers, dxi_handler *handler)
{
	struct dxi_handler *_Atomic *bucket = bucket_of(handlers, handler->subject);
	dxi_handler *head = atomic_load_explicit(bucket, memory_order_acquire);

	do {
		if (find_from(head, handler->subject))
			return false;
		handler->next = head;
		/* release: publishes the handler. acquire: what came in between is read. */
	} while (!atomic_compare_exchange_weak_explicit(
		bucket, &head, handler, memory_order_release, memory_order_acquire));
	return true;
}

void dxi_handlers_free(dxi_handlers *handlers)
{
	for (size_t i = 0; i < DXI_HANDLER_BUCKETS; i++) {
		dxi_handler *handler =
			atomic_load_explicit(&handlers->buckets[i], memory_order_acquire);

		while (handler) {
			dxi_handler *next = handler->next;

			free(handler);
			handler = next;
		}
	}
}

static dxh_status check_handle(const dxh_service *service, const char *subject, dxh_handler handler)
{
	size_t bytes;
	dxh_status status;

	if (!service || !subject || !handler)
		return dxi_fail(DXH_EINVAL,
		                "dxh_service_handle needs a service, a subject and a handler");
	status = dxi_hub_check_process(service->hub);
	if (status == DXH_OK && *subject != '\0')
		status = dxi_subject_check(subject, &bytes);
	return status;
}

static dxh_status add_handler(dxi_handlers *handlers, const char *subject, dxh_handler call,
                              void *context, bool is_inline)
{
	size_t bytes = strlen(subject);
	dxi_handler *handler = malloc(sizeof *handler + bytes + 1);

	if (!handler)
		return dxi_fail(DXH_ENOMEM, "no memory for a handler");
	*handler = (dxi_handler){.call = call, .context = context, .is_inline = is_inline};
	memcpy(handler->subject, subject, bytes + 1);
	if (publish(handlers, handler))
		return DXH_OK;
	free(handler);
	return dxi_fail(DXH_EEXIST, "'%s' has a handler already", subject);
}

static dxh_status handle(dxh_service *service, const char *subject, dxh_handler handler,
                         void *context, bool is_inline)
{
	dxh_status status = check_handle(service, subject, handler);

	if (status != DXH_OK)
		return status;
	/* relaxed: only counts. */
	if (atomic_fetch_add_explicit(&service->handlers.count, 1, memory_order_relaxed) >=
	    DXH_HANDLERS_MAX)
		status = dxi_fail(DXH_ELIMIT,
		                  "a service has at most %d handlers: use \"\" for the "
		                  "rest",
		                  DXH_HANDLERS_MAX);
	else
		status = add_handler(&service->handlers, subject, handler, context, is_inline);
	if (status != DXH_OK)
		atomic_fetch_sub_explicit(&service->handlers.count, 1, memory_order_relaxed);
	return status;
}

dxh_status
dxh_service_handle(dxh_service *service, const char *subject, dxh_handler handler, void *context)
{
	return handle(service, subject, handler, context, false);
}

dxh_status dxh_service_handle_inline(dxh_service *service, const char *subject, dxh_handler handler,
                                     void *context)
{
	dxh_status status;

	if (service)
		atomic_fetch_add_explicit(&service->handlers.inlines, 1, memory_order_release);
	status = handle(service, subject, handler, context, true);
	if (status != DXH_OK && service)
		atomic_fetch_sub_explicit(&service->handlers.inlines, 1, memory_order_release);
	return status;
}
