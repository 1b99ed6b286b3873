/* SPDX-License-Identifier: MIT */
/* What a block is and how it does, for people: gathered from its header, its rows and
 * the fronts of a few slots. Whether that is as it should be is not asked here.
 */
#include "shm/inspect.h"

#include "base/clock.h"
#include "base/status.h"
#include "shm/control.h"
#include "shm/counter.h"
#include "shm/descriptor.h"
#include "shm/identity.h"
#include "shm/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One piece of memory, but for the schema. `told` is first, so that it can be freed. */
typedef struct facts_kept {
	dxh_facts told;
	dxh_zone_info zones[DXH_ZONES_MAX];
	dxh_reader_row readers[DXH_READERS_MAX];
	unsigned char *schema;
} facts_kept;

/* ---- what never changes ---- */

static void tell_zone(const dxi_block *block, uint32_t index, dxh_zone_info *zone)
{
	const struct dxi_layout_zone *entry = &block->zones[index];
	const dxi_schema_part *part = &block->schema.zones[index];

	snprintf(zone->name, sizeof zone->name, "%s", part->name);
	if (part->typed)
		snprintf(zone->schema, sizeof zone->schema, "%s", part->layout.name);
	zone->bytes = entry->bytes;
	zone->offset = entry->offset;
	zone->align = entry->align;
	zone->latch = entry->kind == DXI_ZONE_LATCH;
	zone->shared = entry->kind == DXI_ZONE_SHARED;
}

static void tell_tables(facts_kept *facts, dxi_block *block)
{
	const struct dxi_layout_header *fixed = &block->fixed;
	dxh_facts *told = &facts->told;

	for (uint32_t i = 0; i < fixed->zone_count; i++)
		tell_zone(block, i, &facts->zones[i]);
	told->zones = facts->zones;
	told->readers = facts->readers;
	told->schema = facts->schema = block->schema_bytes;
	block->schema_bytes = NULL;
	if (block->schema.has_slot && block->schema.slot.typed)
		snprintf(told->slot_schema, sizeof told->slot_schema, "%s",
		         block->schema.slot.layout.name);
	told->policy = (dxh_policy)fixed->policy;
	told->slots_physical = fixed->slot_physical;
	told->checksum_keyed = fixed->checksum_kind == DXI_CHECKSUM_BLAKE2B_KEYED;
	told->checksum =
		told->checksum_keyed ? DXH_CHECKSUM_BLAKE2B : (dxh_checksum)fixed->checksum_kind;
	told->checksum_manual = fixed->checksum_mode == DXI_CHECKSUM_MANUAL;
	told->no_wait = fixed->wake_mode == DXI_WAKE_NONE;
	told->no_timestamps = !dxi_block_has_timestamps(block);
	told->zones_writable = (fixed->features_required & DXI_FEATURE_ZONES_FILE) != 0;
	told->readers_max = fixed->row_count;
}

static dxh_status tell_file(facts_kept *facts, const dxi_block *block)
{
	struct stat found;

	if (fstat(block->fd, &found) == -1)
		return dxi_fail_errno(errno, "%s", block->paths.data);
	memcpy(facts->told.path, block->paths.data, sizeof facts->told.path);
	facts->told.uid = found.st_uid;
	facts->told.gid = found.st_gid;
	facts->told.mode = found.st_mode & 07777;
	return DXH_OK;
}

/* ---- the header's words ---- */

static void tell_producer(dxh_facts *told, const struct dxi_layout_producer *producer)
{
	/* relaxed: a private copy, of numbers to be shown. */
	uint64_t ticks = dxi_counter_get(&producer->start_ticks);
	uint64_t high = dxi_counter_get(&producer->boot_id[0]);
	uint64_t low = dxi_counter_get(&producer->boot_id[1]);
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK), ours[2];

	/* Nonsense in a hostile header must not overflow. */
	if (ticks / per_second < INT64_MAX / DXI_NS_PER_S)
		told->producer_started_ns =
			(int64_t)(ticks / per_second * DXI_NS_PER_S +
		                  ticks % per_second * DXI_NS_PER_S / per_second);
	if (high == 0 && low == 0)
		return;
	snprintf(told->producer_boot_id, sizeof told->producer_boot_id,
	         "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, high >> 32,
	         high >> 16 & 0xffff, high & 0xffff, low >> 48, low & UINT64_C(0xffffffffffff));
	dxi_boot_id(ours);
	told->same_boot = ours[0] == high && ours[1] == low;
}

static void tell_counters(dxh_facts *told, const struct dxi_layout_counters *counters)
{
	told->items = dxi_counter_get(&counters->items);
	told->bytes = dxi_counter_get(&counters->bytes);
	told->aborted = dxi_counter_get(&counters->aborted);
	told->wakes = dxi_counter_get(&counters->wakes);
	told->held = dxi_counter_get(&counters->held);
	told->evicted = dxi_counter_get(&counters->evicted);
	told->write_max_ns = dxi_counter_get(&counters->write_max_ns);
	told->recoveries = dxi_counter_get(&counters->recoveries);
	told->locked_bytes = dxi_counter_get(&counters->locked_bytes);
	told->huge_bytes = dxi_counter_get(&counters->huge_bytes);
	told->recovered_ns = atomic_load_explicit(&counters->recovered_ns, memory_order_relaxed);
	told->recovered_by = atomic_load_explicit(&counters->recovered_by, memory_order_relaxed);
}

/* ---- slots ---- */

/* Is the ticket there, and when was it published? A slot that says nothing sensible about
 * that is none that is whole. */
static bool is_whole(const dxi_inspection *inspection, uint64_t ticket, int64_t *published_ns,
                     dxh_status *status)
{
	const struct dxi_layout_header *fixed = &inspection->block.fixed;
	uint64_t offset =
		fixed->slots_offset + ticket % fixed->slot_physical * fixed->slot_stride_bytes;
	struct dxi_layout_slot front;
	uint64_t after;

	*status = dxi_read_at(inspection->block.fd, &front, sizeof front, offset);
	/* As in dxi_slot_read(): what lies between two equal seqs is of one moment. */
	atomic_thread_fence(memory_order_acquire);
	if (*status == DXH_OK)
		*status = dxi_read_at(inspection->block.fd, &after, sizeof after, offset);
	if (*status != DXH_OK || front.seq != 2 * ticket + 2 || after != front.seq)
		return false;
	*published_ns = front.timestamp_ns > 0 ? front.timestamp_ns : 0;
	return true;
}

static dxh_status tell_slots(dxh_facts *told, const dxi_inspection *inspection)
{
	uint64_t head = told->block.head, kept = told->block.slot_count;
	dxh_status status = DXH_OK;

	told->oldest = head;
	if (kept == 0 || head == 0 || head >= DXI_TICKET_MAX)
		return DXH_OK;
	/* One turn mostly: only a writer that is faster than us makes more, or a copy that
	 * was made under it. */
	for (uint64_t ticket = head > kept ? head - kept : 0; ticket < head; ticket++) {
		if (is_whole(inspection, ticket, &told->oldest_ns, &status)) {
			told->oldest = ticket;
			break;
		}
		if (status != DXH_OK)
			return status;
	}
	is_whole(inspection, head - 1, &told->newest_ns, &status);
	return status;
}

/* ---- readers ---- */

static dxh_reader_state state_of(const dxh_facts *told, const dxh_reader_info *reader, bool lives)
{
	if (!lives)
		return DXH_READER_DEAD;
	if (reader->evicted)
		return DXH_READER_EVICTED;
	return reader->lag >= told->block.slot_count ? DXH_READER_LAGGING : DXH_READER_ACTIVE;
}

/* Since when the oldest ticket that the reader still can have has been there. */
static dxh_status
lag_ns(const dxh_facts *told, const dxi_inspection *inspection, dxh_reader_info *reader)
{
	uint64_t next = reader->next_ticket > told->oldest ? reader->next_ticket : told->oldest;
	int64_t published_ns = 0, now_ns = dxh_now_ns();
	dxh_status status = DXH_OK;

	if (reader->lag == 0 || !told->same_boot || next >= told->block.head)
		return DXH_OK;
	is_whole(inspection, next, &published_ns, &status);
	if (published_ns > 0 && published_ns < now_ns)
		reader->lag_ns = now_ns - published_ns;
	return status;
}

static dxh_status tell_row(dxh_facts *told, const dxi_inspection *inspection, uint32_t index,
                           const struct dxi_layout_row *row, bool lives, dxh_reader_row *to)
{
	uint64_t head = told->block.head, mark;
	dxh_status status = dxi_read_at(inspection->block.fd, &mark, sizeof mark,
	                                inspection->block.fixed.marks_offset + index * sizeof mark);

	if (status != DXH_OK)
		return status;
	to->reader = (dxh_reader_info){
		.row = index,
		.pid = row->pid,
		.uid = row->uid,
		.next_ticket = row->cursor,
		.read = row->read,
		.lost = row->lost,
		.retries = row->retries,
		.lag = head > row->cursor ? head - row->cursor : 0,
		.evicted = mark == row->generation,
	};
	to->state = state_of(told, &to->reader, lives);
	return lag_ns(told, inspection, &to->reader);
}

static dxh_status tell_rows(facts_kept *facts, const dxi_inspection *inspection, int fd)
{
	dxh_facts *told = &facts->told;
	struct dxi_layout_row row;
	dxh_status status = DXH_OK;

	for (uint32_t i = 0; status == DXH_OK && i < told->readers_max; i++) {
		status = dxi_read_at(fd, &row, sizeof row,
		                     sizeof(struct dxi_layout_control) + i * sizeof row);
		if (status == DXH_OK && row.generation != 0)
			status = tell_row(told, inspection, i, &row, dxi_byte_has_writer(fd, i),
			                  &facts->readers[told->reader_count++]);
	}
	return status;
}

/* Rows that cannot be looked at leave the rest as good as it is. */
static dxh_status look_at_rows(facts_kept *facts, const dxi_inspection *inspection)
{
	const char *path = inspection->block.paths.control;
	dxh_status status;
	int fd;

	if (facts->told.readers_max == 0)
		return DXH_OK;
	if (dxi_paths_are_of_file(&inspection->block.paths))
		return DXH_ESTATE;
	fd = dxi_descriptor_open(path, O_RDONLY, 0);
	if (fd == -1)
		return dxi_fail_errno(errno, "opening %s", path);
	status = dxi_control_check(fd, &inspection->block);
	if (status == DXH_OK)
		status = tell_rows(facts, inspection, fd);
	close(fd);
	return status;
}

/* ---- all of it ---- */

static dxh_status gather(facts_kept *facts, dxi_inspection *inspection)
{
	dxh_facts *told = &facts->told;
	dxh_status status;

	told->block = inspection->report->told.block;
	tell_tables(facts, &inspection->block);
	tell_producer(told, &inspection->header.producer);
	tell_counters(told, &inspection->header.counters);
	status = tell_file(facts, &inspection->block);
	if (status == DXH_OK)
		status = tell_slots(told, inspection);
	if (status == DXH_OK)
		told->readers_status = look_at_rows(facts, inspection);
	return status;
}

/* What makes it impossible to attach, as dxh_consumer_open() says it. */
static dxh_status refuse(const dxi_inspection *inspection)
{
	const dxh_finding *why = inspection->report->findings;

	if (inspection->report->told.finding_count == 0)
		return dxi_fail(DXH_ENOMEM, "no memory for a finding");
	return dxi_fail(why->rule == DXH_RULE_VERSION ? DXH_EVERSION : DXH_ECORRUPT,
	                "offset %" PRIu64 ": %s; dxh_block_check() tells more", why->offset,
	                why->detail);
}

dxh_status dxh_block_facts_sized(size_t config_bytes, const char *name,
                                 const dxh_inspect_config *config, dxh_facts **told)
{
	dxi_inspection inspection;
	dxh_inspect_config own;
	dxi_paths paths;
	dxh_report *report;
	dxh_status status;
	facts_kept *facts;

	if (!told)
		return dxi_fail(DXH_EINVAL, "facts is NULL");
	if ((status = dxi_config_read(&own, sizeof own, config, config_bytes)) != DXH_OK ||
	    (status = dxi_inspection_paths(name, &own, &paths)) != DXH_OK)
		return status;
	facts = calloc(1, sizeof *facts);
	if (!facts)
		return dxi_fail(DXH_ENOMEM, "no memory for the facts of a block");
	*told = &facts->told;
	status = dxi_inspection_open(&inspection, &paths, &own);
	if (status == DXH_OK)
		status = inspection.is_sound ? gather(facts, &inspection) : refuse(&inspection);
	dxi_inspection_close(&inspection);
	report = inspection.report ? &inspection.report->told : NULL;
	if (report)
		dxh_report_free(&report);
	if (status != DXH_OK)
		dxh_facts_free(told);
	return status;
}

void dxh_facts_free(dxh_facts **told)
{
	facts_kept *freed = told ? (facts_kept *)(void *)*told : NULL;

	if (!freed)
		return;
	*told = NULL;
	free(freed->schema);
	free(freed);
}
