/* SPDX-License-Identifier: MIT */
/* How long requests spend where: log-linear histograms, eight steps a power of two, so
 * that a value is known to an eighth. Written by the I/O thread, read by anybody. */
#ifndef DXI_LATENCY_H
#define DXI_LATENCY_H

#include <dxh/hub.h>

#include <stdatomic.h>

enum {
	DXI_LATENCY_STEPS = 8,
	DXI_LATENCY_BUCKETS = 42 * DXI_LATENCY_STEPS,
	DXI_STAGES = DXH_STAGE_WAKE + 1
};

/*   field  written by   read by     order
 *   all    I/O thread   snapshots   relaxed: figures for people
 *
 * What is told of the buckets is for those who see them in a block and have no code for
 * percentiles. */
typedef struct dxi_histogram {
	_Atomic uint64_t count, p50_ns, p90_ns, p99_ns, p999_ns; /* when last told */
	_Atomic uint64_t max_ns;
	_Atomic uint64_t buckets[DXI_LATENCY_BUCKETS];
} dxi_histogram;

void dxi_histogram_add(dxi_histogram *histogram, int64_t ns);

/* Bring count and percentiles in the histogram up to its buckets. */
void dxi_histogram_tell(dxi_histogram *histogram);

/* Thread: any; while it is written to, a sum may be one behind another. */
dxh_latency dxi_histogram_read(const dxi_histogram *histogram);

/* A time as operations keep it: 64 ns a unit, never 0; differences up to 4 minutes. */
static inline uint32_t dxi_stamp_of(int64_t now_ns)
{
	uint32_t stamp = (uint32_t)((uint64_t)now_ns >> 6);

	return stamp ? stamp : 1;
}

static inline int64_t dxi_stamp_age_ns(uint32_t stamp, int64_t now_ns)
{
	return (int64_t)(uint32_t)(dxi_stamp_of(now_ns) - stamp) << 6;
}

#endif
