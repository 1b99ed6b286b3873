/* SPDX-License-Identifier: MIT */
/* A counter for each that was seen; who finds none takes one off all others. */
#include "runtime/floods.h"

#include <stddef.h>

static struct dxi_flood *counter_of(dxi_floods *floods, uint64_t who)
{
	struct dxi_flood *free_one = NULL;

	for (int i = 0; i < DXI_FLOOD_COUNTERS; i++) {
		struct dxi_flood *counter = &floods->counters[i];

		if (counter->count > 0 && counter->who == who)
			return counter;
		if (counter->count == 0)
			free_one = counter;
	}
	if (free_one)
		*free_one = (struct dxi_flood){.who = who};
	return free_one;
}

bool dxi_floods_count(dxi_floods *floods, uint64_t who, uint32_t limit, int64_t period_ns,
                      int64_t now_ns)
{
	struct dxi_flood *counter;

	if (now_ns - floods->since_ns >= period_ns)
		*floods = (dxi_floods){.since_ns = now_ns};
	counter = counter_of(floods, who);
	if (!counter) {
		for (int i = 0; i < DXI_FLOOD_COUNTERS; i++)
			floods->counters[i].count--;
		return false;
	}
	if (++counter->count < limit || counter->told)
		return false;
	counter->told = true;
	return true;
}
