/* SPDX-License-Identifier: MIT */
/* Counting in shared memory with one writer, for humans to read. */
#ifndef DXI_COUNTER_H
#define DXI_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/* relaxed: nothing depends on a counter. No read-modify-write is needed, since
 * the producer's lock makes us the only writer. */
static inline void dxi_counter_add(_Atomic uint64_t *counter, uint64_t amount)
{
	uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, before + amount, memory_order_relaxed);
}

static inline uint64_t dxi_counter_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
