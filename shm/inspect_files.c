/* SPDX-License-Identifier: MIT */
/* Looking at what lies beside the data file: the control file with its rows, the zones
 * file and the lock file.
 */
#include "shm/inspect.h"

#include "base/status.h"
#include "shm/control.h"
#include "shm/descriptor.h"
#include "shm/lease.h"
#include "shm/zones_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_alive(const dxi_inspection *inspection)
{
	return inspection->producer == DXH_PRODUCER_ALIVE;
}

/* Nothing is repaired under a living producer. */
static void repairable(const dxi_inspection *inspection, dxh_finding *finding)
{
	if (finding && !is_alive(inspection))
		finding->repair = DXH_REPAIR_RECOVER;
}

/* ---- rows ---- */

static void judge_row(dxi_inspection *inspection, int fd, uint32_t index,
                      const struct dxi_layout_row *row, uint64_t mark)
{
	uint64_t offset = sizeof(struct dxi_layout_control) + index * sizeof *row;
	dxi_report *report = inspection->report;

	if (row->generation == 0)
		return;
	if (!dxi_byte_has_writer(fd, index))
		repairable(inspection, dxi_report_add(report, DXH_RULE_ROW_STALE, "control", offset,
		                                      "row %" PRIu32 " of reader %" PRIu32
		                                      ", next ticket %" PRIu64,
		                                      index, row->pid, row->cursor));
	else if (mark == row->generation)
		dxi_report_add(report, DXH_RULE_READER_EVICTED, "control", offset,
		               "row %" PRIu32 " of reader %" PRIu32 ", next ticket %" PRIu64, index,
		               row->pid, row->cursor);
}

static dxh_status inspect_rows(dxi_inspection *inspection, int fd)
{
	const struct dxi_layout_header *fixed = &inspection->block.fixed;
	struct dxi_layout_row row;
	uint64_t mark;
	dxh_status status;

	for (uint32_t i = 0; i < fixed->row_count; i++) {
		status = dxi_read_at(inspection->block.fd, &mark, sizeof mark,
		                     fixed->marks_offset + i * sizeof mark);
		if (status != DXH_OK)
			return dxi_inspect_short(inspection, status);
		if (dxi_read_at(fd, &row, sizeof row,
		                sizeof(struct dxi_layout_control) + i * sizeof row) != DXH_OK)
			return DXH_OK; /* it became shorter: nobody is held back by it */
		judge_row(inspection, fd, i, &row, mark);
	}
	return DXH_OK;
}

static dxh_status inspect_control(dxi_inspection *inspection)
{
	const dxi_paths *paths = &inspection->block.paths;
	dxi_report *report = inspection->report;
	dxh_status status = DXH_OK;
	int fd;

	if (inspection->block.fixed.row_count == 0)
		return DXH_OK;
	fd = dxi_descriptor_open(paths->control, O_RDONLY, 0);
	if (fd == -1 && errno == EACCES)
		dxi_report_add(report, DXH_RULE_UNREADABLE, "control", DXH_OFFSET_NONE,
		               "%.160s may not be read by you", paths->control);
	else if (fd == -1)
		repairable(
			inspection,
			dxi_report_add(report,
		                       errno == ENOENT ? DXH_RULE_CONTROL_MISSING
		                                       : DXH_RULE_CONTROL_BROKEN,
		                       "control", DXH_OFFSET_NONE, "%.160s: %s", paths->control,
		                       errno == ELOOP ? "it is a symbolic link" : strerror(errno)));
	else if (dxi_control_check(fd, &inspection->block) != DXH_OK)
		repairable(inspection,
		           dxi_report_add(report, DXH_RULE_CONTROL_BROKEN, "control",
		                          dxi_refusal_offset(), "%s", dxi_refusal_words()));
	else
		status = inspect_rows(inspection, fd);
	if (fd != -1)
		close(fd);
	return status;
}

/* ---- zones ---- */

static void inspect_zones(dxi_inspection *inspection)
{
	const dxi_block *block = &inspection->block;
	const char *path = block->paths.zones;
	dxi_report *report = inspection->report;
	int fd;

	if (dxi_geometry_zones_bytes(&block->fixed, block->zones) == 0)
		return;
	fd = dxi_descriptor_open(path, O_RDONLY, 0);
	if (fd == -1)
		dxi_report_add(report,
		               errno == ENOENT  ? DXH_RULE_ZONES_MISSING
		               : errno == ELOOP ? DXH_RULE_ZONES_BROKEN
		                                : DXH_RULE_UNREADABLE,
		               "zones", DXH_OFFSET_NONE, "%.160s: %s", path,
		               errno == ELOOP ? "it is a symbolic link" : strerror(errno));
	else if (dxi_zones_check(block, fd) != DXH_OK)
		dxi_report_add(report, DXH_RULE_ZONES_BROKEN, "zones", dxi_refusal_offset(), "%s",
		               dxi_refusal_words());
	if (fd != -1)
		close(fd);
}

/* ---- lock ---- */

static void inspect_lock(dxi_inspection *inspection)
{
	const char *path = inspection->block.paths.lock;
	dxi_report *report = inspection->report;
	dxh_finding *finding;
	struct stat found;

	if (lstat(path, &found) == -1) {
		finding = dxi_report_add(report, DXH_RULE_LOCK_MISSING, "lock", DXH_OFFSET_NONE,
		                         "%.160s: %s", path, strerror(errno));
		dxi_report_weigh(report, finding, is_alive(inspection) ? DXH_ERROR : DXH_NOTE);
		repairable(inspection, finding);
	} else if (!S_ISREG(found.st_mode)) {
		dxi_report_add(report, DXH_RULE_LOCK_FOREIGN, "lock", DXH_OFFSET_NONE,
		               "%.160s is no regular file", path);
	} else if (found.st_uid != inspection->owner) {
		dxi_report_add(report, DXH_RULE_LOCK_FOREIGN, "lock", DXH_OFFSET_NONE,
		               "%.160s belongs to user %u, the block to user %u", path,
		               (unsigned)found.st_uid, (unsigned)inspection->owner);
	}
}

dxh_status dxi_inspect_files(dxi_inspection *inspection)
{
	if (dxi_paths_are_of_file(&inspection->block.paths))
		return DXH_OK;
	if (inspection->header.held != 0 && !is_alive(inspection))
		repairable(inspection,
		           dxi_report_add(inspection->report, DXH_RULE_WAIT_STALE, "data",
		                          offsetof(struct dxi_layout_header, held),
		                          "held is %" PRIu32, inspection->header.held));
	inspect_lock(inspection);
	inspect_zones(inspection);
	return inspect_control(inspection);
}
