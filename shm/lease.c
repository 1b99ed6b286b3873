/* SPDX-License-Identifier: MIT */
/* Byte locks, and the retry that keeps a removed lock file from splitting the
 * world: whoever locked a file that is no longer the one at its path starts over.
 */
#include "shm/lease.h"

#include "base/clock.h"
#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/layout.h"
#include "shm/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PRODUCER_BYTE = 0, RECOVERY_BYTE = 1 };
enum { STEP_MAX_NS = 5 * DXI_NS_PER_MS };
enum { DYING_MS = 500 };

/* The file at the path changes only when a block is removed: each retry means
 * that somebody else got through, and so many in a row are no accident. */
enum { RETRIES_MAX = 100 };

static struct flock byte_lock(short type, off_t byte)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

bool dxi_byte_lock(int fd, off_t byte, int *error)
{
	struct flock lock = byte_lock(F_WRLCK, byte);
	int rc;

	/* Ends when no signal comes in between. */
	do
		rc = fcntl(fd, F_OFD_SETLK, &lock);
	while (rc == -1 && errno == EINTR);
	*error = rc == -1 ? errno : 0;
	return rc == 0;
}

static bool is_held_by_other(int error)
{
	return error == EAGAIN || error == EACCES;
}

/* By its content a lock file of ours is told from one of somebody else. */
static const struct dxi_layout_lock MARK = {
	.magic = DXI_LOCK_MAGIC,
	.version_major = DXI_LAYOUT_MAJOR,
	.version_minor = DXI_LAYOUT_MINOR,
};
enum { MARK_BYTES = offsetof(struct dxi_layout_lock, pid) };

/* Whole or not at all, like the other files. */
static int make_lock_file(const dxi_paths *paths)
{
	char own[64];
	int fd = dxi_descriptor_open_guarded(paths->directory, O_TMPFILE | O_RDWR, 0600);
	int error;

	if (fd == -1)
		return -1;
	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	if (fchmod(fd, 0600) == 0 && dxi_descriptor_write(fd, &MARK, sizeof MARK, 0) &&
	    linkat(AT_FDCWD, own, AT_FDCWD, paths->lock, AT_SYMLINK_FOLLOW) == 0)
		return fd;
	error = errno;
	dxi_descriptor_close_guarded(fd);
	errno = error;
	return -1;
}

/* Never O_CREAT on a file that may exist: in a sticky directory the kernel would
 * refuse one of another owner with a misleading reason. */
static int open_lock_file(const dxi_paths *paths)
{
	int fd = -1;

	for (int i = 0; i < RETRIES_MAX; i++) {
		fd = dxi_descriptor_open_guarded(paths->lock, O_RDWR, 0);
		if (fd != -1 || errno != ENOENT)
			return fd;
		fd = make_lock_file(paths);
		if (fd != -1 || errno != EEXIST)
			return fd;
	}
	return fd;
}

static dxh_status fail_to_open(const dxi_paths *paths, int error)
{
	if (error == EOPNOTSUPP || error == EISDIR)
		return dxi_fail(DXH_EUNSUPPORTED,
		                "the file system of %s has no O_TMPFILE: use a tmpfs",
		                paths->directory);
	if (error == ENOSPC || error == EDQUOT)
		return dxi_fail_to_make(error, paths->directory, sizeof MARK);
	return dxi_fail_errno(error, "opening the lock %s", paths->lock);
}

bool dxi_is_lock_file(int fd)
{
	struct dxi_layout_lock found;
	struct stat file;

	return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size == sizeof found &&
	       dxi_descriptor_read(fd, &found, sizeof found, 0) == sizeof found &&
	       memcmp(&found, &MARK, MARK_BYTES) == 0;
}

static dxh_status check_lock_file(int fd, const char *path)
{
	struct stat found;

	if (fstat(fd, &found) == -1)
		return dxi_fail_errno(errno, "%s", path);
	if (!S_ISREG(found.st_mode))
		return dxi_fail(DXH_EACCESS, "%s is no regular file: remove it", path);
	if (found.st_uid != geteuid() && found.st_uid != 0)
		return dxi_fail(DXH_EACCESS, "%s belongs to user %u, not to you or root", path,
		                (unsigned)found.st_uid);
	return DXH_OK;
}

bool dxi_is_still_at(int fd, const char *path)
{
	struct stat own, there;

	return fstat(fd, &own) == 0 && lstat(path, &there) == 0 && own.st_ino == there.st_ino &&
	       own.st_dev == there.st_dev;
}

/* Wait for the byte; DXH_EBUSY when the deadline passes first, DXH_ESTALE when
 * the file was removed meanwhile: then nobody would ever unlock it for us. */
static dxh_status lock_until(int fd, const char *path, int64_t deadline_ns)
{
	int64_t step_ns = DXI_NS_PER_MS / 4, now, left;
	struct timespec pause;
	int error;

	/* Bounded by the deadline. */
	while (!dxi_byte_lock(fd, PRODUCER_BYTE, &error)) {
		if (!is_held_by_other(error))
			return dxi_fail_errno(error, "locking %s", path);
		now = dxh_now_ns();
		if (now >= deadline_ns)
			return DXH_EBUSY;
		left = deadline_ns - now;
		step_ns = step_ns * 2 > STEP_MAX_NS ? STEP_MAX_NS : step_ns * 2;
		pause = dxi_timespec(step_ns < left ? step_ns : left);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		if (!dxi_is_still_at(fd, path))
			return DXH_ESTALE;
	}
	return dxi_is_still_at(fd, path) ? DXH_OK : DXH_ESTALE;
}

dxh_status dxi_lease_take(const dxi_paths *paths, int64_t wait_ns, dxi_lease *lease)
{
	int64_t deadline_ns = wait_ns > 0 ? dxh_in_ns(wait_ns) : DXH_NOW;
	dxh_status status;
	int fd;

	*lease = DXI_LEASE_NONE;
	for (int i = 0; i < RETRIES_MAX; i++) {
		fd = open_lock_file(paths);
		if (fd == -1)
			return fail_to_open(paths, errno);
		status = check_lock_file(fd, paths->lock);
		if (status == DXH_OK)
			status = lock_until(fd, paths->lock, deadline_ns);
		if (status == DXH_OK) {
			lease->fd = fd;
			dxi_lease_sign(lease, false);
			return DXH_OK;
		}
		dxi_descriptor_close_guarded(fd);
		if (status != DXH_ESTALE)
			return status;
	}
	return dxi_fail(DXH_ESYSTEM, "%s was replaced %d times while it was locked: who does that?",
	                paths->lock, RETRIES_MAX);
}

void dxi_lease_sign(const dxi_lease *lease, bool has_block)
{
	struct dxi_layout_lock lock = {.pid = (uint32_t)getpid(), .has_block = has_block};

	/* Only words for messages: without them these say less. */
	if (lease->fd != -1)
		(void)!dxi_descriptor_write(lease->fd, &lock.pid, sizeof lock - MARK_BYTES,
		                            MARK_BYTES);
}

void dxi_lease_signature(const dxi_paths *paths, uint32_t *pid, bool *has_block)
{
	int fd = dxi_descriptor_open(paths->lock, O_RDONLY, 0);
	struct dxi_layout_lock lock = {0};

	if (fd != -1 && (!dxi_is_lock_file(fd) ||
	                 dxi_descriptor_read(fd, &lock, sizeof lock, 0) != sizeof lock))
		lock = (struct dxi_layout_lock){0};
	if (fd != -1)
		close(fd);
	*pid = lock.pid;
	*has_block = lock.has_block != 0;
}

dxh_status dxi_lease_take_recovery(const dxi_lease *lease)
{
	int error;

	if (dxi_byte_lock(lease->fd, RECOVERY_BYTE, &error))
		return DXH_OK;
	if (is_held_by_other(error))
		return dxi_fail(DXH_EBUSY, "a recovery of this block is going on: try again");
	return dxi_fail_errno(error, "locking for recovery");
}

bool dxi_lease_try_recovery(const dxi_lease *lease)
{
	int error;

	return dxi_byte_lock(lease->fd, RECOVERY_BYTE, &error);
}

/* Would a lock of this type meet another one? */
static bool query(int fd, short type, off_t byte, bool *conflict)
{
	struct flock lock = byte_lock(type, byte);

	if (fcntl(fd, F_OFD_GETLK, &lock) == -1)
		return false;
	*conflict = lock.l_type != F_UNLCK;
	return true;
}

dxi_holder dxi_lease_holder(const dxi_paths *paths)
{
	int fd = dxi_descriptor_open(paths->lock, O_RDONLY, 0);
	bool recovers, produces, is_known;

	if (fd == -1)
		return errno == ENOENT ? DXI_HELD_BY_NOBODY : DXI_HELD_UNKNOWN;
	is_known = query(fd, F_RDLCK, RECOVERY_BYTE, &recovers) &&
	           query(fd, F_RDLCK, PRODUCER_BYTE, &produces);
	close(fd);
	if (!is_known)
		return DXI_HELD_UNKNOWN;
	/* The second byte is never held without the first. */
	return recovers   ? DXI_HELD_BY_RECOVERY
	       : produces ? DXI_HELD_BY_PRODUCER
	                  : DXI_HELD_BY_NOBODY;
}

void dxi_lease_release(dxi_lease *lease)
{
	dxi_beacon_extinguish(lease);
	if (lease->fd != -1)
		dxi_descriptor_close_guarded(lease->fd);
	lease->fd = -1;
}

bool dxi_byte_has_writer(int fd, off_t byte)
{
	bool conflict;

	return query(fd, F_RDLCK, byte, &conflict) && conflict;
}

dxi_beacon dxi_beacon_query(int data_fd)
{
	bool conflict;

	/* Only a write lock conflicts with a read lock, and only a producer
	 * can have one: it needs a descriptor opened for writing. */
	if (!query(data_fd, F_RDLCK, PRODUCER_BYTE, &conflict))
		return DXI_BEACON_SQUATTED;
	if (conflict)
		return DXI_BEACON_LIT;
	/* Free for reading, taken for writing: somebody reads there. */
	if (!query(data_fd, F_WRLCK, PRODUCER_BYTE, &conflict) || conflict)
		return DXI_BEACON_SQUATTED;
	return DXI_BEACON_DARK;
}

bool dxi_beacon_light(dxi_lease *lease, int data_fd)
{
	struct timespec pause = dxi_timespec(DXI_NS_PER_MS);
	int error;

	if (lease->beacon_fd == -1)
		lease->beacon_fd = dxi_descriptor_reopen_guarded(data_fd);
	if (lease->beacon_fd == -1)
		return false;
	/* The kernel closes the files of a killed producer one by one: its
	 * lock may be free a moment before its beacon is dark. */
	for (int i = 0; i < DYING_MS; i++) {
		if (dxi_byte_lock(lease->beacon_fd, PRODUCER_BYTE, &error))
			return true;
		if (dxi_beacon_query(lease->beacon_fd) == DXI_BEACON_SQUATTED)
			return false;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	return false;
}

void dxi_beacon_extinguish(dxi_lease *lease)
{
	if (lease->beacon_fd != -1)
		dxi_descriptor_close_guarded(lease->beacon_fd);
	lease->beacon_fd = -1;
}
