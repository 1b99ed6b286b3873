/* SPDX-License-Identifier: MIT */
/* The options, the workloads by name, and how the time is shared among them. */
#include "bench/frame.h"
#include "bench/peers/peers.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct workload {
	const char *name;
	const char *what;
	void (*lay_out)(bench *found);
} workload;

static const workload workloads[] = {
#define BENCH_WORKLOAD_ROW_(name, what) {#name, what, bench_workload_##name},
	BENCH_WORKLOADS(BENCH_WORKLOAD_ROW_)
#undef BENCH_WORKLOAD_ROW_
};

enum { WORKLOADS = sizeof workloads / sizeof *workloads };

/* What one workload may take, and a round of a side at the most and at the least. What
 * a round costs beside its measured time: processes, connections. */
static const double budget_s = 40, longest_s = 0.5, shortest_s = 0.02, overhead_s = 0.05;

static int list(FILE *out)
{
	for (int i = 0; i < WORKLOADS; i++)
		fprintf(out, "%-18s %s\n", workloads[i].name, workloads[i].what);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "see dxh bench --help; the workloads are:\n");
	list(stderr);
	return 2;
}

static const workload *find(const char *name)
{
	for (int i = 0; i < WORKLOADS; i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &workloads[i];
	return NULL;
}

/* ---- the folder of all blocks of this run ----------------------------------------------- */

static char folder[64];

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
	(void)facts, (void)kind, (void)place;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool make_folder(void)
{
	const char *given = getenv("DXH_SHM_DIR");

	snprintf(folder, sizeof folder, "%.40s/dxh-bench-XXXXXX",
	         given && given[0] != '\0' && strlen(given) < 40 ? given : "/dev/shm");
	if (!mkdtemp(folder)) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return false;
	}
	return setenv("DXH_SHM_DIR", folder, 1) == 0;
}

/* ---- running ----------------------------------------------------------------------------- */

static void run(bench *found, const workload *which)
{
	double rounds = found->options.rounds, fair;

	found->workload = which->name;
	found->sides_counted = 0;
	found->counting = true;
	which->lay_out(found);
	found->counting = false;
	fair = budget_s / (rounds * (found->sides_counted > 0 ? found->sides_counted : 1));
	fair = fair - overhead_s < longest_s ? fair - overhead_s : longest_s;
	fair = fair > shortest_s ? fair : shortest_s;
	found->seconds = found->options.seconds > 0 ? found->options.seconds : fair;
	which->lay_out(found);
}

static int finish(const bench *found)
{
	bool good = found->failures == 0;

	bench_report_table(found);
	if (found->options.json)
		good &= bench_json_write(found, found->options.json);
	if (found->options.plots)
		good &= bench_plot_write(found, found->options.plots);
	if (found->failures > 0)
		fprintf(stderr, "%d sides FAILED, see above\n", found->failures);
	if (bench_interrupted())
		return 130;
	return good ? 0 : 1;
}

static int measure(bench *found, char **names, int count)
{
	int code;

	bench_run_init();
	bench_pin_allow(found->options.pin);
	if (!make_folder())
		return 1;
	bench_report_conditions(found, stdout);
	for (int i = 0; i < count; i++)
		run(found, find(names[i]));
	for (int i = 0; count == 0 && i < WORKLOADS; i++)
		run(found, &workloads[i]);
	code = finish(found);
	bench_blocks_free(found);
	bench_peers_end();
	remove_folder();
	return code;
}

static bool number(const char *text, double least, double most, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && *end == '\0' && *value >= least && *value <= most;
}

enum { OPTION_LIST = 256, OPTION_NO_PIN, OPTION_PLANT, OPTION_SMOKE };

/* Not in the help: for the test of the benchmarks. */
static int plant(const char *what)
{
	if (strcmp(what, "payload") == 0)
		bench_plant_set(BENCH_PLANT_PAYLOAD);
	else if (strcmp(what, "order") == 0)
		bench_plant_set(BENCH_PLANT_ORDER);
	else
		return usage();
	return -1;
}

/* -1: go on; else the exit status. */
static int understand(int option, bench_options *options)
{
	double value;

	switch (option) {
	case 'r':
		if (!number(optarg, 1, BENCH_ROUNDS_MAX, &value))
			return usage();
		options->rounds = (int)value;
		return -1;
	case 's':
		if (!number(optarg, 0.001, 60, &options->seconds))
			return usage();
		return -1;
	case 'j':
		options->json = optarg;
		return -1;
	case 'p':
		options->plots = optarg;
		return -1;
	case OPTION_NO_PIN:
		options->pin = false;
		return -1;
	case OPTION_SMOKE:
		options->smoke = true;
		options->rounds = 1;
		options->seconds = 0.004;
		return -1;
	case OPTION_PLANT:
		return plant(optarg);
	case OPTION_LIST:
		return list(stdout);
	default:
		return usage();
	}
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"json", required_argument, NULL, 'j'},
		{"plot", required_argument, NULL, 'p'},
		{"no-pin", no_argument, NULL, OPTION_NO_PIN},
		{"smoke", no_argument, NULL, OPTION_SMOKE},
		{"plant", required_argument, NULL, OPTION_PLANT},
		{"list", no_argument, NULL, OPTION_LIST},
		{NULL, 0, NULL, 0}};
	bench found = {.options = {.rounds = 5, .pin = true}};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		int code = understand(option, &found.options);

		if (code >= 0)
			return code;
	}
	for (int i = optind; i < argc; i++)
		if (!find(argv[i])) {
			fprintf(stderr, "there is no workload \"%s\"\n", argv[i]);
			return usage();
		}
	return measure(&found, argv + optind, argc - optind);
}
