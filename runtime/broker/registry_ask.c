/* SPDX-License-Identifier: MIT */
/* An array of channels in order of their names, searched by halving, and what it answers. */
#include "runtime/broker/registered.h"

#include <string.h>

/* ---- places in the order ---- */

uint32_t dxi_registered_place(const dxi_registry *registry, const char *name)
{
	uint32_t low = 0, high = registry->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(registry->channels[middle]->info.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool dxi_registered_stands_at(const dxi_registry *registry, uint32_t place, const char *name)
{
	return place < registry->count && strcmp(registry->channels[place]->info.name, name) == 0;
}

dxi_registered *dxi_registered_find(const dxi_registry *registry, const char *name)
{
	uint32_t place = dxi_registered_place(registry, name);

	return dxi_registered_stands_at(registry, place, name) ? registry->channels[place] : NULL;
}

bool dxi_registered_alive(const dxi_registry *registry, const dxi_registered *channel,
                          int64_t now_ns, char reason[128])
{
	return dxi_presence_alive(&channel->presence, &registry->rules, now_ns, reason, 128);
}

/* ---- asking ---- */

static void judge(const dxi_registry *registry, const dxi_registered *channel, int64_t now_ns,
                  dxh_channel_info *info)
{
	*info = channel->info;
	info->state = dxi_registered_alive(registry, channel, now_ns, info->reason)
	                      ? DXH_CHANNEL_FOUND
	                      : DXH_CHANNEL_PENDING;
}

void dxi_registry_discover(const dxi_registry *registry, const char *name, int64_t now_ns,
                           dxh_channel_info *info)
{
	const dxi_registered *channel = dxi_registered_find(registry, name);

	if (channel) {
		judge(registry, channel, now_ns, info);
		return;
	}
	*info = (dxh_channel_info){.state = DXH_CHANNEL_NOT_FOUND};
	memcpy(info->name, name, strnlen(name, sizeof info->name - 1));
}

void dxi_registry_describe(const dxi_registry *registry, const char *name, int64_t now_ns,
                           dxh_channel_facts *facts)
{
	const dxi_registered *channel = dxi_registered_find(registry, name);
	uint64_t silent_ms;

	*facts = (dxh_channel_facts){.schema = NULL};
	dxi_registry_discover(registry, name, now_ns, &facts->channel);
	if (!channel)
		return;
	memcpy(facts->zones, channel->zones, sizeof facts->zones);
	facts->schema = channel->schema;
	facts->schema_bytes = channel->schema_bytes;
	facts->producer_start = channel->start;
	memcpy(facts->boot_id, channel->boot, sizeof facts->boot_id);
	facts->progress = channel->presence.progress;
	silent_ms = dxi_presence_silent_ms(&channel->presence, now_ns);
	facts->silent_ms = silent_ms < UINT32_MAX ? (uint32_t)silent_ms : UINT32_MAX;
}

dxi_list_page dxi_registry_list(const dxi_registry *registry, const char *after, int64_t now_ns,
                                dxi_visible_fn visible, const void *context,
                                dxh_channel_info *channels, size_t max)
{
	dxi_list_page page = {.total = registry->count};
	uint32_t place = dxi_registered_place(registry, after);

	if (dxi_registered_stands_at(registry, place, after))
		place++;
	for (; place < registry->count && !page.more; place++) {
		const dxi_registered *channel = registry->channels[place];

		if (visible && !visible(context, channel->info.name))
			continue;
		page.more = page.count == max;
		if (!page.more)
			judge(registry, channel, now_ns, &channels[page.count++]);
	}
	for (uint32_t i = 0; visible && i < registry->count; i++)
		page.total -= !visible(context, registry->channels[i]->info.name);
	return page;
}

bool dxi_registry_contradicts(const dxi_registry *registry, const dxh_channel_consumer *consumer,
                              const char *name, const unsigned char schema_hash[32])
{
	const dxi_registered *channel = dxi_registered_find(registry, name);

	return channel &&
	       memcmp(channel->info.block_uuid, consumer->block_uuid,
	              sizeof consumer->block_uuid) == 0 &&
	       memcmp(channel->info.schema_hash, schema_hash, 32) != 0;
}
