/* SPDX-License-Identifier: MIT */
/* Slots without a hub: the test plays the I/O thread. */
#ifndef TEST_SLOTS_H
#define TEST_SLOTS_H

#include "queue/completion.h"
#include "queue/group.h"
#include "tests/support/support.h"

extern dxi_queue cancels; /* of all pools opened here */
extern dxi_wakes wakes;

dxi_pool *open_pool(uint32_t slots);

/* An operation under way; group may be NULL. */
dxi_slot *begin(dxi_pool *pool, dxh_group *group, dxh_completion *done);

/* Complete it with "body", and wake. Returns whether a cancel is on its way. */
bool complete(dxi_slot *slot, dxh_status status);

#endif
