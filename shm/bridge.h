/* SPDX-License-Identifier: MIT */
/* From wake words to descriptors: a thread that sleeps on the words of all readers
 * which stand in event loops, and makes their eventfds readable.
 */
#ifndef DXI_BRIDGE_H
#define DXI_BRIDGE_H

#include "shm/follow.h"

/* One reader's place at the bridge. */
typedef struct dxi_watch dxi_watch;

/* A descriptor that is readable until the first dxi_watch_arm(). `block` and `follow`, which
 * may be NULL, must stay until dxi_watch_close().
 * Returns: DXH_ESTATE: the block has no wake word; DXH_ELIMIT; DXH_ENOMEM. */
dxh_status dxi_watch_open(const dxi_block *block, const dxi_follow *follow, dxi_watch **watch);

int dxi_watch_fd(const dxi_watch *watch);

/* Nothing was there when the wake word was `seen`, because of `why`, as
 * dxi_liveness_explain() says: unreadable until one of the two is another. NULL: nothing. */
void dxi_watch_arm(dxi_watch *watch, uint32_t seen, dxh_status why);

/* There may be something to read, as if a wake had come. NULL: nothing. */
void dxi_watch_signal(dxi_watch *watch);

/* Change the block while the bridge does not look at it; readable afterwards. NULL: only
 * change it. */
void dxi_watch_change(dxi_watch *watch, void (*change)(void *context), void *context);

/* Before the block is unmapped. Ends the thread with its last watch. NULL: nothing. */
void dxi_watch_close(dxi_watch *watch);

#endif
