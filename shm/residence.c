/* SPDX-License-Identifier: MIT */
/* Huge pages are made of the small ones that are there already (MADV_COLLAPSE): so the
 * space was reserved before, and a system that has none left loses nothing. How many
 * there are is read from the kernel's own account, not inferred from what it answered.
 */
#include "shm/residence.h"

#include "base/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { HUGE_BYTES = 2 << 20 };

static uintptr_t round_up(uintptr_t address, uintptr_t multiple)
{
	return (address + multiple - 1) / multiple * multiple;
}

/* Take more addresses than needed, lay the file over a good part, give the rest back. */
static void *map_aligned(int fd, size_t bytes, int protection, int flags)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	size_t reserved = round_up(bytes, page) + HUGE_BYTES;
	char *all =
		mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before, used = round_up(bytes, page);
	void *base;

	if (all == MAP_FAILED)
		return mmap(NULL, bytes, protection, flags, fd, 0);
	before = round_up((uintptr_t)all, HUGE_BYTES) - (uintptr_t)all;
	base = mmap(all + before, bytes, protection, flags | MAP_FIXED, fd, 0);
	if (base == MAP_FAILED) {
		int error = errno;

		munmap(all, reserved);
		errno = error;
		return MAP_FAILED;
	}
	if (before > 0)
		munmap(all, before);
	if (reserved > before + used)
		munmap(all + before + used, reserved - before - used);
	return base;
}

void *dxi_residence_map(int fd, size_t bytes, int protection, bool populate)
{
	int flags = MAP_SHARED | (populate ? MAP_POPULATE : 0);

	if (bytes < HUGE_BYTES)
		return mmap(NULL, bytes, protection, flags, fd, 0);
	return map_aligned(fd, bytes, protection, flags);
}

/* Of the mapping that begins at `base`. */
static uint64_t huge_bytes(const void *base)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	uint64_t begin = 0, end, kib, found = 0;
	char line[512];

	while (smaps && fgets(line, sizeof line, smaps)) {
		uint64_t each;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &each, &end) == 2)
			begin = each;
		else if (begin == (uintptr_t)base &&
		         sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1)
			found = kib * 1024;
	}
	if (smaps)
		fclose(smaps);
	return found;
}

static uint64_t ask_for_huge(const char *name, void *base, size_t bytes)
{
	uint64_t found;
	int error = 0;

	if (madvise(base, bytes, MADV_HUGEPAGE) == -1 || madvise(base, bytes, MADV_COLLAPSE) == -1)
		error = errno;
	found = huge_bytes(base);
	if (found < bytes / HUGE_BYTES * HUGE_BYTES || found == 0)
		dxi_log(DXH_LOG_WARNING,
		        "block %s: %" PRIu64 " of %zu bytes are in huge pages (%s)", name, found,
		        bytes, error ? strerror(error) : "smaller than one");
	return found;
}

static uint64_t ask_for_lock(const char *name, void *base, size_t bytes)
{
	struct rlimit limit = {0};
	int error;

	if (mlock(base, bytes) == 0)
		return bytes;
	error = errno;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	dxi_log(DXH_LOG_WARNING,
	        "block %s: not locked in memory: %s (needs %zu bytes, RLIMIT_MEMLOCK is %ju)", name,
	        strerror(error), bytes, (uintmax_t)limit.rlim_cur);
	return 0;
}

dxi_residence
dxi_residence_ask(const char *name, void *base, size_t bytes, const dxh_block_config *config)
{
	dxi_residence granted = {0};

	if (config->huge_pages)
		granted.huge_bytes = ask_for_huge(name, base, bytes);
	if (config->lock_memory)
		granted.locked_bytes = ask_for_lock(name, base, bytes);
	return granted;
}
