/* SPDX-License-Identifier: MIT */
/* Which channel is produced where: what a broker knows, and who may change it.
 *
 * Pure: time is an argument, nothing is sent, and what it holds is bounded by
 * channels_max and schema_bytes_max. Each change that others want to know is told as an
 * event, in order. Thread: owner.
 *
 * A name belongs to the producer that registered it last, until that producer
 * deregisters, falls silent, or is overtaken by one that holds the same block at
 * a higher epoch: only a takeover makes such a block, and it proves that the
 * owner before is gone. Whoever asks learns a producer's number; so what is said in its name
 * is believed only of the client that registered it, its holder.
 *
 *                 register                    silence, no progress
 *   not found ────────────────> found ──────────────────────────> pending
 *       ^   opened              │   ^                      error   │   │
 *       │                       │   └──────────────────────────────┘   │
 *       │      deregister       │     beat: opened; another: changed   │
 *       └───────────────────────┴──────────────────────────────────────┘
 *              closing                       deregister, silence for longer: closing
 */
#ifndef DXI_REGISTRY_H
#define DXI_REGISTRY_H

#include "runtime/broker/event.h"
#include "runtime/broker/holdings.h"
#include "runtime/broker/message.h"
#include "runtime/broker/presence.h"
#include "runtime/timer.h"

typedef struct dxi_registered dxi_registered;

/* Invariant: channels[0..count) ascend strictly by name. Must not move. */
typedef struct dxi_registry {
	dxi_presence_rules rules;
	uint32_t channels_max;
	uint64_t schema_bytes_max; /* 0: unlimited */
	dxi_listener listener;     /* set after _init(), if somebody wants to know */
	dxi_holdings *holdings;    /* the same; NULL: all are one's own */
	uint32_t count;
	uint32_t live; /* of them, as was told */
	uint64_t schema_bytes;
	dxi_registered **channels;
	dxi_wheel due; /* when somebody may die, or be forgotten */
} dxi_registry;

/* Returns: DXH_ENOMEM. */
dxh_status
dxi_registry_init(dxi_registry *registry, uint32_t channels_max, dxi_presence_rules rules);
void dxi_registry_fini(dxi_registry *registry);

/* A producer claims a name, or keeps it: the same producer again is no change
 * but a sign of life. A full registry forgets the channel that is silent longest.
 * Returns: DXH_ECONFLICT naming the live owner; DXH_ELIMIT; DXH_ENOMEM. */
dxh_status dxi_registry_register(dxi_registry *registry, const dxi_claim *claim, int64_t now_ns);

/* Returns: DXH_ENOTFOUND; DXH_ENOTOWNER naming the owner, or that it is another client's. */
dxh_status dxi_registry_deregister(dxi_registry *registry, const dxi_owner *owner, int64_t now_ns);

/* false: it is not the owner of a registered channel, or not its holder. */
bool dxi_registry_beat(dxi_registry *registry, const dxi_owner *owner, int64_t now_ns);

/* A sum of what strangers tell: it stays at the most there is. */
static inline uint64_t dxi_sum(uint64_t sum, uint64_t more)
{
	return more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
}

/* Consumers found so many more broken items in what it produces. */
void dxi_registry_broken(dxi_registry *registry, const char *channel, uint64_t more,
                         int64_t now_ns);

/* Who has been silent for too long is dead, or forgotten. To be called at _next_ns() at
 * the latest; more often does no harm. */
void dxi_registry_expire(dxi_registry *registry, int64_t now_ns);
int64_t dxi_registry_next_ns(const dxi_registry *registry);

/* ---- asking ---- */

/* What is known; a name that is not has the state DXH_CHANNEL_NOT_FOUND. */
void dxi_registry_discover(const dxi_registry *registry, const char *name, int64_t now_ns,
                           dxh_channel_info *info);

/* The same with both tables. The schema is the registry's, until it changes. Nothing about
 * consumers. */
void dxi_registry_describe(const dxi_registry *registry, const char *name, int64_t now_ns,
                           dxh_channel_facts *facts);

/* At most `max` channels whose names come after `after`. `visible` may be NULL: all;
 * else those it says no to are not there, nor counted. */
typedef bool (*dxi_visible_fn)(const void *context, const char *channel);
dxi_list_page dxi_registry_list(const dxi_registry *registry, const char *after, int64_t now_ns,
                                dxi_visible_fn visible, const void *context,
                                dxh_channel_info *channels, size_t max);

/* Is it known with another schema of this block than this one? */
bool dxi_registry_contradicts(const dxi_registry *registry, const dxh_channel_consumer *consumer,
                              const char *channel, const unsigned char schema_hash[32]);

#endif
