/* SPDX-License-Identifier: MIT */
/* How is the producer of a mapped block? And the facts of the block for people. */
#ifndef DXI_LIVENESS_H
#define DXI_LIVENESS_H

#include "base/clock.h"
#include "shm/segment.h"

/* So often a reader that waits asks: nobody wakes it when a producer dies. */
enum { DXI_LIVENESS_STEP_NS = 100 * DXI_NS_PER_MS };

/* Two or three system calls of a third of a microsecond. */
dxh_liveness dxi_liveness(const dxi_block *block);

/* Why nothing comes: DXH_EWAIT while the producer lives, or may live; else DXH_EDEAD,
 * DXH_ECLOSED or, when the name is gone too, DXH_EUNLINKED. Without words. */
dxh_status dxi_liveness_explain(const dxi_block *block);

void dxi_block_describe(const dxi_block *block, dxh_liveness producer, dxh_block_info *info);

#endif
