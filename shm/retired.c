/* SPDX-License-Identifier: MIT */
/* As few as tell of most mistakes and cost no memory to speak of. */
#include "shm/retired.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 4 };

static _Atomic(void *) kept[KEPT];
static _Atomic unsigned turn;
static _Atomic uint64_t last_serial;

void dxi_retire(void *object, size_t bytes)
{
	/* relaxed: any place will do. */
	unsigned place = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % KEPT;

	/* With keys in it: a plain memset of what is not used again may be left out. */
	explicit_bzero(object, bytes);
	/* The wiping before the freeing, which may be another thread's: both sides are
	 * this exchange. */
	free(atomic_exchange_explicit(&kept[place], object, memory_order_acq_rel));
}

uint64_t dxi_new_serial(void)
{
	/* relaxed: only that no two are the same counts. */
	return atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
}
