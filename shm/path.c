/* SPDX-License-Identifier: MIT */
/* '/' in a name becomes '+', which no name contains: so no name can leave the
 * directory and no two share a file.
 */
#include "shm/path.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool dxi_is_name_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static dxh_status check_name(const char *name)
{
	size_t length;

	if (!name)
		return dxi_fail(DXH_EINVAL, "no block name is given");
	length = strnlen(name, DXH_BLOCK_NAME_MAX + 1);
	if (length == 0 || length > DXH_BLOCK_NAME_MAX)
		return dxi_fail(DXH_EINVAL, "a block name has 1 to %d characters, \"%.80s\" not",
		                DXH_BLOCK_NAME_MAX, name);
	if (name[0] == '.' || name[0] == '/')
		return dxi_fail(DXH_EINVAL, "block name \"%s\" begins with '%c'", name, name[0]);
	for (size_t i = 0; i < length; i++)
		if (!dxi_is_name_character(name[i]) && name[i] != '/')
			return dxi_fail(DXH_EINVAL,
			                "block name: character %zu (0x%02x) is none of "
			                "A-Z a-z 0-9 . _ - /",
			                i, (unsigned char)name[i]);
	return DXH_OK;
}

static const char *directory_of(const char *given)
{
	const char *environment = getenv("DXH_SHM_DIR");

	if (given)
		return given;
	return environment && environment[0] ? environment : "/dev/shm";
}

dxh_status dxi_paths_of(const char *directory, const char *name, dxi_paths *paths)
{
	char file[DXH_BLOCK_NAME_MAX + 1];
	dxh_status status = check_name(name);
	int length;

	if (status != DXH_OK)
		return status;
	directory = directory_of(directory);
	memset(paths, 0, sizeof *paths);
	strcpy(paths->name, name);
	strcpy(file, name);
	for (char *c = file; *c; c++)
		if (*c == '/')
			*c = '+';
	snprintf(paths->data, sizeof paths->data, "%s/%s.dxh", directory, file);
	snprintf(paths->control, sizeof paths->control, "%s/%s.ctl", directory, file);
	snprintf(paths->zones, sizeof paths->zones, "%s/%s.zones", directory, file);
	length = snprintf(paths->lock, sizeof paths->lock, "%s/%s.lock", directory, file);
	/* One longer than the lock is the longest. */
	if (length + 1 >= (int)sizeof paths->lock)
		return dxi_fail(DXH_EINVAL, "the directory \"%.40s...\" is longer than %zu bytes",
		                directory, sizeof paths->lock - sizeof file - sizeof "/.zones");
	snprintf(paths->directory, sizeof paths->directory, "%s", directory);
	return DXH_OK;
}

dxh_status dxi_paths_of_memory(const char *name, dxi_paths *paths)
{
	dxh_status status = check_name(name);

	if (status != DXH_OK)
		return status;
	memset(paths, 0, sizeof *paths);
	paths->is_memory = true;
	strcpy(paths->name, name);
	snprintf(paths->directory, sizeof paths->directory, "memory");
	snprintf(paths->data, sizeof paths->data, "the memory of \"%s\"", name);
	snprintf(paths->control, sizeof paths->control, "the reader rows of \"%s\"", name);
	snprintf(paths->zones, sizeof paths->zones, "the zones of \"%s\"", name);
	snprintf(paths->lock, sizeof paths->lock, "no lock");
	return DXH_OK;
}

dxh_status dxi_paths_of_file(const char *file, dxi_paths *paths)
{
	size_t length = strnlen(file, DXI_PATH_BYTES);

	if (length == 0 || length == DXI_PATH_BYTES)
		return dxi_fail(DXH_EINVAL,
		                "a file has a path of 1 to %d characters, \"%.40s\" not",
		                DXI_PATH_BYTES - 1, file);
	memset(paths, 0, sizeof *paths);
	memcpy(paths->data, file, length);
	return DXH_OK;
}
