/* SPDX-License-Identifier: MIT */
/* Which clients send much more than any honest one: the heaviest of each second, found
 * with a fixed number of counters however many clients there are (Misra and Gries, 1982).
 * They are named, not stopped: windows, and turns of clients, bound them already. Pure.
 * Thread: owner.
 */
#ifndef DXI_FLOODS_H
#define DXI_FLOODS_H

#include <stdbool.h>
#include <stdint.h>

/* Messages a second of one client that are a flood: more than twice what a hub with a
 * thousand channels sends. Any client of more than an eighth of all messages is noticed. */
enum { DXI_FLOOD = 5000, DXI_FLOOD_COUNTERS = 8 };

typedef struct dxi_floods {
	int64_t since_ns;
	struct dxi_flood {
		uint64_t client;
		uint32_t count; /* at least so many of it were there, less all that was taken off */
		bool told;
	} counters[DXI_FLOOD_COUNTERS];
} dxi_floods;

/* One message of a client. true: it has just become a flood, once a second. */
bool dxi_floods_count(dxi_floods *floods, uint64_t client, int64_t now_ns);

#endif
