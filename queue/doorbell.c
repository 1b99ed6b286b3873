/* SPDX-License-Identifier: MIT */
/* eventfd, non-blocking: a second ring before the first is heard is no error. */
#include "queue/doorbell.h"

#include "base/status.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

dxh_status dxi_doorbell_open(int *fd)
{
	*fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (*fd == -1)
		return dxi_fail_errno(errno, "cannot open an eventfd");
	return DXH_OK;
}

void dxi_doorbell_ring(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is at its maximum, so it is readable already. */
	while (write(fd, &one, sizeof one) == -1 && errno == EINTR)
		;
}

void dxi_doorbell_clear(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof count) == -1 && errno == EINTR)
		;
}
