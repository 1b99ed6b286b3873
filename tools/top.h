/* SPDX-License-Identifier: MIT */
/* What `dxh top` knows of a directory of blocks at one moment, and since the one before. */
#ifndef TOP_H
#define TOP_H

#include "channel.h"
#include "users.h"

#include <dxh/inspect.h>
#include <dxh/metrics.h>

enum { TOP_HISTORY = 24, TOP_READERS = 8 };

/* What is watched: the blocks of a directory, or, where there is a broker, the channels it
 * knows, and hubs of the directory. */
struct top_place {
	const char *directory;
	struct channel_asker asker; /* asker.peer NULL: no broker */
};

struct top_block {
	char directory[DXH_ENDPOINT_MAX + 1];
	char name[DXH_BLOCK_NAME_MAX + 1];
	unsigned char uuid[16];
	dxh_liveness producer;
	int64_t pid;
	uint64_t epoch, slot_count, items, bytes, wakes, held, evicted;
	unsigned followers;  /* processes that have it mapped and no row */
	size_t reader_count; /* of rows; the first TOP_READERS are kept */
	dxh_reader_row readers[TOP_READERS];
	size_t consumer_count; /* that the broker knows; the first TOP_READERS are kept */
	dxh_channel_consumer consumers[TOP_READERS];
	char error[128]; /* it cannot be looked at; else "" */
	bool is_denied;  /* and that is since it belongs to somebody else */

	int64_t taken_ns;                 /* a broker that is away lets a sample take a second */
	double items_s, bytes_s, wakes_s; /* since the moment before; 0 at the first */
	double history[TOP_HISTORY];      /* of items_s, the newest last */

	bool is_hub; /* it holds the metrics of one */
	dxh_metrics metrics;
	double posted_s, done_s, notified_s, wakeups_s;
};

struct top_sample {
	const struct top_place *place;
	bool broker_is_away;      /* then these are the channels it knew last */
	int64_t taken_ns;         /* when that began */
	struct top_block *blocks; /* in order of their names */
	size_t count, capacity;
	struct users_moment users; /* who has what mapped, while it is taken */
};

/* Look at all of it. `before` may be NULL. False: the directory cannot be read, see errno, or,
 * the first time, the broker does not answer. */
bool top_take(const struct top_place *place, const struct top_sample *before,
              struct top_sample *sample);
void top_free(struct top_sample *sample);

/* All of it as lines, or as JSON. */
void top_print(const struct top_sample *sample);
void top_tell(const struct top_sample *sample);

/* Room for another block; NULL: no memory. */
struct top_block *top_add(struct top_sample *sample);

/* Fill a block of the sample. False: there is none of that name any more. */
bool top_look(const struct top_sample *sample, const char *directory, const char *name,
              struct top_block *block);

/* What is watched, in a few words. */
const char *top_title(const struct top_sample *sample);

/* The channels of the broker; top_channels.c. */
bool top_take_channels(const struct top_sample *before, struct top_sample *sample);

/* Is this row's reader among the consumers that the broker knows? */
bool top_is_consumer(const struct top_block *block, const dxh_reader_row *row);

/* Say why nothing could be taken: an exit code. */
int top_unable(const struct top_place *place);

/* In a terminal until the user ends it: an exit code. `take` gives the next sample. */
int top_screen(const struct top_place *place, double every_s);

/* "3.42 k/s" at most 9 characters; "12 ms". */
const char *top_state(const struct top_block *block);

#endif
