/* SPDX-License-Identifier: MIT */
/* Where everything lies in a block: planned for a new one, checked for one that
 * somebody else made. Works on private copies; never touches a mapping.
 */
#ifndef DXI_GEOMETRY_H
#define DXI_GEOMETRY_H

#include "shm/layout.h"
#include "shm/schema.h"

/* Fill the fixed part of `header`, but for uuid, hashes and checksum, and the
 * zone table. The config is checked already.
 * Returns: DXH_EINVAL when the sizes add up to more than 2^62. */
dxh_status dxi_geometry_plan(const dxh_block_config *config, size_t schema_bytes,
                             struct dxi_layout_header *header,
                             struct dxi_layout_zone zones[DXH_ZONES_MAX]);

/* Compute schema_hash, layout_hash and, over them, fixed_checksum. */
void dxi_geometry_seal(struct dxi_layout_header *header, const struct dxi_layout_zone *zones,
                       const unsigned char *schema);

/* Is this the header of a file of `file_bytes`? Everything it announces then
 * lies within the file, in order, without overlap.
 * Returns: DXH_ECORRUPT with offset and rule; DXH_EVERSION. */
dxh_status dxi_geometry_check_header(const struct dxi_layout_header *header, uint64_t file_bytes);

/* The part of it behind magic, version and checksum: to find which number is wrong. */
dxh_status dxi_geometry_check_places(const struct dxi_layout_header *header, uint64_t file_bytes);

/* Are these its zone table and its schema bytes?
 * Returns: DXH_ECORRUPT with offset and rule. */
dxh_status dxi_geometry_check_hashes(const struct dxi_layout_header *header,
                                     const struct dxi_layout_zone *zones,
                                     const unsigned char *schema);

/* Do all zones lie within the file, and does the schema say the same as the zone
 * table and the header? */
dxh_status dxi_geometry_check_tables(const struct dxi_layout_header *header,
                                     const struct dxi_layout_zone *zones, const dxi_schema *schema);

/* The size of the zones file: its head, and the zones that the table places there. 0: no
 * such file. */
uint64_t dxi_geometry_zones_bytes(const struct dxi_layout_header *header,
                                  const struct dxi_layout_zone *zones);

/* What so many kept slots are called: dxi_layout_policy. */
uint8_t dxi_policy_of(uint32_t slot_count);

/* Bytes from one copy of a latch zone to the next. */
uint64_t dxi_latch_stride(uint64_t zone_bytes);

/* From the begin of a zone to its (first) digest, if it has one. */
uint64_t dxi_digest_offset(const struct dxi_layout_zone *zone);

uint64_t dxi_round_up(uint64_t bytes, uint64_t multiple);

#endif
