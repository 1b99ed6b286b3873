/* SPDX-License-Identifier: MIT */
/* What `dxh top` knows of a directory of blocks at one moment, and since the one before. */
#ifndef TOP_H
#define TOP_H

#include "tool.h"

#include <dxh/inspect.h>
#include <dxh/metrics.h>

enum { TOP_HISTORY = 24, TOP_READERS = 8 };

struct top_block {
	char name[DXH_BLOCK_NAME_MAX + 1];
	unsigned char uuid[16];
	dxh_liveness producer;
	int64_t pid;
	uint64_t epoch, slot_count, items, bytes, wakes, held, evicted;
	unsigned followers;  /* processes that have it mapped and no row */
	size_t reader_count; /* of rows; the first TOP_READERS are kept */
	dxh_reader_row readers[TOP_READERS];
	char error[128]; /* it cannot be looked at; else "" */
	bool is_denied;  /* and that is since it belongs to somebody else */

	double items_s, bytes_s, wakes_s; /* since the moment before; 0 at the first */
	double history[TOP_HISTORY];      /* of items_s, the newest last */

	bool is_hub; /* it holds the metrics of one */
	dxh_metrics metrics;
	double posted_s, done_s, notified_s, wakeups_s;
};

struct top_sample {
	const char *directory;
	int64_t taken_ns;
	struct top_block *blocks; /* in order of their names */
	size_t count;
};

/* Look at all blocks. `before` may be NULL. False: the directory cannot be read, see errno. */
bool top_take(const char *directory, const struct top_sample *before, struct top_sample *sample);
void top_free(struct top_sample *sample);

/* All of it as lines, or as JSON. */
void top_print(const struct top_sample *sample);
void top_tell(const struct top_sample *sample);

/* In a terminal until the user ends it: an exit code. `take` gives the next sample. */
int top_screen(const char *directory, double every_s);

/* "3.42 k/s" at most 9 characters; "12 ms". */
const char *top_state(const struct top_block *block);

#endif
