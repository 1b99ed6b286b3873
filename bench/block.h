/* SPDX-License-Identifier: MIT */
/* Our side of shared memory. */
#ifndef BENCH_BLOCK_H
#define BENCH_BLOCK_H

#include "bench/way.h"

/* Slots of a ring of about 32 MiB. */
uint32_t bench_slots_for(size_t bytes);

/* A consumer of a block that may still be to come. */
dxh_consumer *bench_attach(bench_round *round, const char *name, const dxh_consumer_config *config);

void bench_block_latency(bench_round *round);          /* looking all the time */
void bench_block_latency_blocking(bench_round *round); /* sleeping in between */
void bench_block_rate(bench_round *round);

/* Publishing for nobody; load.count slots, 0: a ring of 32 MiB. */
void bench_publish_plain(bench_round *round);   /* without the wake word */
void bench_publish_full(bench_round *round);    /* with all that there is by default */
void bench_publish_checked(bench_round *round); /* variant: the dxh_checksum */
void bench_publish_bulk(bench_round *round);    /* 32 in one call */

/* variant: one thing that is not as by default; 0: none. */
enum { BENCH_NO_WAIT = 1, BENCH_NO_TIMESTAMPS = 2, BENCH_HUGE_PAGES = 3, BENCH_LOCKED = 4 };
void bench_publish_tuned(bench_round *round);

/* Publishing for load.count readers in processes of their own; variant 1: lossless. */
void bench_publish_readers(bench_round *round);
void bench_publish_bursts(bench_round *round);

void bench_read(bench_round *round); /* variant 1: in place; 0: copied out */

#endif
