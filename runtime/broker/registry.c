/* SPDX-License-Identifier: MIT */
/* An array of channels in order of their names, searched by halving. */
#include "runtime/broker/registry.h"

#include "base/clock.h"
#include "base/status.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dxi_registered {
	dxh_channel_info info; /* state and reason are judged when asked */
	dxi_presence presence;
};

dxh_status
dxi_registry_init(dxi_registry *registry, uint32_t channels_max, dxi_presence_rules rules)
{
	*registry = (dxi_registry){.rules = rules, .channels_max = channels_max};
	registry->channels = calloc(channels_max, sizeof *registry->channels);
	if (!registry->channels)
		return dxi_fail(DXH_ENOMEM, "no memory for a registry of %" PRIu32 " channels",
		                channels_max);
	return DXH_OK;
}

void dxi_registry_fini(dxi_registry *registry)
{
	for (uint32_t i = 0; i < registry->count; i++)
		free(registry->channels[i]);
	free(registry->channels);
	*registry = (dxi_registry){0};
}

/* ---- places in the order ---- */

/* How many names come before this one: its place, if it is there. */
static uint32_t place_of(const dxi_registry *registry, const char *name)
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

static bool stands_at(const dxi_registry *registry, uint32_t place, const char *name)
{
	return place < registry->count && strcmp(registry->channels[place]->info.name, name) == 0;
}

static dxi_registered *find(const dxi_registry *registry, const char *name)
{
	uint32_t place = place_of(registry, name);

	return stands_at(registry, place, name) ? registry->channels[place] : NULL;
}

static void remove_at(dxi_registry *registry, uint32_t place)
{
	dxi_registered **at = &registry->channels[place];

	free(*at);
	registry->count--;
	memmove(at, at + 1, (registry->count - place) * sizeof *at);
}

static bool alive(const dxi_registry *registry, const dxi_registered *channel, int64_t now_ns)
{
	char unused[128];

	return dxi_presence_alive(&channel->presence, &registry->rules, now_ns, unused,
	                          sizeof unused);
}

/* Make room by forgetting the channel whose producer has been silent longest,
 * among those that count as dead. */
static dxh_status make_room(dxi_registry *registry, int64_t now_ns)
{
	uint32_t oldest = UINT32_MAX;

	if (registry->count < registry->channels_max)
		return DXH_OK;
	for (uint32_t i = 0; i < registry->count; i++) {
		const dxi_registered *channel = registry->channels[i];

		if (alive(registry, channel, now_ns))
			continue;
		if (oldest == UINT32_MAX ||
		    channel->presence.beat_ns < registry->channels[oldest]->presence.beat_ns)
			oldest = i;
	}
	if (oldest == UINT32_MAX)
		return dxi_fail(DXH_ELIMIT,
		                "the broker knows %" PRIu32 " live channels, its limit: raise "
		                "channels_max",
		                registry->count);
	remove_at(registry, oldest);
	return DXH_OK;
}

static dxh_status insert(dxi_registry *registry, const dxi_claim *claim, int64_t now_ns)
{
	dxi_registered *channel = calloc(1, sizeof *channel);
	dxi_registered **at;
	dxh_status status;
	uint32_t place;

	if (!channel)
		return dxi_fail(DXH_ENOMEM, "no memory for channel '%s'", claim->info.name);
	status = make_room(registry, now_ns);
	if (status != DXH_OK) {
		free(channel);
		return status;
	}
	channel->info = claim->info;
	dxi_presence_start(&channel->presence, claim->stall_ms, now_ns);

	place = place_of(registry, claim->info.name); /* after room was made */
	at = &registry->channels[place];
	memmove(at + 1, at, (registry->count - place) * sizeof *at);
	*at = channel;
	registry->count++;
	assert(place == 0 || strcmp(at[-1]->info.name, channel->info.name) < 0);
	assert(place + 1 == registry->count || strcmp(channel->info.name, at[1]->info.name) < 0);
	return DXH_OK;
}

/* ---- owners ---- */

static bool overtakes(const dxi_claim *claim, const dxi_registered *channel)
{
	return memcmp(claim->info.block_uuid, channel->info.block_uuid,
	              sizeof claim->info.block_uuid) == 0 &&
	       claim->info.epoch > channel->info.epoch;
}

static dxh_status refuse_second(const dxi_registered *channel, int64_t now_ns)
{
	return dxi_fail(DXH_ECONFLICT,
	                "channel '%s' has a live producer, pid %" PRId64 ", last beat %" PRId64
	                " ms ago, number %016" PRIx64 ", block in %s",
	                channel->info.name, channel->info.producer_pid,
	                (now_ns - channel->presence.beat_ns) / DXI_NS_PER_MS,
	                channel->info.producer_uid, channel->info.directory);
}

dxh_status dxi_registry_register(dxi_registry *registry, const dxi_claim *claim, int64_t now_ns)
{
	dxi_registered *channel = find(registry, claim->info.name);

	if (!channel)
		return insert(registry, claim, now_ns);
	if (channel->info.producer_uid == claim->info.producer_uid) {
		channel->presence.stall_ms = claim->stall_ms;
		dxi_presence_seen(&channel->presence, now_ns);
	} else if (!alive(registry, channel, now_ns) || overtakes(claim, channel)) {
		dxi_presence_start(&channel->presence, claim->stall_ms, now_ns);
	} else {
		return refuse_second(channel, now_ns);
	}
	channel->info = claim->info;
	return DXH_OK;
}

dxh_status dxi_registry_deregister(dxi_registry *registry, const dxi_owner *owner)
{
	uint32_t place = place_of(registry, owner->channel);
	const dxh_channel_info *info;

	if (!stands_at(registry, place, owner->channel))
		return dxi_fail(DXH_ENOTFOUND, "no channel '%s' is registered", owner->channel);
	info = &registry->channels[place]->info;
	if (info->producer_uid != owner->producer || info->producer_pid != owner->pid)
		return dxi_fail(DXH_ENOTOWNER,
		                "channel '%s' belongs to pid %" PRId64 ", number %016" PRIx64
		                ", not to pid %" PRId64 ", number %016" PRIx64,
		                info->name, info->producer_pid, info->producer_uid, owner->pid,
		                owner->producer);
	remove_at(registry, place);
	return DXH_OK;
}

bool dxi_registry_beat(dxi_registry *registry, const dxi_owner *owner, int64_t now_ns)
{
	dxi_registered *channel = find(registry, owner->channel);

	if (!channel || channel->info.producer_uid != owner->producer)
		return false;
	dxi_presence_beat(&channel->presence, owner->progress, now_ns);
	return true;
}

/* ---- asking ---- */

static void describe(const dxi_registry *registry, const dxi_registered *channel, int64_t now_ns,
                     dxh_channel_info *info)
{
	*info = channel->info;
	info->state = dxi_presence_alive(&channel->presence, &registry->rules, now_ns, info->reason,
	                                 sizeof info->reason)
	                      ? DXH_CHANNEL_FOUND
	                      : DXH_CHANNEL_PENDING;
}

void dxi_registry_discover(const dxi_registry *registry, const char *name, int64_t now_ns,
                           dxh_channel_info *info)
{
	const dxi_registered *channel = find(registry, name);

	if (channel) {
		describe(registry, channel, now_ns, info);
		return;
	}
	*info = (dxh_channel_info){.state = DXH_CHANNEL_NOT_FOUND};
	memcpy(info->name, name, strnlen(name, sizeof info->name - 1));
}

dxi_list_page dxi_registry_list(const dxi_registry *registry, const char *after, int64_t now_ns,
                                dxh_channel_info *channels, size_t max)
{
	dxi_list_page page = {.total = registry->count};
	uint32_t place = place_of(registry, after);

	if (stands_at(registry, place, after))
		place++;
	for (; place < registry->count && page.count < max; place++)
		describe(registry, registry->channels[place], now_ns, &channels[page.count++]);
	page.more = place < registry->count;
	return page;
}
