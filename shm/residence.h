/* SPDX-License-Identifier: MIT */
/* How a block lies in this process's memory: mapped where huge pages fit, and, as far as
 * the system grants it, in huge pages and locked against swapping.
 */
#ifndef DXI_RESIDENCE_H
#define DXI_RESIDENCE_H

#include <dxh/block.h>

#include <stdbool.h>

/* mmap() a file from its beginning, shared; MAP_FAILED and errno. A large one begins at
 * a multiple of 2 MiB. */
void *dxi_residence_map(int fd, size_t bytes, int protection, bool populate);

/* What was granted of what a config asks for. */
typedef struct dxi_residence {
	uint64_t locked_bytes;
	uint64_t huge_bytes;
} dxi_residence;

/* Best effort, told: what is not granted is a line in the log, with the reason. */
dxi_residence
dxi_residence_ask(const char *name, void *base, size_t bytes, const dxh_block_config *config);

#endif
