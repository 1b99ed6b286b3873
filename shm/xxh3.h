/* SPDX-License-Identifier: MIT */
/* XXH3 for processors with AVX2, where libxxhash as distributions build it uses SSE2. */
#ifndef DXI_XXH3_H
#define DXI_XXH3_H

#include <stddef.h>
#include <stdint.h>

/* XXH3_64bits_withSeed(). Ask __builtin_cpu_supports("avx2") first. */
uint64_t dxi_xxh3_avx2(const void *data, size_t bytes, uint64_t seed);

#endif
