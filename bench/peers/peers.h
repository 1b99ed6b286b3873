/* SPDX-License-Identifier: MIT */
/* The rivals: what a user would write, or install, instead. Those that need nothing but
 * ZeroMQ and the system are functions here; the others are modules of their own
 * (build/peers/NAME.so), so that the program runs where they are not installed. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench/bench.h"

/* ---- modules -------------------------------------------------------------------------- */

typedef struct bench_peer_job {
	const char *what; /* NULL ends the list */
	bench_run run;
} bench_peer_job;

/* What a module exports under the name bench_peer_module. */
typedef struct bench_peer {
	const char *version;
	/* Called once, in the program itself, before the first round: start what it needs
	 * beside its processes. Returns why that was not possible, NULL: it was. May be
	 * NULL; must leave no thread. */
	const char *(*begin)(void);
	void (*end)(void);
	const bench_peer_job *jobs;
} bench_peer;

extern DXH_API const bench_peer bench_peer_module;

/* NULL, with the reason in `missing`, when the rival is not there. */
bench_run bench_peer_find(const char *peer, const char *what, char *missing, size_t capacity);
void bench_peers_end(void);

/* The n-th rival that was used, with its version; NULL: there are no more. */
const char *bench_peer_used(int n, const char **version);

/* Start a daemon beside the rounds, its output thrown away; -1: it could not be. It ends
 * with the program. */
DXH_API pid_t bench_daemon_start(char *const *argv);
DXH_API bool bench_daemon_ended(pid_t daemon);
DXH_API void bench_daemon_end(pid_t daemon);

/* ---- without libraries: rtt ------------------------------------------------------------ */

void bench_socket_rtt(bench_round *round); /* unix stream socket */
void bench_futex_rtt(bench_round *round);  /* two words in shared memory */

/* ---- ZeroMQ as it comes ------------------------------------------------------------------ */

void bench_zmq_rtt(bench_round *round);
void bench_zmq_packed(bench_round *round); /* one thread, many requests a frame */
void bench_per_thread(bench_round *round); /* a socket a thread */
void bench_zmq_funnel(bench_round *round); /* inproc to a thread with the connection */

/* ---- sharing a connection by a mutex --------------------------------------------------------- */

void bench_option_a(bench_round *round); /* variant 0: over the round trip; 1: with care */
void bench_naive(bench_round *round);    /* a queue and a thread; packed by `variant` */

void bench_post_mutex(bench_round *round); /* single sends under a mutex, timed */

/* ---- notifications over PUSH and PULL --------------------------------------------------------- */

void bench_notify_mutex(bench_round *round);  /* each sent under a mutex */
void bench_notify_packed(bench_round *round); /* packed under the mutex */
void bench_notify_queue(bench_round *round);  /* a mutex queue to a thread that packs */
void bench_notify_lone(bench_round *round);

/* ---- one way through memory, see way.h ---------------------------------------------------- */

void bench_ring_latency(bench_round *round);       /* the limit */
void bench_ring_futex_latency(bench_round *round); /* the same, sleeping in between */
void bench_ring_rate(bench_round *round);
void bench_pipe_latency(bench_round *round);
void bench_pipe_rate(bench_round *round);
void bench_mq_latency(bench_round *round);
void bench_mq_rate(bench_round *round);
void bench_zmq_latency(bench_round *round);
void bench_zmq_rate(bench_round *round);

void bench_memcpy(bench_round *round); /* into slots that lie like ours */

#endif
