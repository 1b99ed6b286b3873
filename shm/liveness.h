/* SPDX-License-Identifier: MIT */
/* How is the producer of a mapped block? And the facts of the block for people. */
#ifndef DXI_LIVENESS_H
#define DXI_LIVENESS_H

#include "shm/segment.h"

/* Two or three system calls of a third of a microsecond. */
dxh_liveness dxi_liveness(const dxi_block *block);

void dxi_block_describe(const dxi_block *block, dxh_liveness producer, dxh_block_info *info);

#endif
