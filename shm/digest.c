/* SPDX-License-Identifier: MIT */
/* What proves a zone, set and verified by hand: a sum beside the zone, with a mark of its
 * own, so that a reader never takes half of it for one, and a writer who dies while it
 * sets one leaves none.
 */
#include "shm/zone.h"

#include "shm/consumer.h"
#include "shm/copy.h"
#include "shm/producer.h"

#include <dxh/zone.h>

#include <inttypes.h>
#include <string.h>

enum { TRIES_MAX = 8 };

static bool is_latch(const dxi_block *block, uint32_t index)
{
	return block->zones[index].kind == DXI_ZONE_LATCH;
}

/* That of the value that is current at `seq`. */
static struct dxi_layout_digest *digest_at(const dxi_block *block, uint32_t index, uint64_t seq)
{
	const struct dxi_layout_zone *zone = &block->zones[index];
	unsigned char *begin = is_latch(block, index) ? (unsigned char *)dxi_latch_at(block, index)
	                                              : dxi_zone_at(block, index);

	return (struct dxi_layout_digest *)(begin + dxi_digest_offset(zone)) + (seq & 1);
}

static const void *value_at(const dxi_block *block, uint32_t index, uint64_t seq)
{
	return is_latch(block, index) ? dxi_latch_copy_at(block, index, seq)
	                              : dxi_zone_at(block, index);
}

/* Pairs with the release in dxh_latch_commit(). */
static uint64_t seq_of(const dxi_block *block, uint32_t index)
{
	return is_latch(block, index) ? atomic_load_explicit(&dxi_latch_at(block, index)->seq,
	                                                     memory_order_acquire)
	                              : 0;
}

static void
sum_up(const dxi_block *block, uint32_t index, const void *value, uint64_t sum[DXI_CHECKSUM_WORDS])
{
	dxi_checksum checksum = block->ring.checksum;

	checksum.kind = (uint8_t)block->zones[index].digest;
	dxi_checksum_of(&checksum, dxi_digest_ticket(index), value,
	                (size_t)block->zones[index].bytes, sum);
}

static dxh_status check_declared(const dxi_block *block, uint32_t index)
{
	if (block->zones[index].digest == DXI_CHECKSUM_NONE)
		return dxi_fail(DXH_ESTATE,
		                "zone \"%s\" was declared without a digest: see "
		                "dxh_zone_spec.digest",
		                block->zones[index].name);
	return dxi_zone_check_at_hand(block, index);
}

/* ---- setting ---- */

static void set(const dxi_block *block, uint32_t index)
{
	uint64_t seq = seq_of(block, index), sum[DXI_CHECKSUM_WORDS], mark;
	struct dxi_layout_digest *digest = digest_at(block, index, seq);

	sum_up(block, index, value_at(block, index, seq), sum);
	/* relaxed: one sets it at a time. Odd already, if somebody died here. */
	mark = atomic_load_explicit(&digest->mark, memory_order_relaxed) | 1;
	atomic_store_explicit(&digest->mark, mark, memory_order_relaxed);
	/* Orders the odd mark before the words. Pairs with the acquire fence in look(). */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&digest->of, seq, memory_order_relaxed);
	for (int i = 0; i < DXI_CHECKSUM_WORDS; i++)
		atomic_store_explicit(&digest->sum[i], sum[i], memory_order_relaxed);
	/* Publishes the words. Pairs with the acquire in look(). */
	atomic_store_explicit(&digest->mark, mark + 1, memory_order_release);
}

dxh_status dxh_producer_zone_digest_set(dxh_producer *producer, const char *name)
{
	dxh_status status = dxi_producer_check(producer);
	uint32_t index;

	if (status == DXH_OK)
		status = dxi_zone_find(&producer->block, name, &index);
	if (status == DXH_OK)
		status = check_declared(&producer->block, index);
	if (status == DXH_OK)
		set(&producer->block, index);
	return status;
}

dxh_status dxh_consumer_zone_digest_set(dxh_consumer *consumer, const char *name)
{
	dxh_status status = dxi_consumer_check(consumer);
	uint32_t index;

	if (status == DXH_OK)
		status = dxi_zone_find(&consumer->block, name, &index);
	if (status == DXH_OK)
		status = check_declared(&consumer->block, index);
	if (status == DXH_OK)
		status = dxi_zone_check_writable(&consumer->block, index);
	if (status == DXH_OK)
		set(&consumer->block, index);
	return status;
}

/* ---- verifying ---- */

/* A value and the digest beside it, as they were at one moment. */
typedef struct view {
	uint64_t seq, mark, of;
	uint64_t stored[DXI_CHECKSUM_WORDS];
	uint64_t found[DXI_CHECKSUM_WORDS];
} view;

/* False: one of the two changed meanwhile. */
static bool look(const dxi_block *block, uint32_t index, void *copy, view *it)
{
	const struct dxi_layout_digest *digest;
	const void *value;

	it->seq = seq_of(block, index);
	digest = digest_at(block, index, it->seq);
	value = value_at(block, index, it->seq);
	/* Pairs with the release in set(). */
	it->mark = atomic_load_explicit(&digest->mark, memory_order_acquire);
	it->of = atomic_load_explicit(&digest->of, memory_order_relaxed);
	for (int i = 0; i < DXI_CHECKSUM_WORDS; i++)
		it->stored[i] = atomic_load_explicit(&digest->sum[i], memory_order_relaxed);
	if (copy)
		dxi_copy_out(copy, value, (size_t)block->zones[index].bytes);
	sum_up(block, index, copy ? copy : value, it->found);
	/* Pairs with the release fences in set() and dxh_latch_begin(). */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&digest->mark, memory_order_relaxed) == it->mark &&
	       seq_of(block, index) == it->seq;
}

static dxh_status judge(const dxi_block *block, uint32_t index, const view *it)
{
	const char *name = block->zones[index].name;

	if (it->mark == 0 || it->mark % 2 == 1)
		return dxi_fail(DXH_EEMPTY, "zone \"%s\" has no digest yet", name);
	if (it->of != it->seq)
		return dxi_fail(DXH_EEMPTY,
		                "latch \"%s\" holds another value since its digest was "
		                "set",
		                name);
	if (memcmp(it->stored, it->found, sizeof it->stored) != 0)
		return dxi_fail(DXH_ECORRUPT,
		                "zone \"%s\" is not what it was when its digest was set", name);
	return DXH_OK;
}

static dxh_status verify(const dxi_block *block, const char *name, void *copy, size_t bytes)
{
	uint32_t index;
	dxh_status status = dxi_zone_find(block, name, &index);
	view it;

	if (status == DXH_OK)
		status = check_declared(block, index);
	if (status != DXH_OK)
		return status;
	if (bytes != (copy ? block->zones[index].bytes : 0))
		return dxi_fail(DXH_ESIZE, "zone \"%s\": %zu bytes for a copy, it has %" PRIu64,
		                name, bytes, block->zones[index].bytes);
	for (int i = 0; i < TRIES_MAX; i++)
		if (look(block, index, copy, &it))
			return judge(block, index, &it);
	return dxi_fail(DXH_EBUSY,
	                "zone \"%s\" or its digest changed %d times while it was "
	                "verified: try again",
	                name, TRIES_MAX);
}

dxh_status
dxh_producer_zone_digest_verify(dxh_producer *producer, const char *name, void *copy, size_t bytes)
{
	dxh_status status = dxi_producer_check(producer);

	return status == DXH_OK ? verify(&producer->block, name, copy, bytes) : status;
}

dxh_status
dxh_consumer_zone_digest_verify(dxh_consumer *consumer, const char *name, void *copy, size_t bytes)
{
	dxh_status status = dxi_consumer_check(consumer);

	return status == DXH_OK ? verify(&consumer->block, name, copy, bytes) : status;
}
