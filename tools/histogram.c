/* SPDX-License-Identifier: MIT */
/* Cell of a value: its leading bit picks the octave, the next five bits the step;
 * values below 32 have a cell each. */
#include "histogram.h"

enum { STEPS = 1 << HISTOGRAM_STEP_BITS };

static unsigned cell_of(uint64_t value)
{
	unsigned octave;

	if (value < STEPS)
		return (unsigned)value;
	octave = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
	return ((octave + 1) << HISTOGRAM_STEP_BITS) + (unsigned)(value >> octave) - STEPS;
}

/* The largest value of a cell. */
static uint64_t value_of(unsigned cell)
{
	unsigned octave;

	if (cell < STEPS)
		return cell;
	octave = (cell >> HISTOGRAM_STEP_BITS) - 1;
	return (((uint64_t)(cell % STEPS) + STEPS + 1) << octave) - 1;
}

void histogram_add(struct histogram *histogram, int64_t ns)
{
	uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
	uint64_t most = atomic_load_explicit(&histogram->most, memory_order_relaxed);

	atomic_fetch_add_explicit(&histogram->cell[cell_of(value)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
	while (value > most &&
	       !atomic_compare_exchange_weak_explicit(&histogram->most, &most, value,
	                                              memory_order_relaxed, memory_order_relaxed))
		;
}

uint64_t histogram_at(const struct histogram *histogram, double fraction)
{
	uint64_t count = atomic_load_explicit(&histogram->count, memory_order_relaxed);
	uint64_t most = atomic_load_explicit(&histogram->most, memory_order_relaxed);
	uint64_t wanted = (uint64_t)(fraction * (double)count + 0.5);
	uint64_t seen = 0;

	if (wanted == 0)
		wanted = count > 0;
	for (unsigned i = 0; i < HISTOGRAM_CELLS && wanted > 0; i++) {
		seen += atomic_load_explicit(&histogram->cell[i], memory_order_relaxed);
		if (seen >= wanted)
			return value_of(i) < most ? value_of(i) : most;
	}
	return count > 0 ? most : 0;
}
