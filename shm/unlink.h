/* SPDX-License-Identifier: MIT */
/* Removing a block. */
#ifndef DXI_UNLINK_H
#define DXI_UNLINK_H

#include "shm/lease.h"

/* Remove the data file, the control file, then the lock file, whose producer byte the caller holds.
 * Returns: DXH_ENOTFOUND when there was no data file; DXH_EBUSY; DXH_EACCESS. */
dxh_status dxi_block_remove(const dxi_paths *paths, const dxi_lease *lease);

/* Remove control and lock file, whose producer byte the caller holds, if there is no
 * data file: what a failed open leaves. */
void dxi_lock_tidy(const dxi_paths *paths, const dxi_lease *lease);

/* DXH_EBUSY, with the pid of the holder. `can_wait`: who asked could have waited for it. */
dxh_status dxi_fail_busy(const dxi_paths *paths, bool can_wait);

#endif
