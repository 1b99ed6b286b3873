/* SPDX-License-Identifier: MIT */
/* `dxh bench`: hands over to the program with the benchmarks, which stands apart because
 * it needs what its rivals need. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char name[] = "bench";

static int help(void)
{
	printf("usage: dxh bench [OPTION]... [WORKLOAD]...\n\n"
	       "Compare with what could be used instead, in alternating rounds. Each round runs "
	       "in\n"
	       "processes of its own and verifies what it moved. Without a WORKLOAD: all of them,\n"
	       "which takes less than half an hour.\n\n"
	       "  --rounds N    rounds of each side, 1..99 (5)\n"
	       "  --seconds S   of a round of a side, 0.001..60; default: so that a workload "
	       "takes\n"
	       "                less than a minute\n"
	       "  --json FILE   write all that was found\n"
	       "  --plot DIR    draw figures, latencies and growth as SVG and PNG; needs gnuplot\n"
	       "  --smoke       only show that all of it works: a moment of each\n"
	       "  --no-pin      leave it to the system which CPU runs what\n"
	       "  --list        name the workloads and what they measure\n\n"
	       "The benchmarks are a program of their own, which is not installed: `make bench` "
	       "in\n"
	       "the source builds it, installs what it compares with, and runs it.\n\n"
	       "exit status: 0 measured, whatever came out; 1 something failed or did not verify;\n"
	       "             2 wrong usage\n"
	       "example:     dxh bench rtt --plot /tmp/plots\n");
	return TOOL_OK;
}

/* Beside this program, as in a build; or where `make install` puts it. */
static const char *const places[] = {"bench", "../libexec/dxh/bench"};

int tool_bench(int argc, char **argv)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);
	char *slash;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help();
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
	return tool_fail(name, "the benchmarks are not there: `make bench` in the source builds "
	                       "them, installs what they compare with, and runs them");
}
