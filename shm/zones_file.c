/* SPDX-License-Identifier: MIT */
/* Made like the data file, before it: who finds that finds this too. Which zone lies where
 * stands in the data file, which no writer of zones can change; here is only a head that
 * says whose zones these are. Every writer of zones can spoil that, so who holds the
 * producer's lock writes it anew.
 */
#include "shm/zones_file.h"

#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/memory.h"
#include "shm/residence.h"
#include "shm/space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dxi_layout_zones head_of(const dxi_block *block)
{
	struct dxi_layout_zones head = {
		.magic = DXI_ZONES_MAGIC,
		.version_major = DXI_LAYOUT_MAJOR,
		.version_minor = DXI_LAYOUT_MINOR,
		.bytes_total = dxi_geometry_zones_bytes(&block->fixed, block->zones),
	};

	memcpy(head.uuid, block->fixed.uuid, sizeof head.uuid);
	return head;
}

static dxh_status map(dxi_block *block, int fd, bool writable)
{
	size_t bytes = dxi_geometry_zones_bytes(&block->fixed, block->zones);
	void *base = dxi_residence_map(fd, bytes, PROT_READ | (writable ? PROT_WRITE : 0), true);

	if (base == MAP_FAILED)
		return dxi_fail_errno(errno, "mapping %s", block->paths.zones);
	block->zones_base = base;
	block->zones_bytes = bytes;
	block->zones_are_writable = writable;
	return DXH_OK;
}

static dxh_status refuse(const dxi_block *block, size_t offset, const char *rule)
{
	return dxi_fail(DXH_ECORRUPT, "%s, offset %zu: %s", block->paths.zones, offset, rule);
}

dxh_status dxi_zones_check(const dxi_block *block, int fd)
{
	struct dxi_layout_zones found, wanted = head_of(block);
	struct stat file, data;

	if (fstat(fd, &file) == -1 || fstat(block->fd, &data) == -1)
		return dxi_fail_errno(errno, "%s", block->paths.zones);
	if (!S_ISREG(file.st_mode) || file.st_uid != data.st_uid)
		return refuse(block, 0, "no regular file of the block's owner");
	if (file.st_size != (off_t)wanted.bytes_total ||
	    pread(fd, &found, sizeof found, 0) != sizeof found)
		return refuse(block, (size_t)file.st_size, "not the size of these zones");
	if (memcmp(&found, &wanted, offsetof(struct dxi_layout_zones, uuid)) != 0)
		return refuse(block, 0, "not the magic number, version and size of a zones file");
	if (memcmp(found.uuid, wanted.uuid, sizeof wanted.uuid) != 0)
		return refuse(block, offsetof(struct dxi_layout_zones, uuid),
		              "the uuid of another block: was it just made anew? Try again");
	/* Mapping holes populates them: a forged file must cost nothing. */
	if (file.st_blocks < file.st_size / 512)
		return refuse(block, 0, "the file has holes");
	return DXH_OK;
}

/* ---- creating ---- */

static dxh_status open_unnamed(const dxi_paths *paths, uint64_t bytes, int *fd)
{
	if (paths->is_memory)
		return dxi_memory_new(paths->name, fd);
	*fd = dxi_descriptor_open(paths->directory, O_TMPFILE | O_RDWR, 0600);
	return *fd == -1 ? dxi_fail_to_make(errno, paths->directory, bytes) : DXH_OK;
}

static dxh_status fill(const dxi_block *block, int fd)
{
	struct dxi_layout_zones head = head_of(block);

	if (pwrite(fd, &head, sizeof head, 0) == sizeof head)
		return DXH_OK;
	return dxi_fail_errno(errno, "writing %s", block->paths.zones);
}

/* Its rights, then its name. */
static dxh_status finish(const dxi_paths *paths, int fd, uint32_t mode, const char *group)
{
	dxh_status status;

	if (paths->is_memory)
		return dxi_memory_seal_control(fd);
	status = dxi_access_set(fd, paths->zones, dxi_mode_for_writers(mode), group);
	return status == DXH_OK ? dxi_name_give(fd, paths->zones) : status;
}

/* A memory block keeps its descriptor, to pass it on. */
static void keep_or_close(dxi_block *block, int fd)
{
	if (block->paths.is_memory)
		block->zones_fd = fd;
	else
		close(fd);
}

dxh_status dxi_zones_create(dxi_block *block, uint32_t mode, const char *group)
{
	const dxi_paths *paths = &block->paths;
	uint64_t bytes = dxi_geometry_zones_bytes(&block->fixed, block->zones);
	dxh_status status;
	int fd;

	if (bytes == 0)
		return DXH_OK;
	status = open_unnamed(paths, bytes, &fd);
	if (status != DXH_OK)
		return status;
	if ((status = dxi_space_reserve(fd, paths->directory, bytes)) == DXH_OK &&
	    (status = fill(block, fd)) == DXH_OK && (status = map(block, fd, true)) == DXH_OK)
		status = finish(paths, fd, mode, group);
	keep_or_close(block, fd);
	return status;
}

/* ---- attaching ---- */

static dxh_status open_file(const dxi_block *block, bool writable, int *fd)
{
	*fd = dxi_descriptor_open(block->paths.zones, writable ? O_RDWR : O_RDONLY, 0);
	if (*fd != -1)
		return DXH_OK;
	if (errno == EACCES && writable)
		return dxi_fail(DXH_EACCESS,
		                "%s may not be written by you: ask for its group or mode, or leave "
		                "write_zones zero",
		                block->paths.zones);
	if (errno == ENOENT)
		return dxi_fail(DXH_ECORRUPT, "offset 24: the zones lie in %s, which is gone",
		                block->paths.zones);
	return dxi_fail_errno(errno, "opening %s", block->paths.zones);
}

static dxh_status open_passed(const dxi_block *block)
{
	if (block->zones_fd == -1)
		return dxi_fail(DXH_EACCESS, "the zones of \"%s\" were not passed with its data",
		                block->paths.name);
	return dxi_memory_check_control(block->zones_fd);
}

/* Under the producer's lock the file beside the data is that of the block, whatever its
 * writers made of its head, and of its space: given back in holes. One of another size is
 * left to dxi_zones_check(). */
static dxh_status restore(const dxi_block *block, int fd)
{
	struct dxi_layout_zones found, wanted = head_of(block);
	struct stat file, data;
	dxh_status status;

	if (fstat(fd, &file) == -1 || fstat(block->fd, &data) == -1)
		return dxi_fail_errno(errno, "%s", block->paths.zones);
	if (!S_ISREG(file.st_mode) || file.st_uid != data.st_uid ||
	    file.st_size != (off_t)wanted.bytes_total)
		return DXH_OK;
	status = dxi_space_reserve(fd, block->paths.directory, wanted.bytes_total);
	if (status != DXH_OK ||
	    (pread(fd, &found, sizeof found, 0) == sizeof found &&
	     memcmp(&found, &wanted, offsetof(struct dxi_layout_zones, reserved)) == 0))
		return status;
	dxi_log(DXH_LOG_WARNING, "block %s: somebody wrote to the head of %s: it is made anew",
	        block->paths.name, block->paths.zones);
	return fill(block, fd);
}

dxh_status dxi_zones_attach(dxi_block *block, bool writable)
{
	dxh_status status;
	int fd = block->zones_fd;

	if (dxi_geometry_zones_bytes(&block->fixed, block->zones) == 0 ||
	    dxi_paths_are_of_file(&block->paths))
		return DXH_OK;
	status = block->paths.is_memory ? open_passed(block) : open_file(block, writable, &fd);
	if (status != DXH_OK)
		return status;
	if (block->writable)
		status = restore(block, fd);
	if (status == DXH_OK)
		status = dxi_zones_check(block, fd);
	if (status == DXH_OK)
		status = map(block, fd, writable);
	keep_or_close(block, fd);
	return status;
}

void dxi_zones_detach(dxi_block *block)
{
	if (block->zones_base)
		munmap(block->zones_base, block->zones_bytes);
	if (block->zones_fd != -1)
		close(block->zones_fd);
	block->zones_base = NULL;
	block->zones_fd = -1;
}
