/* SPDX-License-Identifier: MIT */
/* Where a consumer's channel went: asked only while nobody produces where it is, so that a
 * producer that begins in another directory is found, too. The name of the block in its own
 * directory a consumer follows without a broker. Never saw shared memory.
 */
#ifndef DXI_CHANNEL_FOLLOW_H
#define DXI_CHANNEL_FOLLOW_H

#include <dxh/channel.h>

typedef struct dxi_channel_follow dxi_channel_follow;

typedef struct dxi_channel_follow_config {
	dxh_peer *broker;
	const char *name;
	const char *directory; /* where it was found */
	/* Both on the I/O thread. Does it matter? And: it is there now. */
	int (*waits)(void *context);
	void (*tell)(void *context, const char *directory);
	void *context;
} dxi_channel_follow_config;

/* Returns: DXH_ENOMEM. */
dxh_status
dxi_channel_follow_open(const dxi_channel_follow_config *config, dxi_channel_follow **follow);

/* `waits` and `tell` are not called any more when it returns. In a child of fork() it only
 * frees memory. */
void dxi_channel_follow_close(dxi_channel_follow *follow);

#endif
