/* SPDX-License-Identifier: MIT */
/* Side by side: ours and its rivals in alternating rounds, so that what else the
 * machine does falls on all of them. An absolute figure means little; ratios count.
 *
 *	block    what is compared with each other: its sides take turns
 *	side     one way to do the job: ours, or a rival's; a function
 *	round    one side measured once, in processes of its own
 *	ratio    two sides of a block, round by round, with a floor and a goal
 *
 * A side runs in a process of its own, forked for the round and pinned to the first
 * CPU; it may fork a server, which is pinned to the second. It sets up, calls
 * bench_start(), works until its time is over, calls bench_stop() once everything has
 * been answered, verifies, and returns. What does not verify ends the round as a
 * failure, and the program with exit status 1.
 */
#ifndef BENCH_H
#define BENCH_H

#include "bench/histogram.h"

#include <dxh.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Modules of rivals use what follows from the program. */
#pragma GCC visibility push(default)

/* ---- a round, as its side sees it ------------------------------------------------- */

/* Which CPU runs what. */
typedef enum bench_place {
	BENCH_TOGETHER = 0, /* the side on the first, its server on the second */
	BENCH_APART = 1,    /* threads of bench_threads() on the first, all else on the second */
	BENCH_ANYWHERE = 2
} bench_place;

/* What a side is asked to do; each reads what concerns it. */
typedef struct bench_load {
	size_t threads;
	size_t window; /* requests outstanding, of all threads together */
	size_t bytes;  /* of one payload */
	size_t count;  /* of whatever the workload varies beside these */
	int variant;
	bench_place place;
} bench_load;

enum { BENCH_PROCESSES_MAX = 20, BENCH_COUNTERS = 16 };

typedef struct bench_usage {
	int64_t cpu_ns;
	int64_t switches; /* voluntary and not */
} bench_usage;

/* Shared by all processes of the round. */
typedef struct bench_round {
	bench_load load;
	double seconds; /* to measure; a side may need more to have all answered */
	int number;
	char name[48];     /* nobody else has it: of a block, a queue */
	char endpoint[64]; /* the same as an ipc endpoint */

	/* what the side found */
	uint64_t operations;
	uint64_t counted; /* for BENCH_COUNT: what is counted per operation */
	int64_t elapsed_ns;
	bench_usage used; /* of all its processes, from start to stop */
	double foreign;   /* CPUs that others took meanwhile; negative: not known */
	bench_histogram latency;

	/* for the processes of a side to meet; zero at the beginning */
	_Atomic uint32_t ready, stopping;
	_Atomic uint64_t arrived, wrong;
	_Atomic uint64_t counters[BENCH_COUNTERS];

	/* the frame's */
	int64_t start_ns, end_ns;
	int64_t busy_ns;
	pid_t processes[BENCH_PROCESSES_MAX];
	int process_count;
	_Atomic uint32_t failed;
	char failure[400];
} bench_round;

typedef void (*bench_run)(bench_round *round);

/* The clock and the books begin; nothing before counts. */
void bench_start(bench_round *round);

static inline bool bench_time_left(const bench_round *round)
{
	return dxh_now_ns() < round->end_ns;
}

/* The same, but true until something has been done: rounds may be shorter than the time
 * until a thread gets to run. */
static inline bool bench_goes_on(const bench_round *round, uint64_t done)
{
	return done == 0 || bench_time_left(round);
}

/* The clock stops. */
void bench_stop(bench_round *round, uint64_t operations);

/* End the round, and all its processes, with the reason. Any process, any thread. */
_Noreturn void bench_fail(bench_round *round, const char *format, ...) DXH_PRINTF(2, 3);

/* The same unless a call of the library, or of the system, succeeded. */
void bench_must(bench_round *round, dxh_status status, const char *what);
void bench_check(bench_round *round, bool good, const char *what);

/* Fork a server, which runs `serve` on the second CPU, and wait until it says
 * bench_ready(). It ends when it returns, or at the end of the round. Call it before
 * anything that has threads. */
void bench_server(bench_round *round, bench_run serve);
void bench_ready(bench_round *round);

/* For servers that have something to put away: asked in their loop. */
static inline bool bench_stopping(const bench_round *round)
{
	return atomic_load_explicit(&round->stopping, memory_order_relaxed) != 0;
}

/* Ask servers to stop and wait a second for it. */
void bench_servers_end(bench_round *round);

/* Wait until servers have counted so many in `arrived`; the round fails when they stop
 * coming. Verifies that nothing was counted in `wrong`. */
void bench_wait_arrived(bench_round *round, uint64_t count);

/* Threads that begin together. Each calls prepare (may be NULL), waits for the others,
 * then run. bench_start() is called in between; bench_stop() when all have ended, with
 * the sum of `operations`; then finish (may be NULL), in turn. */
typedef struct bench_thread {
	bench_round *round;
	void *shared; /* as given to bench_threads() */
	void *own;    /* what prepare leaves for run and finish */
	size_t index;
	size_t window; /* its share of load.window, at least 1 */
	uint64_t operations;
	bench_histogram *latency; /* its own; added up afterwards */
} bench_thread;

typedef struct bench_crowd {
	void (*prepare)(bench_thread *thread);
	void (*run)(bench_thread *thread);
	void (*settle)(bench_round *round, void *shared, uint64_t operations); /* before
	                        * the clock stops; may be NULL */
	void (*finish)(bench_thread *thread);
} bench_crowd;

void bench_threads(bench_round *round, const bench_crowd *crowd, void *shared);

/* Count a call in turn, timed, until the time is over. */
void bench_each(bench_round *round, void (*call)(bench_round *round, void *context), void *context);

/* The same without a clock at each call: batches of `batch`. What is measured is the CPU
 * time of the thread, which does not count when somebody else had the CPU. */
int64_t bench_thread_cpu_ns(void);
void bench_mean(bench_round *round, uint64_t batch,
                void (*call)(bench_round *round, void *context, uint64_t i), void *context);

/* A payload that tells which one it is: at its begin, at its end and, by a pattern that
 * bench_payload_init() writes once, in between. 16 bytes at least. */
void bench_payload_init(void *payload, size_t bytes);
void bench_payload_mark(void *payload, size_t bytes, uint64_t id);
uint64_t bench_payload_id(const void *payload);
/* Begin and end are the id's, and one place in between, another each time, is whole. */
bool bench_payload_is(const void *payload, size_t bytes, uint64_t id);

#pragma GCC visibility pop

/* ---- blocks, as workloads lay them out --------------------------------------------- */

typedef struct bench bench;

typedef enum bench_figure {
	BENCH_RATE = 0, /* operations a second; more is better */
	BENCH_P50 = 1,  /* ns, the median of the latencies */
	BENCH_MEAN = 2, /* ns an operation, by the whole time */
	BENCH_COUNT = 3 /* `counted` an operation */
} bench_figure;

typedef enum bench_bound { BENCH_AT_MOST, BENCH_AT_LEAST } bench_bound;

enum { BENCH_NO_RIVAL = -1 }; /* the figure itself is the ratio */

/* A block; what follows belongs to it until bench_block_run(). */
void bench_block(bench *found, bench_figure figure, const char *title, ...) DXH_PRINTF(3, 4);

/* A side; returns its number for ratios. */
int bench_side(bench *found, const char *name, bench_run run, const bench_load *load);

/* A side by the name of an optional rival (bench/peers/peers.h) and what it does; it is
 * skipped by name when the rival is not installed. Returns a number in any case. */
int bench_rival(bench *found, const char *peer, const char *what, const bench_load *load);

/* A point of a growth curve: a side that is drawn at x, with others of its series. */
void bench_point(bench *found, const char *series, double x, bench_run run, const bench_load *load);
void bench_axis(bench *found, const char *x_label); /* of the points of this block */

/* Ours against a rival's figure, or BENCH_NO_RIVAL. */
void bench_ratio(bench *found, const char *name, int ours, int rival, bench_bound bound,
                 double floor, double goal);
/* The name with a number behind it, as in "sync.option_a.64". */
void bench_ratio_at(bench *found, const char *name, size_t number, int ours, int rival,
                    bench_bound bound, double floor, double goal);

/* What a reader must know about the block; printed below it. Static text. */
void bench_note(bench *found, const char *note);

void bench_block_run(bench *found);

/* ---- the workloads: one file each ---------------------------------------------------- */

/* clang-format off */
#define BENCH_WORKLOADS(X) \
	X(rtt, "round trips of one request: ours, bare sockets, nng, nanomsg, czmq, NATS") \
	X(requests, "requests with a window of 1000, from 1 to 64 threads") \
	X(sync, "callers that wait for each request, 4 to 64 threads") \
	X(notify, "notifications from 1 to 16 threads, and a lone one") \
	X(post, "what a post costs its caller: beside a mutex, beside others, in system calls") \
	X(alloc, "allocations of a request") \
	X(large, "large bodies, handed over and copied") \
	X(shm_latency, "one way through memory: how soon") \
	X(shm_rate, "one way through memory: how many") \
	X(publish, "what a publish costs: beside memcpy, with readers, lossless, in bulk") \
	X(read, "reading in place, and copied out") \
	X(checksum, "publishing with checksums") \
	X(metrics, "what it costs to be timed") \
	X(tuning, "what the knobs of docs/tuning.md cost: linger, windows, waking, memory") \
	X(growth_posters, "growth with posting threads: requests, notifications") \
	X(growth_outstanding, "growth with requests outstanding") \
	X(growth_peers, "growth with peers of one hub") \
	X(growth_deadlines, "growth with armed deadlines") \
	X(growth_readers, "growth with readers of a block") \
	X(growth_slots, "growth with slots of a ring") \
	X(growth_payload, "growth with bytes: publishing, round trips") \
	X(micro_queue, "a push to the queue, by posters") \
	X(micro_wake, "how soon a sleeper runs") \
	X(micro_completion, "the life of a completion; credit") \
	X(micro_wire, "records encoded and decoded") \
	X(micro_slot, "slots published and read, by bytes") \
	X(micro_copy, "copies into and out of shared memory, by bytes") \
	X(micro_checksum, "checksums, by bytes") \
	X(micro_attach, "schemas parsed, blocks attached")
/* clang-format on */

#define BENCH_WORKLOAD_DECLARE_(name, what) void bench_workload_##name(bench *found);
BENCH_WORKLOADS(BENCH_WORKLOAD_DECLARE_)
#undef BENCH_WORKLOAD_DECLARE_

#ifdef __cplusplus
}
#endif

#endif
