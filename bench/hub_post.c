/* SPDX-License-Identifier: MIT */
/* What a post costs its caller: the median of single ones, the mean beside other posters,
 * and the system calls it makes while the I/O thread is awake. */
#include "bench/hub.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 64 };

typedef struct batch {
	dxh_completion done[BATCH];
	unsigned char payload[256];
	uint64_t next;
} batch;

static void post_one(bench_round *round, dxh_peer *peer, batch *own, size_t at)
{
	bench_payload_mark(own->payload, round->load.bytes, own->next++);
	bench_must(round,
	           dxh_post(peer, "echo", own->payload, round->load.bytes, DXH_FOREVER,
	                    &own->done[at]),
	           "post");
}

/* They are the last `count` that were posted. */
static void take_replies(bench_round *round, const batch *own, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		dxh_reply reply;

		bench_must(round, dxh_await(own->done[i], DXH_FOREVER, &reply), "await");
		bench_check(round,
		            reply.body_bytes == round->load.bytes &&
		                    bench_payload_is(reply.body, reply.body_bytes,
		                                     own->next - count + i),
		            "reply");
		bench_must(round, dxh_release(own->done[i]), "release");
	}
}

/* ---- single posts, timed one by one --------------------------------------------------- */

static void prepare(bench_thread *thread)
{
	batch *own = calloc(1, sizeof *own);

	bench_check(thread->round, own != NULL, "memory");
	bench_payload_init(own->payload, thread->round->load.bytes);
	thread->own = own;
}

static void post_timed(bench_thread *thread)
{
	bench_hub *hub = thread->shared;
	batch *own = thread->own;

	while (bench_goes_on(thread->round, thread->operations)) {
		int64_t before_ns = dxh_now_ns();

		for (size_t i = 0; i < BATCH; i++) {
			int64_t now_ns;

			post_one(thread->round, hub->peer, own, i);
			now_ns = dxh_now_ns();
			bench_histogram_add(thread->latency, now_ns - before_ns);
			before_ns = now_ns;
		}
		thread->operations += BATCH;
		take_replies(thread->round, own, BATCH);
	}
}

static void finish(bench_thread *thread)
{
	free(thread->own);
}

void bench_hub_post(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = post_timed, .finish = finish};
	bench_hub hub;

	bench_hub_open(round, &hub, NULL);
	bench_threads(round, &crowd, &hub);
	bench_hub_close(round, &hub);
}

/* ---- many posters --------------------------------------------------------------------------- */

/* Only the CPU time of the posts themselves counts, not that of taking replies; and what
 * others did while a poster did not have the CPU does not. */

/* Enough that a queue that collapses under posters has done so. */
static uint64_t posts_of(const bench_round *round)
{
	uint64_t all = round->seconds < 0.01 ? 10000 : 1000000;

	return all / round->load.threads + BATCH;
}

static void post_many(bench_thread *thread)
{
	uint64_t wanted = posts_of(thread->round);
	bench_hub *hub = thread->shared;
	batch *own = thread->own;
	int64_t spent_ns = 0;

	while (thread->operations < wanted || bench_time_left(thread->round)) {
		int64_t begin_ns = bench_thread_cpu_ns();

		for (size_t i = 0; i < BATCH; i++)
			post_one(thread->round, hub->peer, own, i);
		spent_ns += bench_thread_cpu_ns() - begin_ns;
		thread->operations += BATCH;
		take_replies(thread->round, own, BATCH);
	}
	atomic_fetch_add(&thread->round->counters[0], (uint64_t)spent_ns);
}

void bench_hub_posters(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = post_many, .finish = finish};
	bench_hub hub;

	bench_hub_open(round, &hub, NULL);
	bench_threads(round, &crowd, &hub);
	round->elapsed_ns = (int64_t)atomic_load(&round->counters[0]);
	bench_hub_close(round, &hub);
}

/* ---- system calls ------------------------------------------------------------------------------ */

/* A tracer stops the posting thread at each of its system calls and counts them, from one
 * getppid() to the next; the I/O thread is not traced. In a callback it is awake for
 * certain, and sees nothing of the posts. */
enum { THREAD = 0, TRACED = 1, CALLS = 2, MARKS = 3, POSTS = 3000, PLANTED = 3 };

static _Atomic int held, go_on;

static void hold_io_thread(void *hold, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	(void)peer, (void)reason;
	if (!hold || state != DXH_PEER_WAITING || held)
		return;
	held = 1;
	while (!go_on)
		;
}

static bool is_mark(pid_t thread)
{
	struct __ptrace_syscall_info call;

	return ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) > 0 &&
	       call.op == PTRACE_SYSCALL_INFO_ENTRY && call.entry.nr == SYS_getppid;
}

static bool is_entry(pid_t thread)
{
	struct __ptrace_syscall_info call;

	return ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) > 0 &&
	       call.op == PTRACE_SYSCALL_INFO_ENTRY;
}

static void count_stop(bench_round *round, pid_t thread)
{
	if (!is_entry(thread))
		return;
	if (is_mark(thread))
		atomic_fetch_add(&round->counters[MARKS], 1);
	else if (atomic_load(&round->counters[MARKS]) == 1)
		atomic_fetch_add(&round->counters[CALLS], 1);
}

static void trace(bench_round *round)
{
	pid_t thread;
	int status;

	bench_ready(round);
	while ((thread = (pid_t)atomic_load(&round->counters[THREAD])) == 0)
		usleep(100);
	bench_check(round, ptrace(PTRACE_SEIZE, thread, NULL, PTRACE_O_TRACESYSGOOD) == 0,
	            "ptrace");
	bench_check(round, ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0, "ptrace");
	atomic_store(&round->counters[TRACED], 1);
	while (waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status)) {
		int signal = WSTOPSIG(status);

		if (signal == (SIGTRAP | 0x80))
			count_stop(round, thread);
		if (atomic_load(&round->counters[MARKS]) == 2) {
			ptrace(PTRACE_DETACH, thread, NULL, NULL);
			return;
		}
		ptrace(PTRACE_SYSCALL, thread, NULL,
		       signal == SIGTRAP || signal == (SIGTRAP | 0x80) ? 0 : signal);
	}
}

static void post_all(bench_round *round, dxh_peer *peer, dxh_completion *done)
{
	for (int i = 0; i < POSTS; i++)
		bench_must(round, dxh_post(peer, "echo", "01234567", 8, DXH_FOREVER, &done[i]),
		           "post");
}

static void give_back(bench_round *round, dxh_peer *peer, const dxh_completion *done)
{
	bench_must(round, dxh_peer_close(&peer), "close");
	for (int i = 0; i < POSTS; i++)
		bench_must(round, dxh_release(done[i]), "release");
}

/* variant 1: with some planted, to show that the tracer sees them. */
void bench_hub_post_calls(bench_round *round)
{
	dxh_peer_config config = {.on_state = hold_io_thread};
	static dxh_completion done[POSTS];
	dxh_peer *peer;
	dxh_hub *hub;

	bench_server(round, trace);
	bench_must(round, dxh_hub_open(NULL, &hub), "hub");
	/* The slots are made once and stay; then nobody is there, and the I/O thread tells. */
	bench_must(round, dxh_peer_connect(hub, round->endpoint, &config, &peer), "connect");
	post_all(round, peer, done);
	give_back(round, peer, done);
	config.context = hub;
	bench_must(round, dxh_peer_connect(hub, round->endpoint, &config, &peer), "connect");
	while (!held)
		usleep(1000);
	atomic_store(&round->counters[THREAD], (uint64_t)syscall(SYS_gettid));
	while (atomic_load(&round->counters[TRACED]) == 0)
		;
	bench_start(round);
	syscall(SYS_getppid);
	post_all(round, peer, done);
	for (int i = 0; round->load.variant && i < PLANTED; i++)
		syscall(SYS_getpid);
	syscall(SYS_getppid);
	bench_stop(round, POSTS);
	go_on = 1;
	bench_servers_end(round);
	bench_check(round, atomic_load(&round->counters[MARKS]) == 2, "the tracer");
	round->counted = atomic_load(&round->counters[CALLS]);
	if (round->load.variant)
		bench_check(round, round->counted >= PLANTED, "planted calls");
	give_back(round, peer, done);
	bench_must(round, dxh_hub_close(&hub), "close");
}
