/* SPDX-License-Identifier: MIT */
/* A body that comes together from parts. Pure: it checks each part against what came
 * before and copies it; who asked for it, and who pays for it, is known elsewhere
 * (request_assembly.c, reply_assembly.c). Memory is touched as bytes come.
 *
 * Thread: io.
 */
#ifndef DXI_ASSEMBLY_H
#define DXI_ASSEMBLY_H

#include "runtime/hub.h"
#include "runtime/wire.h"

typedef struct dxi_assembly {
	struct dxi_assembly *next;
	uint64_t id;
	uint64_t total_bytes;
	uint64_t have_bytes;
	unsigned char *bytes; /* room for total_bytes */

	/* at a service, see request_assembly.c */
	struct dxi_client *client;
	dxh_request *request; /* in which the bytes lie */
	uint64_t had_bytes;   /* when it was looked at last */
	dxi_tick alarm;
} dxi_assembly;

/* Those of one connection and direction, DXI_PARTED_BODIES_MAX at most. */
typedef struct dxi_assemblies {
	dxi_assembly *first;
	uint32_t count;
} dxi_assemblies;

/* What is wrong with a part of a body of which so much is here, or NULL. */
const char *dxi_part_fault(const dxi_record *part, uint64_t total_bytes, uint64_t have_bytes);

static inline bool dxi_part_is_first(const dxi_record *part)
{
	return part->offset == 0;
}

dxi_assembly *dxi_assembly_find(const dxi_assemblies *all, uint64_t id);

/* Add a zeroed one for the body that this part begins; the caller gives it memory. NULL:
 * no memory. */
dxi_assembly *dxi_assembly_add(dxi_assemblies *all, const dxi_record *first_part);

/* Take a part that has no fault. Returns whether the body is whole. A part that lies where
 * it belongs, in a body that is there already, is not copied. */
bool dxi_assembly_take(dxi_assembly *assembly, const dxi_record *part);

/* Forget it; its memory is the caller's. */
void dxi_assembly_remove(dxi_assemblies *all, dxi_assembly *assembly);

#endif
