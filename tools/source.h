/* SPDX-License-Identifier: MIT */
/* Whom a follower follows: a channel of a broker, a block by its name, or a file that nobody
 * writes to. */
#ifndef SOURCE_H
#define SOURCE_H

#include <dxh.h>

#include <stdbool.h>

struct source {
	const char *name;
	const char *file;      /* in place of a name, where the subcommand takes one */
	const char *broker;    /* NULL: a block, unless source_choose() finds one */
	const char *directory; /* of the block; NULL: the default one */
	bool lossless;
	dxh_hub *hub; /* opened by the first source_open() with a broker */
	dxh_peer *peer;
};

/* What the command line named, a file if it begins like one. Of a name without a broker or a
 * directory the broker is that of $DXH_BROKER, if there is that. False: it does not go
 * together, which is said by `command`. */
bool source_choose(struct source *source, const char *command, const char *given, bool takes_file);

/* Attach, waiting some seconds for what is not there yet. False: it is said why by `command`,
 * and what to do about it. */
bool source_open(struct source *source, const char *command, dxh_start start, uint64_t ticket,
                 dxh_consumer **consumer);
void source_close(struct source *source);

#endif
