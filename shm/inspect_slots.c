/* SPDX-License-Identifier: MIT */
/* Looking at the ring: do the tickets fit together, are the items what was written? */
#include "shm/inspect.h"

#include "base/status.h"
#include "shm/scan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t offset_of(const dxi_inspection *inspection, uint64_t index)
{
	const struct dxi_layout_header *fixed = &inspection->block.fixed;

	return fixed->slots_offset + index * fixed->slot_stride_bytes;
}

static uint64_t head_of(const dxi_inspection *inspection)
{
	return atomic_load_explicit(&inspection->header.head, memory_order_relaxed);
}

/* ---- tickets ---- */

/* The seq of every slot, and what stood around them. */
typedef struct ring_scan {
	uint64_t *seqs;
	uint64_t physical;
	uint64_t head_before, head_after;
	bool moves;   /* a producer lives, or came and went */
	bool is_copy; /* of a moment that never was */
	uint64_t largest;
	uint64_t misfits; /* of a copy */
} ring_scan;

static dxh_status read_seqs(dxi_inspection *inspection, ring_scan *scan)
{
	uint64_t epoch = inspection->header.producer.epoch;
	bool lived = inspection->producer == DXH_PRODUCER_ALIVE;
	dxh_status status = DXH_OK;

	scan->head_before = head_of(inspection);
	for (uint64_t i = 0; status == DXH_OK && i < scan->physical; i++)
		status = dxi_read_at(inspection->block.fd, &scan->seqs[i], sizeof *scan->seqs,
		                     offset_of(inspection, i));
	if (status == DXH_OK)
		status = dxi_inspection_refresh(inspection);
	scan->head_after = head_of(inspection);
	scan->moves = lived || inspection->producer == DXH_PRODUCER_ALIVE ||
	              inspection->header.producer.epoch != epoch;
	scan->is_copy = dxi_paths_are_of_file(&inspection->block.paths) &&
	                inspection->producer == DXH_PRODUCER_UNKNOWN;
	return status;
}

static void add_seq(dxi_inspection *inspection, uint64_t index, uint64_t seq, const char *rule)
{
	dxi_report_add(inspection->report, DXH_RULE_SLOT_SEQ, "data", offset_of(inspection, index),
	               "slot %" PRIu64 ", seq %" PRIu64 ": %s", index, seq, rule);
}

/* Rules that hold for each slot alone; the largest seq of those that keep them. */
static void judge_alone(dxi_inspection *inspection, ring_scan *scan)
{
	for (uint64_t i = 0; i < scan->physical; i++) {
		const char *rule = dxi_seq_rule(scan->seqs[i], i, scan->physical);

		if (rule)
			add_seq(inspection, i, scan->seqs[i], rule);
		else if (scan->seqs[i] > scan->largest)
			scan->largest = scan->seqs[i];
	}
}

static void judge_live(dxi_inspection *inspection, const ring_scan *scan)
{
	for (uint64_t i = 0; i < scan->physical; i++) {
		const char *rule =
			dxi_seq_rule_live(scan->seqs[i], i, scan->physical, scan->head_before,
		                          scan->head_after, inspection->block.ring.kept);

		if (rule && !dxi_seq_rule(scan->seqs[i], i, scan->physical))
			add_seq(inspection, i, scan->seqs[i], rule);
	}
}

static void judge_together(dxi_inspection *inspection, ring_scan *scan)
{
	for (uint64_t i = 0; i < scan->physical; i++) {
		const char *rule =
			dxi_seq_rule_beside(scan->seqs[i], i, scan->physical, scan->largest);

		if (!rule || dxi_seq_rule(scan->seqs[i], i, scan->physical))
			continue;
		if (scan->is_copy)
			scan->misfits++;
		else
			add_seq(inspection, i, scan->seqs[i], rule);
	}
}

static void judge_newest(dxi_inspection *inspection, const ring_scan *scan)
{
	uint64_t ticket = dxi_ticket_of(scan->largest);

	if (scan->largest % 2 == 1)
		dxi_report_add(inspection->report, DXH_RULE_SLOT_UNFINISHED, "data",
		               offset_of(inspection, ticket % scan->physical),
		               "slot %" PRIu64 ": ticket %" PRIu64 " was being written",
		               ticket % scan->physical, ticket);
}

static void judge_head(dxi_inspection *inspection, const ring_scan *scan)
{
	/* As a takeover does it: odd, 2t+1: t again; even, 2t+2: t+1. */
	uint64_t next = scan->largest / 2, head = scan->head_after;
	uint64_t offset = offsetof(struct dxi_layout_header, head);
	dxh_finding *finding = NULL;

	if (scan->is_copy && (head != next || scan->misfits > 0))
		dxi_report_add(inspection->report, DXH_RULE_COPY_MOVED, "data", offset,
		               "head is %" PRIu64 ", the slots go to %" PRIu64 ", %" PRIu64
		               " slots do not fit in between",
		               head, next, scan->misfits);
	else if (head > next)
		dxi_report_add(inspection->report, DXH_RULE_HEAD_AHEAD, "data", offset,
		               "head is %" PRIu64 ", the slots hold tickets below %" PRIu64, head,
		               next);
	else if (head < next)
		finding = dxi_report_add(inspection->report, DXH_RULE_HEAD_LAGS, "data", offset,
		                         "head is %" PRIu64 ", the slots hold tickets below "
		                         "%" PRIu64,
		                         head, next);
	/* Where seqs cannot be, nobody knows what the newest one is. */
	if (finding && inspection->report->told.errors == 0)
		finding->repair = DXH_REPAIR_RECOVER;
}

static void judge(dxi_inspection *inspection, ring_scan *scan)
{
	judge_alone(inspection, scan);
	if (scan->head_after >= DXI_TICKET_MAX) {
		dxi_report_add(inspection->report, DXH_RULE_HEADER, "data",
		               offsetof(struct dxi_layout_header, head),
		               "head is %" PRIu64 ", beyond any ticket", scan->head_after);
	} else if (scan->moves) {
		judge_live(inspection, scan);
	} else {
		judge_together(inspection, scan);
		judge_newest(inspection, scan);
		judge_head(inspection, scan);
	}
}

dxh_status dxi_inspect_tickets(dxi_inspection *inspection)
{
	ring_scan scan = {.physical = inspection->block.ring.physical};
	dxh_status status;

	if (scan.physical == 0)
		return DXH_OK;
	scan.seqs = calloc(scan.physical, sizeof *scan.seqs);
	if (!scan.seqs)
		return dxi_fail(DXH_ENOMEM, "no memory for %" PRIu64 " tickets", scan.physical);
	status = read_seqs(inspection, &scan);
	if (status == DXH_OK)
		judge(inspection, &scan);
	free(scan.seqs);
	return dxi_inspect_short(inspection, status);
}

/* ---- items ---- */

/* A private copy of one slot: its header and the payload in use. */
typedef struct slot_copy {
	unsigned char *bytes;
	size_t capacity;
} slot_copy;

static struct dxi_layout_slot *front_of(const slot_copy *copy)
{
	return (struct dxi_layout_slot *)(void *)copy->bytes;
}

static bool make_room(slot_copy *copy, uint64_t payload_bytes)
{
	uint64_t wanted = DXI_LAYOUT_SLOT_HEADER_BYTES + dxi_round_up(payload_bytes, 8);
	unsigned char *larger;

	if (wanted <= copy->capacity)
		return true;
	larger = realloc(copy->bytes, (size_t)wanted);
	if (!larger)
		return false;
	copy->bytes = larger;
	copy->capacity = (size_t)wanted;
	return true;
}

/* Whole as far as seq goes? Then *held. A length that cannot be is left to the rules. */
static dxh_status
read_slot(dxi_inspection *inspection, uint64_t index, slot_copy *copy, uint64_t *seq, bool *held)
{
	uint64_t offset = offset_of(inspection, index), length, after;
	int fd = inspection->block.fd;
	dxh_status status;

	*held = false;
	status = dxi_read_at(fd, copy->bytes, DXI_LAYOUT_SLOT_HEADER_BYTES, offset);
	if (status != DXH_OK)
		return status;
	*seq = front_of(copy)->seq;
	length = front_of(copy)->length;
	if (*seq == 0 || *seq % 2 == 1 || length > inspection->block.ring.slot_bytes) {
		*held = *seq != 0 && *seq % 2 == 0;
		return DXH_OK;
	}
	if (!make_room(copy, length)) {
		dxi_report_add(inspection->report, DXH_RULE_UNREADABLE, "data", offset,
		               "no memory for the %" PRIu64 " bytes of slot %" PRIu64, length,
		               index);
		return DXH_OK;
	}
	/* The same order as in dxi_slot_read(): seq, payload, seq. */
	atomic_thread_fence(memory_order_acquire);
	status = dxi_read_at(fd, copy->bytes + DXI_LAYOUT_SLOT_HEADER_BYTES, (size_t)length,
	                     offset + DXI_LAYOUT_SLOT_HEADER_BYTES);
	atomic_thread_fence(memory_order_acquire);
	if (status == DXH_OK)
		status = dxi_read_at(fd, &after, sizeof after, offset);
	*held = status == DXH_OK && after == *seq;
	return status;
}

/* The copy as a ring of one slot, for the rules of slot.c. */
static dxi_ring ring_of(const dxi_inspection *inspection, const slot_copy *copy)
{
	dxi_ring ring = inspection->block.ring;

	ring.slots = copy->bytes;
	ring.kept = ring.physical = 1;
	return ring;
}

static void judge_item(dxi_inspection *inspection, uint64_t index, uint64_t seq, slot_copy *copy)
{
	dxh_report *told = &inspection->report->told;
	dxi_ring ring = ring_of(inspection, copy);
	dxi_slot_content content = {0};
	const void *payload;
	dxi_slot_state state;

	if (ring.checksum.kind == DXI_CHECKSUM_BLAKE2B_KEYED && !inspection->has_key) {
		/* Without the key the sum says nothing. */
		front_of(copy)->flags &= ~(uint32_t)DXI_SLOT_CHECKED;
		ring.checksum.manual = true;
	}
	state = dxi_slot_look(&ring, front_of(copy), dxi_ticket_of(seq), &payload, &content);
	if (state == DXI_SLOT_BROKEN)
		dxi_report_add(inspection->report,
		               content.rule == dxi_rule_sum_differs ? DXH_RULE_ITEM_CHECKSUM
		                                                    : DXH_RULE_SLOT_CONTENT,
		               "data", offset_of(inspection, index),
		               "slot %" PRIu64 ", ticket %" PRIu64 ", %" PRIu64 " bytes: %s", index,
		               dxi_ticket_of(seq), content.bytes, content.rule);
	else if (state == DXI_SLOT_IS_WHOLE && content.checked)
		told->items_verified++;
	else if (state == DXI_SLOT_IS_WHOLE)
		told->items_unverified++;
}

static dxh_status inspect_slots(dxi_inspection *inspection, slot_copy *copy)
{
	uint64_t physical = inspection->block.ring.physical, seq;
	bool held;

	for (uint64_t i = 0; i < physical; i++) {
		dxh_status status = read_slot(inspection, i, copy, &seq, &held);

		if (status != DXH_OK)
			return status;
		if (held && !dxi_seq_rule(seq, i, physical))
			judge_item(inspection, i, seq, copy);
		else if (seq != 0 && seq % 2 == 0 && !held)
			inspection->report->told.items_unverified++;
	}
	return DXH_OK;
}

dxh_status dxi_inspect_items(dxi_inspection *inspection)
{
	slot_copy copy = {0};
	dxh_status status;

	if (inspection->block.ring.physical == 0)
		return DXH_OK;
	if (!make_room(&copy, 0))
		return dxi_fail(DXH_ENOMEM, "no memory for a slot");
	status = inspect_slots(inspection, &copy);
	free(copy.bytes);
	return dxi_inspect_short(inspection, status);
}
