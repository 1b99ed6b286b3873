/* SPDX-License-Identifier: MIT */
/* The options of `dxh broker`, from the command line and from a file. */
#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include <dxh/broker.h>

#include <stdbool.h>

enum { BROKER_PATH_BYTES = 1024 };

struct broker_options {
	char endpoint[256];
	dxh_broker_config config; /* its texts are the following */
	char key[BROKER_PATH_BYTES], allow[BROKER_PATH_BYTES], rights[BROKER_PATH_BYTES];
};

/* Set the option of this name. `value` is NULL for one that takes none; `where` stands in
 * front of what is said when that is wrong. Returns an exit code. */
int broker_option_set(struct broker_options *options, const char *where, const char *option,
                      const char *value);

/* Set what the lines "option = value" of a file say. Empty lines, and those that begin with
 * #, say nothing; an option that takes no value is set by "yes". Returns an exit code, after
 * naming file and line of a mistake. */
int broker_options_read(struct broker_options *options, const char *path);

#endif
