/* SPDX-License-Identifier: MIT */
/* Blocks without a name: memory that is only reached through descriptors, sealed so that
 * nobody can resize it, nor map the data for writing, not even its producer again.
 */
#ifndef DXI_MEMORY_H
#define DXI_MEMORY_H

#include <dxh/base.h>

/* An empty memfd that can be sealed. Returns: DXH_ELIMIT; DXH_ESYSTEM. */
dxh_status dxi_memory_new(const char *name, int *fd);

/* The data, once the producer has mapped it: it can be read by who is given it. */
dxh_status dxi_memory_seal_data(int fd);

/* The reader rows: who is given them may open and write them. */
dxh_status dxi_memory_seal_control(int fd);

/* Is a descriptor that somebody passed to us sealed like that? Else its owner could
 * truncate it under us. Returns: DXH_EACCESS. */
dxh_status dxi_memory_check_data(int fd);
dxh_status dxi_memory_check_control(int fd);

/* A descriptor of the same memory with an open file description of its own, O_RDONLY or
 * O_RDWR, close-on-exec. Needs /proc. */
dxh_status dxi_memory_reopen(int fd, int flags, int *reopened);

#endif
