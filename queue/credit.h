/* SPDX-License-Identifier: MIT */
/* Credits: how much may be in flight. Taken by posters, given back by the I/O
 * thread when an operation has ended.
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

typedef struct dxi_credit {
	_Atomic int64_t free;
	_Atomic uint32_t word;
	_Atomic uint32_t waiters;
	int64_t total;
} dxi_credit;

void dxi_credit_init(dxi_credit *credit, int64_t total);

/* Thread: any. false: not so much is free. */
bool dxi_credit_take(dxi_credit *credit, int64_t count);

/* The same, waiting until `deadline_ns` for it. */
bool dxi_credit_take_until(dxi_credit *credit, int64_t count, int64_t deadline_ns);

/* Thread: any. */
void dxi_credit_give(dxi_credit *credit, int64_t count);

#endif
