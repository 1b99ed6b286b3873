/* SPDX-License-Identifier: MIT */
/* Credits: how much may be in flight, in things and in bytes. Taken by posters, given
 * back by the I/O thread when an operation has ended.
 *
 * Both figures lie in one word, so that one atomic step takes or gives both, and
 * nobody ever holds the one while waiting for the other.
 *
 *   free = things:23 | bytes:41
 *
 *   field    written by       read by    order
 *   free     take(), give()   all        seq_cst RMW: with `waiters` a Dekker pair
 *   waiters  take_until()     give()     seq_cst: either the giver sees the waiter,
 *                                        or the waiter sees the credit
 *   word     give()           waiters    futex word, changes with each wake
 */
#ifndef DXI_CREDIT_H
#define DXI_CREDIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { DXI_CREDIT_THINGS_MAX = 1 << 22 }; /* as many as there are slots in a process */
#define DXI_CREDIT_BYTES_MAX ((uint64_t)1 << 40)

typedef struct dxi_amount {
	uint32_t things;
	uint64_t bytes;
} dxi_amount;

typedef struct dxi_credit {
	_Atomic uint64_t free;
	_Atomic uint32_t word;
	_Atomic uint32_t waiters;
	dxi_amount total;
} dxi_credit;

/* What exceeds the two limits above is cut to them. */
void dxi_credit_init(dxi_credit *credit, dxi_amount total);

/* Thread: any. false: not so much is free, or ever will be. */
bool dxi_credit_take(dxi_credit *credit, dxi_amount amount);

/* The same, waiting until `deadline_ns` for it. */
bool dxi_credit_take_until(dxi_credit *credit, dxi_amount amount, int64_t deadline_ns);

/* Thread: any. What was taken, in the same or in other pieces. */
void dxi_credit_give(dxi_credit *credit, dxi_amount amount);

/* A snapshot. Thread: any. */
dxi_amount dxi_credit_free(const dxi_credit *credit);

#endif
