/* SPDX-License-Identifier: MIT */
/* Which names of blocks occur in a directory, by the names of its files alone. */
#ifndef DXI_NAMES_H
#define DXI_NAMES_H

#include <dxh/block.h>

typedef struct dxi_names {
	char (*names)[DXH_BLOCK_NAME_MAX + 1]; /* in order, each once */
	size_t count;
} dxi_names;

/* Owner: free() names. Returns: DXH_ENOTFOUND; DXH_EACCESS; DXH_EINVAL; DXH_ENOMEM;
 * DXH_ESYSTEM. */
dxh_status dxi_names_read(const char *directory, dxi_names *names);

#endif
