/* SPDX-License-Identifier: MIT */
#include "runtime/broker/floods.h"

#include "base/clock.h"

#include <stddef.h>

static struct dxi_flood *counter_of(dxi_floods *floods, uint64_t client)
{
	struct dxi_flood *free_one = NULL;

	for (int i = 0; i < DXI_FLOOD_COUNTERS; i++) {
		struct dxi_flood *counter = &floods->counters[i];

		if (counter->count > 0 && counter->client == client)
			return counter;
		if (counter->count == 0)
			free_one = counter;
	}
	if (free_one)
		*free_one = (struct dxi_flood){.client = client};
	return free_one;
}

bool dxi_floods_count(dxi_floods *floods, uint64_t client, int64_t now_ns)
{
	struct dxi_flood *counter;

	if (now_ns - floods->since_ns >= DXI_NS_PER_S)
		*floods = (dxi_floods){.since_ns = now_ns};
	counter = counter_of(floods, client);
	if (!counter) {
		for (int i = 0; i < DXI_FLOOD_COUNTERS; i++)
			floods->counters[i].count--;
		return false;
	}
	if (++counter->count < DXI_FLOOD || counter->told)
		return false;
	counter->told = true;
	return true;
}
