/* SPDX-License-Identifier: MIT */
/* Two counters in one word that refuse to go below zero, and a futex for those who
 * wait. */
#include "queue/credit.h"

#include "base/futex.h"

#include <assert.h>
#include <limits.h>

enum { BYTES_BITS = 41 };
static_assert(DXI_CREDIT_BYTES_MAX < (uint64_t)1 << BYTES_BITS, "bytes have room");
static_assert(DXI_CREDIT_THINGS_MAX <= UINT64_MAX >> BYTES_BITS, "so have things");

static uint64_t pack(dxi_amount amount)
{
	return (uint64_t)amount.things << BYTES_BITS | amount.bytes;
}

static dxi_amount unpack(uint64_t word)
{
	return (dxi_amount){.things = (uint32_t)(word >> BYTES_BITS),
	                    .bytes = word & (((uint64_t)1 << BYTES_BITS) - 1)};
}

void dxi_credit_init(dxi_credit *credit, dxi_amount total)
{
	if (total.things > DXI_CREDIT_THINGS_MAX)
		total.things = DXI_CREDIT_THINGS_MAX;
	if (total.bytes > DXI_CREDIT_BYTES_MAX)
		total.bytes = DXI_CREDIT_BYTES_MAX;
	atomic_init(&credit->free, pack(total));
	atomic_init(&credit->word, 0);
	atomic_init(&credit->waiters, 0);
	credit->total = total;
}

dxi_amount dxi_credit_free(const dxi_credit *credit)
{
	return unpack(atomic_load_explicit(&credit->free, memory_order_relaxed));
}

static bool covers(uint64_t free, dxi_amount amount)
{
	return unpack(free).things >= amount.things && unpack(free).bytes >= amount.bytes;
}

bool dxi_credit_take(dxi_credit *credit, dxi_amount amount)
{
	uint64_t free = atomic_load_explicit(&credit->free, memory_order_relaxed);

	while (covers(free, amount))
		/* seq_cst: see the Dekker pair above. */
		if (atomic_compare_exchange_weak(&credit->free, &free, free - pack(amount)))
			return true;
	return false;
}

bool dxi_credit_take_until(dxi_credit *credit, dxi_amount amount, int64_t deadline_ns)
{
	bool taken = dxi_credit_take(credit, amount);
	bool in_time = true;

	if (taken || deadline_ns == 0)
		return taken;
	atomic_fetch_add(&credit->waiters, 1);
	while (in_time) {
		uint32_t word = atomic_load(&credit->word);

		taken = dxi_credit_take(credit, amount);
		if (taken)
			break;
		in_time = dxi_futex_wait(&credit->word, word, deadline_ns, DXI_FUTEX_PRIVATE);
	}
	atomic_fetch_sub(&credit->waiters, 1);
	return taken || dxi_credit_take(credit, amount);
}

void dxi_credit_give(dxi_credit *credit, dxi_amount amount)
{
	atomic_fetch_add(&credit->free, pack(amount));
	if (atomic_load(&credit->waiters) == 0)
		return;
	atomic_fetch_add(&credit->word, 1);
	dxi_futex_wake(&credit->word, INT_MAX, DXI_FUTEX_PRIVATE);
}
