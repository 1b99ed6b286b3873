/* SPDX-License-Identifier: MIT */
/* The group's side that completes: ended operations are pushed on the group's
 * own queue; its owner arms that queue before it sleeps, as the I/O thread does
 * with its own.
 *
 *   field        written by              read by        order
 *   done         deliver(), wait()       wait()         see queue.h
 *   outstanding  post, wait()            wait()         relaxed: the owner compares it
 *                                                       only with what it took itself
 *   word         signal()                wait()         futex, release / acquire
 *   references   post, deliver, close    -              acq_rel: the last one frees
 */
#ifndef DXI_GROUP_H
#define DXI_GROUP_H

#include "queue/completion.h"

#include <dxh/group.h>

/* Callbacks of inline groups that this thread has made, ever. */
typedef struct dxi_callbacks {
	uint64_t count;
	uint64_t slow; /* took longer than DXI_CALLBACK_SLOW_NS */
} dxi_callbacks;

enum { DXI_CALLBACK_SLOW_NS = 1000000 };
extern _Thread_local dxi_callbacks dxi_callbacks_here;

/* `count` operations are about to be posted to the group, or were not after all. */
dxh_status dxi_group_expect(dxh_group *group, size_t count);
void dxi_group_unexpect(dxh_group *group, size_t count);

/* The end of one of them. The signal that may be due is noted in `wakes`; NULL
 * signals at once. Thread: any. */
void dxi_group_deliver(struct dxh_group *group, dxi_slot *slot, dxi_wakes *wakes);

/* Wake the owner, or call an inline group's callback, and let go of the reference
 * that the note held. */
void dxi_group_signal(struct dxh_group *group);

#endif
