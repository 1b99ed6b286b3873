/* SPDX-License-Identifier: MIT */
/* The data file of a block: made whole or not at all, mapped, and checked down to
 * the last offset before anybody uses it.
 */
#ifndef DXI_SEGMENT_H
#define DXI_SEGMENT_H

#include "shm/geometry.h"
#include "shm/path.h"
#include "shm/slot.h"

/* A mapped block. What decides about addresses is private and checked; of the
 * mapping only words that may hold anything are read.
 *
 * A file that is truncated while it is mapped gives SIGBUS: whoever may write
 * the file can do that, and nothing here guards against it. */
typedef struct dxi_block {
	dxi_paths paths;
	int fd;
	int control_fd; /* of reader rows that were passed to a consumer; else -1 */
	int zones_fd;   /* of the zones of a block without a name; else -1 */
	bool writable;
	dxi_match match; /* of what its user declares, with the schema */
	unsigned char *base;
	size_t bytes;
	struct dxi_layout_header fixed; /* its first 256 bytes never change */
	struct dxi_layout_zone zones[DXH_ZONES_MAX];
	unsigned char *schema_bytes;
	dxi_schema schema;
	dxi_ring ring;
	unsigned char *zones_base; /* of the zones file; NULL: none is there, or none at hand */
	size_t zones_bytes;
	bool zones_are_writable;
	struct dxi_layout_mark *marks; /* NULL: no reader holds this writer back */
} dxi_block;

#define DXI_BLOCK_NONE ((dxi_block){.fd = -1, .control_fd = -1, .zones_fd = -1})

static inline struct dxi_layout_header *dxi_block_header(const dxi_block *block)
{
	return (struct dxi_layout_header *)block->base;
}

static inline bool dxi_block_has_timestamps(const dxi_block *block)
{
	return !(block->fixed.features_optional & DXI_FEATURE_NO_TIMESTAMPS);
}

/* Header, zone table and schema of a block of that name, paths.name, that is to be made.
 * Owner: dxi_segment_detach(), also after a failure.
 * Returns: DXH_EINVAL for what is too large; DXH_ENOMEM. */
dxh_status dxi_segment_plan(const dxh_block_config *config, dxi_block *block);

/* Make a file without a name, reserve its space, map and fill it.
 * Owner: dxi_segment_detach(). Returns: as dxh_producer_open(). */
dxh_status
dxi_segment_create(const dxi_paths *paths, const dxh_block_config *config, dxi_block *block);

/* Give it its name, or seal its memory. From here on others see it.
 * Returns: DXH_EEXIST; DXH_ESYSTEM. */
dxh_status dxi_segment_link(dxi_block *block);

typedef enum dxi_access {
	DXI_ACCESS_READ,
	DXI_ACCESS_READ_WRITE_ZONES, /* a consumer that may write zones */
	DXI_ACCESS_WRITE             /* a producer */
} dxi_access;

/* Map an existing block. Accepts files of the caller, of root and, with
 * owner_uid_plus1 > 0, of that user.
 * Owner: dxi_segment_detach(). Returns: as dxh_consumer_open(). */
dxh_status dxi_segment_attach(const dxi_paths *paths, dxi_access access, uint32_t owner_uid_plus1,
                              dxi_block *block);

/* Open and check an existing block without mapping it, for who only looks: base is
 * NULL, and so are the addresses in `ring`. After a failure fd tells whether the file
 * was opened, `fixed` holds its header if it is that long.
 * Owner: dxi_segment_detach(), also after a failure. Returns: as above. */
dxh_status dxi_segment_open(const dxi_paths *paths, uint32_t owner_uid_plus1, dxi_block *block);

/* All of [offset, offset + bytes) of a file.
 * Returns: DXH_ECORRUPT when it ends before; DXH_ESYSTEM. */
dxh_status dxi_read_at(int fd, void *to, size_t bytes, uint64_t offset);

/* The same of memory that was passed to us: data and, behind it, what else there is,
 * known by its magic number. Takes the descriptors over, in every case.
 * Returns: also DXH_EACCESS when it is not sealed. */
dxh_status dxi_segment_attach_memory(const int *fds, size_t count, dxi_access access,
                                     uint32_t owner_uid_plus1, dxi_block *block);

/* The key of keyed checksums, 32 bytes or NULL; copied.
 * Returns: DXH_EACCESS when it is missing or another; DXH_EINVAL for one too many. */
dxh_status dxi_segment_take_key(dxi_block *block, const unsigned char *key);

/* Also of one that is half made. */
void dxi_segment_detach(dxi_block *block);

/* Was the file's last name removed? */
bool dxi_segment_is_unlinked(const dxi_block *block);

#endif
