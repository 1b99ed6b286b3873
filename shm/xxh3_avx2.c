/* SPDX-License-Identifier: MIT */
/* The library's own code, compiled for AVX2 (see the Makefile). Nothing else may stand here:
 * all of this file needs such a processor. */
#include "shm/xxh3.h"

#ifdef __AVX2__
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t dxi_xxh3_avx2(const void *data, size_t bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, bytes, seed);
}
#endif
