/* SPDX-License-Identifier: MIT */
/* Made like the data file, without a name until it is whole. Nothing in it is
 * believed: whoever may read the block may write here.
 */
#include "shm/control.h"

#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/memory.h"
#include "shm/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only the part that never changes. */
enum { FIXED_BYTES = offsetof(struct dxi_layout_control, wake) };

static struct dxi_layout_control control_of(const dxi_block *block)
{
	struct dxi_layout_control control = {
		.magic = DXI_CONTROL_MAGIC,
		.version_major = DXI_LAYOUT_MAJOR,
		.version_minor = DXI_LAYOUT_MINOR,
		.bytes_total = dxi_control_bytes(block->fixed.row_count),
		.row_count = block->fixed.row_count,
		.row_bytes = sizeof(struct dxi_layout_row),
	};

	memcpy(control.uuid, block->fixed.uuid, sizeof control.uuid);
	return control;
}

static dxh_status fill(int fd, const dxi_block *block)
{
	struct dxi_layout_control control = control_of(block);

	if (dxi_descriptor_write(fd, &control, FIXED_BYTES, 0))
		return DXH_OK;
	return dxi_fail_errno(errno, "writing %s", block->paths.control);
}

static dxh_status open_unnamed(const dxi_paths *paths, uint64_t bytes, int *fd)
{
	if (paths->is_memory)
		return dxi_memory_new(paths->name, fd);
	*fd = dxi_descriptor_open(paths->directory, O_TMPFILE | O_RDWR, 0600);
	return *fd == -1 ? dxi_fail_to_make(errno, paths->directory, bytes) : DXH_OK;
}

static dxh_status make_unnamed(const dxi_block *block, int *fd)
{
	const dxi_paths *paths = &block->paths;
	uint64_t bytes = dxi_control_bytes(block->fixed.row_count);
	dxh_status status;

	status = open_unnamed(paths, bytes, fd);
	if (status == DXH_OK)
		status = dxi_space_reserve(*fd, paths->directory, bytes);
	return status == DXH_OK ? fill(*fd, block) : status;
}

static dxh_status finish(const dxi_block *block, dxh_status status, int made, int *fd)
{
	if (status == DXH_OK)
		status = block->paths.is_memory ? dxi_memory_seal_control(made)
		                                : dxi_name_give(made, block->paths.control);
	if (status == DXH_OK)
		*fd = made;
	else if (made != -1)
		close(made);
	return status;
}

dxh_status dxi_control_create(const dxi_block *block, uint32_t mode, const char *group, int *fd)
{
	int made;
	dxh_status status = make_unnamed(block, &made);

	if (status == DXH_OK)
		status = dxi_access_set(made, block->paths.control, dxi_mode_for_writers(mode),
		                        group);
	return finish(block, status, made, fd);
}

dxh_status dxi_control_replace(const dxi_block *block, int *fd)
{
	int made;
	struct stat data;
	dxh_status status = make_unnamed(block, &made);

	if (status == DXH_OK &&
	    (fstat(block->fd, &data) == -1 || fchown(made, data.st_uid, data.st_gid) == -1 ||
	     fchmod(made, dxi_mode_for_writers(data.st_mode & 0777)) == -1))
		status = dxi_fail_errno(errno, "giving %s the owner and mode of %s",
		                        block->paths.control, block->paths.data);
	return finish(block, status, made, fd);
}

static dxh_status refuse(const dxi_block *block, size_t offset, const char *rule)
{
	return dxi_fail(DXH_ECORRUPT, "%s, offset %zu: %s", block->paths.control, offset, rule);
}

dxh_status dxi_control_check(int fd, const dxi_block *block)
{
	struct dxi_layout_control found, wanted = control_of(block);
	struct stat file, data;
	ssize_t got;

	if (fstat(fd, &file) == -1 || fstat(block->fd, &data) == -1)
		return dxi_fail_errno(errno, "%s", block->paths.control);
	if (!S_ISREG(file.st_mode) || file.st_uid != data.st_uid)
		return refuse(block, 0, "no regular file of the block's owner");
	got = dxi_descriptor_read(fd, &found, FIXED_BYTES, 0);
	if (got == -1)
		return dxi_fail_errno(errno, "reading %s", block->paths.control);
	if (file.st_size != (off_t)wanted.bytes_total || got != FIXED_BYTES)
		return refuse(block, (size_t)file.st_size, "not the size of these rows");
	if (memcmp(&found, &wanted, offsetof(struct dxi_layout_control, uuid)) != 0)
		return refuse(block, 0, "not the magic number and version of a control file");
	if (memcmp(found.uuid, wanted.uuid, sizeof wanted.uuid) != 0)
		return refuse(block, offsetof(struct dxi_layout_control, uuid),
		              "the uuid of another block");
	if (found.row_count != wanted.row_count || found.row_bytes != wanted.row_bytes)
		return refuse(block, offsetof(struct dxi_layout_control, row_count),
		              "not the rows that the block announces");
	return DXH_OK;
}
