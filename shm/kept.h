/* SPDX-License-Identifier: MIT */
/* The memory of a block, taken out of its producer or consumer before these go. */
#ifndef DXI_KEPT_H
#define DXI_KEPT_H

#include "shm/follow.h"

/* Room for it. Returns: DXH_EINVAL, DXH_ENOMEM. */
dxh_status dxi_kept_new(dxh_memory **memory);

/* From here on the mappings are the memory's. Does nothing when it is NULL. */
void dxi_kept_take(dxh_memory *memory, dxi_block *block);

/* The same of the blocks that were left. */
void dxi_kept_take_left(dxh_memory *memory, dxi_follow *follow);

#endif
