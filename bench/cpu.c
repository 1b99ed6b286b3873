/* SPDX-License-Identifier: MIT */
/* CPUs: pinning to them, what the processes of a round used of them, and what all
 * others did. */
#include "bench/frame.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static size_t places[2];
static int place_count;
static pid_t daemons[8];
static int daemon_count;

void bench_pin_allow(bool pin)
{
	cpu_set_t allowed;

	place_count = 0;
	if (!pin || sched_getaffinity(0, sizeof allowed, &allowed) == -1)
		return;
	for (size_t cpu = 0; cpu < CPU_SETSIZE && place_count < 2; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			places[place_count++] = cpu;
	/* With one CPU there is nothing to choose. */
	if (place_count < 2)
		place_count = 0;
}

int bench_pin_cpus(int cpus[2])
{
	cpus[0] = (int)places[0];
	cpus[1] = (int)places[1];
	return place_count;
}

void bench_pin(int place)
{
	cpu_set_t one;

	if (place_count == 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(places[place], &one);
	sched_setaffinity(0, sizeof one, &one);
}

void bench_usage_add(pid_t daemon)
{
	if (daemon_count < (int)(sizeof daemons / sizeof *daemons))
		daemons[daemon_count++] = daemon;
}

/* ---- what a round used ---------------------------------------------------------------- */

static int64_t cpu_ns_of(pid_t process)
{
	struct timespec time;
	clockid_t clock;

	if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) == -1)
		return 0;
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t switches_in(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[128];
	long long count, sum = 0;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "voluntary_ctxt_switches: %lld", &count) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lld", &count) == 1)
			sum += count;
	if (file)
		fclose(file);
	return sum;
}

/* Of the threads that live. */
static int64_t switches_of(pid_t process)
{
	char path[64], file[400];
	struct dirent *entry;
	int64_t sum = 0;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/task", (int)process);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s/status", path, entry->d_name);
		sum += switches_in(file);
	}
	if (folder)
		closedir(folder);
	return sum;
}

bench_usage bench_usage_of_round(const bench_round *round)
{
	struct rusage own;
	bench_usage used;

	/* Of this process also the threads that have ended. */
	getrusage(RUSAGE_SELF, &own);
	used.cpu_ns = cpu_ns_of(getpid());
	used.switches = own.ru_nvcsw + own.ru_nivcsw;
	for (int i = 0; i < round->process_count; i++) {
		used.cpu_ns += cpu_ns_of(round->processes[i]);
		used.switches += switches_of(round->processes[i]);
	}
	for (int i = 0; i < daemon_count; i++) {
		used.cpu_ns += cpu_ns_of(daemons[i]);
		used.switches += switches_of(daemons[i]);
	}
	return used;
}

/* ---- what everybody used ---------------------------------------------------------------- */

int64_t bench_busy_ns(void)
{
	/* user nice system idle iowait irq softirq steal: what the hypervisor took away
	 * is as foreign as what a neighbour took. */
	long long tick[8] = {0};
	FILE *file = fopen("/proc/stat", "re");
	int read = 0;

	if (file) {
		read = fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &tick[0],
		              &tick[1], &tick[2], &tick[3], &tick[4], &tick[5], &tick[6], &tick[7]);
		fclose(file);
	}
	if (read < 4)
		return -1;
	return (tick[0] + tick[1] + tick[2] + tick[5] + tick[6] + tick[7]) *
	       (1000000000 / sysconf(_SC_CLK_TCK));
}
