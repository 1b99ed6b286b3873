/* SPDX-License-Identifier: MIT */
/* A log-linear histogram of nanoseconds: 32 steps to the octave, so a value read
 * back is at most 3 % too large. All zero is empty; it may lie in shared memory. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	HISTOGRAM_STEP_BITS = 5,
	HISTOGRAM_CELLS = (64 - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS
};

/* All written by histogram_add() and read by humans: relaxed. */
struct histogram {
	_Atomic uint64_t count;
	_Atomic uint64_t most;
	_Atomic uint64_t cell[HISTOGRAM_CELLS];
};

/* Negative counts as zero. Thread: any. */
void histogram_add(struct histogram *histogram, int64_t ns);

/* The value that `fraction` of the entries do not exceed; 0 when empty. */
uint64_t histogram_at(const struct histogram *histogram, double fraction);

#endif
