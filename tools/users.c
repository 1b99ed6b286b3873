/* SPDX-License-Identifier: MIT */
/* Reads /proc/PID/maps of everybody it may; compares device and inode, since a path says
 * little of what was removed or lies in another mount namespace.
 */
#include "users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct mapping {
	dev_t device;
	ino_t inode;
	bool writes;
	const char *path; /* "": none */
};

/* "7f00-7f01 r--s 00000000 00:1b 1234    /dev/shm/x.dxh". Only shared ones that begin with
 * the file: each mapping of a whole block has one, however the kernel cuts it. */
static bool parse(const char *line, struct mapping *mapping)
{
	unsigned long long offset, inode;
	unsigned major_number, minor_number;
	char permissions[5];
	int path = 0;

	if (sscanf(line, "%*x-%*x %4s %llx %x:%x %llu %n", permissions, &offset, &major_number,
	           &minor_number, &inode, &path) < 5 ||
	    path == 0 || offset != 0 || permissions[3] != 's')
		return false;
	*mapping = (struct mapping){.device = makedev(major_number, minor_number),
	                            .inode = inode,
	                            .writes = permissions[1] == 'w',
	                            .path = line + path};
	return true;
}

static FILE *open_maps(long pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%ld/maps", pid);
	return fopen(path, "re");
}

static bool next_mapping(FILE *maps, char *line, size_t capacity_bytes, struct mapping *mapping)
{
	while (fgets(line, (int)capacity_bytes, maps) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (parse(line, mapping))
			return true;
	}
	return false;
}

enum { LINE_BYTES = 4608 }; /* what stands before the longest path, and that */

/* ---- everybody ---- */

/* True ends it. */
typedef bool (*visit_fn)(void *context, long pid);

/* False: /proc cannot be read. */
static bool visit_processes(visit_fn visit, void *context)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	if (processes == NULL)
		return false;
	while ((entry = readdir(processes)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && visit(context, atol(entry->d_name)))
			break;
	closedir(processes);
	return true;
}

/* ---- who has this file? ---- */

struct search {
	dev_t device;
	ino_t inode;
	struct users *users;
	bool failed;
};

static void read_command(struct user *user)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%ld/comm", user->pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	user->command[fread(user->command, 1, sizeof user->command - 1, file)] = '\0';
	user->command[strcspn(user->command, "\n")] = '\0';
	fclose(file);
}

static bool keep(struct users *users, const struct user *user)
{
	struct user *larger = realloc(users->list, (users->count + 1) * sizeof *larger);

	if (larger == NULL)
		return false;
	users->list = larger;
	users->list[users->count++] = *user;
	return true;
}

static bool count_mappings(void *context, long pid)
{
	struct search *search = context;
	struct user user = {.pid = pid};
	struct mapping mapping;
	char line[LINE_BYTES];
	FILE *maps = open_maps(pid);

	errno = maps != NULL ? 0 : errno;
	while (maps != NULL && next_mapping(maps, line, sizeof line, &mapping))
		if (mapping.inode == search->inode && mapping.device == search->device) {
			user.writing += mapping.writes;
			user.reading += !mapping.writes;
		}
	/* Gone meanwhile is no reason. */
	search->users->hidden += errno == EACCES || errno == EPERM;
	if (maps != NULL)
		fclose(maps);
	if (user.reading + user.writing == 0)
		return false;
	read_command(&user);
	search->failed = !keep(search->users, &user);
	return search->failed;
}

static int by_pid(const void *left, const void *right)
{
	long a = ((const struct user *)left)->pid, b = ((const struct user *)right)->pid;

	return (a > b) - (a < b);
}

static void find(dev_t device, ino_t inode, struct users *users)
{
	struct search search = {.device = device, .inode = inode, .users = users};

	users->complete = visit_processes(count_mappings, &search) && !search.failed;
	if (users->count > 0)
		qsort(users->list, users->count, sizeof *users->list, by_pid);
}

void users_find(const char *path, struct users *users)
{
	struct stat found;

	*users = (struct users){0};
	if (stat(path, &found) == 0)
		find(found.st_dev, found.st_ino, users);
}

/* ---- whose file was removed? ---- */

struct removed {
	const char *directory; /* as the kernel shows it */
	users_judge judge;
	void *context;
	bool found;
	struct mapping mapping; /* without its path */
};

/* The kernel writes so behind what was removed, and behind what was made without a name,
 * whatever it was called later. */
static bool lay_in(const char *directory, const char *path)
{
	static const char mark[] = " (deleted)";
	size_t length = strlen(directory), whole = strlen(path);

	return whole > length + sizeof mark && strncmp(path, directory, length) == 0 &&
	       path[length] == '/' && strcmp(path + whole - strlen(mark), mark) == 0;
}

/* A descriptor of that process that leads to the file: through a mapping only root may. */
static bool find_link(long pid, const struct mapping *mapping, char *link, size_t capacity_bytes)
{
	struct dirent *entry;
	struct stat found;
	bool is_it = false;
	DIR *descriptors;

	snprintf(link, capacity_bytes, "/proc/%ld/fd", pid);
	descriptors = opendir(link);
	while (descriptors != NULL && !is_it && (entry = readdir(descriptors)) != NULL) {
		snprintf(link, capacity_bytes, "/proc/%ld/fd/%s", pid, entry->d_name);
		is_it = stat(link, &found) == 0 && found.st_dev == mapping->device &&
		        found.st_ino == mapping->inode;
	}
	if (descriptors != NULL)
		closedir(descriptors);
	return is_it;
}

static bool judge_mappings(void *context, long pid)
{
	struct removed *removed = context;
	char line[LINE_BYTES], link[320];
	FILE *maps = open_maps(pid);
	struct mapping mapping;

	while (maps != NULL && !removed->found && next_mapping(maps, line, sizeof line, &mapping))
		if (lay_in(removed->directory, mapping.path) &&
		    find_link(pid, &mapping, link, sizeof link) &&
		    removed->judge(removed->context, link)) {
			removed->found = true;
			removed->mapping = mapping;
		}
	if (maps != NULL)
		fclose(maps);
	return removed->found;
}

void users_find_removed(const char *directory, users_judge judge, void *context,
                        struct users *users)
{
	struct removed removed = {.judge = judge, .context = context};
	char *resolved = realpath(directory, NULL);

	*users = (struct users){0};
	removed.directory = resolved;
	if (resolved != NULL && visit_processes(judge_mappings, &removed) && removed.found)
		find(removed.mapping.device, removed.mapping.inode, users);
	free(resolved);
}

void users_free(struct users *users)
{
	free(users->list);
	*users = (struct users){0};
}
