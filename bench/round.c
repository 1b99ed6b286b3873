/* SPDX-License-Identifier: MIT */
/* What a side calls while it is measured: the clock, failures, its server, threads,
 * payloads that tell which one they are. */
#include "bench/frame.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_start(bench_round *round)
{
	round->used = bench_usage_of_round(round);
	round->busy_ns = bench_busy_ns();
	round->start_ns = dxh_now_ns();
	round->end_ns = round->start_ns + (int64_t)(round->seconds * 1e9);
}

/* Ticks of 10 ms are all that is known of the others. */
static double foreign_cpus(const bench_round *round, int64_t busy_ns)
{
	int64_t others_ns = busy_ns - round->busy_ns - round->used.cpu_ns;

	if (round->elapsed_ns < 100000000 || busy_ns < 0)
		return -1;
	return others_ns < 0 ? 0 : (double)others_ns / (double)round->elapsed_ns;
}

void bench_stop(bench_round *round, uint64_t operations)
{
	int64_t stop_ns = dxh_now_ns(), busy_ns = bench_busy_ns();
	bench_usage until = bench_usage_of_round(round);

	round->elapsed_ns = stop_ns - round->start_ns;
	round->operations = operations;
	round->used.cpu_ns = until.cpu_ns - round->used.cpu_ns;
	round->used.switches = until.switches - round->used.switches;
	round->foreign = foreign_cpus(round, busy_ns);
}

/* ---- failures ------------------------------------------------------------------------ */

void bench_fail(bench_round *round, const char *format, ...)
{
	va_list values;

	/* The first one tells; its group ends with it. */
	if (atomic_exchange(&round->failed, 1) == 0) {
		va_start(values, format);
		vsnprintf(round->failure, sizeof round->failure, format, values);
		va_end(values);
	}
	kill(0, SIGKILL);
	_exit(1);
}

void bench_must(bench_round *round, dxh_status status, const char *what)
{
	if (status != DXH_OK)
		bench_fail(round, "%s: %s %s", what, dxh_status_name(status), dxh_last_error());
}

void bench_check(bench_round *round, bool good, const char *what)
{
	if (!good)
		bench_fail(round, "%s: %s", what, errno ? strerror(errno) : "not as it must be");
}

/* ---- the server ------------------------------------------------------------------------ */

static void nap(int64_t ns)
{
	struct timespec time = {.tv_nsec = ns};

	nanosleep(&time, NULL);
}

void bench_ready(bench_round *round)
{
	atomic_fetch_add(&round->ready, 1);
}

void bench_server(bench_round *round, bench_run serve)
{
	int64_t deadline_ns = dxh_in_ms(20000);
	uint32_t before = atomic_load(&round->ready);
	pid_t parent = getpid(), child;

	bench_check(round, round->process_count < BENCH_PROCESSES_MAX, "too many servers");
	child = fork();
	bench_check(round, child != -1, "fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		if (round->load.place != BENCH_ANYWHERE)
			bench_pin(1);
		serve(round);
		exit(0);
	}
	round->processes[round->process_count++] = child;
	while (atomic_load(&round->ready) == before) {
		if (waitpid(child, NULL, WNOHANG) == child || dxh_now_ns() > deadline_ns)
			bench_fail(round, "its server did not get ready");
		nap(200000);
	}
}

void bench_servers_end(bench_round *round)
{
	int64_t deadline_ns = dxh_in_ms(1000);

	atomic_store(&round->stopping, 1);
	for (int i = 0; i < round->process_count; i++)
		while (waitpid(round->processes[i], NULL, WNOHANG) == 0 &&
		       dxh_now_ns() < deadline_ns)
			nap(200000);
}

void bench_wait_arrived(bench_round *round, uint64_t count)
{
	uint64_t arrived = 0, before = 0;
	int64_t deadline_ns = dxh_in_ms(5000);

	while ((arrived = atomic_load(&round->arrived)) < count) {
		if (arrived > before)
			deadline_ns = dxh_in_ms(5000);
		before = arrived;
		if (dxh_now_ns() > deadline_ns)
			bench_fail(round, "%llu of %llu arrived, then none for 5 s",
			           (unsigned long long)arrived, (unsigned long long)count);
		nap(20000);
	}
	if (arrived > count || atomic_load(&round->wrong) != 0)
		bench_fail(round, "%llu arrived, of %llu sent; %llu of them wrong",
		           (unsigned long long)arrived, (unsigned long long)count,
		           (unsigned long long)atomic_load(&round->wrong));
}

/* ---- threads ------------------------------------------------------------------------------ */

typedef struct crowd_place {
	bench_thread thread;
	const bench_crowd *crowd;
	pthread_barrier_t *gate;
	pthread_t id;
} crowd_place;

static void *live(void *context)
{
	crowd_place *place = context;

	if (place->thread.round->load.place == BENCH_APART)
		bench_pin(0);
	if (place->crowd->prepare)
		place->crowd->prepare(&place->thread);
	pthread_barrier_wait(place->gate);
	/* Here the clock begins. */
	pthread_barrier_wait(place->gate);
	place->crowd->run(&place->thread);
	return NULL;
}

static crowd_place *
gather(bench_round *round, const bench_crowd *crowd, void *shared, pthread_barrier_t *gate)
{
	size_t count = round->load.threads, window = round->load.window / count;
	crowd_place *places = calloc(count, sizeof *places);

	bench_check(round, places != NULL, "memory");
	pthread_barrier_init(gate, NULL, (unsigned)count + 1);
	for (size_t i = 0; i < count; i++) {
		places[i].crowd = crowd;
		places[i].gate = gate;
		places[i].thread = (bench_thread){.round = round,
		                                  .shared = shared,
		                                  .index = i,
		                                  .window = window > 0 ? window : 1,
		                                  .latency = calloc(1, sizeof(bench_histogram))};
		bench_check(round, places[i].thread.latency != NULL, "memory");
		errno = pthread_create(&places[i].id, NULL, live, &places[i]);
		bench_check(round, errno == 0, "thread");
	}
	return places;
}

void bench_threads(bench_round *round, const bench_crowd *crowd, void *shared)
{
	pthread_barrier_t gate;
	crowd_place *places = gather(round, crowd, shared, &gate);
	size_t count = round->load.threads;
	uint64_t operations = 0;

	pthread_barrier_wait(&gate);
	bench_start(round);
	pthread_barrier_wait(&gate);
	for (size_t i = 0; i < count; i++) {
		pthread_join(places[i].id, NULL);
		operations += places[i].thread.operations;
	}
	if (crowd->settle)
		crowd->settle(round, shared, operations);
	bench_stop(round, operations);
	for (size_t i = 0; i < count; i++) {
		bench_histogram_merge(&round->latency, places[i].thread.latency);
		if (crowd->finish)
			crowd->finish(&places[i].thread);
		free(places[i].thread.latency);
	}
	pthread_barrier_destroy(&gate);
	free(places);
}

/* ---- one call after the other ----------------------------------------------------------- */

enum { WARM_LEAST = 3, WARM_CALLS = 200 };

void bench_each(bench_round *round, void (*call)(bench_round *round, void *context), void *context)
{
	int64_t before_ns, now_ns, warm_ns = dxh_in_ns((int64_t)(round->seconds * 2e8));
	uint64_t calls = 0;

	for (int i = 0; i < WARM_CALLS && (i < WARM_LEAST || dxh_now_ns() < warm_ns); i++)
		call(round, context);
	bench_start(round);
	before_ns = dxh_now_ns();
	do {
		call(round, context);
		now_ns = dxh_now_ns();
		bench_histogram_add(&round->latency, now_ns - before_ns);
		before_ns = now_ns;
		calls++;
	} while (now_ns < round->end_ns);
	bench_stop(round, calls);
}

int64_t bench_thread_cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void bench_mean(bench_round *round, uint64_t batch,
                void (*call)(bench_round *round, void *context, uint64_t i), void *context)
{
	uint64_t calls = 0;
	int64_t begin_ns;

	bench_start(round);
	begin_ns = bench_thread_cpu_ns();
	do
		for (uint64_t i = 0; i < batch; i++)
			call(round, context, calls++);
	while (bench_time_left(round));
	begin_ns = bench_thread_cpu_ns() - begin_ns;
	bench_stop(round, calls);
	round->elapsed_ns = begin_ns;
}

/* ---- payloads --------------------------------------------------------------------------------- */

enum { WORD = 8 };

static uint64_t word_at(const void *payload, size_t place)
{
	uint64_t word;

	memcpy(&word, (const unsigned char *)payload + place, WORD);
	return word;
}

static uint64_t pattern(size_t place)
{
	return (uint64_t)place * UINT64_C(0x9e3779b97f4a7c15);
}

void bench_payload_init(void *payload, size_t bytes)
{
	for (size_t place = WORD; place + 2 * WORD <= bytes; place += WORD) {
		uint64_t word = pattern(place);

		memcpy((unsigned char *)payload + place, &word, WORD);
	}
	bench_payload_mark(payload, bytes, 0);
}

static bench_plant planted;

void bench_plant_set(bench_plant what)
{
	planted = what;
}

/* One in three: each side makes as many, even in the shortest round. */
static bool is_planted(bench_plant what)
{
	static _Atomic uint32_t marks;

	return planted == what && atomic_fetch_add(&marks, 1) % 3 == 2;
}

void bench_payload_mark(void *payload, size_t bytes, uint64_t id)
{
	uint64_t last;

	if (__builtin_expect(planted != BENCH_PLANT_NOTHING, 0)) {
		id += is_planted(BENCH_PLANT_ORDER);
		last = ~id ^ is_planted(BENCH_PLANT_PAYLOAD);
	} else {
		last = ~id;
	}

	memcpy(payload, &id, WORD);
	memcpy((unsigned char *)payload + bytes - WORD, &last, WORD);
}

uint64_t bench_payload_id(const void *payload)
{
	return word_at(payload, 0);
}

bool bench_payload_is(const void *payload, size_t bytes, uint64_t id)
{
	size_t inner = (bytes - 2 * WORD) / WORD, place;

	if (word_at(payload, 0) != id || word_at(payload, bytes - WORD) != ~id)
		return false;
	if (inner == 0)
		return true;
	/* A product instead of a remainder: a division would cost more than the check. */
	place = WORD + WORD * (size_t)((((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) * inner) >> 32);
	return word_at(payload, place) == pattern(place);
}
