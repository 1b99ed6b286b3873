/* SPDX-License-Identifier: MIT */
/* Nothing of the data file is trusted here, so that a corrupt one can go too. */
#include "shm/unlink.h"

#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only words for a message: what cannot be read is 0. */
static uint32_t pid_in_header(const dxi_paths *paths)
{
	int fd = dxi_descriptor_open(paths->data, O_RDONLY, 0);
	uint32_t magic = 0, pid = 0;

	if (fd == -1)
		return 0;
	if (pread(fd, &magic, sizeof magic, 0) != sizeof magic || magic != DXI_LAYOUT_MAGIC ||
	    pread(fd, &pid, sizeof pid, offsetof(struct dxi_layout_header, producer.pid)) !=
	            sizeof pid)
		pid = 0;
	close(fd);
	return pid;
}

static bool is_gone(const char *path)
{
	struct stat found;

	return lstat(path, &found) == -1 && errno == ENOENT;
}

dxh_status dxi_fail_busy(const dxi_paths *paths, bool can_wait)
{
	uint32_t holder, pid;
	bool has_block;

	/* The signature before the data file: who says that it has one has given it its
	 * name. And the lock last: a close that removes all this is no loss. */
	dxi_lease_signature(paths, &holder, &has_block);
	pid = pid_in_header(paths);
	has_block = has_block && is_gone(paths->data);
	if (dxi_lease_holder(paths) == DXI_HELD_BY_RECOVERY)
		return dxi_fail(DXH_EBUSY, "\"%s\" is just being recovered or removed: retry",
		                paths->name);
	if (pid != 0)
		return dxi_fail(DXH_EBUSY, "a living producer, pid %" PRIu32 ", holds \"%s\": %s",
		                pid, paths->name,
		                can_wait ? "stop it, or wait with owner_wait_ns" : "stop it first");
	if (has_block && dxi_lease_holder(paths) == DXI_HELD_BY_PRODUCER)
		return dxi_fail(DXH_EBUSY,
		                "a living producer, pid %" PRIu32 ", holds \"%s\", whose %s was "
		                "removed (rm, systemd RemoveIPC): restart that producer",
		                holder, paths->name, paths->data);
	if (holder == 0)
		return dxi_fail(DXH_EBUSY, "a producer that is just starting holds \"%s\": retry",
		                paths->name);
	return dxi_fail(DXH_EBUSY,
	                "a producer that is just starting, pid %" PRIu32 ", holds \"%s\": retry",
	                holder, paths->name);
}

dxh_status dxi_block_remove(const dxi_paths *paths, const dxi_lease *lease)
{
	dxh_status status = dxi_lease_take_recovery(lease);
	int error = 0;

	if (status != DXH_OK)
		return status;
	if (unlink(paths->data) == -1)
		error = errno;
	if (error != 0 && error != ENOENT)
		return dxi_fail_errno(error, "removing %s", paths->data);
	/* Behind the data file: who finds that finds this too. */
	if (unlink(paths->control) == -1 && errno != ENOENT)
		return dxi_fail_errno(errno, "removing %s", paths->control);
	if (unlink(paths->zones) == -1 && errno != ENOENT)
		return dxi_fail_errno(errno, "removing %s", paths->zones);
	/* While both bytes are held: whoever waits for one of them finds that
	 * the file is no longer at its path, and begins anew. */
	if (unlink(paths->lock) == -1)
		return dxi_fail_errno(errno, "removing %s", paths->lock);
	if (error == ENOENT)
		return dxi_fail(DXH_ENOTFOUND, "no block \"%s\": there is no %s", paths->name,
		                paths->data);
	return DXH_OK;
}

void dxi_lock_tidy(const dxi_paths *paths, const dxi_lease *lease)
{
	struct stat found;

	/* What cannot be removed is in nobody's way. */
	if (lstat(paths->data, &found) == -1 && errno == ENOENT && dxi_lease_try_recovery(lease)) {
		unlink(paths->control);
		unlink(paths->zones);
		unlink(paths->lock);
	}
}

dxh_status dxh_block_unlink(const char *directory, const char *name)
{
	struct stat found;
	dxi_paths paths;
	dxi_lease lease;
	dxh_status status = dxi_paths_of(directory, name, &paths);

	if (status != DXH_OK)
		return status;
	/* Before a lock file is made for nothing. */
	if (lstat(paths.data, &found) == -1 && errno == ENOENT && lstat(paths.lock, &found) == -1 &&
	    errno == ENOENT)
		return dxi_fail(DXH_ENOTFOUND, "no block \"%s\": there is no %s", name, paths.data);
	status = dxi_lease_take(&paths, 0, &lease);
	if (status == DXH_EBUSY)
		return dxi_fail_busy(&paths, false);
	if (status != DXH_OK)
		return status;
	status = dxi_block_remove(&paths, &lease);
	dxi_lease_release(&lease);
	return status;
}
