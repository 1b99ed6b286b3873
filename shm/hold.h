/* SPDX-License-Identifier: MIT */
/* The producer's side of lossless readers: how far it may write before it has to
 * look at their rows, waiting for them, going on without them.
 */
#ifndef DXI_HOLD_H
#define DXI_HOLD_H

#include "shm/control.h"

typedef struct dxi_hold {
	int fd;                             /* of the control file; -1: no reader can hold us */
	struct dxi_layout_control *control; /* mapped for sleeping on its wake word only */
	unsigned char *copy;                /* of the whole file, as last looked at */
	uint64_t floor;                     /* the smallest cursor at the last look */
} dxi_hold;

#define DXI_HOLD_NONE ((dxi_hold){.fd = -1})

/* Take the control file `fd` over, or, with -1, open that of a block which is
 * taken over. A control file that is missing or broken is replaced: its readers
 * find that they are not waited for.
 * Returns: DXH_OK, also for a block without rows; as dxi_control_create(). */
dxh_status dxi_hold_open(dxi_hold *hold, const dxi_block *block, int fd);
void dxi_hold_close(dxi_hold *hold, const dxi_block *block);

/* Wait until ticket `next` may be written: nothing that is kept of it is still
 * needed. `evict`: at the deadline go on without those who need it.
 * Returns: DXH_EWAIT with who holds us back. */
dxh_status
dxi_hold_wait(dxi_hold *hold, dxi_block *block, uint64_t next, int64_t deadline_ns, bool evict);

/* May `next` be written without a look? */
static inline bool dxi_hold_is_free(const dxi_hold *hold, const dxi_block *block, uint64_t next)
{
	return hold->fd == -1 || next - hold->floor < block->ring.kept;
}

#endif
