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

/* ---- who has which? ---- */

struct users_mapping {
	dev_t device;
	ino_t inode;
	struct user user;
};

static int by_file(const void *left, const void *right)
{
	const struct users_mapping *a = left, *b = right;

	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return by_pid(&a->user, &b->user);
}

static bool note(struct users_moment *moment, long pid, const struct mapping *mapping)
{
	if (moment->count == moment->room) {
		size_t room = moment->room > 0 ? 2 * moment->room : 64;
		struct users_mapping *more = realloc(moment->list, room * sizeof *more);

		if (more == NULL)
			return false;
		moment->list = more;
		moment->room = room;
	}
	moment->list[moment->count++] = (struct users_mapping){
		.device = mapping->device,
		.inode = mapping->inode,
		.user = {.pid = pid, .reading = !mapping->writes, .writing = mapping->writes}};
	return true;
}

static bool note_mappings(void *context, long pid)
{
	struct users_moment *moment = context;
	struct mapping mapping;
	char line[LINE_BYTES];
	FILE *maps = open_maps(pid);
	bool noted = true;

	while (maps != NULL && noted && next_mapping(maps, line, sizeof line, &mapping))
		if (strstr(mapping.path, ".dxh") != NULL)
			noted = note(moment, pid, &mapping);
	if (maps != NULL)
		fclose(maps);
	return !noted;
}

void users_look(struct users_moment *moment)
{
	*moment = (struct users_moment){0};
	visit_processes(note_mappings, moment);
	if (moment->count > 0)
		qsort(moment->list, moment->count, sizeof *moment->list, by_file);
}

/* The first that is not before the file. */
static size_t first_of(const struct users_moment *moment, const struct users_mapping *wanted)
{
	size_t low = 0, high = moment->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_file(&moment->list[middle], wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void users_of(const struct users_moment *moment, const char *path, struct users *users)
{
	struct users_mapping wanted = {0};
	struct stat found;

	*users = (struct users){.complete = true};
	if (stat(path, &found) == -1)
		return;
	wanted.device = found.st_dev;
	wanted.inode = found.st_ino;
	for (size_t i = first_of(moment, &wanted); i < moment->count; i++) {
		const struct users_mapping *one = &moment->list[i];
		struct user *last = users->count > 0 ? &users->list[users->count - 1] : NULL;

		if (one->device != wanted.device || one->inode != wanted.inode)
			break;
		if (last != NULL && last->pid == one->user.pid) {
			last->reading += one->user.reading;
			last->writing += one->user.writing;
		} else if (!keep(users, &one->user)) {
			users->complete = false;
			break;
		}
	}
}

void users_forget(struct users_moment *moment)
{
	free(moment->list);
	*moment = (struct users_moment){0};
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
