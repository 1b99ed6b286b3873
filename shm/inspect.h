/* SPDX-License-Identifier: MIT */
/* A look at a block in the making, shared by the files that look at its parts.
 * Everything is read with pread(), nothing is mapped.
 */
#ifndef DXI_INSPECT_H
#define DXI_INSPECT_H

#include "shm/report.h"
#include "shm/segment.h"

#include <sys/types.h>

typedef struct dxi_inspection {
	dxi_block block;                 /* opened, not mapped */
	uint64_t file_bytes;             /* when it was opened */
	uid_t owner;                     /* of the data file */
	struct dxi_layout_header header; /* as last read, with all that changes */
	dxh_liveness producer;           /* as last seen */
	bool is_sound;                   /* what never changes can be believed */
	bool has_key;
	dxi_report *report;
} dxi_inspection;

/* Which files a name or config->file means. Returns: DXH_EINVAL. */
dxh_status
dxi_inspection_paths(const char *name, const dxh_inspect_config *config, dxi_paths *paths);

/* Open the block and judge what never changes and who produces.
 * Owner: dxi_inspection_close(), also after a failure.
 * Returns: DXH_OK also for one that is broken: then is_sound is false. */
dxh_status dxi_inspection_open(dxi_inspection *inspection, const dxi_paths *paths,
                               const dxh_inspect_config *config);
void dxi_inspection_close(dxi_inspection *inspection);

/* Read the header again and ask who lives. */
dxh_status dxi_inspection_refresh(dxi_inspection *inspection);

/* The parts, each of a sound block. A file that shrinks meanwhile is a finding. */
dxh_status dxi_inspect_tickets(dxi_inspection *inspection);
dxh_status dxi_inspect_zones(dxi_inspection *inspection);
dxh_status dxi_inspect_items(dxi_inspection *inspection);
dxh_status dxi_inspect_files(dxi_inspection *inspection);

/* Tickets, then files: dxh_block_diagnose(). */
dxh_status dxi_inspect_state(dxi_inspection *inspection);

/* The file ends before `offset`, as dxi_read_at() said: a finding, DXH_OK. Another
 * status is passed on. */
dxh_status dxi_inspect_short(dxi_inspection *inspection, dxh_status status);

/* What the last refusal said behind "DXH_ECORRUPT: offset N: ", and its N, or
 * DXH_OFFSET_NONE. */
const char *dxi_refusal_words(void);
uint64_t dxi_refusal_offset(void);

#endif
