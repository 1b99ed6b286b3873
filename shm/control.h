/* SPDX-License-Identifier: MIT */
/* The control file NAME.ctl: rows in which lossless readers say how far they are.
 * Making it, opening it, and whether it is the one that belongs to a block.
 */
#ifndef DXI_CONTROL_H
#define DXI_CONTROL_H

#include "shm/segment.h"

static inline uint64_t dxi_control_bytes(uint32_t row_count)
{
	return sizeof(struct dxi_layout_control) + row_count * sizeof(struct dxi_layout_row);
}

static inline struct dxi_layout_row *
dxi_control_row(struct dxi_layout_control *control, uint32_t index)
{
	return (struct dxi_layout_row *)(control + 1) + index;
}

/* Make the file of this block and give it its name, which must be free or that of
 * a dead one; the caller holds the producer's lock. Who may read the block may
 * write this file.
 * Returns: the descriptor in *fd; DXH_ENOSPACE; DXH_EACCESS; DXH_ESYSTEM. */
dxh_status dxi_control_create(const dxi_block *block, uint32_t mode, const char *group, int *fd);

/* Make it again beside a block that lost it: owner, group and mode are those of the
 * data file. As above. */
dxh_status dxi_control_replace(const dxi_block *block, int *fd);

/* Is the open file the control file of this block?
 * Returns: DXH_ECORRUPT with offset and rule. */
dxh_status dxi_control_check(int fd, const dxi_block *block);

#endif
