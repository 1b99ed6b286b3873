/* SPDX-License-Identifier: MIT */
/* Table 1 of a channel as its schema tells it: name, size and hash of each zone. A zone's
 * hash is the BLAKE2b-256 of its part of the schema, as the bytes lie there, so whoever has
 * the schema can compute it again. Pure. */
#ifndef DXI_ZONES_H
#define DXI_ZONES_H

#include "runtime/broker/parts.h"

#include <dxh/describe.h>

/* Returns: DXH_EINVAL naming what of the schema is not as it must be. */
dxh_status dxi_zones_of_schema(const void *schema, size_t schema_bytes,
                               dxh_channel_zone zones[DXH_ZONES_MAX], uint32_t *count);

/* The value of a key "zones", and whether one that came says the same: a refusal of the
 * fields otherwise, DXH_ESCHEMA for a hash. */
void dxi_zones_write(const dxh_channel_zone *zones, uint32_t count, dxi_writer *writer);
void dxi_zones_compare(dxi_fields *fields, const dxh_channel_zone *zones, uint32_t count);

#endif
