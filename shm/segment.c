/* SPDX-License-Identifier: MIT */
/* Attaching: the fixed part is read with pread() into private memory, so that the
 * bytes which were checked are the bytes which are used, and a file that shrinks
 * meanwhile is a short read and no signal.
 */
#include "shm/segment.h"

#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/identity.h"
#include "shm/memory.h"
#include "shm/residence.h"
#include "shm/space.h"
#include "shm/zones_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static dxh_status fail_to_open(const dxi_paths *paths, int error)
{
	switch (error) {
	case ENOENT:
		if (dxi_paths_are_of_file(paths))
			return dxi_fail(DXH_ENOTFOUND, "there is no file %s", paths->data);
		return dxi_fail(DXH_ENOTFOUND, "no block \"%s\": there is no %s", paths->name,
		                paths->data);
	case ELOOP:
		return dxi_fail(DXH_EACCESS, "%s is a symbolic link: these are not followed",
		                paths->data);
	default:
		return dxi_fail_errno(error, "opening %s", paths->data);
	}
}

/* Names in a shared directory can be squatted on: whose file is it? */
static dxh_status
check_file(const dxi_block *block, const struct stat *found, uint32_t owner_uid_plus1)
{
	uid_t owner = found->st_uid;

	if (!S_ISREG(found->st_mode))
		return dxi_fail(DXH_EACCESS, "%s is no regular file", block->paths.data);
	if (owner != geteuid() && owner != 0 &&
	    (owner_uid_plus1 == 0 || owner != owner_uid_plus1 - 1))
		return dxi_fail(DXH_EACCESS,
		                "%s belongs to user %u, who is neither you nor root nor the one "
		                "configured (owner_uid_plus1)",
		                block->paths.data, (unsigned)owner);
	if (found->st_size < DXI_LAYOUT_HEADER_BYTES)
		return dxi_fail(DXH_ECORRUPT,
		                "offset %jd: the file ends within the header; unlink the block",
		                (intmax_t)found->st_size);
	return DXH_OK;
}

dxh_status dxi_read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	unsigned char *at = to;
	ssize_t got;

	/* Each turn reads something or ends the loop, but for signals. */
	while (bytes > 0) {
		got = pread(fd, at, bytes, (off_t)offset);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return dxi_fail_errno(errno, "reading the block at offset %" PRIu64,
			                      offset);
		if (got == 0)
			return dxi_fail(DXH_ECORRUPT, "offset %" PRIu64 ": the file ends here",
			                offset);
		at += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return DXH_OK;
}

static dxh_status read_tables(dxi_block *block)
{
	const struct dxi_layout_header *fixed = &block->fixed;
	dxh_status status;

	block->schema_bytes = malloc(fixed->schema_bytes);
	if (!block->schema_bytes)
		return dxi_fail(DXH_ENOMEM, "no memory for a schema of %" PRIu32 " bytes",
		                fixed->schema_bytes);
	if ((status = dxi_read_at(block->fd, block->zones, fixed->zone_count * sizeof *block->zones,
	                          fixed->zones_offset)) != DXH_OK ||
	    (status = dxi_read_at(block->fd, block->schema_bytes, fixed->schema_bytes,
	                          fixed->schema_offset)) != DXH_OK ||
	    (status = dxi_geometry_check_hashes(fixed, block->zones, block->schema_bytes)) !=
	            DXH_OK ||
	    (status = dxi_schema_parse(block->schema_bytes, fixed->schema_bytes,
	                               fixed->schema_offset, &block->schema)) != DXH_OK)
		return status;
	return dxi_geometry_check_tables(fixed, block->zones, &block->schema);
}

static void describe_ring(dxi_block *block)
{
	block->ring = (dxi_ring){
		.stride_bytes = block->fixed.slot_stride_bytes,
		.slot_bytes = block->fixed.slot_bytes,
		.kept = block->fixed.slot_count,
		.physical = block->fixed.slot_physical,
		.checksum = {.kind = block->fixed.checksum_kind,
	                     .manual = block->fixed.checksum_mode == DXI_CHECKSUM_MANUAL},
	};
}

static dxh_status map(dxi_block *block, size_t bytes, bool populate)
{
	int protection = PROT_READ | (block->writable ? PROT_WRITE : 0);
	void *base = dxi_residence_map(block->fd, bytes, protection, populate);

	if (base == MAP_FAILED)
		return dxi_fail_errno(errno, "mapping %zu bytes of %s", bytes, block->paths.data);
	block->base = base;
	block->bytes = bytes;
	if (block->fixed.row_count > 0)
		block->marks = (struct dxi_layout_mark *)(block->base + block->fixed.marks_offset);
	describe_ring(block);
	block->ring.slots = block->base + block->fixed.slots_offset;
	return DXH_OK;
}

/* Populating a file with holes would fill them with memory: an image that only claims to
 * be large must cost nothing. */
static dxh_status map_found(dxi_block *block, const struct stat *found)
{
	return map(block, (size_t)found->st_size, found->st_blocks >= found->st_size / 512);
}

static dxh_status check(dxi_block *block, uint32_t owner_uid_plus1, struct stat *found)
{
	dxh_status status;

	if (fstat(block->fd, found) == -1)
		return dxi_fail_errno(errno, "%s", block->paths.data);
	if ((status = check_file(block, found, owner_uid_plus1)) != DXH_OK ||
	    (status = dxi_read_at(block->fd, &block->fixed, sizeof block->fixed, 0)) != DXH_OK ||
	    (status = dxi_geometry_check_header(&block->fixed, (uint64_t)found->st_size)) !=
	            DXH_OK ||
	    (status = read_tables(block)) != DXH_OK)
		return status;
	describe_ring(block);
	if (dxi_paths_are_of_file(&block->paths))
		snprintf(block->paths.name, sizeof block->paths.name, "%s", block->schema.name);
	return DXH_OK;
}

static dxh_status open_checked(const dxi_paths *paths, dxi_access access, uint32_t owner_uid_plus1,
                               dxi_block *block, struct stat *found)
{
	*block = DXI_BLOCK_NONE;
	block->paths = *paths;
	block->writable = access == DXI_ACCESS_WRITE;
	block->fd =
		dxi_paths_are_of_file(paths)
			? dxi_descriptor_open_named(paths->data, O_RDONLY)
			: dxi_descriptor_open(paths->data, block->writable ? O_RDWR : O_RDONLY, 0);
	if (block->fd == -1)
		return fail_to_open(paths, errno);
	return check(block, owner_uid_plus1, found);
}

dxh_status dxi_segment_open(const dxi_paths *paths, uint32_t owner_uid_plus1, dxi_block *block)
{
	struct stat found;

	return open_checked(paths, DXI_ACCESS_READ, owner_uid_plus1, block, &found);
}

dxh_status dxi_segment_attach(const dxi_paths *paths, dxi_access access, uint32_t owner_uid_plus1,
                              dxi_block *block)
{
	struct stat found;
	dxh_status status = open_checked(paths, access, owner_uid_plus1, block, &found);

	if (status == DXH_OK)
		status = map_found(block, &found);
	if (status == DXH_OK)
		status = dxi_zones_attach(block, access != DXI_ACCESS_READ);
	if (status != DXH_OK)
		dxi_segment_detach(block);
	return status;
}

/* Rows or zones? What is neither takes the place of rows, where it is refused. */
static int *place_of(dxi_block *block, int fd)
{
	uint32_t magic = 0;

	if (pread(fd, &magic, sizeof magic, 0) == sizeof magic && magic == DXI_ZONES_MAGIC &&
	    block->zones_fd == -1)
		return &block->zones_fd;
	return &block->control_fd;
}

/* One too many is no use to anybody. */
static void keep(int *place, int fd)
{
	if (*place == -1)
		*place = fd;
	else
		close(fd);
}

dxh_status dxi_segment_attach_memory(const int *fds, size_t count, dxi_access access,
                                     uint32_t owner_uid_plus1, dxi_block *block)
{
	struct stat found;
	dxh_status status;

	*block = DXI_BLOCK_NONE;
	block->fd = fds[0];
	for (size_t i = 1; i < count; i++)
		keep(place_of(block, fds[i]), fds[i]);
	/* Until the schema tells its name. */
	if ((status = dxi_paths_of_memory("passed", &block->paths)) == DXH_OK &&
	    (status = dxi_memory_check_data(block->fd)) == DXH_OK &&
	    (status = check(block, owner_uid_plus1, &found)) == DXH_OK &&
	    (status = dxi_paths_of_memory(block->schema.name, &block->paths)) == DXH_OK &&
	    (status = map_found(block, &found)) == DXH_OK)
		status = dxi_zones_attach(block, access == DXI_ACCESS_READ_WRITE_ZONES);
	if (status != DXH_OK)
		dxi_segment_detach(block);
	return status;
}

/* ---- creating ---- */

static dxh_status open_unnamed(const dxi_paths *paths, dxi_block *block)
{
	if (paths->is_memory)
		return dxi_memory_new(paths->name, &block->fd);
	block->fd = dxi_descriptor_open(paths->directory, O_TMPFILE | O_RDWR, 0600);
	if (block->fd != -1)
		return DXH_OK;
	if (errno == EOPNOTSUPP || errno == EISDIR)
		return dxi_fail(DXH_EUNSUPPORTED,
		                "the file system of %s has no O_TMPFILE: use a tmpfs",
		                paths->directory);
	return dxi_fail_to_make(errno, paths->directory, block->fixed.bytes_total);
}

static void fill(dxi_block *block)
{
	struct dxi_layout_header *header = dxi_block_header(block);
	const struct dxi_layout_header *fixed = &block->fixed;

	/* All but the magic; the file is zero, so the rest is as it begins. */
	memcpy((unsigned char *)header + DXI_LAYOUT_FIXED_BEGIN,
	       (const unsigned char *)fixed + DXI_LAYOUT_FIXED_BEGIN,
	       offsetof(struct dxi_layout_header, wake) - DXI_LAYOUT_FIXED_BEGIN);
	memcpy(block->base + fixed->zones_offset, block->zones,
	       fixed->zone_count * sizeof *block->zones);
	memcpy(block->base + fixed->schema_offset, block->schema_bytes, fixed->schema_bytes);
}

dxh_status dxi_segment_plan(const dxh_block_config *config, dxi_block *block)
{
	size_t schema_bytes;
	dxh_status status =
		dxi_schema_write(block->paths.name, config, &block->schema_bytes, &schema_bytes);

	if (status != DXH_OK)
		return status;
	status = dxi_geometry_plan(config, schema_bytes, &block->fixed, block->zones);
	if (status != DXH_OK)
		return status;
	dxi_new_uuid(block->fixed.uuid);
	dxi_geometry_seal(&block->fixed, block->zones, block->schema_bytes);
	/* Our own words back, so that both kinds of open see the same. */
	return dxi_schema_parse(block->schema_bytes, schema_bytes, block->fixed.schema_offset,
	                        &block->schema);
}

dxh_status
dxi_segment_create(const dxi_paths *paths, const dxh_block_config *config, dxi_block *block)
{
	dxh_status status;

	*block = DXI_BLOCK_NONE;
	block->paths = *paths;
	block->writable = true;
	if ((status = dxi_segment_plan(config, block)) == DXH_OK &&
	    (status = open_unnamed(paths, block)) == DXH_OK &&
	    (status = dxi_space_reserve(block->fd, paths->directory, block->fixed.bytes_total)) ==
	            DXH_OK &&
	    (status = map(block, (size_t)block->fixed.bytes_total, true)) == DXH_OK &&
	    (status = dxi_access_set(block->fd, paths->data, config->mode, config->group)) ==
	            DXH_OK) {
		fill(block);
		return DXH_OK;
	}
	dxi_segment_detach(block);
	return status;
}

dxh_status dxi_segment_link(dxi_block *block)
{
	char own[64];

	/* Last: who finds this number finds all the rest. Pairs with the open
	 * by name, which linkat() makes possible only after it. */
	atomic_store_explicit(&dxi_block_header(block)->magic, DXI_LAYOUT_MAGIC,
	                      memory_order_release);
	if (block->paths.is_memory)
		return dxi_memory_seal_data(block->fd);
	snprintf(own, sizeof own, "/proc/self/fd/%d", block->fd);
	if (linkat(AT_FDCWD, own, AT_FDCWD, block->paths.data, AT_SYMLINK_FOLLOW) == -1)
		return dxi_fail_errno(errno, "giving the new block its name %s (needs /proc)",
		                      block->paths.data);
	return DXH_OK;
}

/* ---- both ---- */

dxh_status dxi_segment_take_key(dxi_block *block, const unsigned char *key)
{
	unsigned char id[DXI_CHECKSUM_KEY_ID_BYTES];

	if (block->fixed.checksum_kind != DXI_CHECKSUM_BLAKE2B_KEYED) {
		if (key)
			return dxi_fail(DXH_EINVAL, "checksum_key is set, the block has no keyed "
			                            "checksums: leave it NULL");
		return DXH_OK;
	}
	if (!key)
		return dxi_fail(DXH_EACCESS, "the checksums of \"%s\" are keyed: set checksum_key",
		                block->paths.name);
	dxi_checksum_key_id(key, id);
	if (memcmp(id, block->fixed.checksum_key_id, sizeof id) != 0)
		return dxi_fail(DXH_EACCESS, "checksum_key is not the one \"%s\" was made with",
		                block->paths.name);
	memcpy(block->ring.checksum.key, key, DXI_CHECKSUM_KEY_BYTES);
	return DXH_OK;
}

void dxi_segment_detach(dxi_block *block)
{
	dxi_zones_detach(block);
	if (block->base)
		munmap(block->base, block->bytes);
	if (block->fd != -1)
		close(block->fd);
	if (block->control_fd != -1)
		close(block->control_fd);
	free(block->schema_bytes);
	dxi_schema_fini(&block->schema);
	/* With the key in it: a plain memset of what is not used again may be left out. */
	explicit_bzero(block, sizeof *block);
	*block = DXI_BLOCK_NONE;
}

bool dxi_segment_is_unlinked(const dxi_block *block)
{
	struct stat found;
	int seals;

	if (block->paths.is_memory || fstat(block->fd, &found) == -1 || found.st_nlink > 0)
		return false;
	/* Memory that was found by a path of /proc never had a name. Only memory and tmpfs
	 * know of seals: -1 is a file elsewhere. */
	seals = fcntl(block->fd, F_GET_SEALS);
	return seals == -1 || (seals & F_SEAL_SHRINK) == 0;
}
