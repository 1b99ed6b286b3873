/* SPDX-License-Identifier: MIT */
/* Putting in order what a crash left. Each repair is one step that can be made twice;
 * all are made under the locks of producer and recovery. An odd seq is never made even:
 * that would publish what is torn.
 */
#include "shm/inspect.h"

#include "base/status.h"
#include "shm/control.h"
#include "shm/descriptor.h"
#include "shm/lease.h"
#include "shm/takeover.h"
#include "shm/unlink.h"
#include "shm/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one step each; the block is mapped for writing ---- */

static dxh_status repair_beacon(dxi_block *block)
{
	/* The lock is ours: who could not show that it lives does not. Pairs with the
	 * acquire in dxi_liveness(). */
	atomic_store_explicit(&dxi_block_header(block)->producer.state, DXI_STATE_OPEN,
	                      memory_order_release);
	return DXH_OK;
}

static dxh_status repair_control(const dxi_block *block)
{
	int fd;
	dxh_status status = dxi_control_replace(block, &fd);

	if (status == DXH_OK)
		close(fd);
	return status;
}

static dxh_status clear_row(int fd, const dxi_block *block, uint32_t index)
{
	uint64_t at = sizeof(struct dxi_layout_control) + index * sizeof(struct dxi_layout_row);
	const uint64_t none = 0;
	int error;

	/* Whoever claims a row locks it first. Taken: there is no stale row any more. */
	if (!dxi_byte_lock(fd, index, &error))
		return DXH_OK;
	if (pwrite(fd, &none, sizeof none,
	           (off_t)(at + offsetof(struct dxi_layout_row, generation))) != sizeof none)
		return dxi_fail_errno(errno, "clearing row %" PRIu32 " of %s", index,
		                      block->paths.control);
	return DXH_OK;
}

static dxh_status repair_row(const dxi_block *block, uint64_t offset)
{
	int fd = dxi_descriptor_open_guarded(block->paths.control, O_RDWR, 0);
	dxh_status status;

	if (fd == -1)
		return dxi_fail_errno(errno, "opening %s", block->paths.control);
	status = dxi_control_check(fd, block);
	if (status == DXH_OK)
		status = clear_row(fd, block,
		                   (uint32_t)((offset - sizeof(struct dxi_layout_control)) /
		                              sizeof(struct dxi_layout_row)));
	/* And with it the lock of the row. */
	dxi_descriptor_close_guarded(fd);
	return status;
}

static dxh_status repair(dxi_block *block, const dxh_finding *finding)
{
	uint64_t largest;

	switch (finding->rule) {
	case DXH_RULE_HEAD_LAGS:
		return dxi_repair_head(block, &largest);
	case DXH_RULE_WAIT_STALE:
		dxi_repair_wait(block);
		return DXH_OK;
	case DXH_RULE_BEACON_STALE:
		return repair_beacon(block);
	case DXH_RULE_CONTROL_MISSING:
	case DXH_RULE_CONTROL_BROKEN:
		return repair_control(block);
	case DXH_RULE_ROW_STALE:
		return repair_row(block, finding->offset);
	case DXH_RULE_LOCK_MISSING:
		return DXH_OK; /* it is there since we hold it */
	default:
		return dxi_fail(DXH_EUNSUPPORTED, "nobody knows how to repair %s",
		                dxh_rule_name(finding->rule));
	}
}

/* ---- all of them ---- */

static dxh_status repair_all(dxi_inspection *inspection, dxi_block *block)
{
	dxi_report *report = inspection->report;
	bool repaired = false;
	dxh_status status = DXH_OK;

	for (size_t i = 0; status == DXH_OK && i < report->told.finding_count; i++) {
		dxh_finding *finding = &report->findings[i];

		if (finding->repair != DXH_REPAIR_RECOVER)
			continue;
		status = repair(block, finding);
		if (status != DXH_OK)
			break;
		finding->repair = DXH_REPAIR_DONE;
		dxi_count_repair(block);
		report->told.recoveries++;
		repaired = true;
	}
	if (repaired)
		dxi_wake(block);
	return status;
}

static bool was_found(const dxi_report *report, dxh_rule rule)
{
	for (size_t i = 0; i < report->told.finding_count; i++)
		if (report->findings[i].rule == rule)
			return true;
	return false;
}

static bool needs_repair(const dxi_report *report)
{
	for (size_t i = 0; i < report->told.finding_count; i++)
		if (report->findings[i].repair == DXH_REPAIR_RECOVER)
			return true;
	return false;
}

/* Look without holding anything: a lock file that is missing must still be seen to
 * be, and no file is made beside a block that lives. */
static dxh_status
look(dxi_inspection *inspection, const dxi_paths *paths, const dxh_inspect_config *config)
{
	dxh_status status = dxi_inspection_open(inspection, paths, config);

	if (status != DXH_OK || !inspection->is_sound)
		return status;
	if (inspection->producer == DXH_PRODUCER_ALIVE ||
	    dxi_lease_holder(paths) == DXI_HELD_BY_RECOVERY)
		return dxi_fail_busy(paths, false);
	return dxi_inspect_state(inspection);
}

/* With a lock file that is missing, one is made; by root for somebody else. */
static dxh_status
take_locks(const dxi_inspection *inspection, const dxi_paths *paths, dxi_lease *lease)
{
	dxh_status status = dxi_lease_take(paths, 0, lease);

	if (status == DXH_EBUSY)
		return dxi_fail_busy(paths, false);
	if (status == DXH_OK && inspection->owner != geteuid() &&
	    was_found(inspection->report, DXH_RULE_LOCK_MISSING) &&
	    fchown(lease->fd, inspection->owner, (gid_t)-1) == -1)
		return dxi_fail_errno(errno, "giving %s the owner of %s", paths->lock, paths->data);
	return status == DXH_OK ? dxi_lease_take_recovery(lease) : status;
}

static void tell_made_lock(dxi_report *report, const dxi_paths *paths)
{
	dxh_finding *finding = dxi_report_add(report, DXH_RULE_LOCK_MISSING, "lock",
	                                      DXH_OFFSET_NONE, "%.160s was missing", paths->lock);

	dxi_report_weigh(report, finding, DXH_NOTE);
	if (finding)
		finding->repair = DXH_REPAIR_RECOVER;
}

/* Somebody may have come between the look and the locks, and gone again: what is
 * repaired is what is found under the locks. Only a lock file that was missing is
 * there now, because of us. */
static dxh_status
look_again(dxi_inspection *inspection, const dxi_paths *paths, const dxh_inspect_config *config)
{
	bool made_lock = was_found(inspection->report, DXH_RULE_LOCK_MISSING);
	dxh_report *before = &inspection->report->told;
	dxh_status status;

	dxi_inspection_close(inspection);
	dxh_report_free(&before);
	status = dxi_inspection_open(inspection, paths, config);
	if (status != DXH_OK || !inspection->is_sound)
		return status;
	if (inspection->producer == DXH_PRODUCER_ALIVE)
		return dxi_fail_busy(paths, false);
	if (made_lock)
		tell_made_lock(inspection->report, paths);
	return dxi_inspect_state(inspection);
}

static dxh_status
apply(dxi_inspection *inspection, const dxi_paths *paths, const dxh_inspect_config *config)
{
	dxi_block block = DXI_BLOCK_NONE;
	dxi_lease lease;
	dxh_status status = take_locks(inspection, paths, &lease);

	if (status == DXH_OK)
		status = look_again(inspection, paths, config);
	if (status == DXH_OK && inspection->is_sound)
		status = dxi_segment_attach(paths, DXI_ACCESS_WRITE, config->owner_uid_plus1,
		                            &block);
	if (status == DXH_OK && inspection->is_sound)
		status = repair_all(inspection, &block);
	if (block.fd != -1)
		dxi_segment_detach(&block);
	if (status == DXH_ENOTFOUND)
		dxi_lock_tidy(paths, &lease);
	dxi_lease_release(&lease);
	return status;
}

dxh_status dxh_block_recover_sized(size_t config_bytes, const char *name,
                                   const dxh_recover_config *config, dxh_report **report)
{
	dxi_inspection inspection;
	dxh_inspect_config look_config = {0};
	dxh_recover_config own;
	dxi_paths paths;
	dxh_status status;

	if (!report)
		return dxi_fail(DXH_EINVAL, "report is NULL");
	if ((status = dxi_config_read(&own, sizeof own, config, config_bytes)) != DXH_OK ||
	    (status = dxi_paths_of(own.directory, name, &paths)) != DXH_OK)
		return status;
	look_config.owner_uid_plus1 = own.owner_uid_plus1;
	status = look(&inspection, &paths, &look_config);
	if (status == DXH_OK && inspection.is_sound && own.apply && needs_repair(inspection.report))
		status = apply(&inspection, &paths, &look_config);
	dxi_inspection_close(&inspection);
	if (!inspection.report)
		return status;
	return dxi_report_finish(inspection.report, status, report);
}
