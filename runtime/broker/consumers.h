/* SPDX-License-Identifier: MIT */
/* Who reads which channel. Whether the channel is known, or who produces it, makes no
 * difference: consumers wait for producers, and outlive them.
 *
 * Pure: time is an argument, nothing is sent, and what it holds is bounded. A consumer
 * that falls silent is forgotten, and told as dead. Thread: owner.
 */
#ifndef DXI_CONSUMERS_H
#define DXI_CONSUMERS_H

#include "runtime/broker/consumer_message.h"
#include "runtime/broker/event.h"
#include "runtime/broker/holdings.h"
#include "runtime/broker/presence.h"
#include "runtime/timer.h"

/* Invariant: all[0..count) ascend strictly by channel and uid. Must not move. */
typedef struct dxi_consumers {
	dxi_presence_rules rules;
	uint32_t max;
	dxi_listener listener;  /* set after _init(), if somebody wants to know */
	dxi_holdings *holdings; /* the same; NULL: all are one's own */
	uint32_t count;
	struct dxi_consumer **all;
	dxi_wheel due; /* when somebody may be dead */
} dxi_consumers;

/* Returns: DXH_ENOMEM. */
dxh_status dxi_consumers_init(dxi_consumers *consumers, uint32_t max, dxi_presence_rules rules);
void dxi_consumers_fini(dxi_consumers *consumers);

/* The same consumer of the same channel again is no change but a sign of life. Whoever asks
 * learns its uid; so what is said in its name is believed only of its holder.
 * Returns: DXH_ENOTOWNER: another client registered it; DXH_ELIMIT; DXH_ENOMEM. */
dxh_status
dxi_consumers_register(dxi_consumers *consumers, const dxi_reader_claim *claim, int64_t now_ns);

/* Returns: DXH_ENOTFOUND; DXH_ENOTOWNER naming the pid, or that it is another client's. */
dxh_status dxi_consumers_deregister(dxi_consumers *consumers, const dxi_reader_word *word);

/* false: it is not registered, or by another client. */
bool dxi_consumers_beat(dxi_consumers *consumers, const dxi_reader_word *word, int64_t now_ns);

/* It tells how many broken items it has met in all: how many more than it had told before.
 * 0 also of one that is not registered, or by another client. */
uint64_t dxi_consumers_broken(dxi_consumers *consumers, const dxi_reader_word *word);

/* As those of the registry. */
void dxi_consumers_expire(dxi_consumers *consumers, int64_t now_ns);
int64_t dxi_consumers_next_ns(const dxi_consumers *consumers);

/* Of one channel: how many; and at most `max` of those whose uid is above `after`, in
 * order. *more: there are others behind them. */
uint32_t dxi_consumers_count(const dxi_consumers *consumers, const char *channel);
size_t dxi_consumers_page(const dxi_consumers *consumers, const char *channel, uint64_t after,
                          int64_t now_ns, dxh_channel_consumer *page, size_t max, bool *more);

#endif
