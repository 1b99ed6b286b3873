/* SPDX-License-Identifier: MIT */
/* The inside of a consumer, for the files of this room and for the channel. */
#ifndef DXI_CONSUMER_H
#define DXI_CONSUMER_H

#include "base/forked.h"
#include "base/status.h"
#include "shm/segment.h"

/* Invariant: read + lost + skipped == next - start. */
struct dxh_consumer {
	dxi_block block;
	uint32_t process;
	dxh_discipline discipline;
	uint64_t start; /* ticket begun at */
	uint64_t next;  /* ticket to look at */
	uint64_t read, read_bytes, lost, skipped, retries, corrupt;

	/* Lost and not yet told. */
	uint64_t untold, untold_first, untold_last;

	unsigned overtaken;  /* times in a row without an item in between */
	dxh_status told;     /* DXH_EDEAD or DXH_ECLOSED, once told; else DXH_OK */
	uint64_t told_epoch; /* of which producer */

	void (*closing)(void *context);
	void *closing_context;
};

/* Have `closing` called once, at the beginning of dxh_consumer_close(). */
void dxi_consumer_attach_owner(dxh_consumer *consumer, void (*closing)(void *context),
                               void *context);

/* Look once, without waiting. False: nothing new. True: the call is decided,
 * *status is DXH_OK, DXH_ELAPPED, DXH_ESIZE or DXH_ECORRUPT and item is filled. */
bool dxi_consumer_look(dxh_consumer *consumer, void *copy, size_t capacity_bytes, dxh_item *item,
                       dxh_status *status);

static inline dxh_status dxi_consumer_check(const dxh_consumer *consumer)
{
	if (!consumer)
		return dxi_fail(DXH_EINVAL, "consumer is NULL");
	if (consumer->process != dxi_process_id())
		return dxi_fail(
			DXH_EFORKED,
			"the consumer of \"%s\" belongs to the parent process: open one here",
			consumer->block.paths.name);
	return DXH_OK;
}

#endif
