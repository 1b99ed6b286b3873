/* SPDX-License-Identifier: MIT */
/* Who is the producer? The kernel's open-file-description locks say it: they die
 * with the process, at once, and cannot be left behind.
 *
 * The authority is byte 0 of NAME.lock, which only the owner may open. Byte 0 of
 * the data file is locked too, as a beacon for consumers of other users.
 */
#ifndef DXI_LEASE_H
#define DXI_LEASE_H

#include "shm/path.h"

#include <sys/types.h>

/* What the producer holds; each while it is not -1. */
typedef struct dxi_lease {
	int fd;        /* of the lock file */
	int beacon_fd; /* of the data file; not the one that is mapped */
} dxi_lease;

#define DXI_LEASE_NONE ((dxi_lease){-1, -1})

/* Take the lock, waiting up to `wait_ns` for a living holder. A wait looks again
 * in steps of at most 5 ms, because the kernel's own wait has no time-out.
 * Returns: DXH_EBUSY (without words: the caller knows the holder); DXH_EACCESS;
 *          DXH_ENOTFOUND without the directory; DXH_ELIMIT; DXH_ESYSTEM. */
dxh_status dxi_lease_take(const dxi_paths *paths, int64_t wait_ns, dxi_lease *lease);

/* Say in the lock file who holds it, for messages; taking it says so without a block. */
void dxi_lease_sign(const dxi_lease *lease, bool has_block);

/* What the last one to lock it said; 0 and false where nothing can be read. */
void dxi_lease_signature(const dxi_paths *paths, uint32_t *pid, bool *has_block);

/* Also take the byte of recovery, which has to be held to remove the file; `try`
 * without words. */
dxh_status dxi_lease_take_recovery(const dxi_lease *lease);
bool dxi_lease_try_recovery(const dxi_lease *lease);

typedef enum dxi_holder {
	DXI_HELD_BY_NOBODY,
	DXI_HELD_BY_PRODUCER,
	DXI_HELD_BY_RECOVERY, /* or by who removes the block */
	DXI_HELD_UNKNOWN      /* the lock file may not be opened, or not be asked */
} dxi_holder;

/* Who holds the lock now? Changes nothing. */
dxi_holder dxi_lease_holder(const dxi_paths *paths);

/* Is the open file a lock file that dxi_lease_take() made? Others are locked too, if
 * they are the caller's, but nobody takes them for ours. */
bool dxi_is_lock_file(int fd);

/* Is the open file what lies at the path? */
bool dxi_is_still_at(int fd, const char *path);

/* Byte locks as such. lock: *error is the errno when it fails. has_writer: asks
 * for a lock that another open file description has for writing. */
bool dxi_byte_lock(int fd, off_t byte, int *error);
bool dxi_byte_has_writer(int fd, off_t byte);

/* Put out the beacon, then unlock: so a successor can light its own. Nothing in a
 * forked child, which never had them. */
void dxi_lease_release(dxi_lease *lease);

/* Lock byte 0 of the data file. False: some reader squats on it, which stops
 * nobody, but leaves consumers unsure. */
bool dxi_beacon_light(dxi_lease *lease, int data_fd);

void dxi_beacon_extinguish(dxi_lease *lease);

typedef enum dxi_beacon {
	DXI_BEACON_LIT,     /* a producer lives */
	DXI_BEACON_DARK,    /* none does */
	DXI_BEACON_SQUATTED /* a reader holds the byte: no way to tell */
} dxi_beacon;

/* Works on a descriptor opened for reading. */
dxi_beacon dxi_beacon_query(int data_fd);

#endif
