/* SPDX-License-Identifier: MIT */
/* Channels come, change and go: what it takes, and what is told of it. */
#include "runtime/broker/registered.h"

#include "base/clock.h"
#include "base/status.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TELL_BROKEN_NS = 1000 * DXI_NS_PER_MS /* between two events about broken items */ };

dxh_status
dxi_registry_init(dxi_registry *registry, uint32_t channels_max, dxi_presence_rules rules)
{
	*registry = (dxi_registry){.rules = rules, .channels_max = channels_max};
	registry->channels = calloc(channels_max, sizeof *registry->channels);
	if (!registry->channels)
		return dxi_fail(DXH_ENOMEM, "no memory for a registry of %" PRIu32 " channels",
		                channels_max);
	dxi_wheel_init(&registry->due, 0);
	return DXH_OK;
}

static void free_channel(dxi_registered *channel)
{
	free(channel->schema);
	free(channel);
}

void dxi_registry_fini(dxi_registry *registry)
{
	for (uint32_t i = 0; i < registry->count; i++)
		free_channel(registry->channels[i]);
	free(registry->channels);
	*registry = (dxi_registry){0};
}

/* ---- what is told ---- */

static void tell(const dxi_registry *registry, const dxi_registered *channel, dxh_watch_kind kind,
                 const char *reason)
{
	dxh_watch_event event = {.kind = kind,
	                         .producer = channel->info.producer_uid,
	                         .pid = channel->info.producer_pid,
	                         .epoch = channel->info.epoch};

	memcpy(event.channel, channel->info.name, sizeof event.channel);
	snprintf(event.reason, sizeof event.reason, "%s", reason);
	dxi_tell(&registry->listener, &event);
}

static void arm(dxi_registry *registry, dxi_registered *channel)
{
	dxi_wheel_arm(&registry->due, &channel->due,
	              channel->live ? dxi_presence_dead_ns(&channel->presence, &registry->rules)
	                            : dxi_presence_over_ns(&channel->presence, &registry->rules));
}

static void set_live(dxi_registry *registry, dxi_registered *channel, bool live)
{
	registry->live += live;
	registry->live -= channel->live;
	channel->live = live;
	arm(registry, channel);
}

/* Whatever is to happen to a channel happens behind its death, if that is over already. */
static bool settle(dxi_registry *registry, dxi_registered *channel, int64_t now_ns)
{
	char reason[128];
	bool lives = dxi_registered_alive(registry, channel, now_ns, reason);

	if (channel->live && !lives) {
		set_live(registry, channel, false);
		tell(registry, channel, DXH_WATCH_ERROR, reason);
	}
	return lives;
}

/* A sign of life has come. */
static void revive(dxi_registry *registry, dxi_registered *channel, int64_t now_ns, const char *why)
{
	char reason[128];

	if (channel->live || !dxi_registered_alive(registry, channel, now_ns, reason))
		return;
	set_live(registry, channel, true);
	tell(registry, channel, DXH_WATCH_OPENED, why);
}

/* ---- coming and going ---- */

static dxi_holding holding_of(const dxi_registered *channel)
{
	return (dxi_holding){
		.holder = channel->holder, .channels = 1, .schema_bytes = channel->schema_bytes};
}

static void remove_at(dxi_registry *registry, uint32_t place, const char *reason)
{
	dxi_registered **at = &registry->channels[place], *gone = *at;
	dxi_holding held = holding_of(gone);

	set_live(registry, gone, false);
	dxi_wheel_disarm(&registry->due, &gone->due);
	registry->count--;
	registry->schema_bytes -= gone->schema_bytes;
	memmove(at, at + 1, (registry->count - place) * sizeof *at);
	if (registry->holdings)
		dxi_holdings_give(registry->holdings, &held);
	tell(registry, gone, DXH_WATCH_CLOSING, reason);
	free_channel(gone);
}

/* Make room by forgetting the channel whose producer has been silent longest,
 * among those that count as dead. */
static dxh_status make_room(dxi_registry *registry, int64_t now_ns)
{
	uint32_t oldest = UINT32_MAX;

	if (registry->count < registry->channels_max)
		return DXH_OK;
	/* Where all live, a flood of claims must not cost a look at each. */
	dxi_registry_expire(registry, now_ns);
	if (registry->count < registry->channels_max)
		return DXH_OK;
	for (uint32_t i = 0; i < registry->count && registry->live < registry->count; i++) {
		const dxi_registered *channel = registry->channels[i];

		if (!channel->live &&
		    (oldest == UINT32_MAX ||
		     channel->presence.beat_ns < registry->channels[oldest]->presence.beat_ns))
			oldest = i;
	}
	if (oldest == UINT32_MAX)
		return dxi_fail(DXH_ELIMIT,
		                "the broker knows %" PRIu32 " live channels, its limit: raise "
		                "channels_max",
		                registry->count);
	remove_at(registry, oldest, "dead, and forgotten to make room for another channel");
	return DXH_OK;
}

/* The claim as something to be kept. NULL: no memory. */
static dxi_registered *make_channel(const dxi_claim *claim)
{
	dxi_registered *made = calloc(1, sizeof *made);
	void *schema = malloc(claim->schema_bytes + 1);

	if (!made || !schema) {
		free(made);
		free(schema);
		return NULL;
	}
	if (claim->schema_bytes > 0)
		memcpy(schema, claim->schema, claim->schema_bytes);
	made->info = claim->info;
	made->holder = claim->holder;
	made->start = claim->start;
	memcpy(made->boot, claim->boot, sizeof made->boot);
	memcpy(made->zones, claim->zones, sizeof made->zones);
	made->schema = schema;
	made->schema_bytes = claim->schema_bytes;
	return made;
}

/* Is there room for what it brings, beside all others and beside what its holder has? In
 * place of `old`, if that is not NULL. */
static dxh_status
admit(dxi_registry *registry, const dxi_registered *channel, const dxi_registered *old)
{
	dxi_holding new_held = holding_of(channel), old_held = {.holder = 0};
	dxh_status status;

	if (registry->schema_bytes_max > 0 &&
	    registry->schema_bytes - (old ? old->schema_bytes : 0) + channel->schema_bytes >
	            registry->schema_bytes_max)
		return dxi_fail(DXH_ELIMIT,
		                "the broker holds schemas of %" PRIu64
		                " bytes, its limit is %" PRIu64,
		                registry->schema_bytes, registry->schema_bytes_max);
	if (!registry->holdings)
		return DXH_OK;
	if (old) {
		old_held = holding_of(old);
		dxi_holdings_give(registry->holdings, &old_held);
	}
	status = dxi_holdings_take(registry->holdings, &new_held);
	if (status != DXH_OK && old)
		/* It was there a moment ago. */
		(void)dxi_holdings_take(registry->holdings, &old_held);
	return status;
}

static void insert_at_its_place(dxi_registry *registry, dxi_registered *channel)
{
	uint32_t place = dxi_registered_place(registry, channel->info.name);
	dxi_registered **at = &registry->channels[place];

	memmove(at + 1, at, (registry->count - place) * sizeof *at);
	*at = channel;
	registry->count++;
	assert(place == 0 || strcmp(at[-1]->info.name, channel->info.name) < 0);
	assert(place + 1 == registry->count || strcmp(channel->info.name, at[1]->info.name) < 0);
}

static dxh_status open_channel(dxi_registry *registry, const dxi_claim *claim, int64_t now_ns)
{
	dxi_registered *made = make_channel(claim);
	dxh_status status;

	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for channel '%s'", claim->info.name);
	status = make_room(registry, now_ns);
	if (status == DXH_OK)
		status = admit(registry, made, NULL);
	if (status != DXH_OK) {
		free_channel(made);
		return status;
	}
	registry->schema_bytes += made->schema_bytes;
	insert_at_its_place(registry, made);
	dxi_presence_start(&made->presence, claim->stall_ms, now_ns);
	set_live(registry, made, true);
	tell(registry, made, DXH_WATCH_OPENED, "registered");
	return DXH_OK;
}

/* What is claimed now in place of what was. The list, the life and the account of broken
 * items are `channel`'s own. */
static dxh_status update(dxi_registry *registry, dxi_registered *channel, const dxi_claim *claim)
{
	dxi_registered *made = make_channel(claim);
	dxh_status status;

	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for channel '%s'", claim->info.name);
	status = admit(registry, made, channel);
	if (status == DXH_OK) {
		void *old_schema = channel->schema;
		uint64_t broken = channel->info.checksum_errors;

		registry->schema_bytes -= channel->schema_bytes;
		registry->schema_bytes += made->schema_bytes;
		channel->info = made->info;
		channel->info.checksum_errors = broken;
		channel->holder = made->holder;
		channel->start = made->start;
		memcpy(channel->boot, made->boot, sizeof made->boot);
		memcpy(channel->zones, made->zones, sizeof made->zones);
		channel->schema = made->schema;
		channel->schema_bytes = made->schema_bytes;
		made->schema = old_schema;
	}
	free_channel(made);
	return status;
}

/* ---- owners ---- */

static bool overtakes(const dxi_claim *claim, const dxi_registered *channel)
{
	return memcmp(claim->info.block_uuid, channel->info.block_uuid,
	              sizeof claim->info.block_uuid) == 0 &&
	       claim->info.epoch > channel->info.epoch;
}

static dxh_status
refuse_second(const dxi_claim *claim, const dxi_registered *channel, int64_t now_ns)
{
	return dxi_fail(DXH_ECONFLICT,
	                "channel '%s' has a live producer, pid %" PRId64 ", last beat %" PRId64
	                " ms ago, number %016" PRIx64 ", block in %s%s",
	                channel->info.name, channel->info.producer_pid,
	                (now_ns - channel->presence.beat_ns) / DXI_NS_PER_MS,
	                channel->info.producer_uid, channel->info.directory,
	                claim->holder != channel->holder ? ", of another client" : "");
}

/* Another producer has the place from now on. */
static dxh_status replace(dxi_registry *registry, dxi_registered *channel, const dxi_claim *claim,
                          int64_t now_ns, const char *why)
{
	dxh_status status = update(registry, channel, claim);

	if (status != DXH_OK)
		return status;
	channel->info.checksum_errors = 0;
	channel->broken_told_ns = 0;
	dxi_presence_start(&channel->presence, claim->stall_ms, now_ns);
	set_live(registry, channel, true);
	tell(registry, channel, DXH_WATCH_CHANGED, why);
	return DXH_OK;
}

static bool is_same_block(const dxi_claim *claim, const dxi_registered *channel)
{
	return claim->info.epoch == channel->info.epoch &&
	       memcmp(claim->info.block_uuid, channel->info.block_uuid,
	              sizeof claim->info.block_uuid) == 0 &&
	       memcmp(claim->info.schema_hash, channel->info.schema_hash,
	              sizeof claim->info.schema_hash) == 0;
}

static dxh_status
keep(dxi_registry *registry, dxi_registered *channel, const dxi_claim *claim, int64_t now_ns)
{
	dxh_status status;

	if (!is_same_block(claim, channel))
		return replace(registry, channel, claim, now_ns,
		               "the same producer, another block");
	status = update(registry, channel, claim);
	if (status != DXH_OK)
		return status;
	dxi_presence_seen(&channel->presence, now_ns);
	revive(registry, channel, now_ns, "registered again");
	return DXH_OK;
}

dxh_status dxi_registry_register(dxi_registry *registry, const dxi_claim *claim, int64_t now_ns)
{
	dxi_registered *channel = dxi_registered_find(registry, claim->info.name);
	bool lives;

	if (!channel)
		return open_channel(registry, claim, now_ns);
	lives = settle(registry, channel, now_ns);
	if (channel->info.producer_uid == claim->info.producer_uid &&
	    channel->holder == claim->holder)
		return keep(registry, channel, claim, now_ns);
	if (overtakes(claim, channel))
		return replace(registry, channel, claim, now_ns, "it took the block over");
	if (!lives)
		return replace(registry, channel, claim, now_ns, "the producer before it was dead");
	return refuse_second(claim, channel, now_ns);
}

dxh_status dxi_registry_deregister(dxi_registry *registry, const dxi_owner *owner, int64_t now_ns)
{
	uint32_t place = dxi_registered_place(registry, owner->channel);
	dxi_registered *channel;
	const dxh_channel_info *info;

	if (!dxi_registered_stands_at(registry, place, owner->channel))
		return dxi_fail(DXH_ENOTFOUND, "no channel '%s' is registered", owner->channel);
	channel = registry->channels[place];
	info = &channel->info;
	if (info->producer_uid != owner->producer || info->producer_pid != owner->pid)
		return dxi_fail(DXH_ENOTOWNER,
		                "channel '%s' belongs to pid %" PRId64 ", number %016" PRIx64
		                ", not to pid %" PRId64 ", number %016" PRIx64,
		                info->name, info->producer_pid, info->producer_uid, owner->pid,
		                owner->producer);
	if (channel->holder != owner->holder)
		return dxi_fail(DXH_ENOTOWNER,
		                "channel '%s' was registered by another client: only that one "
		                "deregisters it",
		                info->name);
	(void)settle(registry, channel, now_ns);
	remove_at(registry, place, "closed by its producer");
	return DXH_OK;
}

bool dxi_registry_beat(dxi_registry *registry, const dxi_owner *owner, int64_t now_ns)
{
	dxi_registered *channel = dxi_registered_find(registry, owner->channel);

	if (!channel || channel->info.producer_uid != owner->producer ||
	    channel->holder != owner->holder)
		return false;
	(void)settle(registry, channel, now_ns);
	dxi_presence_beat(&channel->presence, owner->progress, now_ns);
	revive(registry, channel, now_ns, "it beats again");
	return true;
}

void dxi_registry_broken(dxi_registry *registry, const char *name, uint64_t more, int64_t now_ns)
{
	dxi_registered *channel = dxi_registered_find(registry, name);
	dxh_watch_event event = {.kind = DXH_WATCH_ERROR};

	if (!channel || more == 0)
		return;
	channel->info.checksum_errors = dxi_sum(channel->info.checksum_errors, more);
	if (channel->broken_told_ns != 0 && now_ns - channel->broken_told_ns < TELL_BROKEN_NS)
		return;
	channel->broken_told_ns = now_ns;
	memcpy(event.channel, channel->info.name, sizeof event.channel);
	event.producer = channel->info.producer_uid;
	event.pid = channel->info.producer_pid;
	event.epoch = channel->info.epoch;
	event.checksum_errors = channel->info.checksum_errors;
	snprintf(event.reason, sizeof event.reason, "consumers found %" PRIu64 " broken items",
	         event.checksum_errors);
	dxi_tell(&registry->listener, &event);
}

/* ---- time ---- */

void dxi_registry_expire(dxi_registry *registry, int64_t now_ns)
{
	dxi_timer *timer;

	/* Beats do not touch the wheel: who has beaten since is armed anew, for later. */
	while ((timer = dxi_wheel_expire(&registry->due, now_ns))) {
		dxi_registered *channel = (dxi_registered *)timer;
		bool was_live = channel->live;

		(void)settle(registry, channel, now_ns);
		if (!was_live &&
		    now_ns >= dxi_presence_over_ns(&channel->presence, &registry->rules))
			remove_at(registry, dxi_registered_place(registry, channel->info.name),
			          "dead for so long that it is forgotten");
		else
			arm(registry, channel);
	}
}

int64_t dxi_registry_next_ns(const dxi_registry *registry)
{
	return dxi_wheel_next_ns(&registry->due);
}
