/* SPDX-License-Identifier: MIT */
/* One way from a process to another through memory, by whatever transport: there and
 * back for latency, as fast as it goes for the rate. Written once, so that all are
 * measured and verified alike. */
#ifndef BENCH_WAY_H
#define BENCH_WAY_H

#include "bench/bench.h"

typedef struct bench_way {
	bench_round *round;
	int number; /* 0: client to server, 1: back */
	bool writes;
	bool blocking; /* sleep until there is something, instead of looking all the time */
	bool lossless; /* the writer waits for the reader */
	void *own;     /* the transport's */
} bench_way;

typedef struct bench_transport {
	/* Before the server is forked: what both inherit. May be NULL. */
	void (*make)(bench_way *way);
	/* In each process; the other end may not be there yet, and is waited for. */
	void (*open)(bench_way *way);
	/* Payloads of load.bytes. Both wait until it is possible. */
	void (*send)(bench_way *way, const void *payload);
	void (*receive)(bench_way *way, void *payload);
	void (*close)(bench_way *way); /* may be NULL */
} bench_transport;

/* How long half a way there and back takes. */
DXH_API void bench_way_latency(bench_round *round, const bench_transport *transport, bool blocking);

/* How many get there; none is lost. */
DXH_API void bench_way_rate(bench_round *round, const bench_transport *transport, bool blocking);

/* A name for what one way is made of. Owner: static buffer. */
DXH_API const char *bench_way_name(const bench_way *way);

/* What is right in a loop that looks all the time. */
static inline void bench_pause(void)
{
#if defined __x86_64__
	__builtin_ia32_pause();
#endif
}

#endif
