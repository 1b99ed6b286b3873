/* SPDX-License-Identifier: MIT */
/* The metrics of a hub, read by another process: live, and after its end.
 *
 * A hub opened with dxh_hub_config.metrics_block keeps its counters in the zones of a
 * block of that name, where any consumer may look:
 *
 *	zone      holds
 *	hub       (latch) name, version, pid, opened_ns
 *	counters  what dxh_hub_stats tells, in groups: requests.posted, network.frames_sent,
 *	          ...; but slots_now and slots_bytes, which with memory_bytes makes up that of
 *	          dxh_hub_stats, are copied there by the I/O thread before it sleeps and
 *	          every 100 ms while it works
 *	latency   queue, lane, service, wake (see dxh_stage): buckets and max_ns, which are
 *	          live; count and percentiles, as of at most 100 ms before the last request
 *
 * All numbers are u64 atomics. They live where they are counted: an observer costs the
 * hub nothing, wakes nobody, and sees of a killed hub what it had counted to the last
 * instruction. A hub that closes removes its block; one that was killed leaves it, until a
 * hub of the same name of block takes it over and begins at zero, or dxh_block_unlink().
 * In C, dxh_metrics_read() gives all of it; other programs read the fields by name.
 */
#ifndef DXH_METRICS_H
#define DXH_METRICS_H

#include <dxh/block.h>
#include <dxh/hub.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DXH_METRICS_NAME_BYTES = 64, DXH_METRICS_VERSION_BYTES = 16 };

typedef struct dxh_metrics {
	char hub[DXH_METRICS_NAME_BYTES];        /* its name */
	char version[DXH_METRICS_VERSION_BYTES]; /* of its library */
	int64_t pid;
	int64_t opened_ns;                       /* time of day (CLOCK_REALTIME) */
	dxh_latency latency[DXH_STAGE_WAKE + 1]; /* by dxh_stage */
	dxh_hub_stats stats;
} dxh_metrics;

/* Read all of it from a consumer of a metrics block. Each number is whole, and all are of
 * the same hub; while it works one may be an operation ahead of another. Whether the hub
 * lives: dxh_consumer_info().
 *
 * Called:  dxh_metrics_read(consumer, &metrics).
 * Thread:  owner. Blocks: no, and never the hub.
 * Returns: DXH_EZONE: this is no metrics block; DXH_ESCHEMA or DXH_ESIZE: the hub is of a
 *          version that counts other things (its zones can still be read by name);
 *          DXH_EBUSY: another hub is taking it over just now; DXH_EINVAL; DXH_EFORKED.
 */
#define dxh_metrics_read(...) dxh_metrics_read_sized(sizeof(dxh_metrics), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_metrics_read_sized(size_t metrics_bytes,
                                                        dxh_consumer *consumer,
                                                        dxh_metrics *metrics);

#ifdef __cplusplus
}
#endif
#endif
