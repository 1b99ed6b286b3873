/* SPDX-License-Identifier: MIT */
/* Which processes have a file mapped, by what /proc shows this user: of readers without
 * a row nothing else tells. */
#ifndef USERS_H
#define USERS_H

#include <stdbool.h>
#include <stddef.h>

struct user {
	long pid;
	char command[32]; /* as it calls itself; anything may be in it */
	unsigned reading; /* mappings of the whole file, read-only */
	unsigned writing;
};

struct users {
	struct user *list; /* in order of pids */
	size_t count;
	size_t hidden; /* processes that this user may not look at */
	bool complete; /* nothing else stood in the way of looking at all */
};

/* Those that have the file at `path` mapped. Free with users_free(). */
void users_find(const char *path, struct users *users);

/* Everybody's mappings of blocks at one moment, looked at once for many questions. */
struct users_moment {
	struct users_mapping *list; /* in order of files */
	size_t count, room;
};

void users_look(struct users_moment *moment);

/* As users_find() at that moment; what they call themselves is not told. */
void users_of(const struct users_moment *moment, const char *path, struct users *users);
void users_forget(struct users_moment *moment);

/* Is this file, a link of /proc to one whose name was removed, the one that is looked for? */
typedef bool (*users_judge)(void *context, const char *link);

/* Those that have a file mapped which lay in `directory` and was removed: the first that
 * `judge` says yes to. Free with users_free(). */
void users_find_removed(const char *directory, users_judge judge, void *context,
                        struct users *users);

void users_free(struct users *users);

#endif
