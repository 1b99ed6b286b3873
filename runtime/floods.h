/* SPDX-License-Identifier: MIT */
/* Who does something much more often than any honest one: the heaviest of each period,
 * found with a fixed number of counters however many there are (Misra and Gries, 1982).
 * They are named, not stopped: windows, turns and limits bound them already. Pure.
 * Thread: owner.
 */
#ifndef DXI_FLOODS_H
#define DXI_FLOODS_H

#include <stdbool.h>
#include <stdint.h>

/* Whoever does more than a ninth of all is noticed. */
enum { DXI_FLOOD_COUNTERS = 8 };

typedef struct dxi_floods {
	int64_t since_ns;
	struct dxi_flood {
		uint64_t who;
		uint32_t count; /* so often at least, less all that was taken off */
		bool told;
	} counters[DXI_FLOOD_COUNTERS];
} dxi_floods;

/* Once more. true: it has just been `limit` times within a period; told once in each. */
bool dxi_floods_count(dxi_floods *floods, uint64_t who, uint32_t limit, int64_t period_ns,
                      int64_t now_ns);

#endif
