/* SPDX-License-Identifier: MIT */
/* Table 1: named structs in the block, found by name and checked three ways. */
#ifndef DXI_ZONE_H
#define DXI_ZONE_H

#include "shm/segment.h"

/* The zone of that name, of that size and, with a schema, of those members.
 * Returns: DXH_EZONE, DXH_ESIZE, DXH_ESCHEMA; DXH_ESTATE when it is a latch and
 *          should not be, or the reverse. */
dxh_status dxi_zone_find(const dxi_block *block, const char *name, const dxh_schema *schema,
                         size_t bytes, bool latch, uint32_t *index);

#endif
