/* SPDX-License-Identifier: MIT */
/* Counting allocations: ours, as the linker sends ours and those of the benchmarks
 * through wrappers, and not those of shared libraries. */
#ifndef BENCH_ALLOCATIONS_H
#define BENCH_ALLOCATIONS_H

#include <stdint.h>

/* malloc, calloc, realloc and aligned ones so far. Thread: any. */
uint64_t bench_allocations(void);

#endif
