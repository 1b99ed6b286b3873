/* SPDX-License-Identifier: MIT */
/* The inside of a producer, for the files of this room and for the channel. */
#ifndef DXI_PRODUCER_H
#define DXI_PRODUCER_H

#include "base/forked.h"
#include "base/status.h"
#include "shm/hold.h"
#include "shm/lease.h"
#include "shm/residence.h"
#include "shm/segment.h"
#include "shm/wake.h"

struct dxh_producer {
	dxi_block block;
	dxi_lease lease;
	dxi_hold hold;
	dxi_residence residence;
	bool evict;
	uint32_t process; /* 0: closed, see retired.h */
	uint64_t serial;  /* stands in its slots that are open */
	uint64_t next_ticket;
	uint32_t next_index;   /* next_ticket % slots; 0 without slots */
	bool write_open;       /* next_ticket is marked as being written */
	bool beacon_is_lit;    /* else it is tried again with the clock */
	bool is_told_unlinked; /* the name is gone, and that was said */
	uint32_t latches_open; /* bit i: zone i was begun */
	bool stamps;           /* items say when they were published */
	bool needs_time;       /* for each item: it has a stamp, or wakes readers */
	int64_t begun_ns;      /* 0: this write is not measured */
	int64_t refreshed_ns;  /* when clock_offset_ns was last written */
	dxi_quiet quiet;       /* see dxi_wake_for_item() */
	bool unlink_on_close;
	void (*closing)(void *context);
	void *closing_context;
};

/* Have `closing` called once, at the beginning of dxh_producer_close(). */
void dxi_producer_attach_owner(dxh_producer *producer, void (*closing)(void *context),
                               void *context);

static inline dxh_status dxi_producer_check(const dxh_producer *producer)
{
	if (!producer)
		return dxi_fail(DXH_EINVAL, "producer is NULL");
	if (producer->process == dxi_process_id())
		return DXH_OK;
	if (producer->process == 0)
		return dxi_fail(DXH_ESTALE, "this producer was closed: open it again");
	return dxi_fail(DXH_EFORKED,
	                "the producer of \"%s\" belongs to the parent process: open one "
	                "here when that is gone",
	                producer->block.paths.name);
}

#endif
