/* SPDX-License-Identifier: MIT */
/* What is found, on the terminal: the conditions, progress, each block, and all ratios
 * in one table at the end. */
#include "bench/frame.h"
#include "bench/peers/peers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zmq.h>

/* ---- conditions ----------------------------------------------------------------------- */

static void processor(char *text, size_t capacity)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(text, capacity, "unknown processor");
	while (file && fgets(line, sizeof line, file)) {
		char *value = strstr(line, ": ");

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value[strcspn(value, "\n")] = '\0';
		snprintf(text, capacity, "%s", value + 2);
		break;
	}
	if (file)
		fclose(file);
}

void bench_conditions_machine(char *text, size_t capacity)
{
	struct utsname system;
	char model[128];
	double load = -1;

	uname(&system);
	processor(model, sizeof model);
	if (getloadavg(&load, 1) != 1)
		load = -1;
	snprintf(text, capacity, "%s, %ld CPUs, %s %s, load %.2f", model,
	         sysconf(_SC_NPROCESSORS_ONLN), system.sysname, system.release, load);
}

static int64_t clock_read_ns(void)
{
	enum { READS = 20000 };
	int64_t begin_ns = dxh_now_ns();

	for (int i = 0; i < READS; i++)
		(void)dxh_now_ns();
	return (dxh_now_ns() - begin_ns) / READS;
}

void bench_report_conditions(const bench *found, FILE *out)
{
	int major, minor, patch, cpus[2];
	char machine[400];

	bench_conditions_machine(machine, sizeof machine);
	zmq_version(&major, &minor, &patch);
	fprintf(out, "dxhub %s, libzmq %d.%d.%d, compiler %s\n%s\n", dxh_version(), major, minor,
	        patch, __VERSION__, machine);
	if (bench_pin_cpus(cpus) == 2)
		fprintf(out, "clients on CPU %d, servers on CPU %d unless a title says otherwise",
		        cpus[0], cpus[1]);
	else
		fprintf(out, "nothing is pinned");
	fprintf(out, "; reading the clock takes %lld ns, which latencies contain\n",
	        (long long)clock_read_ns());
	fprintf(out,
	        "%d alternating rounds; median [min..max]; cpu and switches are those of all "
	        "processes, per operation\n",
	        found->options.rounds);
}

/* ---- progress ----------------------------------------------------------------------------- */

static bool on_terminal(void)
{
	static int terminal = -1;

	if (terminal == -1)
		terminal = isatty(STDERR_FILENO);
	return terminal == 1;
}

void bench_report_progress(const bench_block_found *block, int round, const char *side)
{
	if (on_terminal())
		fprintf(stderr, "\r\033[K%s: %s: round %d, %s", block->workload, block->title,
		        round + 1, side);
}

static void end_progress(void)
{
	if (on_terminal())
		fprintf(stderr, "\r\033[K");
}

/* ---- a block ---------------------------------------------------------------------------------- */

static void print_duration(double ns)
{
	if (ns < 1e4)
		printf(" %7.4g ns", ns);
	else if (ns < 1e7)
		printf(" %7.4g us", ns / 1e3);
	else
		printf(" %7.4g ms", ns / 1e6);
}

static void print_figure(bench_figure figure, double value)
{
	if (figure == BENCH_P50 || figure == BENCH_MEAN)
		print_duration(value);
	else if (figure == BENCH_COUNT)
		printf(" %7.4g   ", value);
	else if (value < 1e5)
		printf(" %7.4g k/s", value / 1e3);
	else
		printf(" %7.4g M/s", value / 1e6);
}

static double scale_of(bench_figure figure, double value)
{
	if (figure == BENCH_RATE)
		return value < 1e5 ? 1e3 : 1e6;
	if (figure == BENCH_COUNT)
		return 1;
	return value < 1e4 ? 1 : value < 1e7 ? 1e3 : 1e6;
}

static void print_latency(const bench_histogram *latency)
{
	if (latency->count == 0)
		return;
	print_duration((double)bench_histogram_at(latency, 0.5));
	print_duration((double)bench_histogram_at(latency, 0.99));
	print_duration((double)bench_histogram_at(latency, 0.999));
	print_duration((double)latency->max_ns);
}

static bench_sample middle_sample(const bench_side_found *side, int rounds)
{
	double cpu[BENCH_ROUNDS_MAX], switches[BENCH_ROUNDS_MAX];

	for (int i = 0; i < rounds; i++) {
		cpu[i] = side->samples[i].cpu_ns;
		switches[i] = side->samples[i].switches;
	}
	return (bench_sample){.cpu_ns = bench_spread_of(cpu, rounds).median,
	                      .switches = bench_spread_of(switches, rounds).median};
}

int bench_loaded_rounds(const bench_side_found *side, int rounds)
{
	int loaded = 0;

	for (int i = 0; i < rounds; i++)
		loaded += side->samples[i].foreign > BENCH_FOREIGN_MAX;
	return loaded;
}

static void print_side(const bench_block_found *block, const bench_side_found *side)
{
	bench_spread figures = bench_figures_of(side, block->rounds);
	bench_sample middle = middle_sample(side, block->rounds);
	int loaded = bench_loaded_rounds(side, block->rounds);
	double scale = scale_of(block->figure, figures.median);
	char range[48];

	printf("  %-30s", side->name);
	print_figure(block->figure, figures.median);
	snprintf(range, sizeof range, "[%.4g..%.4g]", figures.min / scale, figures.max / scale);
	printf(" %-18s", range);
	print_duration(middle.cpu_ns);
	printf(" %8.3g", middle.switches);
	print_latency(&side->latency);
	if (loaded > 0)
		printf("  %d of %d rounds under foreign load", loaded, block->rounds);
	printf("\n");
}

const char *bench_ratio_verdict(const bench_ratio_found *ratio)
{
	bool good = ratio->bound == BENCH_AT_MOST ? ratio->median <= ratio->floor
	                                          : ratio->median >= ratio->floor;

	return good ? "ok" : "short";
}

static void print_ratio(const bench_ratio_found *ratio)
{
	const char *sign = ratio->bound == BENCH_AT_MOST ? "<=" : ">=";
	char range[48];

	if (ratio->rounds == 0) {
		printf("%-24s not measured: a side is missing\n", ratio->name);
		return;
	}
	snprintf(range, sizeof range, "[%.3g..%.3g]", ratio->min, ratio->max);
	printf("%-24s %8.3g  %-20s %s %-6.3g %s %-6.3g %s\n", ratio->name, ratio->median, range,
	       sign, ratio->floor, sign, ratio->goal, bench_ratio_verdict(ratio));
}

void bench_report_block(const bench_block_found *block)
{
	end_progress();
	printf("\n%s: %s (%d rounds of %.2g s)\n", block->workload, block->title, block->rounds,
	       block->seconds);
	printf("  %-30s %-30s %10s %8s %10s %10s %10s %10s\n", "", "median [min..max]", "cpu",
	       "switches", "p50", "p99", "p99.9", "max");
	for (int i = 0; i < block->side_count; i++) {
		const bench_side_found *side = &block->sides[i];

		if (side->failed)
			printf("  %-30s FAILED, see above\n", side->name);
		else if (block->rounds == 0)
			printf("  %-30s not measured\n", side->name);
		else if (!side->run)
			printf("  %-30s skipped: %s\n", side->name, side->missing);
		else
			print_side(block, side);
	}
	if (block->note)
		printf("  (%s)\n", block->note);
	for (int i = 0; i < block->ratio_count; i++)
		print_ratio(&block->ratios[i]);
	fflush(stdout);
}

static void print_rivals(void)
{
	const char *name, *version;

	for (int i = 0; (name = bench_peer_used(i, &version)) != NULL; i++)
		printf("%s%s %s", i ? ", " : "rivals: ", name, version);
	printf("\n");
}

void bench_report_table(const bench *found)
{
	int measured = 0, good = 0;

	printf("\n%-24s %8s  %-20s %-9s %-9s\n", "name", "ratio", "[min..max]", "floor", "goal");
	for (const bench_block_found *block = found->first; block; block = block->next)
		for (int i = 0; i < block->ratio_count; i++) {
			const bench_ratio_found *ratio = &block->ratios[i];

			print_ratio(ratio);
			measured += ratio->rounds > 0;
			good += ratio->rounds > 0 && bench_ratio_verdict(ratio)[0] == 'o';
		}
	printf("%d of %d ratios reach their floor\n", good, measured);
	print_rivals();
	fflush(stdout);
}
