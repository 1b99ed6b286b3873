/* SPDX-License-Identifier: MIT */
/* The loops are unrolled by hand: compilers do not vectorise relaxed atomics. */
#include "shm/copy.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { WORD = sizeof(uint64_t), UNROLL = 8 };

typedef _Atomic uint64_t shared_word;

/* relaxed throughout: the caller's fences and the seq around the copy order it. */
static inline void put(shared_word *to, const unsigned char *from)
{
	uint64_t word;

	memcpy(&word, from, WORD);
	atomic_store_explicit(to, word, memory_order_relaxed);
}

static inline void get(unsigned char *to, const shared_word *from)
{
	uint64_t word = atomic_load_explicit(from, memory_order_relaxed);

	memcpy(to, &word, WORD);
}

void dxi_copy_in(void *shared, const void *own, size_t bytes)
{
	shared_word *to = shared;
	const unsigned char *from = own;
	uint64_t last = 0;

	for (; bytes >= UNROLL * WORD;
	     bytes -= UNROLL * WORD, from += UNROLL * WORD, to += UNROLL) {
		put(to + 0, from + 0 * WORD);
		put(to + 1, from + 1 * WORD);
		put(to + 2, from + 2 * WORD);
		put(to + 3, from + 3 * WORD);
		put(to + 4, from + 4 * WORD);
		put(to + 5, from + 5 * WORD);
		put(to + 6, from + 6 * WORD);
		put(to + 7, from + 7 * WORD);
	}
	for (; bytes >= WORD; bytes -= WORD, from += WORD, to++)
		put(to, from);
	if (bytes > 0) {
		memcpy(&last, from, bytes);
		atomic_store_explicit(to, last, memory_order_relaxed);
	}
}

void dxi_copy_out(void *own, const void *shared, size_t bytes)
{
	unsigned char *to = own;
	const shared_word *from = shared;
	uint64_t last;

	for (; bytes >= UNROLL * WORD;
	     bytes -= UNROLL * WORD, to += UNROLL * WORD, from += UNROLL) {
		get(to + 0 * WORD, from + 0);
		get(to + 1 * WORD, from + 1);
		get(to + 2 * WORD, from + 2);
		get(to + 3 * WORD, from + 3);
		get(to + 4 * WORD, from + 4);
		get(to + 5 * WORD, from + 5);
		get(to + 6 * WORD, from + 6);
		get(to + 7 * WORD, from + 7);
	}
	for (; bytes >= WORD; bytes -= WORD, to += WORD, from++)
		get(to, from);
	if (bytes > 0) {
		last = atomic_load_explicit(from, memory_order_relaxed);
		memcpy(to, &last, bytes);
	}
}

void dxi_copy_across(void *shared, const void *from_shared, size_t bytes)
{
	shared_word *to = shared;
	const shared_word *from = from_shared;
	size_t words = bytes / WORD + (bytes % WORD != 0);

	for (size_t i = 0; i < words; i++)
		atomic_store_explicit(to + i, atomic_load_explicit(from + i, memory_order_relaxed),
		                      memory_order_relaxed);
}
