/* SPDX-License-Identifier: MIT */
/* Parts in order and without gaps, and nothing beyond what was announced. */
#include "runtime/assembly.h"

#include <stdlib.h>
#include <string.h>

const char *dxi_part_fault(const dxi_record *part, uint64_t total_bytes, uint64_t have_bytes)
{
	uint64_t left = total_bytes - have_bytes;
	bool says_more = (part->flags & DXI_FLAG_MORE) != 0;

	if (part->total_bytes != total_bytes)
		return "a part that announces another total than the first";
	if (part->offset != have_bytes)
		return "a part that does not begin where the one before ended";
	if (part->body_bytes == 0)
		return "a part without bytes";
	if (part->body_bytes > left)
		return "a part that reaches beyond the total";
	if (says_more != (part->body_bytes < left))
		return says_more ? "more parts announced behind the last" : "a last part too early";
	return NULL;
}

dxi_assembly *dxi_assembly_find(const dxi_assemblies *all, uint64_t id)
{
	dxi_assembly *assembly = all->first;

	while (assembly && assembly->id != id)
		assembly = assembly->next;
	return assembly;
}

dxi_assembly *dxi_assembly_add(dxi_assemblies *all, const dxi_record *first_part)
{
	dxi_assembly *assembly = calloc(1, sizeof *assembly);

	if (!assembly)
		return NULL;
	assembly->id = first_part->id;
	assembly->total_bytes = first_part->total_bytes;
	assembly->next = all->first;
	all->first = assembly;
	all->count++;
	return assembly;
}

bool dxi_assembly_take(dxi_assembly *assembly, const dxi_record *part)
{
	unsigned char *at = assembly->bytes + assembly->have_bytes;

	if (part->body != at)
		memcpy(at, part->body, part->body_bytes);
	assembly->have_bytes += part->body_bytes;
	return assembly->have_bytes == assembly->total_bytes;
}

void dxi_assembly_remove(dxi_assemblies *all, dxi_assembly *assembly)
{
	dxi_assembly **at = &all->first;

	while (*at != assembly)
		at = &(*at)->next;
	*at = assembly->next;
	all->count--;
	free(assembly);
}
