/* SPDX-License-Identifier: MIT */
/* The parts of `dxh stat`: what follows from the facts of a block, and showing them. */
#ifndef STAT_H
#define STAT_H

#include "block.h"
#include "channel.h"
#include "users.h"

#include <dxh/inspect.h>

/* All blocks of the directory, or those whose names begin as was given, or of one file: a line
 * each; an exit code. */
int stat_list(const struct block_arguments *arguments);

/* What is told of one block. */
struct stat_facts {
	dxh_facts *block;
	dxh_channel_facts *channel; /* NULL: no broker was asked, or it did not say */
	struct users users;
};

/* For people and for programs. */
void stat_show(const struct stat_facts *facts);
void stat_tell(const struct stat_facts *facts);

/* How many followers a process has at least: who has the block mapped and is neither its
 * producer nor a reader with a row, nor known to the broker. What they lose only they know. */
unsigned stat_followers(const struct stat_facts *facts, const struct user *user);

/* How long ago that was, of the producer's clock; 0: it says nothing here and now. */
int64_t stat_age_ns(const dxh_facts *facts, int64_t published_ns);

/* CLOCK_REALTIME; 0: not known. */
int64_t stat_realtime_ns(const dxh_facts *facts, int64_t published_ns);
int64_t stat_producer_started_ns(const dxh_facts *facts);

const char *stat_policy(dxh_policy policy);
const char *stat_checksum(const dxh_facts *facts);
const char *stat_reader_state(dxh_reader_state state);
const char *stat_zone_kind(const dxh_zone_info *zone);

#endif
