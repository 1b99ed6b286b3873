/* SPDX-License-Identifier: MIT */
/* Adding histograms up, and asking them for percentiles. */
#include "bench/histogram.h"

void bench_histogram_merge(bench_histogram *into, const bench_histogram *from)
{
	into->count += from->count;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (size_t i = 0; i < BENCH_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

static uint64_t middle_of(size_t bucket)
{
	size_t magnitude;
	uint64_t low;

	if (bucket >> BENCH_SUB_BITS == 0)
		return bucket;
	magnitude = (bucket >> BENCH_SUB_BITS) - 1;
	low = (uint64_t)(bucket - (magnitude << BENCH_SUB_BITS)) << magnitude;
	return low + (((uint64_t)1 << magnitude) - 1) / 2;
}

uint64_t bench_histogram_at(const bench_histogram *histogram, double share)
{
	/* A share that is meant to be whole durations may miss that by a rounding. */
	double wanted = share * (double)histogram->count - 1e-6;
	uint64_t seen = 0;

	if (share >= 1)
		return histogram->max_ns;

	for (size_t i = 0; i < BENCH_BUCKETS; i++) {
		uint64_t ns;

		seen += histogram->buckets[i];
		if (seen == 0 || (double)seen < wanted)
			continue;
		ns = middle_of(i);
		return ns < histogram->max_ns ? ns : histogram->max_ns;
	}
	return histogram->max_ns;
}
