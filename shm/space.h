/* SPDX-License-Identifier: MIT */
/* Room and rights of a new file, settled on its descriptor before it has a name:
 * never through the umask, which belongs to the whole process.
 */
#ifndef DXI_SPACE_H
#define DXI_SPACE_H

#include <dxh/base.h>

/* Reserve every byte now, so that a full file system is an error here and not a
 * signal at some later store.
 * Returns: DXH_ENOSPACE with need and have; DXH_ESYSTEM. */
dxh_status dxi_space_reserve(int fd, const char *directory, uint64_t bytes);

/* A file of `bytes` bytes could not be made: what is lacking, room or inodes. Other errors
 * in their own words. Returns: DXH_ENOSPACE with need and have; else as the errno says. */
dxh_status dxi_fail_to_make(int error, const char *directory, uint64_t bytes);

/* Set mode (0: 0640) and group (NULL: as it is).
 * Returns: DXH_EINVAL for a group that does not exist; DXH_EACCESS. */
dxh_status dxi_access_set(int fd, const char *path, uint32_t mode, const char *group);

/* Like the mode of the data file (0: 0640), and writable for who may read it. */
uint32_t dxi_mode_for_writers(uint32_t data_mode);

/* Give a file without a name this one; the caller holds the producer's lock. What has it
 * is of a block that is gone: its maker died in between.
 * Returns: DXH_EACCESS; DXH_ESYSTEM. */
dxh_status dxi_name_give(int fd, const char *path);

#endif
