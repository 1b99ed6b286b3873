/* SPDX-License-Identifier: MIT */
/* A replay that is under way, and how a record of it is played. */
#ifndef REPLAY_H
#define REPLAY_H

#include "recording.h"
#include "tool.h"

#include <dxh.h>

#include <stdio.h>

struct replay {
	const char *path, *as, *broker, *directory, *csv_path;
	double speed; /* 0: as fast as possible */
	bool keep_tickets, quiet;
	uint64_t first_ticket, last_ticket, slots, readers;
	int64_t from_ns, to_ns; /* after the first item */

	struct recording_reader reader;
	struct recording_block block; /* that plays now */
	dxh_description *description;
	dxh_hub *hub;
	dxh_peer *peer;
	dxh_producer *producer;
	FILE *csv;

	bool begun; /* an item was played; times count from the first one of the recording */
	int64_t first_ns, played_first_ns, begun_ns, pictured_ns, clock_offset_ns;
	uint64_t next_ticket; /* of the recording, of this block */
	uint64_t items, bytes, missing, blocks;
	bool over; /* all that was asked for was played */
};

/* It is to end, see tool_when_ended(): to be looked at in every wait. */
bool replay_interrupted(void);

/* "dxh replay: ..." on standard error; false. */
bool replay_say(const char *what);

/* Play one record, whatever it is: into a block, or as text. False: it could not be, which is
 * said; or it is over, or interrupted. */
bool replay_record(struct replay *replay, const struct recording_record *record);

/* On the terminal, if there is one. */
void replay_show_progress(struct replay *replay, bool last);

#endif
