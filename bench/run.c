/* SPDX-License-Identifier: MIT */
/* Blocks: laid out by a workload, then run round by round, each side in processes of
 * its own, in turns that change direction. */
#include "bench/frame.h"
#include "bench/peers/peers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bench_round *round_memory;
static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

bool bench_interrupted(void)
{
	return interrupted != 0;
}

void bench_run_init(void)
{
	struct sigaction action = {.sa_handler = interrupt};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* Servers whose client is gone become ours, to be waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	round_memory = mmap(NULL, sizeof *round_memory, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (round_memory == MAP_FAILED) {
		perror("memory");
		exit(1);
	}
}

/* ---- laying out -------------------------------------------------------------------------- */

static void no_memory(void)
{
	fprintf(stderr, "out of memory, or a block is too large\n");
	exit(1);
}

void bench_block(bench *found, bench_figure figure, const char *title, ...)
{
	bench_block_found *block = calloc(1, sizeof *block);
	va_list values;

	if (!block)
		no_memory();
	block->workload = found->workload;
	block->figure = figure;
	va_start(values, title);
	vsnprintf(block->title, sizeof block->title, title, values);
	va_end(values);
	found->open = block;
}

static bench_side_found *add_side(bench_block_found *block)
{
	bench_side_found *sides =
		realloc(block->sides, (size_t)(block->side_count + 1) * sizeof *sides);

	if (!sides)
		no_memory();
	block->sides = sides;
	memset(&sides[block->side_count], 0, sizeof *sides);
	return &sides[block->side_count];
}

int bench_side(bench *found, const char *name, bench_run run, const bench_load *load)
{
	bench_block_found *block = found->open;
	bench_side_found *side = add_side(block);

	snprintf(side->name, sizeof side->name, "%s", name);
	side->run = run;
	side->load = *load;
	return block->side_count++;
}

int bench_rival(bench *found, const char *peer, const char *what, const bench_load *load)
{
	char name[BENCH_NAME_MAX];
	bench_side_found *side;
	int number;

	snprintf(name, sizeof name, "%s %s", peer, what);
	number = bench_side(found, name, NULL, load);
	side = &found->open->sides[number];
	if (!found->counting)
		side->run = bench_peer_find(peer, what, side->missing, sizeof side->missing);
	return number;
}

void bench_point(bench *found, const char *series, double x, bench_run run, const bench_load *load)
{
	char name[BENCH_NAME_MAX];
	int number;

	snprintf(name, sizeof name, "%s, %.12g", series, x);
	number = bench_side(found, name, run, load);
	snprintf(found->open->sides[number].series, BENCH_NAME_MAX, "%s", series);
	found->open->sides[number].x = x;
}

void bench_axis(bench *found, const char *x_label)
{
	snprintf(found->open->x_label, sizeof found->open->x_label, "%s", x_label);
}

void bench_ratio(bench *found, const char *name, int ours, int rival, bench_bound bound,
                 double floor, double goal)
{
	bench_block_found *block = found->open;
	bench_ratio_found *ratio;

	if (block->ratio_count == BENCH_RATIOS_MAX)
		no_memory();
	ratio = &block->ratios[block->ratio_count++];
	*ratio = (bench_ratio_found){
		.ours = ours, .rival = rival, .bound = bound, .floor = floor, .goal = goal};
	snprintf(ratio->name, sizeof ratio->name, "%s", name);
}

void bench_ratio_at(bench *found, const char *name, size_t number, int ours, int rival,
                    bench_bound bound, double floor, double goal)
{
	char text[BENCH_NAME_MAX];

	snprintf(text, sizeof text, "%s.%zu", name, number);
	bench_ratio(found, text, ours, rival, bound, floor, goal);
}

void bench_note(bench *found, const char *note)
{
	found->open->note = note;
}

/* ---- one side, one round -------------------------------------------------------------------- */

static void prepare(const bench *found, const bench_side_found *side, int number)
{
	static unsigned count;
	bench_round *round = round_memory;

	memset(round, 0, sizeof *round);
	round->load = side->load;
	round->seconds = found->seconds;
	round->number = number;
	round->foreign = -1;
	snprintf(round->name, sizeof round->name, "dxh-bench-%d-%u", (int)getpid(), count++);
	snprintf(round->endpoint, sizeof round->endpoint, "ipc://@%.40s", round->name);
}

static void be_the_side(bench_run run)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (round_memory->load.place != BENCH_ANYWHERE)
		bench_pin(round_memory->load.place == BENCH_APART ? 1 : 0);
	run(round_memory);
	exit(0);
}

/* Wait for the client; false after a time in which everything should have ended. */
static bool ended_in_time(pid_t client, int64_t limit_ns)
{
	struct pollfd ended = {.fd = pidfd_open(client, 0), .events = POLLIN};
	int64_t deadline_ns = dxh_in_ns(limit_ns), left_ns = limit_ns;
	int ready = 0;

	if (ended.fd == -1)
		return true; /* waited for below */
	while (ready <= 0 && left_ns > 0 && !interrupted) {
		ready = poll(&ended, 1, (int)(left_ns / 1000000) + 1);
		left_ns = deadline_ns - dxh_now_ns();
	}
	close(ended.fd);
	return ready > 0 || interrupted;
}

/* Until none of the group is left: nothing of this round may run in the next. */
static void reap(pid_t group, int *client_status)
{
	int status;
	pid_t pid;

	kill(-group, SIGKILL);
	while ((pid = waitpid(-group, &status, 0)) > 0 || (pid == -1 && errno == EINTR))
		if (pid == group)
			*client_status = status;
}

static void tell_failure(const bench_side_found *side, const char *reason)
{
	fprintf(stderr, "\nFAILED: %s: %s\n", side->name, reason);
}

/* Beyond the time that is measured: to set up, to have all answered, to close. */
#define LIMIT_NS INT64_C(60000000000)

static bool run_once(bench *found, bench_side_found *side, int number)
{
	bench_round *round = round_memory;
	char reason[80];
	bool in_time;
	int status = 0;
	pid_t client;

	prepare(found, side, number);
	fflush(NULL);
	client = fork();
	if (client == 0)
		be_the_side(side->run);
	if (client == -1) {
		tell_failure(side, strerror(errno));
		return false;
	}
	setpgid(client, client);
	in_time = ended_in_time(client, (int64_t)(found->seconds * 1e9) + LIMIT_NS);
	if (in_time && !interrupted)
		waitpid(client, &status, 0);
	reap(client, &status);
	if (interrupted)
		return false;
	if (!atomic_load(&round->failed) && in_time && status == 0 && round->operations > 0)
		return true;
	snprintf(reason, sizeof reason, "%s (wait status %d, %llu operations)",
	         in_time ? "it ended by itself" : "it did not end", status,
	         (unsigned long long)round->operations);
	tell_failure(side, atomic_load(&round->failed) ? round->failure : reason);
	return false;
}

static double figure_of(bench_figure figure)
{
	const bench_round *round = round_memory;
	double operations = (double)round->operations, ns = (double)round->elapsed_ns;

	switch (figure) {
	case BENCH_RATE:
		return operations / ns * 1e9;
	case BENCH_P50:
		return (double)bench_histogram_at(&round->latency, 0.5);
	case BENCH_MEAN:
		return ns / operations;
	case BENCH_COUNT:
		return (double)round->counted / operations;
	}
	return 0;
}

static void keep(bench_block_found *block, bench_side_found *side, int number)
{
	const bench_round *round = round_memory;

	side->samples[number] =
		(bench_sample){.figure = figure_of(block->figure),
	                       .cpu_ns = (double)round->used.cpu_ns / (double)round->operations,
	                       .switches = (double)round->used.switches / (double)round->operations,
	                       .foreign = round->foreign};
	bench_histogram_merge(&side->latency, &round->latency);
}

/* ---- the block --------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

bench_spread bench_spread_of(const double *values, int count)
{
	double sorted[BENCH_ROUNDS_MAX];

	if (count == 0)
		return (bench_spread){0};
	memcpy(sorted, values, (size_t)count * sizeof *values);
	qsort(sorted, (size_t)count, sizeof *sorted, by_value);
	return (bench_spread){.median = (sorted[count / 2] + sorted[(count - 1) / 2]) / 2,
	                      .min = sorted[0],
	                      .max = sorted[count - 1]};
}

bench_spread bench_figures_of(const bench_side_found *side, int rounds)
{
	double values[BENCH_ROUNDS_MAX];

	for (int i = 0; i < rounds; i++)
		values[i] = side->samples[i].figure;
	return bench_spread_of(values, rounds);
}

static bool is_measured(const bench_side_found *side)
{
	return side->run != NULL && !side->failed;
}

static void run_round(bench *found, bench_block_found *block, int number)
{
	for (int i = 0; i < block->side_count && !interrupted; i++) {
		/* Who comes first changes: the neighbour before leaves warm or cold caches. */
		int turn = number % 2 == 0 ? i : block->side_count - 1 - i;
		bench_side_found *side = &block->sides[turn];

		if (!is_measured(side))
			continue;
		bench_report_progress(block, number, side->name);
		if (run_once(found, side, number)) {
			keep(block, side, number);
		} else if (!interrupted) {
			side->failed = true;
			found->failures++;
		}
	}
}

static void settle_ratio(const bench_block_found *block, bench_ratio_found *ratio)
{
	const bench_side_found *ours = &block->sides[ratio->ours];
	const bench_side_found *rival = ratio->rival < 0 ? NULL : &block->sides[ratio->rival];
	double values[BENCH_ROUNDS_MAX];
	bench_spread spread;

	if (!is_measured(ours) || (rival && !is_measured(rival)))
		return;
	for (int i = 0; i < block->rounds; i++)
		values[i] = ours->samples[i].figure / (rival ? rival->samples[i].figure : 1);
	spread = bench_spread_of(values, block->rounds);
	ratio->rounds = block->rounds;
	ratio->median = spread.median;
	ratio->min = spread.min;
	ratio->max = spread.max;
}

static void append(bench *found, bench_block_found *block)
{
	if (found->last)
		found->last->next = block;
	else
		found->first = block;
	found->last = block;
}

static void discard(bench_block_found *block)
{
	free(block->sides);
	free(block);
}

static bool is_an_end(const bench_block_found *block, const bench_side_found *side)
{
	bool lower = false, higher = false;

	for (int i = 0; i < block->side_count; i++) {
		lower |= block->sides[i].x < side->x;
		higher |= block->sides[i].x > side->x;
	}
	return !lower || !higher;
}

static void keep_ends(bench_block_found *block)
{
	for (int i = 0; i < block->side_count; i++)
		if (!is_an_end(block, &block->sides[i])) {
			block->sides[i].run = NULL;
			snprintf(block->sides[i].missing, sizeof block->sides[i].missing,
			         "in a smoke run");
		}
}

void bench_blocks_free(bench *found)
{
	while (found->first) {
		bench_block_found *next = found->first->next;

		discard(found->first);
		found->first = next;
	}
	found->last = NULL;
}

void bench_block_run(bench *found)
{
	bench_block_found *block = found->open;

	found->open = NULL;
	if (found->counting || interrupted) {
		found->sides_counted += block->side_count;
		discard(block);
		return;
	}
	block->seconds = found->seconds;
	if (found->options.smoke)
		keep_ends(block);
	for (int number = 0; number < found->options.rounds && !interrupted; number++) {
		run_round(found, block, number);
		block->rounds += !interrupted;
	}
	for (int i = 0; i < block->ratio_count; i++)
		settle_ratio(block, &block->ratios[i]);
	append(found, block);
	bench_report_block(block);
}
