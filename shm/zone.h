/* SPDX-License-Identifier: MIT */
/* Table 1: named structs in the block, found by name or index and checked three ways. */
#ifndef DXI_ZONE_H
#define DXI_ZONE_H

#include "shm/segment.h"

/* The index of the zone of that name. Returns: DXH_EZONE naming those there are. */
dxh_status dxi_zone_find(const dxi_block *block, const char *name, uint32_t *index);

/* Is there such an index? Returns: DXH_EZONE. */
dxh_status dxi_zone_check_index(const dxi_block *block, uint32_t index);

/* What a program says that a zone is. */
typedef struct dxi_zone_wanted {
	const dxh_schema *schema; /* NULL: any of that size */
	size_t bytes;
	bool latch;
} dxi_zone_wanted;

/* Is zone `index`, which exists, that? A raw zone may hold any struct of its size and
 * alignment.
 * Returns: DXH_ESIZE, DXH_ESCHEMA; DXH_ESTATE when it is a latch and should not be, or
 *          the reverse. */
dxh_status dxi_zone_check(const dxi_block *block, uint32_t index, const dxi_zone_wanted *wanted);

/* Where a zone that is no latch lies; the caller knows that its file is at hand. */
void *dxi_zone_at(const dxi_block *block, uint32_t index);

/* A copy of the data file comes without that of the zones.
 * Returns: DXH_EUNSUPPORTED. */
dxh_status dxi_zone_check_at_hand(const dxi_block *block, uint32_t index);

/* May a consumer write this zone? Returns: DXH_ESTATE. */
dxh_status dxi_zone_check_writable(const dxi_block *block, uint32_t index);

/* The ticket with which the digest of a zone is summed up. No item has it: no zone can pass
 * for an item, nor for another zone. */
static inline uint64_t dxi_digest_ticket(uint32_t index)
{
	return UINT64_MAX - index;
}

/* ---- latches ---- */

enum { DXI_LATCH_TRIES_MAX = 8 };

struct dxi_layout_latch *dxi_latch_at(const dxi_block *block, uint32_t index);

/* The copy that is whole at `seq`. */
unsigned char *dxi_latch_copy_at(const dxi_block *block, uint32_t index, uint64_t seq);

/* The first `bytes` bytes of a whole copy. Returns: DXH_EBUSY. */
dxh_status dxi_latch_copy(const dxi_block *block, uint32_t index, void *copy, size_t bytes);

#endif
