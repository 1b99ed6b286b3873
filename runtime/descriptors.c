/* SPDX-License-Identifier: MIT */
/* Counting what is open, and raising the soft limit. */
#include "runtime/descriptors.h"

#include "base/status.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

/* Far beyond any client table, far below what strains the kernel. */
enum { LISTENING_MAX = 65536 };

/* Descriptors open now; 0 when /proc does not tell. */
static rlim_t count_open(void)
{
	DIR *directory = opendir("/proc/self/fd");
	rlim_t count = 0;

	if (!directory)
		return 0;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 3; /* ".", ".." and the directory itself */
}

/* Raise the soft limit to `wanted` or as near as possible. */
static void raise_to(struct rlimit *limit, rlim_t wanted)
{
	struct rlimit raised = *limit;

	raised.rlim_cur = wanted < limit->rlim_max ? wanted : limit->rlim_max;
	if (raised.rlim_cur > limit->rlim_cur && setrlimit(RLIMIT_NOFILE, &raised) == 0)
		*limit = raised;
}

dxh_status dxi_descriptors_reserve(const char *what, uint32_t need)
{
	rlim_t open = count_open();
	rlim_t wanted = open + need + DXI_DESCRIPTORS_SPARE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return DXH_OK; /* cannot tell: libzmq will */
	if (limit.rlim_cur < wanted)
		raise_to(&limit, wanted);
	if (limit.rlim_cur >= wanted)
		return DXH_OK;
	return dxi_fail(DXH_ELIMIT,
	                "%s needs %u file descriptors and %d to spare; %llu are open, the limit is "
	                "%llu: raise it (`ulimit -n`, LimitNOFILE=)",
	                what, need, DXI_DESCRIPTORS_SPARE, (unsigned long long)open,
	                (unsigned long long)limit.rlim_max);
}

int dxi_descriptors_ceiling(uint32_t need)
{
	rlim_t least = count_open() + need, ceiling;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur > INT_MAX)
		return INT_MAX;
	ceiling = limit.rlim_cur - limit.rlim_cur / 4;
	return (int)(ceiling > least ? ceiling : least);
}

int dxi_descriptors_next(void)
{
	int next = open("/", O_PATH | O_CLOEXEC);

	if (next == -1)
		return INT_MAX;
	close(next);
	return next;
}

void dxi_descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		raise_to(&limit, LISTENING_MAX);
}
