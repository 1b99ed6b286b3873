/* SPDX-License-Identifier: MIT */
/* Recordings that go to lines of text at once. */
#include "csv.h"
#include "record.h"
#include "text.h"

#include <dxh/zone.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool told(struct recording_job *job)
{
	if (!ferror(job->csv))
		return true;
	snprintf(job->error, sizeof job->error, "it cannot be written: %s", strerror(errno));
	return false;
}

/* NULL: items are raw bytes. */
static const dxh_schema *schema_of(const struct recording_job *job)
{
	dxh_zone_entry slot;

	return dxh_consumer_slot_entry(job->consumer, &slot) == DXH_OK ? slot.schema : NULL;
}

static bool csv_open(struct recording_job *job)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (job->replace ? O_TRUNC : O_EXCL);
	int fd;

	if (strcmp(job->output, "-") == 0) {
		job->csv = stdout;
		return true;
	}
	fd = open(job->output, flags, 0666);
	job->csv = fd == -1 ? NULL : fdopen(fd, "w");
	if (!job->csv) {
		snprintf(job->error, sizeof job->error, "%s", strerror(errno));
		if (fd != -1)
			close(fd);
	}
	return job->csv != NULL;
}

static bool begin_block(struct recording_job *job, const struct recording_block *block)
{
	csv_block(job->csv, block->name, block->epoch);
	if (csv_names(job->csv, schema_of(job)))
		return told(job);
	snprintf(job->error, sizeof job->error,
	         "its items have more than %d numbers: record without --format csv",
	         CSV_COLUMNS_MAX);
	return false;
}

static bool csv_one(struct recording_job *job, const dxh_item *item, const void *bytes)
{
	csv_item(job->csv, schema_of(job), item->ticket, item->timestamp_ns,
	         tool_realtime_ns(item->timestamp_ns, job->clock_offset_ns), bytes, item->bytes);
	return told(job);
}

static bool
put_gap(struct recording_job *job, uint64_t first, uint64_t last, enum recording_reason reason)
{
	csv_gap(job->csv, first, last, reason);
	return told(job);
}

static bool
put_fate(struct recording_job *job, enum recording_fate fate, uint64_t epoch, uint64_t ticket)
{
	csv_fate(job->csv, ticket, epoch, fate);
	return told(job);
}

static bool csv_clock(struct recording_job *job, int64_t offset_ns)
{
	(void)job;
	(void)offset_ns; /* shows in the column time_s */
	return true;
}

static bool csv_zone(struct recording_job *job, uint32_t index, const void *bytes, size_t count)
{
	(void)job;
	(void)index;
	(void)bytes;
	(void)count; /* no item: has no line */
	return true;
}

static bool csv_flush(struct recording_job *job)
{
	fflush(job->csv);
	return told(job);
}

static bool csv_close(struct recording_job *job)
{
	bool written = csv_flush(job);

	if (job->csv != stdout && fclose(job->csv) != 0 && written)
		written = false;
	return written;
}

static const char *csv_error(const struct recording_job *job)
{
	return job->error;
}

const struct recording_sink record_to_csv = {.open = csv_open,
                                             .block = begin_block,
                                             .item = csv_one,
                                             .gap = put_gap,
                                             .fate = put_fate,
                                             .clock = csv_clock,
                                             .zone = csv_zone,
                                             .flush = csv_flush,
                                             .close = csv_close,
                                             .error = csv_error};
