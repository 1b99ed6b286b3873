/* SPDX-License-Identifier: MIT */
/* A channel as the registry keeps it, and where it is found; for registry*.c only. */
#ifndef DXI_BROKER_REGISTERED_H
#define DXI_BROKER_REGISTERED_H

#include "runtime/broker/registry.h"

struct dxi_registered {
	dxi_timer due;         /* first: the wheel hands out this */
	dxh_channel_info info; /* state and reason are judged when asked */
	dxi_presence presence;
	bool live; /* as was told */
	uint64_t holder;
	int64_t broken_told_ns; /* when broken items were told of last */
	uint64_t start;
	unsigned char boot[16];
	dxh_channel_zone zones[DXH_ZONES_MAX];
	void *schema;
	size_t schema_bytes;
};

/* How many names come before this one: its place, if it is there. */
uint32_t dxi_registered_place(const dxi_registry *registry, const char *name);
bool dxi_registered_stands_at(const dxi_registry *registry, uint32_t place, const char *name);

/* NULL: there is none of this name. */
dxi_registered *dxi_registered_find(const dxi_registry *registry, const char *name);

/* false: `reason` tells why it is pending. */
bool dxi_registered_alive(const dxi_registry *registry, const dxi_registered *channel,
                          int64_t now_ns, char reason[128]);

#endif
