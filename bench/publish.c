/* SPDX-License-Identifier: MIT */
/* What a publish costs its writer: beside memcpy, with stamps and wake word, with
 * readers, lossless, in bulk, with checksums; and what reading costs in place. */
#include "bench/block.h"
#include "bench/peers/peers.h"

static void memcpy_block(bench *found, size_t bytes, const char *size, double floor, double goal)
{
	const bench_load load = {.threads = 1, .bytes = bytes};
	int plain, full, copy;

	bench_block(found, BENCH_MEAN, "publish %s, no reader", size);
	plain = bench_side(found, "dxh, no stamps, no waiting", bench_publish_plain, &load);
	copy = bench_side(found, "memcpy into the same ring", bench_memcpy, &load);
	full = bench_side(found, "dxh, all on", bench_publish_full, &load);
	bench_ratio_at(found, "publish.memcpy", bytes, plain, copy, BENCH_AT_MOST, floor, goal);
	if (bytes == 64)
		bench_ratio(found, "publish.full", full, copy, BENCH_AT_MOST, 6, 4);
	bench_block_run(found);
}

static void readers_block(bench *found)
{
	bench_load load = {.threads = 1, .bytes = 64, .count = 4};
	int four, one;

	bench_block(found, BENCH_MEAN, "publish 64 B as fast as it goes, readers looking");
	four = bench_side(found, "dxh, 4 readers", bench_publish_readers, &load);
	load.count = 1;
	one = bench_side(found, "dxh, 1 reader", bench_publish_readers, &load);
	bench_ratio(found, "publish.readers", four, one, BENCH_AT_MOST, 1.3, 1.1);
	bench_block_run(found);
}

static void lossless_block(bench *found)
{
	bench_load load = {.threads = 1, .bytes = 64, .count = 4, .variant = 1};
	int lossless, lossy;

	bench_block(found, BENCH_MEAN, "publish 64 B in bursts of half a ring, 4 readers");
	lossless = bench_side(found, "dxh, lossless", bench_publish_bursts, &load);
	load.variant = 0;
	lossy = bench_side(found, "dxh, lossy", bench_publish_bursts, &load);
	bench_ratio(found, "publish.lossless", lossless, lossy, BENCH_AT_MOST, 1.5, 1.2);
	bench_block_run(found);
}

static void bulk_block(bench *found)
{
	const bench_load load = {.threads = 1, .bytes = 64};
	int bulk, each;

	bench_block(found, BENCH_MEAN, "publish 64 B, 32 in one call, per item");
	bulk = bench_side(found, "dxh, 32 in one call", bench_publish_bulk, &load);
	each = bench_side(found, "dxh, one by one", bench_publish_full, &load);
	bench_ratio(found, "publish.bulk", bulk, each, BENCH_AT_MOST, 0.6, 0.3);
	bench_block_run(found);
}

void bench_workload_publish(bench *found)
{
	memcpy_block(found, 64, "64 B", 1.5, 1.2);
	memcpy_block(found, 4096, "4 KiB", 1.35, 1.1);
	memcpy_block(found, 1 << 20, "1 MiB", 1.1, 1.0);
	readers_block(found);
	lossless_block(found);
	bulk_block(found);
}

void bench_workload_read(bench *found)
{
	bench_load load = {.threads = 1, .bytes = 4096, .variant = 1};
	int look, copy;

	bench_block(found, BENCH_MEAN, "read 4 KiB from a ring of 32 MiB");
	look = bench_side(found, "dxh, in place", bench_read, &load);
	load.variant = 0;
	copy = bench_side(found, "dxh, copied out", bench_read, &load);
	bench_ratio(found, "read.validate", look, copy, BENCH_AT_MOST, 0.1, 0.05);
	bench_block_run(found);
}

void bench_workload_checksum(bench *found)
{
	bench_load load = {.threads = 1, .bytes = 4096};
	int checked, plain;

	bench_block(found, BENCH_MEAN, "publish 4 KiB with a checksum");
	plain = bench_side(found, "dxh, none", bench_publish_checked, &load);
	load.variant = DXH_CHECKSUM_XXH3;
	checked = bench_side(found, "dxh, XXH3", bench_publish_checked, &load);
	load.variant = DXH_CHECKSUM_CRC32C;
	bench_side(found, "dxh, CRC-32C", bench_publish_checked, &load);
	load.variant = DXH_CHECKSUM_BLAKE2B;
	bench_side(found, "dxh, BLAKE2b", bench_publish_checked, &load);
	bench_ratio(found, "checksum.xxh3", checked, plain, BENCH_AT_MOST, 3.5, 2);
	bench_block_run(found);
}
