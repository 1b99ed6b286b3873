/* SPDX-License-Identifier: MIT */
/* The kill matrix: every scenario, killed at every point.
 *
 *	kill [-j JOBS] [-e EVERY] [SCENARIO...]
 *
 * -e: only every so many-th point; a twin that is wrong needs no more.
 * Each point has processes of its own: a witness, and the victim which it steps and
 * kills. Prints how many points were tried and how many left something that must not
 * be. Exit 0: none did, and enough were tried; 1: some did; 2: the proof itself failed.
 */
#include "tests/kill/scenarios.h"
#include "tests/kill/stepper.h"
#include "tests/kill/witness.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	VIOLATED = 1,
	BROKEN = 2,
	SECONDS_MAX = 60,
	SHOWN_MAX = 3,
	JOBS_MAX = 16,
	TRIES_MAX = 4,
	RECORDS_MAX = 6
};

/* Shared by all processes of the run. */
typedef struct board {
	trace_record trace;
	_Atomic uint64_t strayed; /* victims that did not come by their point */
	_Atomic uint64_t shown;
} board;

static board *shared;
static const scenario *current;
static size_t point, serial;
static char base[200];
static bool is_witness; /* else the victim: what fails there is no violation */

void violation(const char *format, ...)
{
	va_list values;
	char text[400];

	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	if (is_witness && shared->shown++ < SHOWN_MAX)
		printf("     %s, killed at %zu of %zu: %s\n", current->name, point,
		       shared->trace.count, text);
	if (!is_witness)
		fprintf(stderr, "kill: %s: %s\n", current->name, text);
	fflush(NULL);
	_exit(is_witness ? VIOLATED : BROKEN);
}

static void run_victim(void)
{
	is_witness = false;
	current->victim();
}

static uint64_t address(void (*function)(void))
{
	return (uint64_t)(uintptr_t)function;
}

/* A victim at its begin, the others attached. */
static pid_t bring_to_begin(void)
{
	void (*begin)(void) = current->begin ? current->begin : scenario_begin;
	pid_t victim = stepper_fork(run_victim);

	if (current->before)
		current->before();
	if (!stepper_run_to(victim, address(begin))) {
		fprintf(stderr, "kill: %s: the victim did not come to its begin\n", current->name);
		_exit(BROKEN);
	}
	if (current->attend)
		current->attend();
	return victim;
}

static void new_directory(void)
{
	char path[sizeof base + 32];

	snprintf(path, sizeof path, "%s/%zu", base, serial);
	if (mkdir(path, 0700) == -1 || setenv("DXH_SHM_DIR", path, 1) == -1)
		_exit(BROKEN);
}

static void remove_directory(void)
{
	rmdir(getenv("DXH_SHM_DIR"));
}

/* ---- the two kinds of witness ---- */

static void record(void)
{
	pid_t victim;

	new_directory();
	victim = bring_to_begin();
	stepper_record(victim, address(current->end ? current->end : scenario_end),
	               current->unwatched ? NULL : getenv("DXH_SHM_DIR"), &shared->trace);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	/* The end is a point like any other. */
	current->check();
	remove_directory();
}

static void kill_at_point(void)
{
	pid_t victim;

	new_directory();
	victim = bring_to_begin();
	if (!stepper_kill_at(victim, &shared->trace, point))
		shared->strayed++;
	current->check();
	remove_directory();
}

static pid_t fork_witness(void (*act)(void))
{
	pid_t witness;

	serial++; /* what a witness leaves is in nobody's way */
	witness = fork();
	if (witness == 0) {
		is_witness = true;
		alarm(SECONDS_MAX); /* what hangs is a violation too */
		act();
		fflush(NULL);
		_exit(0);
	}
	return witness;
}

/* ---- a scenario ---- */

typedef struct counts {
	size_t points, violations, broken;
} counts;

static void wait_for_one(counts *tally)
{
	int status;

	if (wait(&status) == -1)
		return;
	if (WIFSIGNALED(status) && shared->shown++ < SHOWN_MAX)
		printf("     %s: a witness died of signal %d\n", current->name, WTERMSIG(status));
	if (WIFSIGNALED(status) || WEXITSTATUS(status) == VIOLATED)
		tally->violations++;
	else if (WEXITSTATUS(status) != 0)
		tally->broken++;
}

static bool is_wanted(size_t n)
{
	return !current->states || shared->trace.distinct[n];
}

/* Reading the clock takes a turn more when it ticks meanwhile: until two runs are of
 * the same length. What is killed by its states alone is found by its breakpoints. */
static void record_steady(counts *tally)
{
	size_t before = 0;

	shared->trace.count = 0;
	for (int i = 0; i < RECORDS_MAX && (before == 0 || shared->trace.count != before); i++) {
		before = shared->trace.count;
		point = TRACE_MAX;
		fork_witness(record);
		wait_for_one(tally);
		if (current->states)
			break;
	}
}

/* Kill at each point that is wanted, so many at a time. */
static void kill_everywhere(long jobs, size_t every, counts *tally)
{
	long running = 0;

	for (point = 0; shared->trace.complete && point < shared->trace.count; point++) {
		if (!is_wanted(point) || point % every != 0)
			continue;
		if (running == jobs)
			wait_for_one(tally);
		else
			running++;
		tally->points++;
		fork_witness(kill_at_point);
	}
	for (; running > 0; running--)
		wait_for_one(tally);
}

/* What was recorded was a rare way: too few of the others came by its points. */
static bool strayed_often(const counts *tally)
{
	return shared->strayed * 10 > tally->points;
}

/* Enough was tried, and almost all where it was meant. */
static bool has_shown_something(const counts *tally, size_t every)
{
	return shared->trace.complete && tally->broken == 0 &&
	       tally->points * every >= current->floor && !strayed_often(tally);
}

static void report(const char *verdict, const counts *tally, int64_t begun_ns)
{
	printf("%s %s: %zu points of %zu instructions (%s), %zu system calls, %zu violations, "
	       "%" PRIu64 " strayed, %.1f s\n",
	       verdict, current->name, tally->points, shared->trace.count,
	       current->states ? "distinct states" : "each", shared->trace.system_calls,
	       tally->violations, shared->strayed, (double)(dxh_now_ns() - begun_ns) / 1e9);
	fflush(stdout);
}

/* Once more where many strayed, a few times: on a loaded machine clocks tick in between. */
static int run_scenario(long jobs, size_t every)
{
	for (int tries = 1;; tries++) {
		int64_t begun_ns = dxh_now_ns();
		counts tally = {0};

		shared->strayed = shared->shown = 0;
		record_steady(&tally);
		kill_everywhere(jobs, every, &tally);
		if (tally.violations == 0 && tally.broken == 0 && strayed_often(&tally) &&
		    tries < TRIES_MAX) {
			report("anew", &tally, begun_ns);
			continue;
		}
		if (tally.violations == 0 && has_shown_something(&tally, every)) {
			report("ok  ", &tally, begun_ns);
			return 0;
		}
		report("FAIL", &tally, begun_ns);
		return tally.violations ? VIOLATED : BROKEN;
	}
}

static bool is_named(const char *name, int count, char **names)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return count == 0;
}

int main(int argc, char **argv)
{
	const char *directory = getenv("DXH_SHM_DIR");
	long jobs = sysconf(_SC_NPROCESSORS_ONLN), every = 1;
	int option, worst = 0, code;

	while ((option = getopt(argc, argv, "j:e:")) != -1) {
		if (option == '?')
			return BROKEN;
		*(option == 'j' ? &jobs : &every) = strtol(optarg, NULL, 10);
	}
	jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : jobs;
	snprintf(base, sizeof base, "%s/dxh-kill-XXXXXX", directory ? directory : "/dev/shm");
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL); /* how lines are worded is no step of ours */
	if (!mkdtemp(base) || shared == MAP_FAILED) {
		perror("kill");
		return BROKEN;
	}
	for (size_t i = 0; i < SCENARIO_COUNT; i++) {
		current = &SCENARIOS[i];
		if (!is_named(current->name, argc - optind, argv + optind))
			continue;
		code = run_scenario(jobs, every < 1 ? 1 : (size_t)every);
		worst = code > worst ? code : worst;
	}
	rmdir(base);
	return worst;
}
