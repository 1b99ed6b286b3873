/* SPDX-License-Identifier: MIT */
/* The file NAME.zones of a block made with zones_writable: its plain zones, apart from all
 * else, so that who may write them can touch nothing but them.
 */
#ifndef DXI_ZONES_FILE_H
#define DXI_ZONES_FILE_H

#include "shm/segment.h"

/* Make, map and name the file, which the block does not have yet; the caller holds the
 * producer's lock. Nothing for a block that keeps its zones in the data file.
 * Returns: DXH_ENOSPACE; DXH_EACCESS; DXH_ELIMIT; DXH_ESYSTEM. */
dxh_status dxi_zones_create(dxi_block *block, uint32_t mode, const char *group);

/* Map the file that is there, or the memory that was passed, for reading or for both. For a
 * block that is open for writing, under the producer's lock, its head is made right first.
 * Returns: DXH_ECORRUPT with what is wrong; DXH_EACCESS; DXH_ESYSTEM. */
dxh_status dxi_zones_attach(dxi_block *block, bool writable);

/* Is the open file the zones file of this block, which needs not be mapped?
 * Returns: DXH_ECORRUPT with offset and rule; DXH_ESYSTEM. */
dxh_status dxi_zones_check(const dxi_block *block, int fd);

void dxi_zones_detach(dxi_block *block);

#endif
