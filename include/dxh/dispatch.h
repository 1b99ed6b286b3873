/* SPDX-License-Identifier: MIT */
/* Dispatch: a handler for each subject, run on the threads that dispatch, or on the I/O
 * thread.
 *
 *	dxh_service_handle(service, "voltage", on_voltage, meter) for each subject, then
 *	while (dxh_service_dispatch(service, 32, DXH_FOREVER, NULL) == DXH_OK)
 *		;
 *	on as many threads as are to work at once; ends with dxh_service_stop()
 */
#ifndef DXH_DISPATCH_H
#define DXH_DISPATCH_H

#include <dxh/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Subjects one service may have handlers for. */
enum { DXH_HANDLERS_MAX = 1024 };

/* Called with a request or notification, which is the handler's now: it replies,
 * rejects or releases it, here or later, on any thread. Several run at once, when
 * several threads dispatch. */
typedef void (*dxh_handler)(void *context, dxh_request *request);

/* From now on `handler` gets what comes with this subject; "" gets every subject
 * that has none of its own. It stays as long as the service.
 *
 * Thread:  any, also while others dispatch. Owner: the subject is copied.
 * Returns: DXH_EEXIST: the subject has a handler; DXH_ELIMIT: DXH_HANDLERS_MAX of
 *          them are set; DXH_EINVAL; DXH_ENOMEM; DXH_EFORKED.
 */
DXH_API DXH_NODISCARD dxh_status dxh_service_handle(dxh_service *service, const char *subject,
                                                    dxh_handler handler, void *context);

/* The same, but `handler` runs on the I/O thread, as soon as a request has been received:
 * nobody is woken for it and its answer leaves at once, which saves a third of the time
 * of a short request. As long as it runs nothing else does on this hub, no deadline and
 * no other client: it is for what takes microseconds. It must not block; calls that
 * would wait return DXH_EDEADLK. What cannot be answered at once is kept and answered
 * later, on any thread. How often such handlers were called, and how often up to 16 of
 * them in a row took longer than 1 ms, is counted (dxh_hub_stats.callbacks,
 * callbacks_slow).
 *
 * One client's requests for inline handlers come in the order in which they were sent;
 * they overtake what waits for other threads. Bounds of the service hold as for these.
 *
 * Thread:  any. Not called any more once dxh_service_stop() or dxh_service_close() has
 *          returned; between calls of dxh_service_stop() and its return it may still be.
 * Returns: as dxh_service_handle(); of the two kinds a subject has one.
 */
DXH_API DXH_NODISCARD dxh_status dxh_service_handle_inline(dxh_service *service,
                                                           const char *subject, dxh_handler handler,
                                                           void *context);

/* Wait for one, and run its handler here; then for what else has come by then, `max`
 * at most. A request whose subject nobody handles is answered with DXH_EUNKNOWN; a
 * notification is dropped; both are counted (dxh_hub_stats.requests_unknown).
 *
 * Thread:  any, several at once; also beside dxh_service_receive().
 * Blocks:  until one comes, or the deadline; and as long as the handlers take.
 * Returns: DXH_OK: *count (may be NULL) were taken, 1 or more; otherwise none, as
 *          dxh_service_receive(); DXH_EINVAL when max is 0.
 */
DXH_API DXH_NODISCARD dxh_status dxh_service_dispatch(dxh_service *service, size_t max,
                                                      int64_t deadline_ns, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
