/* SPDX-License-Identifier: MIT */
/* `dxh bench`: hands over to the program with the benchmarks, which stands apart because
 * it needs what its rivals need. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char name[] = "bench";

/* Where the program is not; it has a longer one. */
static int help(void)
{
	printf("usage: dxh bench [OPTION]... [WORKLOAD]...\n\n"
	       "Compare with what could be used instead, in alternating rounds. The benchmarks "
	       "are\n"
	       "not installed: `make bench` in the source builds and runs them.\n");
	return TOOL_OK;
}

/* Beside this program, as in a build; or where `make install` puts it. */
static const char *const places[] = {"bench", "../libexec/dxh/bench"};

int tool_bench(int argc, char **argv)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);
	char *slash;

	if (length < 0)
		return tool_fail(name, "/proc/self/exe: %s", strerror(errno));
	path[length] = '\0';
	slash = strrchr(path, '/');
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(slash + 1, 64, "%s", places[i]);
		execv(path, argv);
		if (errno != ENOENT && errno != ENOTDIR)
			return tool_fail(name, "%s: %s", path, strerror(errno));
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return help();
	return tool_fail(name, "the benchmarks are not there: `make bench` in the source builds "
	                       "them, installs what they compare with, and runs them");
}
