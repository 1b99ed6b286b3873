/* SPDX-License-Identifier: MIT */
/* Files that could not belong to a block of any name are passed over. */
#include "shm/names.h"

#include "base/status.h"
#include "shm/path.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const SUFFIXES[] = {".dxh", ".ctl", ".zones", ".lock"};

/* "a+b.dxh" is of block "a/b". False: of none. */
static bool name_of_file(const char *file, char name[DXH_BLOCK_NAME_MAX + 1])
{
	const char *dot = strrchr(file, '.');
	size_t length = dot ? (size_t)(dot - file) : 0;
	bool known = false;

	for (size_t i = 0; dot && i < sizeof SUFFIXES / sizeof *SUFFIXES; i++)
		known = known || strcmp(dot, SUFFIXES[i]) == 0;
	if (!known || length == 0 || length > DXH_BLOCK_NAME_MAX || file[0] == '.' ||
	    file[0] == '+')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (file[i] != '+' && !dxi_is_name_character(file[i]))
			return false;
		name[i] = file[i] == '+' ? '/' : file[i];
	}
	name[length] = '\0';
	return true;
}

static dxh_status add(dxi_names *names, size_t *capacity, const char *name)
{
	if (names->count == *capacity) {
		size_t wanted = *capacity ? 2 * *capacity : 64;
		void *larger = realloc(names->names, wanted * sizeof *names->names);

		if (!larger)
			return dxi_fail(DXH_ENOMEM, "no memory for %zu names", wanted);
		names->names = larger;
		*capacity = wanted;
	}
	strcpy(names->names[names->count++], name);
	return DXH_OK;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void sort_and_unite(dxi_names *names)
{
	size_t kept = 0;

	if (names->count > 0)
		qsort(names->names, names->count, sizeof *names->names, compare);
	for (size_t i = 0; i < names->count; i++)
		if (kept == 0 || strcmp(names->names[kept - 1], names->names[i]) != 0)
			memmove(names->names[kept++], names->names[i], sizeof *names->names);
	names->count = kept;
}

dxh_status dxi_names_read(const char *directory, dxi_names *names)
{
	char name[DXH_BLOCK_NAME_MAX + 1];
	dxh_status status = DXH_OK;
	struct dirent *entry;
	size_t capacity = 0;
	DIR *stream = opendir(directory);

	*names = (dxi_names){0};
	if (!stream)
		return dxi_fail_errno(errno, "reading the directory %s", directory);
	/* Ends with the directory. */
	while (status == DXH_OK && (errno = 0, entry = readdir(stream)))
		if (name_of_file(entry->d_name, name))
			status = add(names, &capacity, name);
	if (status == DXH_OK && errno != 0)
		status = dxi_fail_errno(errno, "reading the directory %s", directory);
	closedir(stream);
	if (status == DXH_OK)
		sort_and_unite(names);
	else
		free(names->names);
	return status;
}
