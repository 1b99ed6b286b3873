/* SPDX-License-Identifier: MIT */
/* The private folder that the blocks of one demo lie in. It carries the number of
 * its process, so that the next demo can sweep what a killed one left behind. */
#include "demo_supervisor.h"

#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char command[] = "demo";
static const char prefix[] = "dxh-demo-";

static const char *base(void)
{
	const char *given = getenv("DXH_SHM_DIR");

	return given != NULL && given[0] != '\0' ? given : "/dev/shm";
}

/* The process that a name tells of, or 0. */
static pid_t owner_of(const char *name)
{
	char *end = NULL;
	long pid = 0;

	if (strncmp(name, prefix, sizeof prefix - 1) == 0)
		pid = strtol(name + sizeof prefix - 1, &end, 10);
	return end != NULL && *end == '\0' && pid > 0 && pid < INT32_MAX ? (pid_t)pid : 0;
}

/* The folder is flat: the library makes no folders. */
static bool remove_at(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (folder == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while ((entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(fd, entry->d_name, 0);
	closedir(folder);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

static void sweep(void)
{
	DIR *folder = opendir(base());
	struct dirent *entry;
	pid_t pid;

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		pid = owner_of(entry->d_name);
		if (pid != 0 && (pid == getpid() || (kill(pid, 0) == -1 && errno == ESRCH)))
			remove_at(dirfd(folder), entry->d_name);
	}
	closedir(folder);
}

bool demo_directory_make(char *path, size_t capacity_bytes)
{
	int length = snprintf(path, capacity_bytes, "%s/%s%d", base(), prefix, (int)getpid());

	if (length < 0 || (size_t)length >= capacity_bytes) {
		tool_fail(command, "DXH_SHM_DIR is too long");
		return false;
	}
	sweep();
	if (mkdir(path, 0700) == -1) {
		tool_fail(command, "cannot make %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

unsigned demo_directory_count(const char *path, char *first, size_t capacity_bytes)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	first[0] = '\0';
	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (count++ == 0)
			snprintf(first, capacity_bytes, "%.60s", entry->d_name);
	}
	closedir(folder);
	return count;
}

bool demo_directory_remove(const char *path)
{
	return remove_at(AT_FDCWD, path);
}

static unsigned count_named(const char *folder_path, const char *name)
{
	DIR *folder = opendir(folder_path);
	struct dirent *entry;
	size_t length = strlen(name);
	unsigned count = 0;

	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL)
		count += strncmp(entry->d_name, name, length) == 0 &&
		         (entry->d_name[length] < '0' || entry->d_name[length] > '9');
	closedir(folder);
	return count;
}

unsigned demo_directory_strays(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return count_named(base(), name) + count_named("/tmp", name);
}
