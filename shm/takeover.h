/* SPDX-License-Identifier: MIT */
/* Going on where a dead producer stopped. */
#ifndef DXI_TAKEOVER_H
#define DXI_TAKEOVER_H

#include "shm/segment.h"

/* Under the producer's lock: find the next ticket, repair head, count the epoch
 * and wake everybody. May itself be killed at any point and run again.
 * Returns: DXH_ECORRUPT with offset and rule, and then nothing is changed. */
dxh_status dxi_takeover(dxi_block *block, bool beacon_is_lit, uint64_t *next_ticket);

/* Parts of it, which a recovery makes too; also under the producer's lock.
 * head: *largest is the largest seq, 0 without slots. Returns: DXH_ECORRUPT, and then
 * nothing is changed. */
dxh_status dxi_repair_head(dxi_block *block, uint64_t *largest);
void dxi_repair_wait(dxi_block *block);

/* Count one repair and note when and by whom; under the producer's lock. */
void dxi_count_repair(dxi_block *block);

/* The state of a producer that begins, also with a new block. */
void dxi_producer_state_open(dxi_block *block, bool beacon_is_lit);

#endif
