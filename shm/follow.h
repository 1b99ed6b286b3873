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

/* What a consumer needs to attach again.
 *
 *   field      written by              read by
 *   elsewhere  dxi_follow_tell()       the consumer's thread, the bridge
 *   refused    the consumer's thread   the bridge
 *   waits      the consumer's thread   who tells
 *   data       the consumer's thread, under the bridge's mutex   both
 *   the rest   the consumer's thread   the same */
typedef struct dxi_follow {
	dxh_consumer_config config; /* as it was given; what it points to is here: */
	dxh_zone_spec zones[DXH_ZONES_MAX + 1];
	dxh_description *expected;
	unsigned char key[DXH_CHECKSUM_KEY_BYTES];
	char name[DXH_BLOCK_NAME_MAX + 1];
	char directory[DXI_PATH_BYTES];
	char data[DXI_PATH_BYTES];
	_Atomic(char *) elsewhere; /* a directory that was told of; NULL: none */
	_Atomic uint64_t refused;  /* a file that cannot be followed, by its inode; 0: none */
	dxh_status refusal;        /* and why */
	char refusal_text[256];
	_Atomic int waits; /* nobody produces here any more */
	dxi_left *left;    /* the newest first */
} dxi_follow;

/* Keep what it takes, of a config that was good for an open.
 * Owner: dxi_follow_free(). Returns: DXH_EINVAL: a file, or memory, has no name to be
 * followed by; DXH_ENOMEM. */
dxh_status dxi_follow_new(const char *name, const dxh_consumer_config *config, dxi_follow **follow);
void dxi_follow_free(dxi_follow *follow);

/* The inode of another file than the block's that has its name; 0: there is none. */
uint64_t dxi_follow_file(const dxi_follow *follow, const dxi_block *block);

/* May there be another block to go on in? Also on the bridge. */
bool dxi_follow_sees(const dxi_follow *follow, const dxi_block *block);

/* The block is in this directory now, as the broker says. Any thread. */
void dxi_follow_tell(dxi_follow *follow, const char *directory);

/* What was told and not taken yet; NULL: nothing. Owner: the caller, free(). */
char *dxi_follow_told(dxi_follow *follow);

/* Keep of a block what may still be used: it is left->block. */
void dxi_follow_keep(dxi_follow *follow, dxi_left *left);

#endif
