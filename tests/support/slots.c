/* SPDX-License-Identifier: MIT */
/* Slots without a hub: the test plays the I/O thread. */
#include "tests/support/slots.h"

#include "queue/doorbell.h"

dxi_queue cancels;
static int doorbell;
dxi_wakes wakes;

/* A pool lives as long as the process: here it stays in sight. */
static dxi_pool *opened[4];

dxi_pool *open_pool(uint32_t slots)
{
	static int count;

	dxi_queue_init(&cancels);
	must(dxi_doorbell_open(&doorbell));
	return opened[count++] = dxi_pool_open(slots, &cancels, doorbell);
}

dxi_slot *begin(dxi_pool *pool, dxh_group *group, dxh_completion *done)
{
	dxi_slot *slot = dxi_pool_take(pool);

	cr_assert_not_null(slot);
	if (group)
		must(dxi_group_expect(group, 1));
	*done = dxi_completion_begin(slot, group, NULL);
	return slot;
}

bool complete(dxi_slot *slot, dxh_status status)
{
	bool cancel = dxi_completion_complete(slot, status, DXH_REPLIED, "body", 4, false, &wakes);

	dxi_wakes_issue(&wakes);
	return cancel;
}
