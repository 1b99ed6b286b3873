/* SPDX-License-Identifier: MIT */
/* Limits are asked for first: a reservation that fails halfway would have filled
 * the file system for a moment, and RLIMIT_FSIZE answers with a signal.
 */
#include "shm/space.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What the kernel can give without killing somebody for it; UINT64_MAX: unknown. */
static uint64_t memory_free(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t free_kib = 0, kib;
	char line[128];
	bool told = false;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1 ||
		    sscanf(line, "SwapFree: %" SCNu64, &kib) == 1) {
			free_kib += kib;
			told = true;
		}
	if (file)
		fclose(file);
	return told ? free_kib * 1024 : UINT64_MAX;
}

/* A file system without a size (a memfd, a tmpfs of size 0) is as large as memory. */
static uint64_t bytes_free(int fd)
{
	struct statvfs found;
	uint64_t bytes;

	if (fstatvfs(fd, &found) == -1 || found.f_blocks == 0 ||
	    __builtin_mul_overflow((uint64_t)found.f_bavail, (uint64_t)found.f_frsize, &bytes))
		return memory_free();
	return bytes;
}

/* What the file system holds, or the machine. */
static uint64_t bytes_in_all(int fd)
{
	struct statvfs found;

	if (fstatvfs(fd, &found) == 0 && found.f_blocks > 0)
		return (uint64_t)found.f_blocks * found.f_frsize;
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static dxh_status fail_for_space(int fd, const char *directory, uint64_t need, uint64_t have)
{
	return dxi_fail(DXH_ENOSPACE,
	                "the block needs %" PRIu64 " bytes, %s has %" PRIu64 " free of %" PRIu64
	                ": make slots smaller or fewer, or enlarge the file system",
	                need, directory, have, bytes_in_all(fd));
}

dxh_status dxi_space_reserve(int fd, const char *directory, uint64_t bytes)
{
	struct rlimit limit;
	int error;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    bytes > limit.rlim_cur)
		return dxi_fail(DXH_ENOSPACE,
		                "the block needs %" PRIu64 " bytes, this process may write files "
		                "of %ju (RLIMIT_FSIZE, ulimit -f)",
		                bytes, (uintmax_t)limit.rlim_cur);
	if (bytes > bytes_free(fd))
		return fail_for_space(fd, directory, bytes, bytes_free(fd));
	/* Ends when no signal comes in between. It returns the error. */
	do
		error = posix_fallocate(fd, 0, (off_t)bytes);
	while (error == EINTR);
	if (error == ENOSPC || error == EFBIG || error == EDQUOT)
		return fail_for_space(fd, directory, bytes, bytes_free(fd));
	if (error != 0)
		return dxi_fail_errno(error, "reserving %" PRIu64 " bytes in %s", bytes, directory);
	return DXH_OK;
}

dxh_status dxi_fail_to_make(int error, const char *directory, uint64_t bytes)
{
	struct statvfs found;

	if ((error != ENOSPC && error != EDQUOT) || statvfs(directory, &found) == -1)
		return dxi_fail_errno(error, "making a file in %s", directory);
	if (found.f_files > 0 && found.f_favail == 0)
		return dxi_fail(DXH_ENOSPACE,
		                "a file of the block needs an inode, %s has 0 free of %ju: remove "
		                "files, or give the file system more (nr_inodes of a tmpfs)",
		                directory, (uintmax_t)found.f_files);
	return dxi_fail(DXH_ENOSPACE,
	                "a file of the block needs %" PRIu64 " bytes, %s has %ju free of %ju: "
	                "remove files, or enlarge the file system",
	                bytes, directory, (uintmax_t)found.f_bavail * found.f_frsize,
	                (uintmax_t)found.f_blocks * found.f_frsize);
}

static dxh_status find_group(const char *name, gid_t *gid)
{
	char buffer[4096];
	struct group group, *found = NULL;
	int error = getgrnam_r(name, &group, buffer, sizeof buffer, &found);

	if (error != 0)
		return dxi_fail_errno(error, "looking up the group \"%s\"", name);
	if (!found)
		return dxi_fail(DXH_EINVAL, "there is no group \"%s\"", name);
	*gid = group.gr_gid;
	return DXH_OK;
}

dxh_status dxi_access_set(int fd, const char *path, uint32_t mode, const char *group)
{
	dxh_status status;
	gid_t gid;

	if (group) {
		status = find_group(group, &gid);
		if (status != DXH_OK)
			return status;
		if (fchown(fd, (uid_t)-1, gid) == -1)
			return dxi_fail_errno(errno, "giving %s to the group \"%s\"", path, group);
	}
	/* After fchown(), which may clear bits. */
	if (fchmod(fd, mode ? (mode_t)mode : 0640) == -1)
		return dxi_fail_errno(errno, "setting the mode of %s", path);
	return DXH_OK;
}

uint32_t dxi_mode_for_writers(uint32_t data_mode)
{
	uint32_t mode = data_mode ? data_mode : 0640;

	return mode | (mode & 0444) >> 1;
}

dxh_status dxi_name_give(int fd, const char *path)
{
	char own[64];

	if (unlink(path) == -1 && errno != ENOENT)
		return dxi_fail_errno(errno, "removing the old %s", path);
	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == -1)
		return dxi_fail_errno(errno, "giving a new file its name %s (needs /proc)", path);
	return DXH_OK;
}
