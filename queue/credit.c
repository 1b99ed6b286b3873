/* SPDX-License-Identifier: MIT */
/* A counter that refuses to go below zero, and a futex for those who wait. */
#include "queue/credit.h"

#include "base/futex.h"

#include <limits.h>

void dxi_credit_init(dxi_credit *credit, int64_t total)
{
	atomic_init(&credit->free, total);
	atomic_init(&credit->word, 0);
	atomic_init(&credit->waiters, 0);
	credit->total = total;
}

bool dxi_credit_take(dxi_credit *credit, int64_t count)
{
	int64_t free = atomic_load_explicit(&credit->free, memory_order_relaxed);

	while (free >= count)
		/* seq_cst: see the Dekker pair above. */
		if (atomic_compare_exchange_weak(&credit->free, &free, free - count))
			return true;
	return false;
}

bool dxi_credit_take_until(dxi_credit *credit, int64_t count, int64_t deadline_ns)
{
	bool taken = dxi_credit_take(credit, count);
	bool in_time = true;

	if (taken || deadline_ns == 0)
		return taken;
	atomic_fetch_add(&credit->waiters, 1);
	while (in_time) {
		uint32_t word = atomic_load(&credit->word);

		taken = dxi_credit_take(credit, count);
		if (taken)
			break;
		in_time = dxi_futex_wait(&credit->word, word, deadline_ns, DXI_FUTEX_PRIVATE);
	}
	atomic_fetch_sub(&credit->waiters, 1);
	return taken || dxi_credit_take(credit, count);
}

void dxi_credit_give(dxi_credit *credit, int64_t count)
{
	atomic_fetch_add(&credit->free, count);
	if (atomic_load(&credit->waiters) == 0)
		return;
	atomic_fetch_add(&credit->word, 1);
	dxi_futex_wake(&credit->word, INT_MAX, DXI_FUTEX_PRIVATE);
}
