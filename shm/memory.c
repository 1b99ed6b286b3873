/* SPDX-License-Identifier: MIT */
/* Which seals a block needs, and how its memory is opened again. Modes are set on the
 * descriptor: the data may only be read, also by its owner, and the rows belong to
 * whoever holds a descriptor, which only the producer hands out.
 */
#include "shm/memory.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CONTROL_SEALS = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
	/* What is mapped for writing stays so; nobody can map it so again. */
	DATA_SEALS = CONTROL_SEALS | F_SEAL_FUTURE_WRITE,
};

dxh_status dxi_memory_new(const char *name, int *fd)
{
	char label[96];

	/* Only for /proc/PID/maps. */
	snprintf(label, sizeof label, "dxh:%s", name);
	*fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return *fd == -1 ? dxi_fail_errno(errno, "making memory for \"%s\"", name) : DXH_OK;
}

static dxh_status seal(int fd, mode_t mode, int seals)
{
	if (fchmod(fd, mode) == -1 || fcntl(fd, F_ADD_SEALS, seals) == -1)
		return dxi_fail_errno(errno, "sealing the memory of a block");
	return DXH_OK;
}

dxh_status dxi_memory_seal_data(int fd)
{
	return seal(fd, 0400, DATA_SEALS);
}

dxh_status dxi_memory_seal_control(int fd)
{
	return seal(fd, 0666, CONTROL_SEALS);
}

static dxh_status check(int fd, int seals)
{
	int found = fcntl(fd, F_GET_SEALS);

	if (found == -1)
		return dxi_fail(DXH_EACCESS,
		                "descriptor %d is no memory of a block: it cannot be sealed", fd);
	if ((found & seals) != seals)
		return dxi_fail(DXH_EACCESS,
		                "descriptor %d is sealed with 0x%x, not with all of 0x%x: its "
		                "owner could truncate it",
		                fd, (unsigned)found, (unsigned)seals);
	return DXH_OK;
}

dxh_status dxi_memory_check_data(int fd)
{
	return check(fd, DATA_SEALS);
}

dxh_status dxi_memory_check_control(int fd)
{
	return check(fd, CONTROL_SEALS);
}

dxh_status dxi_memory_reopen(int fd, int flags, int *reopened)
{
	char own[64];

	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	do
		*reopened = open(own, flags | O_CLOEXEC);
	while (*reopened == -1 && errno == EINTR);
	return *reopened == -1 ? dxi_fail_errno(errno, "opening %s", own) : DXH_OK;
}
