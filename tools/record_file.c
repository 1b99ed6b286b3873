/* SPDX-License-Identifier: MIT */
/* Recordings that go to a file of their own format. */
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool file_open(struct recording_job *job)
{
	job->writer = recording_create(job->output, job->replace, job->compress);
	if (!job->writer)
		snprintf(job->error, sizeof job->error, "%s", strerror(errno));
	return job->writer != NULL;
}

static bool file_block(struct recording_job *job, const struct recording_block *block)
{
	return recording_add_block(job->writer, block, job->next_ticket, dxh_now_ns());
}

static bool file_item(struct recording_job *job, const dxh_item *item, const void *bytes)
{
	return recording_add_item(job->writer, item->ticket, item->timestamp_ns, bytes,
	                          item->bytes);
}

static bool
file_gap(struct recording_job *job, uint64_t first, uint64_t last, enum recording_reason reason)
{
	return recording_add_gap(job->writer, first, last, reason, dxh_now_ns());
}

static bool
file_fate(struct recording_job *job, enum recording_fate fate, uint64_t epoch, uint64_t ticket)
{
	return recording_add_fate(job->writer, fate, epoch, ticket, dxh_now_ns());
}

static bool file_clock(struct recording_job *job, int64_t offset_ns)
{
	return recording_add_clock(job->writer, offset_ns, job->next_ticket, dxh_now_ns());
}

static bool file_zone(struct recording_job *job, uint32_t index, const void *bytes, size_t count)
{
	return recording_add_zone(job->writer, index, bytes, count, dxh_now_ns());
}

static bool file_flush(struct recording_job *job)
{
	return recording_flush(job->writer);
}

static bool file_close(struct recording_job *job)
{
	return recording_finish(&job->writer, job->error);
}

static const char *file_error(const struct recording_job *job)
{
	return job->writer ? recording_writer_error(job->writer) : job->error;
}

const struct recording_sink record_to_file = {.open = file_open,
                                              .block = file_block,
                                              .item = file_item,
                                              .gap = file_gap,
                                              .fate = file_fate,
                                              .clock = file_clock,
                                              .zone = file_zone,
                                              .flush = file_flush,
                                              .close = file_close,
                                              .error = file_error};
