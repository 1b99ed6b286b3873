/* SPDX-License-Identifier: MIT */
/* Durations counted in buckets that are at most 1/128 of their value wide, so that a
 * percentile is known to 0.8 % whatever its magnitude. Fixed size, no pointers: it
 * lies in memory that processes share, and two of them add up. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Up to 2^40 ns, 18 minutes; what is longer counts as that, but for max_ns. */
enum {
	BENCH_SUB_BITS = 7,
	BENCH_MAGNITUDES = 40 - BENCH_SUB_BITS,
	BENCH_BUCKETS = (BENCH_MAGNITUDES + 1) << BENCH_SUB_BITS
};

typedef struct bench_histogram {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[BENCH_BUCKETS];
} bench_histogram;

static inline size_t bench_bucket_of(uint64_t ns)
{
	unsigned magnitude;

	if (ns >> BENCH_SUB_BITS == 0)
		return (size_t)ns;
	magnitude = 63 - (unsigned)__builtin_clzll(ns) - BENCH_SUB_BITS;
	if (magnitude >= BENCH_MAGNITUDES)
		return BENCH_BUCKETS - 1;
	return ((size_t)magnitude << BENCH_SUB_BITS) + (size_t)(ns >> magnitude);
}

/* Thread: owner. What is negative, as no duration is, counts as 0. */
static inline void bench_histogram_add(bench_histogram *histogram, int64_t ns)
{
	uint64_t value = ns < 0 ? 0 : (uint64_t)ns;

	histogram->count++;
	histogram->buckets[bench_bucket_of(value)]++;
	if (value > histogram->max_ns)
		histogram->max_ns = value;
}

void bench_histogram_merge(bench_histogram *into, const bench_histogram *from);

/* The least duration that at least `share` (0..1) of all do not exceed: the middle of
 * its bucket, never more than max_ns; 0 when there are none. */
uint64_t bench_histogram_at(const bench_histogram *histogram, double share);

#endif
