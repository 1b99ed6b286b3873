/* SPDX-License-Identifier: MIT */
/* A hash table with linear probing; what is removed leaves no mark. */
#include "runtime/broker/holdings.h"

#include "base/status.h"

#include <inttypes.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

void dxi_holdings_init(dxi_holdings *holdings, dxi_holding most)
{
	*holdings = (dxi_holdings){.most = most};
}

void dxi_holdings_fini(dxi_holdings *holdings)
{
	free(holdings->table);
	*holdings = (dxi_holdings){.table = NULL};
}

static bool holds_nothing(const dxi_holding *holding)
{
	return holding->channels == 0 && holding->consumers == 0 && holding->schema_bytes == 0;
}

/* Numbers that strangers choose must not all meet in one place: splitmix64's finish. */
static uint32_t home_of(const dxi_holdings *holdings, uint64_t holder)
{
	uint64_t mixed = holder;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
	return (uint32_t)(mixed ^ mixed >> 31) & (holdings->capacity - 1);
}

/* Where it stands, or the free place where it would. Ends: a place is always free. */
static uint32_t place_of(const dxi_holdings *holdings, uint64_t holder)
{
	uint32_t place = home_of(holdings, holder);

	while (!holds_nothing(&holdings->table[place]) && holdings->table[place].holder != holder)
		place = (place + 1) & (holdings->capacity - 1);
	return place;
}

static dxh_status make_room(dxi_holdings *holdings)
{
	dxi_holdings larger = *holdings;

	if (holdings->capacity > 2 * (holdings->count + 1))
		return DXH_OK;
	larger.capacity = holdings->capacity ? 2 * holdings->capacity : CAPACITY_FIRST;
	larger.table = calloc(larger.capacity, sizeof *larger.table);
	if (!larger.table)
		return dxi_fail(DXH_ENOMEM, "no memory for another client of the broker");
	for (uint32_t i = 0; i < holdings->capacity; i++)
		if (!holds_nothing(&holdings->table[i]))
			larger.table[place_of(&larger, holdings->table[i].holder)] =
				holdings->table[i];
	free(holdings->table);
	*holdings = larger;
	return DXH_OK;
}

static dxh_status refuse(const char *what, uint64_t have, uint64_t most)
{
	return dxi_fail(DXH_ELIMIT,
	                "this client has registered %" PRIu64 " %s, and the broker's limit for "
	                "one is %" PRIu64,
	                have, what, most);
}

dxh_status dxi_holdings_take(dxi_holdings *holdings, const dxi_holding *more)
{
	const dxi_holding *most = &holdings->most;
	dxi_holding *held;
	dxh_status status = make_room(holdings);

	if (status != DXH_OK)
		return status;
	held = &holdings->table[place_of(holdings, more->holder)];
	if (most->channels && held->channels + more->channels > most->channels)
		return refuse("channels", held->channels, most->channels);
	if (most->consumers && held->consumers + more->consumers > most->consumers)
		return refuse("consumers", held->consumers, most->consumers);
	if (most->schema_bytes && held->schema_bytes + more->schema_bytes > most->schema_bytes)
		return refuse("bytes of schemas", held->schema_bytes, most->schema_bytes);
	holdings->count += holds_nothing(held);
	held->holder = more->holder;
	held->channels += more->channels;
	held->consumers += more->consumers;
	held->schema_bytes += more->schema_bytes;
	return DXH_OK;
}

/* Those behind a place that got free move up, unless they are at home before it. */
static void close_gap(dxi_holdings *holdings, uint32_t gap)
{
	uint32_t mask = holdings->capacity - 1;

	for (uint32_t at = (gap + 1) & mask; !holds_nothing(&holdings->table[at]);
	     at = (at + 1) & mask) {
		uint32_t home = home_of(holdings, holdings->table[at].holder);

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		holdings->table[gap] = holdings->table[at];
		holdings->table[at] = (dxi_holding){.holder = 0};
		gap = at;
	}
}

void dxi_holdings_give(dxi_holdings *holdings, const dxi_holding *less)
{
	uint32_t place;
	dxi_holding *held;

	if (holdings->capacity == 0)
		return;
	place = place_of(holdings, less->holder);
	held = &holdings->table[place];
	if (holds_nothing(held))
		return;
	held->channels -= less->channels;
	held->consumers -= less->consumers;
	held->schema_bytes -= less->schema_bytes;
	if (!holds_nothing(held))
		return;
	holdings->count--;
	*held = (dxi_holding){.holder = 0};
	close_gap(holdings, place);
}
