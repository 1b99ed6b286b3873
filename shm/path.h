/* SPDX-License-Identifier: MIT */
/* From the name of a block to the files it lies in. */
#ifndef DXI_PATH_H
#define DXI_PATH_H

#include <dxh/block.h>

#include <stdbool.h>

enum { DXI_PATH_BYTES = 512 };

typedef struct dxi_paths {
	char name[DXH_BLOCK_NAME_MAX + 1];
	char directory[DXI_PATH_BYTES];
	char data[DXI_PATH_BYTES];    /* NAME.dxh */
	char lock[DXI_PATH_BYTES];    /* NAME.lock */
	char control[DXI_PATH_BYTES]; /* NAME.ctl */
	char zones[DXI_PATH_BYTES];   /* NAME.zones */
	bool is_memory;               /* no files: the paths are words for messages */
} dxi_paths;

/* Returns: DXH_EINVAL for a name or a directory that cannot be one. */
dxh_status dxi_paths_of(const char *directory, const char *name, dxi_paths *paths);

/* Of a data file alone, wherever it lies: no name yet, no lock, no control file. */
dxh_status dxi_paths_of_file(const char *file, dxi_paths *paths);

/* Of a block that lies in no directory, called `name`.
 * Returns: DXH_EINVAL for a name that cannot be one. */
dxh_status dxi_paths_of_memory(const char *name, dxi_paths *paths);

/* Is it a data file alone? */
static inline bool dxi_paths_are_of_file(const dxi_paths *paths)
{
	return paths->lock[0] == '\0';
}

/* May this stand in a name: A-Z a-z 0-9 . _ - */
bool dxi_is_name_character(char c);

#endif
