/* SPDX-License-Identifier: MIT */
/* Notifications as rivals send and receive them. */
#ifndef BENCH_PEERS_NOTES_H
#define BENCH_PEERS_NOTES_H

#include "bench/bench.h"

/* Notifications tell their thread and their place in its order. */
static inline uint64_t bench_note_id(size_t thread, uint64_t number)
{
	return (uint64_t)thread << 48 | number;
}

/* What the receiver keeps of the order. */
enum { BENCH_NOTE_THREADS = 64 };
typedef struct bench_order {
	uint64_t next[BENCH_NOTE_THREADS];
} bench_order;

/* Count one that arrived: whole, and the next of its thread, or wrong. In rounds of a
 * lone one the sender is woken and told when. */
DXH_API void bench_note_arrived(bench_round *round, bench_order *order, const void *payload);

/* Send one at a time, the next when it has arrived; how long each took to get there is
 * what is measured. Processes share the clock. */
void bench_note_lone(bench_round *round,
                     void (*send)(bench_round *round, void *context, uint64_t id), void *context);

#endif
