/* SPDX-License-Identifier: MIT */
/* What the channel of the demo carries: the structs and their descriptions. */
#ifndef DEMO_SAMPLE_H
#define DEMO_SAMPLE_H

#include <dxh/schema.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One slot: the state of the machine at one moment. Counters are the kernel's,
 * since boot. */
struct sample {
	uint64_t ticket; /* the one it is published under */
	int64_t time_ns; /* CLOCK_MONOTONIC, before /proc was read */
	uint64_t late_ns;
	uint64_t read_ns;
	uint64_t cpu_user;
	uint64_t cpu_system;
	uint64_t cpu_idle;
	uint64_t cpu_iowait;
	uint64_t interrupts;
	uint64_t context_switches;
	uint64_t memory_total_kib;
	uint64_t memory_free_kib;
	uint64_t memory_available_kib;
	uint64_t net_rx_bytes;
	uint64_t net_rx_packets;
	uint64_t net_tx_bytes;
	uint64_t net_tx_packets;
	uint64_t disk_reads;
	uint64_t disk_read_sectors;
	uint64_t disk_writes;
	uint64_t disk_written_sectors;
	uint64_t run_ns;
	uint64_t wait_ns;
	uint32_t files_present; /* bits of enum proc_file; fields of absent ones are 0 */
	uint32_t rate_hz;
	uint64_t checksum; /* of all bytes before it */
};

DXH_SCHEMA(sample, DXH_FIELD(ticket, "the one it is published under"),
           DXH_FIELD(time_ns, "before /proc was read", "ns"),
           DXH_FIELD(late_ns, "behind its schedule", "ns"),
           DXH_FIELD(read_ns, "spent on reading /proc", "ns"),
           DXH_FIELD(cpu_user, "user and nice, all CPUs", "jiffies"),
           DXH_FIELD(cpu_system, "system, irq and softirq", "jiffies"),
           DXH_FIELD(cpu_idle, "idle", "jiffies"),
           DXH_FIELD(cpu_iowait, "waiting for disks", "jiffies"), DXH_FIELD(interrupts),
           DXH_FIELD(context_switches), DXH_FIELD(memory_total_kib, NULL, "KiB"),
           DXH_FIELD(memory_free_kib, NULL, "KiB"), DXH_FIELD(memory_available_kib, NULL, "KiB"),
           DXH_FIELD(net_rx_bytes, "all interfaces but lo", "B"), DXH_FIELD(net_rx_packets),
           DXH_FIELD(net_tx_bytes, "all interfaces but lo", "B"), DXH_FIELD(net_tx_packets),
           DXH_FIELD(disk_reads, "whole disks"),
           DXH_FIELD(disk_read_sectors, "of 512 bytes", "sectors"),
           DXH_FIELD(disk_writes, "whole disks"),
           DXH_FIELD(disk_written_sectors, "of 512 bytes", "sectors"),
           DXH_FIELD(run_ns, "tasks ran, all CPUs", "ns"),
           DXH_FIELD(wait_ns, "tasks waited for a CPU", "ns"),
           DXH_FIELD(files_present, "bits: stat, meminfo, net/dev, diskstats, schedstat"),
           DXH_FIELD(rate_hz, NULL, "Hz"), DXH_FIELD(checksum, "FNV-1a of all before it"));

/* A zone of counters that the producer stores and anybody reads at any time. */
struct telemetry {
	_Atomic uint64_t samples;
	_Atomic uint64_t rate_hz;
	_Atomic uint64_t write_max_ns;
	_Atomic uint64_t overruns;
};

DXH_SCHEMA(telemetry, DXH_FIELD(samples, "published since the block was made"),
           DXH_FIELD(rate_hz, "wanted", "Hz"),
           DXH_FIELD(write_max_ns, "longest begin to commit", "ns"),
           DXH_FIELD(overruns, "ticks missed", "ticks"));

/* A latch zone: several words that only make sense together. */
struct calibration {
	uint64_t revision;
	int64_t wall_offset_ns;
	uint64_t jiffies_per_second;
	uint64_t cpus;
	uint64_t read_mean_ns;
	uint64_t checksum;
};

DXH_SCHEMA(calibration, DXH_FIELD(revision),
           DXH_FIELD(wall_offset_ns, "CLOCK_REALTIME - CLOCK_MONOTONIC", "ns"),
           DXH_FIELD(jiffies_per_second), DXH_FIELD(cpus),
           DXH_FIELD(read_mean_ns, "reading /proc, of the last samples", "ns"),
           DXH_FIELD(checksum, "FNV-1a of all before it"));

/* FNV-1a, 64 bits: enough to tell a torn struct, and nobody forges these. */
static inline uint64_t demo_checksum(const void *data, size_t bytes)
{
	const unsigned char *at = data;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static inline uint64_t demo_sample_checksum(const struct sample *sample)
{
	return demo_checksum(sample, offsetof(struct sample, checksum));
}

static inline uint64_t demo_calibration_checksum(const struct calibration *calibration)
{
	return demo_checksum(calibration, offsetof(struct calibration, checksum));
}

/* What stats.get answers. */
struct demo_stats_reply {
	uint64_t samples;
	uint64_t rate_hz;
	uint64_t epoch;
	uint64_t checksum; /* FNV-1a of all before it */
};

#endif
