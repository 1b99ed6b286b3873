/* SPDX-License-Identifier: MIT */
/* The workloads by name, the conditions, and the rows. */
#include "bench/bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct {
	const char *name;
	void (*run)(const bench_options *options);
} workloads[] = {
	{"requests", bench_requests}, {"notify", bench_notify}, {"publish", bench_publish}};

enum { WORKLOADS = sizeof workloads / sizeof *workloads };

void bench_must(dxh_status status, const char *what)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, dxh_last_error());
	exit(1);
}

const char *bench_endpoint(void)
{
	static char buffers[8][64];
	static unsigned count;
	char *buffer = buffers[count % 8];

	snprintf(buffer, sizeof buffers[0], "ipc://@dxh-bench-%d-%u", (int)getpid(), count++);
	return buffer;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void print_spread(double *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, by_value);
	printf("  %10.4g [%.4g..%.4g]", values[count / 2], values[0], values[count - 1]);
}

void bench_compare(const bench_options *options, const char *name, const char *unit,
                   bench_measure ours, const char *rival_name, bench_measure rival, void *context)
{
	double own[BENCH_ROUNDS_MAX], other[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];

	for (int i = 0; i < options->rounds; i++) {
		/* Who goes first changes, for the second one finds warm caches. */
		if (i % 2 == 0)
			own[i] = ours(options->seconds, context);
		other[i] = rival(options->seconds, context);
		if (i % 2 == 1)
			own[i] = ours(options->seconds, context);
		ratio[i] = own[i] / other[i];
	}
	printf("%-24s %-5s", name, unit);
	print_spread(own, options->rounds);
	print_spread(other, options->rounds);
	printf("  %-28s ratio", rival_name);
	print_spread(ratio, options->rounds);
	printf("\n");
	fflush(stdout);
}

static void print_conditions(const bench_options *options)
{
	struct utsname system;
	double load = 0;

	uname(&system);
	if (getloadavg(&load, 1) != 1)
		load = -1;
	printf("dxhub %s, %s %s, %ld processors, load %.1f, %d rounds of %.2g s a side, no "
	       "pinning\n",
	       dxh_version(), system.sysname, system.release, sysconf(_SC_NPROCESSORS_ONLN), load,
	       options->rounds, options->seconds);
	printf("median [min..max] of ours, of the rival, and of their ratio a round\n\n");
}

static int usage(void)
{
	printf("usage: bench [--rounds N] [--seconds S] [WORKLOAD]...\nworkloads:");
	for (int i = 0; i < WORKLOADS; i++)
		printf(" %s", workloads[i].name);
	printf("\n");
	return 2;
}

static bool run_named(const char *name, const bench_options *options)
{
	for (int i = 0; i < WORKLOADS; i++)
		if (strcmp(workloads[i].name, name) == 0) {
			workloads[i].run(options);
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	bench_options options = {.rounds = 5, .seconds = 0.5};
	int first = 1;

	for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
		if (strcmp(argv[first], "--rounds") == 0)
			options.rounds = atoi(argv[first + 1]);
		else if (strcmp(argv[first], "--seconds") == 0)
			options.seconds = atof(argv[first + 1]);
		else
			return usage();
	}
	if (options.rounds < 1 || options.rounds > BENCH_ROUNDS_MAX || !(options.seconds > 0))
		return usage();
	print_conditions(&options);
	for (int i = first; i < argc; i++)
		if (!run_named(argv[i], &options))
			return usage();
	for (int i = 0; first == argc && i < WORKLOADS; i++)
		workloads[i].run(&options);
	return 0;
}
