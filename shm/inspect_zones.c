/* SPDX-License-Identifier: MIT */
/* Are zones what they were when their digests were set? Of those in the data file; read into
 * a private copy, with the same order of loads as digest.c.
 */
#include "shm/inspect.h"

#include "shm/zone.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* More is not taken into memory: a file of holes may claim anything. */
static const uint64_t ZONE_BYTES_MAX = UINT64_C(1) << 30;

/* As they lie in the file: plain words. */
typedef struct stored {
	uint64_t mark, of, sum[DXI_CHECKSUM_WORDS];
} stored;

typedef struct look {
	dxi_inspection *inspection;
	const struct dxi_layout_zone *zone;
	uint32_t index;
	unsigned char *copy;
} look;

static dxh_status read_word(const look *it, uint64_t offset, uint64_t *word)
{
	return dxi_read_at(it->inspection->block.fd, word, sizeof *word, offset);
}

static dxh_status read_seq(const look *it, uint64_t *seq)
{
	*seq = 0;
	return it->zone->kind == DXI_ZONE_LATCH ? read_word(it, it->zone->offset, seq) : DXH_OK;
}

static uint64_t value_offset(const look *it, uint64_t seq)
{
	if (it->zone->kind != DXI_ZONE_LATCH)
		return it->zone->offset;
	return it->zone->offset + sizeof(struct dxi_layout_latch) +
	       (seq & 1) * dxi_latch_stride(it->zone->bytes);
}

/* *held: value and digest are of one moment, and the digest is this value's. */
static dxh_status read_both(const look *it, stored *digest, bool *held)
{
	int fd = it->inspection->block.fd;
	uint64_t seq, seq_after, mark_after, offset;
	dxh_status status = read_seq(it, &seq);

	if (status != DXH_OK)
		return status;
	offset = it->zone->offset + dxi_digest_offset(it->zone) +
	         (seq & 1) * sizeof(struct dxi_layout_digest);
	if ((status = dxi_read_at(fd, digest, sizeof *digest, offset)) != DXH_OK ||
	    (status = dxi_read_at(fd, it->copy, (size_t)it->zone->bytes, value_offset(it, seq))) !=
	            DXH_OK ||
	    (status = read_word(it, offset, &mark_after)) != DXH_OK ||
	    (status = read_seq(it, &seq_after)) != DXH_OK)
		return status;
	*held = digest->mark != 0 && digest->mark % 2 == 0 && digest->mark == mark_after &&
	        digest->of == seq && seq == seq_after;
	return DXH_OK;
}

static bool differs(const look *it, const stored *digest)
{
	dxi_checksum checksum = it->inspection->block.ring.checksum;
	uint64_t sum[DXI_CHECKSUM_WORDS];

	checksum.kind = (uint8_t)it->zone->digest;
	dxi_checksum_of(&checksum, dxi_digest_ticket(it->index), it->copy, (size_t)it->zone->bytes,
	                sum);
	return memcmp(sum, digest->sum, sizeof sum) != 0;
}

static dxh_status inspect_zone(const look *it)
{
	stored digest;
	bool held = false;
	dxh_status status = read_both(it, &digest, &held);

	if (status == DXH_OK && held && differs(it, &digest))
		dxi_report_add(it->inspection->report, DXH_RULE_ZONE_DIGEST, "data",
		               it->zone->offset, "zone %" PRIu32 " \"%s\", %" PRIu64 " bytes",
		               it->index, it->zone->name, it->zone->bytes);
	return status;
}

/* Without the key a keyed digest says nothing. */
static bool can_verify(const dxi_inspection *inspection, const struct dxi_layout_zone *zone)
{
	return zone->digest != DXI_CHECKSUM_NONE && zone->kind != DXI_ZONE_SHARED &&
	       zone->bytes <= ZONE_BYTES_MAX &&
	       (zone->digest != DXI_CHECKSUM_BLAKE2B_KEYED || inspection->has_key);
}

dxh_status dxi_inspect_zones(dxi_inspection *inspection)
{
	const dxi_block *block = &inspection->block;
	dxh_status status = DXH_OK;

	for (uint32_t i = 0; i < block->fixed.zone_count && status == DXH_OK; i++) {
		look it = {.inspection = inspection, .zone = &block->zones[i], .index = i};

		if (!can_verify(inspection, it.zone))
			continue;
		it.copy = malloc((size_t)it.zone->bytes);
		if (it.copy)
			status = inspect_zone(&it);
		else
			dxi_report_add(inspection->report, DXH_RULE_UNREADABLE, "data",
			               it.zone->offset, "no memory for zone %" PRIu32, i);
		free(it.copy);
	}
	return dxi_inspect_short(inspection, status);
}
