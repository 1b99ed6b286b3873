/* SPDX-License-Identifier: MIT */
/* How much each client of the broker has registered, so that one cannot take the place of
 * all others. Pure. Thread: owner.
 *
 * A holder is a number: of a client's key, or of its hub where there are no keys.
 */
#ifndef DXI_HOLDINGS_H
#define DXI_HOLDINGS_H

#include <dxh/base.h>

typedef struct dxi_holding {
	uint64_t holder;
	uint32_t channels;
	uint32_t consumers;
	uint64_t schema_bytes;
} dxi_holding;

/* Invariant: who holds nothing has no entry. */
typedef struct dxi_holdings {
	dxi_holding most; /* of each holder; zeros: unlimited */
	dxi_holding *table;
	uint32_t capacity; /* a power of two, more than twice as many as there can be; or 0 */
	uint32_t count;
} dxi_holdings;

/* Nothing is held, `most` is what one may hold. */
void dxi_holdings_init(dxi_holdings *holdings, dxi_holding most);
void dxi_holdings_fini(dxi_holdings *holdings);

/* May the holder have so much more? Then it has.
 * Returns: DXH_ELIMIT naming what it has enough of; DXH_ENOMEM. */
dxh_status dxi_holdings_take(dxi_holdings *holdings, const dxi_holding *more);
void dxi_holdings_give(dxi_holdings *holdings, const dxi_holding *less);

#endif
