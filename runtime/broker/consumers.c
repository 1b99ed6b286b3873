/* SPDX-License-Identifier: MIT */
/* An array in order of channel and uid, searched by halving: those of one channel stand
 * side by side. */
#include "runtime/broker/consumers.h"

#include "base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dxi_consumer {
	dxi_timer due; /* first: the wheel hands out this */
	char channel[DXH_CHANNEL_NAME_MAX + 1];
	dxh_channel_consumer info; /* silent_ms is judged when asked */
	dxi_presence presence;
	uint64_t holder;
} dxi_consumer;

dxh_status dxi_consumers_init(dxi_consumers *consumers, uint32_t max, dxi_presence_rules rules)
{
	*consumers = (dxi_consumers){.rules = rules, .max = max};
	consumers->all = calloc(max, sizeof(dxi_consumer *));
	if (!consumers->all)
		return dxi_fail(DXH_ENOMEM, "no memory for %" PRIu32 " consumers", max);
	dxi_wheel_init(&consumers->due, 0);
	return DXH_OK;
}

void dxi_consumers_fini(dxi_consumers *consumers)
{
	for (uint32_t i = 0; i < consumers->count; i++)
		free(consumers->all[i]);
	free(consumers->all);
	*consumers = (dxi_consumers){0};
}

/* ---- places in the order ---- */

static int compare(const dxi_consumer *consumer, const char *channel, uint64_t uid)
{
	int order = strcmp(consumer->channel, channel);

	return order != 0 ? order : (consumer->info.uid > uid) - (consumer->info.uid < uid);
}

/* How many come before this one: its place, if it is there. */
static uint32_t place_of(const dxi_consumers *consumers, const char *channel, uint64_t uid)
{
	uint32_t low = 0, high = consumers->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(consumers->all[middle], channel, uid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool stands_at(const dxi_consumers *consumers, uint32_t place, const char *channel)
{
	return place < consumers->count && strcmp(consumers->all[place]->channel, channel) == 0;
}

static dxi_consumer *find(const dxi_consumers *consumers, const dxi_reader_word *word)
{
	uint32_t place = place_of(consumers, word->channel, word->consumer);

	return place < consumers->count &&
	                       compare(consumers->all[place], word->channel, word->consumer) == 0
	               ? consumers->all[place]
	               : NULL;
}

/* ---- coming and going ---- */

static void arm(dxi_consumers *consumers, dxi_consumer *consumer)
{
	dxi_wheel_arm(&consumers->due, &consumer->due,
	              dxi_presence_dead_ns(&consumer->presence, &consumers->rules));
}

static void drop(dxi_consumers *consumers, dxi_consumer *gone)
{
	uint32_t place = place_of(consumers, gone->channel, gone->info.uid);
	dxi_holding held = {.holder = gone->holder, .consumers = 1};

	dxi_wheel_disarm(&consumers->due, &gone->due);
	consumers->count--;
	memmove(&consumers->all[place], &consumers->all[place + 1],
	        (consumers->count - place) * sizeof *consumers->all);
	if (consumers->holdings)
		dxi_holdings_give(consumers->holdings, &held);
	free(gone);
}

static dxh_status admit(dxi_consumers *consumers, const dxi_reader_claim *claim)
{
	dxi_holding held = {.holder = claim->holder, .consumers = 1};

	if (consumers->count >= consumers->max)
		return dxi_fail(DXH_ELIMIT,
		                "the broker knows %" PRIu32 " consumers, its limit: raise "
		                "consumers_max",
		                consumers->count);
	return consumers->holdings ? dxi_holdings_take(consumers->holdings, &held) : DXH_OK;
}

static dxh_status add(dxi_consumers *consumers, const dxi_reader_claim *claim, int64_t now_ns)
{
	dxi_consumer *made = calloc(1, sizeof *made);
	dxi_consumer **at;
	dxh_status status;
	uint32_t place;

	if (!made)
		return dxi_fail(DXH_ENOMEM, "no memory for a consumer of '%s'", claim->channel);
	status = admit(consumers, claim);
	if (status != DXH_OK) {
		free(made);
		return status;
	}
	memcpy(made->channel, claim->channel, sizeof made->channel);
	made->info = claim->info;
	made->holder = claim->holder;
	dxi_presence_start(&made->presence, 0, now_ns);

	place = place_of(consumers, made->channel, made->info.uid);
	at = &consumers->all[place];
	memmove(at + 1, at, (consumers->count - place) * sizeof *at);
	*at = made;
	consumers->count++;
	arm(consumers, made);
	return DXH_OK;
}

static bool is_alive(const dxi_consumers *consumers, const dxi_consumer *consumer, int64_t now_ns,
                     char reason[128])
{
	return dxi_presence_alive(&consumer->presence, &consumers->rules, now_ns, reason, 128);
}

/* False, after telling it, when it is dead. */
static bool settle(dxi_consumers *consumers, dxi_consumer *consumer, int64_t now_ns)
{
	dxh_watch_event event = {.kind = DXH_WATCH_CONSUMER_DIED,
	                         .pid = consumer->info.pid,
	                         .consumer = consumer->info.uid};

	if (is_alive(consumers, consumer, now_ns, event.reason))
		return true;
	memcpy(event.channel, consumer->channel, sizeof event.channel);
	drop(consumers, consumer);
	dxi_tell(&consumers->listener, &event);
	return false;
}

static dxh_status refuse_foreign(const dxi_consumer *known)
{
	return dxi_fail(DXH_ENOTOWNER,
	                "consumer %016" PRIx64 " of channel '%s' was registered by another client",
	                known->info.uid, known->channel);
}

dxh_status
dxi_consumers_register(dxi_consumers *consumers, const dxi_reader_claim *claim, int64_t now_ns)
{
	dxi_reader_word word = {.consumer = claim->info.uid};
	dxi_consumer *known;

	memcpy(word.channel, claim->channel, sizeof word.channel);
	known = find(consumers, &word);
	if (!known || !settle(consumers, known, now_ns))
		return add(consumers, claim, now_ns);
	if (known->holder != claim->holder)
		return refuse_foreign(known);
	known->info.pid = claim->info.pid;
	known->info.start = claim->info.start;
	known->info.discipline = claim->info.discipline;
	memcpy(known->info.name, claim->info.name, sizeof known->info.name);
	memcpy(known->info.block_uuid, claim->info.block_uuid, sizeof known->info.block_uuid);
	dxi_presence_seen(&known->presence, now_ns);
	return DXH_OK;
}

dxh_status dxi_consumers_deregister(dxi_consumers *consumers, const dxi_reader_word *word)
{
	dxi_consumer *known = find(consumers, word);

	if (!known)
		return dxi_fail(DXH_ENOTFOUND,
		                "channel '%s' has no consumer %016" PRIx64 " that is registered",
		                word->channel, word->consumer);
	if (known->info.pid != word->pid)
		return dxi_fail(DXH_ENOTOWNER,
		                "consumer %016" PRIx64 " of channel '%s' is of pid %" PRId64
		                ", not %" PRId64,
		                word->consumer, word->channel, known->info.pid, word->pid);
	if (known->holder != word->holder)
		return refuse_foreign(known);
	drop(consumers, known);
	return DXH_OK;
}

bool dxi_consumers_beat(dxi_consumers *consumers, const dxi_reader_word *word, int64_t now_ns)
{
	dxi_consumer *known = find(consumers, word);

	if (!known || known->holder != word->holder || !settle(consumers, known, now_ns))
		return false;
	dxi_presence_beat(&known->presence, word->progress, now_ns);
	known->info.next_ticket = word->next_ticket;
	known->info.read = word->read;
	known->info.lost = word->lost;
	known->info.lag = word->lag;
	if (word->tells_block)
		memcpy(known->info.block_uuid, word->block_uuid, sizeof word->block_uuid);
	return true;
}

uint64_t dxi_consumers_broken(dxi_consumers *consumers, const dxi_reader_word *word)
{
	dxi_consumer *known = find(consumers, word);
	uint64_t more;

	if (!known || known->holder != word->holder || word->corrupt <= known->info.corrupt)
		return 0;
	more = word->corrupt - known->info.corrupt;
	known->info.corrupt = word->corrupt;
	return more;
}

void dxi_consumers_expire(dxi_consumers *consumers, int64_t now_ns)
{
	dxi_timer *timer;

	/* Beats do not touch the wheel: who has beaten since is armed anew, for later. */
	while ((timer = dxi_wheel_expire(&consumers->due, now_ns))) {
		dxi_consumer *consumer = (dxi_consumer *)timer;

		if (settle(consumers, consumer, now_ns))
			arm(consumers, consumer);
	}
}

int64_t dxi_consumers_next_ns(const dxi_consumers *consumers)
{
	return dxi_wheel_next_ns(&consumers->due);
}

/* ---- asking ---- */

uint32_t dxi_consumers_count(const dxi_consumers *consumers, const char *channel)
{
	uint32_t first = place_of(consumers, channel, 0), end = first;

	if (stands_at(consumers, first, channel))
		end = place_of(consumers, channel, UINT64_MAX);
	/* The one of the largest uid stands there, if there is one. */
	return end - first + (stands_at(consumers, end, channel) ? 1 : 0);
}

size_t dxi_consumers_page(const dxi_consumers *consumers, const char *channel, uint64_t after,
                          int64_t now_ns, dxh_channel_consumer *page, size_t max, bool *more)
{
	uint32_t place =
		after == UINT64_MAX ? consumers->count : place_of(consumers, channel, after + 1);
	size_t count = 0;

	for (; stands_at(consumers, place, channel) && count < max; place++) {
		const dxi_consumer *consumer = consumers->all[place];
		uint64_t silent_ms = dxi_presence_silent_ms(&consumer->presence, now_ns);

		page[count] = consumer->info;
		page[count++].silent_ms = silent_ms < UINT32_MAX ? (uint32_t)silent_ms : UINT32_MAX;
	}
	*more = stands_at(consumers, place, channel);
	return count;
}
