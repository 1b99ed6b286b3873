/* SPDX-License-Identifier: MIT */
/* Opening a block to look at it, what never changes in it, and who produces. */
#include "shm/inspect.h"

#include "base/status.h"
#include "shm/lease.h"
#include "shm/liveness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Each retry is a takeover right in between. */
enum { TRIES_MAX = 3 };

/* ---- what a refusal said: refusals begin with their offset ---- */

static const char *after_status(void)
{
	const char *colon = strchr(dxh_last_error(), ':');

	return colon && colon[1] == ' ' ? colon + 2 : "";
}

uint64_t dxi_refusal_offset(void)
{
	const char *at = strstr(after_status(), "offset ");

	return at ? strtoull(at + strlen("offset "), NULL, 10) : DXH_OFFSET_NONE;
}

const char *dxi_refusal_words(void)
{
	const char *words = after_status();
	const char *colon = strncmp(words, "offset ", 7) == 0 ? strchr(words, ':') : NULL;

	return colon && colon[1] == ' ' ? colon + 2 : words;
}

/* ---- what never changes ---- */

static dxh_rule rule_of_refusal(const dxi_inspection *inspection, dxh_status status)
{
	uint64_t offset = dxi_refusal_offset();

	if (status == DXH_EVERSION)
		return DXH_RULE_VERSION;
	if (inspection->file_bytes < DXI_LAYOUT_HEADER_BYTES ||
	    offset == offsetof(struct dxi_layout_header, bytes_total))
		return DXH_RULE_FILE_SIZE;
	if (offset == offsetof(struct dxi_layout_header, magic))
		return DXH_RULE_NO_BLOCK;
	if (offset == offsetof(struct dxi_layout_header, fixed_checksum))
		return DXH_RULE_HEADER_CHECKSUM;
	return offset < DXI_LAYOUT_HEADER_BYTES ? DXH_RULE_HEADER : DXH_RULE_TABLES;
}

static dxh_rule add_refusal(dxi_inspection *inspection, dxh_status status)
{
	dxh_rule rule = rule_of_refusal(inspection, status);

	dxi_report_add(inspection->report, rule, "data", dxi_refusal_offset(), "%s",
	               dxi_refusal_words());
	return rule;
}

/* The block cannot be attached to: say why, and if only a checksum says so, which
 * number it may be. */
static dxh_status dissect(dxi_inspection *inspection, dxh_status status)
{
	const struct dxi_layout_header *fixed = &inspection->block.fixed;
	dxh_rule rule = add_refusal(inspection, status);

	if (rule == DXH_RULE_HEADER_CHECKSUM)
		status = dxi_geometry_check_places(fixed, inspection->file_bytes);
	else
		status = DXH_OK;
	if (status != DXH_OK)
		add_refusal(inspection, status);
	return DXH_OK;
}

dxh_status dxi_inspect_short(dxi_inspection *inspection, dxh_status status)
{
	if (status != DXH_ECORRUPT)
		return status;
	dxi_report_add(inspection->report, DXH_RULE_FILE_SIZE, "data", dxi_refusal_offset(),
	               "the file became shorter while it was read");
	return DXH_OK;
}

/* ---- who produces ---- */

static uint64_t epoch_of(const dxi_inspection *inspection)
{
	return atomic_load_explicit(&inspection->header.producer.epoch, memory_order_relaxed);
}

static dxh_status read_header(dxi_inspection *inspection)
{
	return dxi_read_at(inspection->block.fd, &inspection->header, sizeof inspection->header, 0);
}

static dxh_liveness judge(const dxi_inspection *inspection, dxi_beacon beacon)
{
	bool by_name = !dxi_paths_are_of_file(&inspection->block.paths);

	/* The lock file is the authority, for those who may open it. */
	if (beacon == DXI_BEACON_LIT ||
	    (by_name && dxi_lease_holder(&inspection->block.paths) == DXI_HELD_BY_PRODUCER))
		return DXH_PRODUCER_ALIVE;
	if (beacon == DXI_BEACON_SQUATTED)
		return DXH_PRODUCER_UNKNOWN;
	switch (atomic_load_explicit(&inspection->header.producer.state, memory_order_relaxed)) {
	case DXI_STATE_CLOSED:
		return DXH_PRODUCER_CLOSED;
	case DXI_STATE_OPEN:
		return by_name ? DXH_PRODUCER_DEAD : DXH_PRODUCER_UNKNOWN;
	default:
		return DXH_PRODUCER_UNKNOWN;
	}
}

dxh_status dxi_inspection_refresh(dxi_inspection *inspection)
{
	dxh_status status = read_header(inspection);
	dxi_beacon beacon;
	uint64_t before;

	inspection->producer = DXH_PRODUCER_UNKNOWN;
	for (int i = 0; status == DXH_OK && i < TRIES_MAX; i++) {
		before = epoch_of(inspection);
		beacon = dxi_beacon_query(inspection->block.fd);
		status = read_header(inspection);
		if (status == DXH_OK && epoch_of(inspection) == before) {
			inspection->producer = judge(inspection, beacon);
			break;
		}
	}
	return status;
}

static void tell_producer(dxi_inspection *inspection)
{
	const struct dxi_layout_producer *producer = &inspection->header.producer;
	uint32_t pid = atomic_load_explicit(&producer->pid, memory_order_relaxed);
	uint32_t state = atomic_load_explicit(&producer->state, memory_order_relaxed);
	uint64_t offset = offsetof(struct dxi_layout_header, producer.state);
	dxh_finding *finding;

	if (inspection->producer == DXH_PRODUCER_DEAD)
		dxi_report_add(inspection->report, DXH_RULE_PRODUCER_DEAD, "data", offset,
		               "producer %" PRIu32 " did not close the block", pid);
	if (dxi_beacon_query(inspection->block.fd) == DXI_BEACON_SQUATTED)
		dxi_report_add(inspection->report, DXH_RULE_BEACON_SQUATTED, "data", 0,
		               "byte 0 is locked by a reader");
	if (state != DXI_STATE_UNLIT || inspection->producer == DXH_PRODUCER_ALIVE)
		return;
	finding = dxi_report_add(inspection->report, DXH_RULE_BEACON_STALE, "data", offset,
	                         "the state is 3 of producer %" PRIu32 ", whose lock nobody holds",
	                         pid);
	if (finding)
		finding->repair = DXH_REPAIR_RECOVER;
}

/* ---- opening ---- */

static void describe(dxi_inspection *inspection)
{
	dxh_report *told = &inspection->report->told;
	const struct dxi_layout_counters *counters = &inspection->header.counters;
	dxi_block *block = &inspection->block;

	/* Of the header it reads only what is in our copy. */
	block->base = (unsigned char *)&inspection->header;
	block->bytes = inspection->file_bytes;
	dxi_block_describe(block, inspection->producer, &told->block);
	block->base = NULL;
	told->readable = 1;
	told->recoveries = atomic_load_explicit(&counters->recoveries, memory_order_relaxed);
	told->recovered_ns = atomic_load_explicit(&counters->recovered_ns, memory_order_relaxed);
}

static dxh_status
open_block(dxi_inspection *inspection, const dxi_paths *paths, const dxh_inspect_config *config)
{
	dxi_block *block = &inspection->block;
	dxh_status status = dxi_segment_open(paths, config->owner_uid_plus1, block);
	struct stat found;

	if (block->fd != -1 && fstat(block->fd, &found) == 0) {
		inspection->file_bytes = (uint64_t)found.st_size;
		inspection->owner = found.st_uid;
	}
	if (status == DXH_ECORRUPT || status == DXH_EVERSION)
		return dissect(inspection, status);
	if (status != DXH_OK)
		return status;
	if (config->checksum_key)
		status = dxi_segment_take_key(block, config->checksum_key);
	inspection->has_key = config->checksum_key != NULL;
	inspection->is_sound = status == DXH_OK;
	return status;
}

dxh_status dxi_inspection_open(dxi_inspection *inspection, const dxi_paths *paths,
                               const dxh_inspect_config *config)
{
	dxh_status status;

	memset(inspection, 0, sizeof *inspection);
	inspection->block.fd = -1;
	inspection->report = dxi_report_new();
	if (!inspection->report)
		return DXH_ENOMEM;
	memcpy(inspection->report->told.block.name, paths->name, sizeof paths->name);
	status = open_block(inspection, paths, config);
	if (status != DXH_OK || !inspection->is_sound)
		return status;
	status = dxi_inspection_refresh(inspection);
	if (status != DXH_OK) {
		inspection->is_sound = false;
		return dxi_inspect_short(inspection, status);
	}
	describe(inspection);
	return DXH_OK;
}

void dxi_inspection_close(dxi_inspection *inspection)
{
	dxi_segment_detach(&inspection->block);
}

/* ---- public ---- */

dxh_status dxi_inspect_state(dxi_inspection *inspection)
{
	dxh_status status;

	tell_producer(inspection);
	status = dxi_inspect_tickets(inspection);
	return status == DXH_OK ? dxi_inspect_files(inspection) : status;
}

enum look { LOOK_STATE = 1, LOOK_ITEMS = 2 };

dxh_status
dxi_inspection_paths(const char *name, const dxh_inspect_config *config, dxi_paths *paths)
{
	if (!config->file)
		return dxi_paths_of(config->directory, name, paths);
	if (name || config->directory)
		return dxi_fail(
			DXH_EINVAL,
			"file is set: name and directory, which say the same, must be NULL");
	return dxi_paths_of_file(config->file, paths);
}

static dxh_status inspect(size_t config_bytes, const char *name, const dxh_inspect_config *config,
                          unsigned looks, dxh_report **report)
{
	dxi_inspection inspection;
	dxh_inspect_config own;
	dxi_paths paths;
	dxh_status status;

	if (!report)
		return dxi_fail(DXH_EINVAL, "report is NULL");
	if ((status = dxi_config_read(&own, sizeof own, config, config_bytes)) != DXH_OK ||
	    (status = dxi_inspection_paths(name, &own, &paths)) != DXH_OK)
		return status;
	status = dxi_inspection_open(&inspection, &paths, &own);
	if (!inspection.report)
		return status;
	if (status == DXH_OK && inspection.is_sound && looks & LOOK_STATE)
		status = dxi_inspect_state(&inspection);
	if (status == DXH_OK && inspection.is_sound && looks & LOOK_ITEMS)
		status = dxi_inspect_zones(&inspection);
	if (status == DXH_OK && inspection.is_sound && looks & LOOK_ITEMS)
		status = dxi_inspect_items(&inspection);
	dxi_inspection_close(&inspection);
	return dxi_report_finish(inspection.report, status, report);
}

dxh_status dxh_block_diagnose_sized(size_t config_bytes, const char *name,
                                    const dxh_inspect_config *config, dxh_report **report)
{
	return inspect(config_bytes, name, config, LOOK_STATE, report);
}

dxh_status dxh_block_validate_sized(size_t config_bytes, const char *name,
                                    const dxh_inspect_config *config, dxh_report **report)
{
	return inspect(config_bytes, name, config, LOOK_ITEMS, report);
}

dxh_status dxh_block_check_sized(size_t config_bytes, const char *name,
                                 const dxh_inspect_config *config, dxh_report **report)
{
	return inspect(config_bytes, name, config, LOOK_STATE | LOOK_ITEMS, report);
}
