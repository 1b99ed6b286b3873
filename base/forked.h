/* SPDX-License-Identifier: MIT */
/* Noticing a fork: which process does an object belong to? */
#ifndef DXI_FORKED_H
#define DXI_FORKED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where this process's number stands; before the first call, and right after a fork, it is 0.
 * A page of its own, which the kernel empties in the child. */
extern const _Atomic uint32_t *_Atomic dxi_process_word;

/* For who finds a 0 there. */
uint32_t dxi_process_number(void);

/* A number for this process, never 0, different in a child of fork(). Two loads on the
 * fast path. */
static inline uint32_t dxi_process_id(void)
{
	/* acquire: the word before what is in it. Pairs with the release in map_page(). The
	 * number itself is relaxed: it publishes nothing, it only has to be one number. */
	const _Atomic uint32_t *word =
		atomic_load_explicit(&dxi_process_word, memory_order_acquire);
	uint32_t number = atomic_load_explicit(word, memory_order_relaxed);

	return __builtin_expect(number != 0, 1) ? number : dxi_process_number();
}

#endif
