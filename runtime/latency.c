/* SPDX-License-Identifier: MIT */
/* Bucket numbers from the position of the highest bit and the three below it. */
#include "runtime/latency.h"

#include "runtime/metrics.h"

enum { STEP_BITS = 3 };

static uint32_t bucket_of(uint64_t ns)
{
	uint32_t high, bucket;

	if (ns < DXI_LATENCY_STEPS)
		return (uint32_t)ns;
	high = 63 - (uint32_t)__builtin_clzll(ns);
	bucket = (high - STEP_BITS + 1) * DXI_LATENCY_STEPS +
	         (uint32_t)(ns >> (high - STEP_BITS) & (DXI_LATENCY_STEPS - 1));
	return bucket < DXI_LATENCY_BUCKETS ? bucket : DXI_LATENCY_BUCKETS - 1;
}

/* The largest value that falls into it. */
static uint64_t top_of(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < DXI_LATENCY_STEPS)
		return bucket;
	shift = bucket / DXI_LATENCY_STEPS - 1;
	return ((uint64_t)(DXI_LATENCY_STEPS + bucket % DXI_LATENCY_STEPS + 1) << shift) - 1;
}

void dxi_histogram_add(dxi_histogram *histogram, int64_t ns)
{
	uint64_t value = ns > 0 ? (uint64_t)ns : 0;

	dxi_count(&histogram->buckets[bucket_of(value)], 1);
	if (value > dxi_count_get(&histogram->max_ns))
		dxi_count_set(&histogram->max_ns, value);
}

dxh_latency dxi_histogram_read(const dxi_histogram *histogram)
{
	const struct {
		uint32_t permille;
		size_t offset;
	} wanted[] = {{500, offsetof(dxh_latency, p50_ns)},
	              {900, offsetof(dxh_latency, p90_ns)},
	              {990, offsetof(dxh_latency, p99_ns)},
	              {999, offsetof(dxh_latency, p999_ns)}};
	uint64_t copy[DXI_LATENCY_BUCKETS], seen = 0;
	dxh_latency read = {.max_ns = dxi_count_get(&histogram->max_ns)};
	uint32_t next = 0;

	for (uint32_t i = 0; i < DXI_LATENCY_BUCKETS; i++)
		read.count += copy[i] = dxi_count_get(&histogram->buckets[i]);
	for (uint32_t i = 0; i < DXI_LATENCY_BUCKETS && next < 4; i++) {
		seen += copy[i];
		while (next < 4 && read.count > 0 &&
		       seen * 1000 >= read.count * wanted[next].permille) {
			uint64_t top = top_of(i) < read.max_ns ? top_of(i) : read.max_ns;

			*(uint64_t *)(void *)((char *)&read + wanted[next++].offset) = top;
		}
	}
	return read;
}

void dxi_histogram_tell(dxi_histogram *histogram)
{
	dxh_latency now = dxi_histogram_read(histogram);

	dxi_count_set(&histogram->count, now.count);
	dxi_count_set(&histogram->p50_ns, now.p50_ns);
	dxi_count_set(&histogram->p90_ns, now.p90_ns);
	dxi_count_set(&histogram->p99_ns, now.p99_ns);
	dxi_count_set(&histogram->p999_ns, now.p999_ns);
}
