/* SPDX-License-Identifier: MIT */
/* What a process holds: anonymous memory and descriptors, as the kernel says. */
#include "tests/net/net.h"

#include <dirent.h>

/* The ledger is shared and does not count. */
uint64_t memory_kib(pid_t of)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	FILE *status;

	snprintf(path, sizeof path, "/proc/%d/status", (int)of);
	status = fopen(path, "re");

	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

uint64_t descriptors(pid_t of)
{
	char path[64];
	uint64_t count = 0;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)of);
	folder = opendir(path);
	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

/* Sockets of ended connections are closed by libzmq, a moment later. */
void expect_descriptors(pid_t of, uint64_t most)
{
	enum { PATIENCE_MS = 15000 };
	int64_t patience_ns = dxh_in_ms(PATIENCE_MS);

	while (descriptors(of) > most) {
		if (dxh_now_ns() > patience_ns)
			net_fail("%" PRIu64 " descriptors are open, at most %" PRIu64 " should be",
			         descriptors(of), most);
		usleep(10000);
	}
}
