/* SPDX-License-Identifier: MIT */
/* Whom a follower follows: a channel of a broker, or a block by its name. */
#ifndef SOURCE_H
#define SOURCE_H

#include <dxh.h>

#include <stdbool.h>

struct source {
	const char *name;
	const char *broker;    /* NULL: a block, unless source_choose() finds one */
	const char *directory; /* of the block; NULL: the default one */
	bool lossless;
	dxh_hub *hub; /* opened by the first source_open() with a broker */
	dxh_peer *peer;
};

/* Without a broker or a directory it is the broker of $DXH_BROKER, if there is that. False:
 * both were given, which is said by `command`. */
bool source_choose(struct source *source, const char *command);

/* Attach, waiting for it up to the deadline. Returns: as dxh_consume() and
 * dxh_consumer_open(). */
dxh_status source_open(struct source *source, dxh_start start, uint64_t ticket, int64_t deadline_ns,
                       dxh_consumer **consumer);
void source_close(struct source *source);

#endif
