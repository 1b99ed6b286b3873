/* SPDX-License-Identifier: MIT */
/* Going on in another block: the one that has the name of a consumer's block now, or that
 * somebody tells of who knows more than names. What was handed out of the block before
 * stays where it is until the consumer is closed.
 */
#ifndef DXI_FOLLOW_H
#define DXI_FOLLOW_H

#include "shm/segment.h"

#include <dxh/description.h>

/* Of a block that was left: its description, and its zones as they were last. */
typedef struct dxi_left {
	struct dxi_left *next;
	dxi_block block; /* without slots and descriptors */
} dxi_left;

void dxi_left_free(dxi_left *left);

/* What a consumer needs to attach again. The word of each field: who writes it.
 *   owner      the consumer's thread
 *   any        also a thread that tells of another directory, and the bridge, which looks */
typedef struct dxi_follow {
	dxh_consumer_config config; /* owner: as it was given; what it points to is ours: */
	dxh_zone_spec zones[DXH_ZONES_MAX + 1];
	dxh_description *expected;
	unsigned char key[DXH_CHECKSUM_KEY_BYTES];
	char name[DXH_BLOCK_NAME_MAX + 1];
	char directory[DXI_PATH_BYTES];
	char data[DXI_PATH_BYTES];      /* owner, before the bridge looks again: the file there */
	_Atomic(char *) elsewhere;      /* any: a directory that was told of; NULL: none */
	_Atomic uint64_t refused_inode; /* owner; bridge: of a file that cannot be followed */
	_Atomic int waits;              /* owner; any: nobody produces here any more */
	dxi_left *left;                 /* owner: the newest first */
} dxi_follow;

/* Keep what it takes. Owner: dxi_follow_free().
 * Returns: DXH_EINVAL: a file, or memory, has no name to be followed by; DXH_ENOMEM. */
dxh_status
dxi_follow_new(const char *name, const dxh_consumer_config *config, dxi_follow **follow);
void dxi_follow_free(dxi_follow *follow);

/* May there be another block than this one by now? Any thread. */
bool dxi_follow_sees(const dxi_follow *follow, const dxi_block *block);

/* The block is in this directory now, as the broker says. Any thread. */
void dxi_follow_tell(dxi_follow *follow, const char *directory);

/* Take over a block that is left: `block` is empty afterwards. */
void dxi_follow_keep(dxi_follow *follow, dxi_block *block);

#endif
