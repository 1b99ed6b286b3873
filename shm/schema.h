/* SPDX-License-Identifier: MIT */
/* What the bytes of a block mean: written as canonical MessagePack, read back
 * from hostile bytes, compared member by member.
 *
 *	{name, slot?: part, version, zones: [part]}
 *	part  = {align, fields?: [field], latch?, name, size, struct?}
 *	field = {align?, atomic?, columns?, count, doc?, fields?: [field], name, offset,
 *	         size?, struct?, type, unit?}
 *
 * Keys that are not known are ignored: a later minor version may add some.
 */
#ifndef DXI_SCHEMA_H
#define DXI_SCHEMA_H

#include <dxh/block.h>

#include <stdbool.h>

enum {
	DXI_SCHEMA_VERSION = 1,
	DXI_SCHEMA_BYTES_MAX = 256 * 1024, /* all members there may be, with their texts */
	DXI_SCHEMA_VALUES_MAX = 32 * 1024,
	DXI_SCHEMA_DOC_MAX = 255, /* characters */
	DXI_SCHEMA_UNIT_MAX = 31,
};

/* The largest zone or slot: 1 TiB. Sums of a few cannot overflow. */
static const uint64_t DXI_PART_BYTES_MAX = UINT64_C(1) << 40;

/* A zone, or the slot. */
typedef struct dxi_schema_part {
	const char *name;
	uint64_t bytes;
	uint32_t align;
	bool latch;
	bool typed;        /* false: raw bytes, and `layout` is empty */
	dxh_schema layout; /* all texts and fields lie in the dxi_schema */
} dxi_schema_part;

/* A parsed schema. */
typedef struct dxi_schema {
	const char *name;
	dxi_schema_part zones[DXH_ZONES_MAX];
	uint32_t zone_count;
	bool has_slot;
	dxi_schema_part slot;
	char *texts;
	dxh_field *fields;
	dxh_schema *nested;
} dxi_schema;

/* Describe what `config` asks for; the config is checked already.
 * Owner: the caller frees *bytes. */
dxh_status dxi_schema_write(const char *name, const dxh_block_config *config, unsigned char **bytes,
                            size_t *length);

/* Read `bytes`, a private copy of what lies at `offset` of a file.
 * Owner: dxi_schema_fini(), also after a failure.
 * Returns: DXH_ECORRUPT with offset and rule; DXH_EVERSION; DXH_ENOMEM. */
dxh_status
dxi_schema_parse(const unsigned char *bytes, size_t length, uint64_t offset, dxi_schema *schema);
void dxi_schema_fini(dxi_schema *schema);

/* How alike two descriptions have to be. */
typedef enum dxi_match {
	DXI_MATCH_SAME,
	/* Theirs may have more members behind the last of ours, in the outermost struct, and
	 * more zones behind the last of ours. What both have is the same, and lies at the
	 * same place; so nested structs are the same to their ends. */
	DXI_MATCH_APPENDED
} dxi_match;

/* Is a C struct described the same way? `what` names it in the error, for
 * example "zone telemetry". Docs are not compared.
 * Returns: DXH_ESCHEMA with the first differing member on both sides;
 *          DXH_ESIZE. */
dxh_status dxi_schema_compare(const char *what, const dxh_schema *ours,
                              const dxi_schema_part *theirs, dxi_match match);

/* The same of a list of zones, which a NULL name ends. */
dxh_status
dxi_schema_compare_zones(const dxh_zone_spec *zones, const dxi_schema *schema, dxi_match match);

/* Does the block hold exactly what `config` asks for?
 * Returns: DXH_ESCHEMA or DXH_ESIZE with the first difference. */
dxh_status dxi_schema_compare_config(const dxh_block_config *config, const dxi_schema *schema);

/* The rule that a struct breaks, or its member `index`, as the end of a sentence:
 * "overlaps the one before it"; NULL: none. What is nested in it is looked at by
 * itself. The outermost struct has level 1 and begins at a multiple of `align`; the
 * members before `index` are known to be right. */
const char *dxi_struct_rule(const dxh_schema *schema, uint32_t level);
const char *dxi_member_rule(const dxh_schema *schema, uint32_t index, uint32_t align);

/* The power of two at whose multiples the structs nested in a member begin, when
 * the struct around it begins at a multiple of `align`. */
uint32_t dxi_nested_align(const dxh_field *field, uint32_t align);

/* The code of "u64"; false when it names no type. */
bool dxi_type_of_name(const char *name, dxh_type *type);

#endif
