/* SPDX-License-Identifier: MIT */
/* Which sockets of channels nobody listens to. The kernel answers: a connection to a socket of
 * the file system is refused if nothing is bound to it any more. It never sees blocks. */
#include "gc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	DIGITS = 32,   /* of a block's uuid, by which its channel's socket is called */
	SETTLED_S = 10 /* for so long one that is bound may not be listened to yet */
};

/* "UUID", or "UUID.full" of a service that is out of descriptors. */
static int is_of_channel(const struct dirent *entry)
{
	const char *at = entry->d_name;

	while (isdigit((unsigned char)*at) || (*at >= 'a' && *at <= 'f'))
		at++;
	return at - entry->d_name == DIGITS && (*at == '\0' || strcmp(at, ".full") == 0);
}

static bool refuses(int folder, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool refused;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return false;
	/* So it fits, however long the folder's name is. */
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.40s", folder, name);
	refused = connect(fd, (struct sockaddr *)&address, sizeof address) == -1 &&
	          errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static bool is_left(int folder, const char *name, struct stat *found)
{
	return fstatat(folder, name, found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(found->st_mode) &&
	       found->st_mtime < time(NULL) - SETTLED_S && refuses(folder, name);
}

/* A successor may bind the same name at any moment: what is moved away is looked at again, and
 * moved back if it is another one. */
static bool take_away(int folder, const char *name, const struct stat *left)
{
	char aside[32];
	struct stat found;
	bool same;

	snprintf(aside, sizeof aside, ".gone-%ld", (long)getpid());
	if (renameat(folder, name, folder, aside) == -1 ||
	    fstatat(folder, aside, &found, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	same = found.st_ino == left->st_ino && found.st_dev == left->st_dev;
	if (!same && linkat(folder, aside, folder, name, 0) == -1 && errno != EEXIST)
		return false;
	if (unlinkat(folder, aside, 0) == -1)
		return false;
	errno = EBUSY; /* if it is another one */
	return same;
}

static bool add(struct gc_sockets *sockets, const char *name)
{
	struct gc_socket *grown =
		realloc(sockets->list, (sockets->count + 1) * sizeof *sockets->list);

	if (grown == NULL)
		return false;
	sockets->list = grown;
	grown = &grown[sockets->count++];
	*grown = (struct gc_socket){.reason = "nobody listens: its producer was killed"};
	snprintf(grown->name, sizeof grown->name, "%.40s", name);
	return true;
}

static void look_at(int folder, const char *name, bool apply, struct gc_sockets *sockets)
{
	struct gc_socket *socket;
	struct stat left;

	if (!is_left(folder, name, &left) || !add(sockets, name))
		return;
	socket = &sockets->list[sockets->count - 1];
	socket->removed = apply && take_away(folder, name, &left);
	sockets->removed += socket->removed;
	if (apply && !socket->removed)
		snprintf(socket->reason, sizeof socket->reason, "it cannot be removed: %s",
		         strerror(errno));
}

/* Nobody else may have a hand in what is there. */
static int open_folder(const char *given)
{
	char own[32];
	struct stat found;
	int fd;

	snprintf(own, sizeof own, "/tmp/dxh-%u", (unsigned)getuid());
	fd = open(given != NULL ? given : own, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (fstat(fd, &found) == 0 && found.st_uid == getuid() && (found.st_mode & 022) == 0)
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

bool gc_sockets(const char *folder, bool apply, struct gc_sockets *sockets)
{
	struct dirent **entries = NULL;
	int fd = open_folder(folder), count;

	*sockets = (struct gc_sockets){0};
	if (fd == -1)
		return folder == NULL && errno == ENOENT;
	count = scandirat(fd, ".", &entries, is_of_channel, alphasort);
	for (int i = 0; i < count; i++) {
		look_at(fd, entries[i]->d_name, apply, sockets);
		free(entries[i]);
	}
	free(entries);
	close(fd);
	return count >= 0;
}

void gc_sockets_free(struct gc_sockets *sockets)
{
	free(sockets->list);
	*sockets = (struct gc_sockets){0};
}
