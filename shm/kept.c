/* SPDX-License-Identifier: MIT */
/* Memory that stays mapped when its producer or consumer has gone. Of a producer it becomes a
 * private copy, page by page as somebody writes: a pointer that was kept too long harms
 * no successor.
 */
#include "shm/kept.h"

#include "base/status.h"

#include <stdlib.h>
#include <sys/mman.h>

struct dxh_memory {
	unsigned char *base;
	size_t bytes;
	unsigned char *zones_base;
	size_t zones_bytes;
	dxi_left *left;
};

dxh_status dxi_kept_new(dxh_memory **memory)
{
	if (!memory)
		return dxi_fail(DXH_EINVAL, "memory is NULL: pass where to put it");
	*memory = calloc(1, sizeof **memory);
	return *memory ? DXH_OK : dxi_fail(DXH_ENOMEM, "no memory to keep a block in");
}

/* In one step: nobody finds a hole there. Without the memory for it only reading is left. */
static void make_private(const dxi_block *block)
{
	int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;

	if (mmap(block->base, block->bytes, PROT_READ | PROT_WRITE, flags, block->fd, 0) ==
	    MAP_FAILED)
		mprotect(block->base, block->bytes, PROT_READ);
}

void dxi_kept_take(dxh_memory *memory, dxi_block *block)
{
	if (!memory)
		return;
	if (block->writable)
		make_private(block);
	*memory = (struct dxh_memory){.base = block->base,
	                              .bytes = block->bytes,
	                              .zones_base = block->zones_base,
	                              .zones_bytes = block->zones_bytes};
	block->base = NULL;
	block->zones_base = NULL;
}

void dxi_kept_take_left(dxh_memory *memory, dxi_follow *follow)
{
	if (!memory)
		return;
	memory->left = follow->left;
	follow->left = NULL;
}

void dxh_memory_free(dxh_memory **memory)
{
	dxh_memory *freed = memory ? *memory : NULL;

	if (!freed)
		return;
	*memory = NULL;
	if (freed->base)
		munmap(freed->base, freed->bytes);
	if (freed->zones_base)
		munmap(freed->zones_base, freed->zones_bytes);
	dxi_left_free(freed->left);
	free(freed);
}
