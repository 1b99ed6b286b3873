/* SPDX-License-Identifier: MIT */
/* From the I/O thread to worker threads: a bounded ring with one who puts and
 * many who take. Putting never waits; a slow worker only makes it full.
 *
 *   field    written by        read by   order
 *   ring     put(), take()     both      as in ck_ring_*_spmc, words only
 *   word     signal(), stop()  take()    futex, seq_cst with `waiters`
 *   inside   take(), stop()    all       seq_cst
 *   waiters  take()            signal()  seq_cst: the signaller sees the waiter, or the
 *                                        waiter sees the item
 */
#ifndef DXI_INBOX_H
#define DXI_INBOX_H

#include <dxh/base.h>

#include <stdbool.h>

typedef struct dxi_inbox dxi_inbox;

/* Room for at least `capacity` items. NULL: out of memory. */
dxi_inbox *dxi_inbox_open(uint32_t capacity);

/* false: full. Thread: the one who puts. */
bool dxi_inbox_put(dxi_inbox *inbox, void *item);

/* Items in it, about: others may take meanwhile. Thread: any. */
uint32_t dxi_inbox_count(const dxi_inbox *inbox);

/* Wake takers for what was put since the last signal; false: nothing was. Thread: the
 * one who puts. */
bool dxi_inbox_signal(dxi_inbox *inbox);

/* Thread: any. DXH_EWAIT: the deadline passed; DXH_ECLOSED. */
dxh_status dxi_inbox_take(dxi_inbox *inbox, int64_t deadline_ns, void **item);

/* Up to `max` of what is there, in their order and in one step, after a take that succeeded.
 * Returns how many. Thread: any. */
uint32_t dxi_inbox_take_more(dxi_inbox *inbox, void **items, uint32_t max);

/* Refuse further takes; those that wait end. Thread: any. */
void dxi_inbox_stop(dxi_inbox *inbox);

/* Thread: any. */
bool dxi_inbox_is_stopped(const dxi_inbox *inbox);

/* The same, and wait until every taker that waited has left; no other may be in the
 * middle of a take when it is freed. Thread: one. */
void dxi_inbox_close(dxi_inbox *inbox);

/* What is left after close, one by one; NULL: nothing. */
void *dxi_inbox_rest(dxi_inbox *inbox);

void dxi_inbox_free(dxi_inbox *inbox);

#endif
