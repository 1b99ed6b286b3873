/* SPDX-License-Identifier: MIT */
/* A small table: two kinds that fall into one place push each other out, and then
 * more lines are written, never fewer. */
#include "base/ratelimit.h"

#include "base/clock.h"

#include <stdatomic.h>

enum { PLACES = 64 };

/* relaxed throughout: a line more or less is no harm. */
static struct place {
	_Atomic(const void *) kind;
	_Atomic int64_t second;
	_Atomic uint32_t count;
	_Atomic uint64_t left_out;
} places[PLACES];

bool dxi_ratelimit_pass(const void *kind, int64_t now_ns, uint64_t *left_out)
{
	struct place *place = &places[((uintptr_t)kind >> 3) % PLACES];
	int64_t second = now_ns / DXI_NS_PER_S;

	*left_out = 0;
	if (atomic_load_explicit(&place->kind, memory_order_relaxed) != kind) {
		atomic_store_explicit(&place->kind, kind, memory_order_relaxed);
		atomic_store_explicit(&place->count, 0, memory_order_relaxed);
		atomic_store_explicit(&place->left_out, 0, memory_order_relaxed);
	}
	if (atomic_exchange_explicit(&place->second, second, memory_order_relaxed) != second)
		atomic_store_explicit(&place->count, 0, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&place->count, 1, memory_order_relaxed) >= DXI_LINES_PER_S) {
		atomic_fetch_add_explicit(&place->left_out, 1, memory_order_relaxed);
		return false;
	}
	*left_out = atomic_exchange_explicit(&place->left_out, 0, memory_order_relaxed);
	return true;
}
