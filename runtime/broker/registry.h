/* SPDX-License-Identifier: MIT */
/* Which channel is produced where: what a broker knows, and who may change it.
 *
 * Pure: time is an argument, nothing is sent, and what it holds is bounded by
 * channels_max. Thread: owner.
 *
 * A name belongs to the producer that registered it last, until that producer
 * deregisters, falls silent, or is overtaken by one that holds the same block at
 * a higher epoch: only a takeover makes such a block, and it proves that the
 * owner before is gone.
 */
#ifndef DXI_REGISTRY_H
#define DXI_REGISTRY_H

#include "runtime/broker/message.h"
#include "runtime/broker/presence.h"

typedef struct dxi_registered dxi_registered;

/* Invariant: channels[0..count) ascend strictly by name. */
typedef struct dxi_registry {
	dxi_presence_rules rules;
	uint32_t channels_max;
	uint32_t count;
	dxi_registered **channels;
} dxi_registry;

/* Returns: DXH_ENOMEM. */
dxh_status
dxi_registry_init(dxi_registry *registry, uint32_t channels_max, dxi_presence_rules rules);
void dxi_registry_fini(dxi_registry *registry);

/* A producer claims a name, or keeps it: the same producer again is no change
 * but a sign of life. A full registry forgets the channel that is silent longest.
 * Returns: DXH_ECONFLICT naming the live owner; DXH_ELIMIT; DXH_ENOMEM. */
dxh_status dxi_registry_register(dxi_registry *registry, const dxi_claim *claim, int64_t now_ns);

/* Returns: DXH_ENOTFOUND; DXH_ENOTOWNER naming the owner. */
dxh_status dxi_registry_deregister(dxi_registry *registry, const dxi_owner *owner);

/* false: it is not the owner of a registered channel. */
bool dxi_registry_beat(dxi_registry *registry, const dxi_owner *owner, int64_t now_ns);

/* What is known; a name that is not has the state DXH_CHANNEL_NOT_FOUND. */
void dxi_registry_discover(const dxi_registry *registry, const char *name, int64_t now_ns,
                           dxh_channel_info *info);

/* At most `max` channels whose names come after `after`. */
dxi_list_page dxi_registry_list(const dxi_registry *registry, const char *after, int64_t now_ns,
                                dxh_channel_info *channels, size_t max);

#endif
