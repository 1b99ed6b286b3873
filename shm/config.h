/* SPDX-License-Identifier: MIT */
/* Is what a program asks for a block that can exist? */
#ifndef DXI_CONFIG_H
#define DXI_CONFIG_H

#include <dxh/block.h>

/* Returns: DXH_EINVAL with the member of the config and what it may be. */
dxh_status dxi_block_config_check(const dxh_block_config *config);

/* What the header says of the checksum that is asked for: dxi_layout_checksum. */
uint8_t dxi_checksum_kind(const dxh_block_config *config);

/* The same of the digest of a zone. */
uint32_t dxi_digest_kind(const dxh_block_config *config, const dxh_zone_spec *zone);

/* How many zones the list holds. */
uint32_t dxi_zone_count(const dxh_block_config *config);

#endif
