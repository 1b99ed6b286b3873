/* SPDX-License-Identifier: MIT */
/* Removing blocks that nobody needs. Each answer that lets one go is the kernel's: the
 * producer's lock is ours, and a write lease on the data file is only given while
 * nobody else has it open or mapped. What makes sure is asked again under the lock.
 */
#include <dxh/inspect.h>

#include "base/status.h"
#include "shm/descriptor.h"
#include "shm/layout.h"
#include "shm/lease.h"
#include "shm/names.h"
#include "shm/unlink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One name under judgement. */
typedef struct gc_candidate {
	dxi_paths paths;
	const dxh_gc_config *config;
	dxh_gc_entry *entry;
	int fd; /* of the data file; -1: there is none */
} gc_candidate;

/* Each of these ends the judgement; false, so that it can be returned. */
static bool DXH_PRINTF(2, 3) keep(gc_candidate *candidate, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(candidate->entry->reason, sizeof candidate->entry->reason, format, values);
	va_end(values);
	candidate->entry->verdict = DXH_GC_KEPT;
	return false;
}

static bool DXH_PRINTF(2, 3) not_ours(gc_candidate *candidate, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(candidate->entry->reason, sizeof candidate->entry->reason, format, values);
	va_end(values);
	candidate->entry->kind = DXH_GARBAGE_NOT_OURS;
	candidate->entry->verdict = DXH_GC_KEPT;
	return false;
}

/* The last failure, without its status. */
static const char *why(void)
{
	const char *colon = strchr(dxh_last_error(), ':');

	return colon && colon[1] == ' ' ? colon + 2 : dxh_last_error();
}

static bool is_mine(const struct stat *found)
{
	return found->st_uid == geteuid() || geteuid() == 0;
}

/* ---- the files beside ---- */

typedef enum gc_beside { BESIDE_NONE, BESIDE_OURS, BESIDE_OTHER } gc_beside;

static bool begins_with(int fd, uint32_t magic)
{
	uint32_t found;

	return pread(fd, &found, sizeof found, 0) == sizeof found && found == magic;
}

static bool is_control_file(int fd)
{
	return begins_with(fd, DXI_CONTROL_MAGIC);
}

static bool is_zones_file(int fd)
{
	return begins_with(fd, DXI_ZONES_MAGIC);
}

/* Is the file what it is called? Counts what it takes. */
static gc_beside look_at(gc_candidate *candidate, const char *path, bool (*is_ours)(int fd))
{
	int fd = dxi_descriptor_open(path, O_RDONLY, 0);
	struct stat found;
	gc_beside what = BESIDE_OTHER;

	if (fd == -1)
		return errno == ENOENT ? BESIDE_NONE : BESIDE_OTHER;
	if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && is_mine(&found) && is_ours(fd)) {
		candidate->entry->bytes += (uint64_t)found.st_blocks * 512;
		what = BESIDE_OURS;
	}
	close(fd);
	return what;
}

static bool judge_beside(gc_candidate *candidate, bool *exists)
{
	gc_beside lock = look_at(candidate, candidate->paths.lock, dxi_is_lock_file);
	gc_beside control = look_at(candidate, candidate->paths.control, is_control_file);
	gc_beside zones = look_at(candidate, candidate->paths.zones, is_zones_file);

	*exists = lock != BESIDE_NONE || control != BESIDE_NONE || zones != BESIDE_NONE;
	if (lock == BESIDE_OTHER)
		return not_ours(candidate, "%.160s is no lock file of a block of yours",
		                candidate->paths.lock);
	if (control == BESIDE_OTHER)
		return not_ours(candidate, "%.160s is no control file of a block of yours",
		                candidate->paths.control);
	if (zones == BESIDE_OTHER)
		return not_ours(candidate, "%.160s is no zones file of a block of yours",
		                candidate->paths.zones);
	switch (dxi_lease_holder(&candidate->paths)) {
	case DXI_HELD_BY_PRODUCER:
		return keep(candidate, "a producer holds its lock");
	case DXI_HELD_BY_RECOVERY:
		return keep(candidate, "it is just being recovered or removed");
	case DXI_HELD_UNKNOWN:
		return keep(candidate, "its lock file cannot be opened");
	case DXI_HELD_BY_NOBODY:
		break;
	}
	return true;
}

/* ---- the data file ---- */

/* Has nobody else the file open or mapped? While the lease is held nobody can open it:
 * they wait or try again. Its signal would be SIGIO, which ends a program; SIGURG does
 * nothing to one that does not ask for it. */
static bool take_file(gc_candidate *candidate)
{
	if (fcntl(candidate->fd, F_SETSIG, SIGURG) == 0 &&
	    fcntl(candidate->fd, F_SETLEASE, F_WRLCK) == 0)
		return true;
	if (errno == EAGAIN)
		return keep(candidate, "somebody has it open");
	return keep(candidate, "nobody can tell who uses it: %s", strerror(errno));
}

static void give_file_back(const gc_candidate *candidate)
{
	fcntl(candidate->fd, F_SETLEASE, F_UNLCK);
}

static bool open_data(gc_candidate *candidate)
{
	const char *path = candidate->paths.data;

	candidate->fd = dxi_descriptor_open(path, O_RDONLY, 0);
	if (candidate->fd != -1 || errno == ENOENT)
		return true;
	if (errno == ELOOP)
		return not_ours(candidate, "%.160s is a symbolic link", path);
	return keep(candidate, "%.160s cannot be read: %s", path, strerror(errno));
}

static bool judge_data(gc_candidate *candidate)
{
	const char *path = candidate->paths.data;
	struct dxi_layout_header header = {0};
	struct stat found;
	ssize_t got;

	if (fstat(candidate->fd, &found) == -1)
		return keep(candidate, "%.160s: %s", path, strerror(errno));
	if (!S_ISREG(found.st_mode))
		return not_ours(candidate, "%.160s is no regular file", path);
	got = pread(candidate->fd, &header, sizeof header, 0);
	if (got < (ssize_t)sizeof header.magic || header.magic != DXI_LAYOUT_MAGIC)
		return not_ours(candidate, "%.160s does not begin like a block", path);
	if (!is_mine(&found))
		return keep(candidate, "it belongs to user %u", (unsigned)found.st_uid);
	candidate->entry->bytes += (uint64_t)found.st_blocks * 512;
	if (dxi_beacon_query(candidate->fd) == DXI_BEACON_LIT)
		return keep(candidate, "its producer, pid %" PRIu32 ", lives", header.producer.pid);
	if (candidate->config->keep_closed && header.producer.state == DXI_STATE_CLOSED)
		return keep(candidate, "its producer closed it in good order");
	if (!take_file(candidate))
		return false;
	give_file_back(candidate);
	snprintf(candidate->entry->reason, sizeof candidate->entry->reason,
	         "its producer, pid %" PRIu32 ", %s, and nobody has it open", header.producer.pid,
	         header.producer.state == DXI_STATE_CLOSED ? "closed it" : "died");
	return true;
}

/* ---- judging and removing ---- */

static bool judge(gc_candidate *candidate)
{
	bool beside;

	if (!open_data(candidate))
		return false;
	candidate->entry->kind = candidate->fd != -1 ? DXH_GARBAGE_BLOCK : DXH_GARBAGE_LEFTOVER;
	if (candidate->fd != -1 && !judge_data(candidate))
		return false;
	if (!judge_beside(candidate, &beside))
		return false;
	if (candidate->fd == -1 && !beside)
		return keep(candidate, "it is gone already");
	if (candidate->fd == -1)
		snprintf(candidate->entry->reason, sizeof candidate->entry->reason,
		         "there is no block of that name");
	candidate->entry->verdict = DXH_GC_REMOVABLE;
	return true;
}

/* All under the producer's lock. Whoever opened the file before the lease has it open;
 * whoever comes later finds no name any more. */
static bool remove_block(gc_candidate *candidate, const dxi_lease *lease)
{
	bool removed;

	if (!dxi_is_still_at(candidate->fd, candidate->paths.data))
		return keep(candidate, "another one was made meanwhile");
	if (dxi_beacon_query(candidate->fd) == DXI_BEACON_LIT)
		return keep(candidate, "a producer lives that does not hold its lock");
	if (!take_file(candidate))
		return false;
	removed = dxi_block_remove(&candidate->paths, lease) == DXH_OK;
	give_file_back(candidate);
	return removed ? true : keep(candidate, "%.200s", why());
}

static bool remove_leftover(gc_candidate *candidate, const dxi_lease *lease)
{
	struct stat found;

	if (lstat(candidate->paths.data, &found) == 0)
		return keep(candidate, "a block was made meanwhile");
	dxi_lock_tidy(&candidate->paths, lease);
	if (lstat(candidate->paths.lock, &found) == 0)
		return keep(candidate, "%.160s cannot be removed", candidate->paths.lock);
	return true;
}

static void remove_candidate(gc_candidate *candidate)
{
	dxi_lease lease;
	dxh_status status = dxi_lease_take(&candidate->paths, 0, &lease);
	bool removed;

	if (status != DXH_OK) {
		keep(candidate, "%.200s", status == DXH_EBUSY ? "a producer came" : why());
		return;
	}
	removed = candidate->fd != -1 ? remove_block(candidate, &lease)
	                              : remove_leftover(candidate, &lease);
	if (removed)
		candidate->entry->verdict = DXH_GC_REMOVED;
	dxi_lease_release(&lease);
}

static dxh_status
visit(const char *directory, const char *name, const dxh_gc_config *config, dxh_gc_entry *entry)
{
	gc_candidate candidate = {.config = config, .entry = entry, .fd = -1};
	dxh_status status = dxi_paths_of(directory, name, &candidate.paths);

	if (status != DXH_OK)
		return status;
	strcpy(entry->name, name);
	if (judge(&candidate) && config->apply)
		remove_candidate(&candidate);
	if (candidate.fd != -1)
		close(candidate.fd);
	return DXH_OK;
}

/* ---- public ---- */

static void count(dxh_gc_report *report, const dxh_gc_entry *entry)
{
	if (entry->verdict == DXH_GC_KEPT) {
		report->kept++;
		return;
	}
	report->bytes += entry->bytes;
	if (entry->verdict == DXH_GC_REMOVED)
		report->removed++;
	else
		report->removable++;
}

static dxh_status visit_all(const dxh_gc_config *config, const dxi_paths *paths,
                            const dxi_names *names, dxh_gc_report **report)
{
	dxh_gc_entry *entries;
	dxh_status status = DXH_OK;

	/* One piece of memory: the report, then its entries. */
	*report = calloc(1, sizeof **report + names->count * sizeof *entries);
	if (!*report)
		return dxi_fail(DXH_ENOMEM, "no memory for %zu names", names->count);
	entries = (dxh_gc_entry *)(void *)(*report + 1);
	(*report)->entries = entries;
	for (size_t i = 0; status == DXH_OK && i < names->count; i++) {
		status = visit(paths->directory, names->names[i], config, &entries[i]);
		count(*report, &entries[i]);
		(*report)->entry_count++;
	}
	if (status != DXH_OK)
		dxh_gc_report_free(report);
	return status;
}

dxh_status
dxh_block_gc_sized(size_t config_bytes, const dxh_gc_config *config, dxh_gc_report **report)
{
	dxh_gc_config own;
	dxi_names names;
	dxi_paths paths;
	dxh_status status;

	if (!report)
		return dxi_fail(DXH_EINVAL, "report is NULL");
	/* Any name will do to find out which directory is meant. */
	if ((status = dxi_config_read(&own, sizeof own, config, config_bytes)) != DXH_OK ||
	    (status = dxi_paths_of(own.directory, "x", &paths)) != DXH_OK ||
	    (status = dxi_names_read(paths.directory, &names)) != DXH_OK)
		return status;
	status = visit_all(&own, &paths, &names, report);
	free(names.names);
	return status;
}

void dxh_gc_report_free(dxh_gc_report **report)
{
	if (!report)
		return;
	free(*report);
	*report = NULL;
}
