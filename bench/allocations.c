/* SPDX-License-Identifier: MIT */
/* The wrappers around what allocates: see --wrap in the Makefile. */
#include "bench/allocations.h"

#include <stdatomic.h>
#include <stddef.h>

static _Atomic uint64_t count;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t members, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t members, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

/* relaxed: a count, read when all is over. */
static void counted(void)
{
	atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

void *__wrap_malloc(size_t bytes)
{
	counted();
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t members, size_t bytes)
{
	counted();
	return __real_calloc(members, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	counted();
	return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	counted();
	return __real_aligned_alloc(align, bytes);
}

uint64_t bench_allocations(void)
{
	return atomic_load_explicit(&count, memory_order_relaxed);
}
