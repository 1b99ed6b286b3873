/* SPDX-License-Identifier: MIT */
/* A recording that is under way, and where it goes. */
#ifndef RECORD_H
#define RECORD_H

#include "recording.h"
#include "source.h"
#include "tool.h"

#include <dxh/block.h>

#include <stdio.h>

struct recording_job {
	/* What was asked for. */
	struct source source;
	const char *output;
	char *output_own; /* NULL: output is the user's */
	bool replace, compress, as_csv, until_closed, quiet;
	int64_t length_ns, zones_ns; /* 0: no end; only at the begin and the end */
	uint64_t items_max;          /* 0: no end */
	dxh_start start;
	uint64_t start_ticket;

	/* Where it goes. */
	const struct recording_sink *sink;
	struct recording_writer *writer;
	FILE *csv;
	char error[256];

	/* How far it is. */
	dxh_consumer *consumer;
	unsigned char uuid[16];
	void *copy;
	uint64_t copy_bytes, next_ticket, epoch;
	int64_t begun_ns, end_ns, pictured_ns, zoned_ns, clock_offset_ns;
	uint64_t items, bytes, gaps, missing;
	unsigned fate; /* told last, see recording_fate; 0: it lives */
	bool failed;
};

/* One place a recording can go. Each returns false when it failed, see error(). */
struct recording_sink {
	bool (*open)(struct recording_job *job);
	bool (*block)(struct recording_job *job, const struct recording_block *block);
	bool (*item)(struct recording_job *job, const dxh_item *item, const void *bytes);
	bool (*gap)(struct recording_job *job, uint64_t first, uint64_t last,
	            enum recording_reason reason);
	bool (*fate)(struct recording_job *job, enum recording_fate fate, uint64_t epoch,
	             uint64_t ticket);
	bool (*clock)(struct recording_job *job, int64_t offset_ns);
	bool (*zone)(struct recording_job *job, uint32_t index, const void *bytes, size_t count);
	bool (*flush)(struct recording_job *job);
	bool (*close)(struct recording_job *job);
	const char *(*error)(const struct recording_job *job);
};

extern const struct recording_sink record_to_file, record_to_csv;

#endif
