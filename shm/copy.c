/* SPDX-License-Identifier: MIT */
/* The loops are unrolled by hand: compilers do not vectorise relaxed atomics. */
#include "shm/copy.h"

#include "base/status.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { WORD = sizeof(uint64_t), UNROLL = 8, LINE = UNROLL * WORD };

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

static DXI_INLINE void words_in(shared_word *to, const unsigned char *from, size_t bytes)
{
	uint64_t last = 0;

	for (; bytes >= LINE; bytes -= LINE, from += LINE, to += UNROLL) {
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

static DXI_INLINE void words_out(unsigned char *to, const shared_word *from, size_t bytes)
{
	uint64_t last;

	for (; bytes >= LINE; bytes -= LINE, to += LINE, from += UNROLL) {
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

void dxi_copy_out(void *own, const void *shared, size_t bytes)
{
	words_out(own, shared, bytes);
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

/* ---- items: a line at a time ---- */

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* Sanitizers do not see what assembler touches. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) &&      \
	!__has_feature(thread_sanitizer) && !__has_feature(address_sanitizer)
#define DXI_HAS_LINES 1
#else
#define DXI_HAS_LINES 0
#endif

/* A vector that is loaded from words that were just stored waits for those stores, as words
 * do not: small structs are mostly published by who has just filled them. */
enum { LINES_FROM_BYTES = 4 * LINE };

/* In assembler, so that it is no data race in C, and no compiler makes two accesses of one.
 * On x86-64 vectors are ordered like all other loads and stores, which suffices: what was
 * torn, within a vector or between two, has another seq. */
static inline void move_line(unsigned char *to, const unsigned char *from)
{
#if DXI_HAS_LINES
	__asm__ volatile("movups (%1), %%xmm0\n\t"
	                 "movups 16(%1), %%xmm1\n\t"
	                 "movups 32(%1), %%xmm2\n\t"
	                 "movups 48(%1), %%xmm3\n\t"
	                 "movups %%xmm0, (%0)\n\t"
	                 "movups %%xmm1, 16(%0)\n\t"
	                 "movups %%xmm2, 32(%0)\n\t"
	                 "movups %%xmm3, 48(%0)"
	                 :
	                 : "r"(to), "r"(from)
	                 : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
#else
	(void)to;
	(void)from;
#endif
}

/* How many bytes go by lines. */
static inline size_t in_lines(size_t bytes)
{
	return DXI_HAS_LINES && bytes >= LINES_FROM_BYTES ? bytes / LINE * LINE : 0;
}

void dxi_copy_item_in(void *shared, const void *own, size_t bytes)
{
	size_t by_lines = in_lines(bytes);
	const unsigned char *from = own;
	unsigned char *to = shared;

	for (size_t i = 0; i < by_lines; i += LINE)
		move_line(to + i, from + i);
	if (by_lines < bytes) /* of nothing `own` may be NULL */
		words_in((shared_word *)(void *)(to + by_lines), from + by_lines, bytes - by_lines);
}

void dxi_copy_item_out(void *own, const void *shared, size_t bytes)
{
	size_t by_lines = in_lines(bytes);
	const unsigned char *from = shared;
	unsigned char *to = own;

	for (size_t i = 0; i < by_lines; i += LINE)
		move_line(to + i, from + i);
	if (by_lines < bytes) /* of nothing `own` may be NULL */
		words_out(to + by_lines, (const shared_word *)(const void *)(from + by_lines),
		          bytes - by_lines);
}
