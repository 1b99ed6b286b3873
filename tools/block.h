/* SPDX-License-Identifier: MIT */
/* What the subcommands over blocks have in common: which block is meant, what may be
 * done to it, what to say when that is impossible. */
#ifndef BLOCK_H
#define BLOCK_H

#include "tool.h"

#include <dxh/block.h>
#include <dxh/channel.h>

#include <getopt.h>

/* Their exit codes: TOOL_OK, what was looked at is in order or was put in order; */
enum {
	TOOL_FOUND = 1, /* something was found that somebody should act on; */
	TOOL_UNABLE = 3 /* nothing could be told or done: standard error says why. And 2 */
};

/* Which arguments a subcommand takes. */
enum {
	BLOCK_NAME = 1,    /* a name, always */
	BLOCK_FILE = 2,    /* or a data file */
	BLOCK_LIST = 4,    /* or nothing: all of the directory */
	BLOCK_KEY = 8,     /* --key */
	BLOCK_APPLY = 16,  /* --apply */
	BLOCK_KEEP = 32,   /* --keep-closed */
	BLOCK_CHANNEL = 64 /* --broker: the name may be that of a channel */
};

struct block_arguments {
	const char *command;
	const char *given; /* as the user wrote it; NULL: nothing */
	const char *name;  /* one of these two is set, or none */
	const char *file;
	const char *directory; /* NULL: the default one; of a channel that was found: its own */
	const char *broker;    /* NULL: the name is that of a block */
	uint32_t owner_uid_plus1;
	const unsigned char *key; /* NULL: none */
	bool as_json, apply, keep_closed;
	char found_directory[DXH_ENDPOINT_MAX + 1];
	unsigned char key_bytes[DXH_CHECKSUM_KEY_BYTES];
};

/* Options that one subcommand alone has. `take` says what is wrong and returns false. */
struct block_own {
	const struct option *options; /* the last one is all zero */
	bool (*take)(void *context, int letter, const char *value);
	void *context;
};

/* Understand the command line of a subcommand, which takes what `takes` says. False: the
 * exit code is in *code, and everything is said. */
bool block_arguments(int argc, char **argv, unsigned takes, int (*help)(void),
                     struct block_arguments *arguments, int *code);

/* The same with options of its own. */
bool block_arguments_and(int argc, char **argv, unsigned takes, int (*help)(void),
                         const struct block_own *own, struct block_arguments *arguments, int *code);

/* The directory that is meant, as it was given. */
const char *block_directory(const struct block_arguments *arguments);

/* Say why a block cannot be looked at, and what to do about it; TOOL_UNABLE. */
int block_unable(const struct block_arguments *arguments, dxh_status status);

const char *block_liveness(dxh_liveness producer);

#endif
