/* SPDX-License-Identifier: MIT */
/* A lossless reader's row: claiming it, saying how far one is, being evicted. */
#ifndef DXI_ROW_H
#define DXI_ROW_H

#include "shm/control.h"

typedef struct dxi_row {
	int fd;                             /* holds the lock; -1: no row */
	struct dxi_layout_control *control; /* mapped for writing */
	uint32_t index;
	uint64_t generation;
	uint64_t cursor; /* as last said */
	uint64_t epoch;  /* of the producer whose control file this is */
} dxi_row;

#define DXI_ROW_NONE ((dxi_row){.fd = -1})

/* Take a free row of the block and hold everything from `cursor` on. A writer that
 * did not see the row yet goes on as it was: what is published from the next load
 * of head on is held for certain, what lies before it only if it is still there.
 * Returns: DXH_ESTATE: the block has no rows; DXH_ELIMIT: all are taken;
 *          DXH_EACCESS; DXH_ENOTFOUND; DXH_ECORRUPT; DXH_ESYSTEM. */
dxh_status dxi_row_claim(const dxi_block *block, uint64_t cursor, dxi_row *row);

/* Say that all tickets below `cursor` are done with, and wake a writer that waits
 * for it. */
void dxi_row_advance(dxi_row *row, const dxi_block *block, uint64_t cursor);

/* Did the writer go on without us? */
bool dxi_row_is_evicted(const dxi_row *row, const dxi_block *block);

/* Has a successor made the control file anew, so that nobody looks at this row any
 * more? Asked for only once an epoch. */
bool dxi_row_is_orphan(dxi_row *row, const dxi_block *block);

/* The same, asked at once: where something was lost. */
bool dxi_row_has_lost_its_file(const dxi_row *row, const dxi_block *block);

/* Take a row of the new file instead; what is returned for want of one leaves the old.
 * Returns: as dxi_row_claim(). */
dxh_status dxi_row_move(dxi_row *row, const dxi_block *block, uint64_t cursor);

/* Take part again, from `cursor` on. */
void dxi_row_rejoin(dxi_row *row, uint64_t cursor);

/* Show people what this reader has counted. */
void dxi_row_show(const dxi_row *row, uint64_t read, uint64_t lost, uint64_t retries);

void dxi_row_leave(dxi_row *row, const dxi_block *block);

#endif
