/* SPDX-License-Identifier: MIT */
/* Side by side: ours and a rival in alternating rounds, so that what else the
 * machine does falls on both. An absolute figure means little; the ratio counts. */
#ifndef BENCH_H
#define BENCH_H

#include <dxh.h>

enum { BENCH_ROUNDS_MAX = 99 };

typedef struct bench_options {
	int rounds;
	double seconds; /* about, for one round of one side */
} bench_options;

/* One side of a comparison: measures for about so long, returns its figure. */
typedef double (*bench_measure)(double seconds, void *context);

/* Run both sides in turns and print a row: medians with their spread, and the
 * median of the rounds' ratios ours / rival. */
void bench_compare(const bench_options *options, const char *name, const char *unit,
                   bench_measure ours, const char *rival_name, bench_measure rival, void *context);

/* End the program with the reason unless the call succeeded. */
void bench_must(dxh_status status, const char *what);

/* An ipc endpoint that nobody else has. Static buffer, eight in turn. */
const char *bench_endpoint(void);

/* The workloads. */
void bench_requests(const bench_options *options);
void bench_notify(const bench_options *options);
void bench_publish(const bench_options *options);

#endif
