/* SPDX-License-Identifier: MIT */
/* Items in place: handed out where they lie, and believed only when it has been
 * seen afterwards that nobody wrote there.
 */
#include "shm/consumer.h"

dxh_status dxh_peek_begin(dxh_consumer *consumer, int64_t deadline_ns, dxh_peek *peek)
{
	dxi_want want = {.in_place = true};
	dxh_status status = dxi_consumer_check_ring(consumer);

	if (status != DXH_OK)
		return status;
	if (!peek)
		return dxi_fail(DXH_EINVAL, "peek is NULL");
	*peek = (dxh_peek){.consumer = consumer};
	status = dxi_consumer_wait(consumer, &want, deadline_ns, &peek->item);
	if (status != DXH_OK)
		return status;
	peek->data = want.payload;
	peek->serial = consumer->peeking = ++consumer->serial;
	return DXH_OK;
}

/* Of this consumer, now? One that was closed looks at nothing. */
static bool is_open(const dxh_peek *peek)
{
	return peek->data && peek->serial != 0 && peek->consumer->peeking == peek->serial;
}

int dxh_peek_holds(const dxh_peek *peek)
{
	return peek && peek->consumer && is_open(peek) &&
	       dxi_slot_holds(dxi_consumer_slot(peek->consumer, peek->item.ticket),
	                      peek->item.ticket);
}

dxh_status dxh_peek_end(dxh_peek *peek)
{
	dxh_status status;

	if (!peek)
		return dxi_fail(DXH_EINVAL, "peek is NULL");
	status = dxi_consumer_check(peek->consumer);
	if (status != DXH_OK)
		return status;
	if (!is_open(peek))
		return dxi_fail(DXH_ESTATE, "this item is not being looked at: it was ended "
		                            "before, or by another consumer's peek");
	peek->consumer->peeking = 0;
	peek->data = NULL;
	status = dxi_slot_holds(dxi_consumer_slot(peek->consumer, peek->item.ticket),
	                        peek->item.ticket)
	                 ? DXH_OK
	                 : dxi_consumer_take_back(peek->consumer, &peek->item);
	dxi_consumer_let_go(peek->consumer);
	return status;
}

dxh_status dxh_with_read(dxh_consumer *consumer, int64_t deadline_ns, dxh_use_fn use, void *context)
{
	dxh_peek peek;
	dxh_status status, used;

	if (!use)
		return dxi_fail(DXH_EINVAL, "use is NULL");
	status = dxh_peek_begin(consumer, deadline_ns, &peek);
	if (status != DXH_OK)
		return status;
	used = use(context, peek.data, &peek.item);
	status = dxh_peek_end(&peek);
	return status == DXH_OK ? used : status;
}
