/* SPDX-License-Identifier: MIT */
/* Taking samples: facts of each block, and what changed since the last time. */
#include "top.h"

#include "stat.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffix[] = ".dxh";

static int is_data_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > strlen(suffix) && length <= DXH_BLOCK_NAME_MAX + strlen(suffix) &&
	       strcmp(entry->d_name + length - strlen(suffix), suffix) == 0;
}

/* A hub's own metrics, if it is that. */
static void take_metrics(const char *directory, struct top_block *block)
{
	dxh_consumer_config config = {.directory = directory};
	dxh_consumer *consumer;

	if (dxh_consumer_open(block->name, &config, &consumer) != DXH_OK)
		return;
	block->is_hub = dxh_metrics_read(consumer, &block->metrics) == DXH_OK;
	dxh_consumer_close(&consumer);
}

static bool has_metrics(const dxh_facts *facts)
{
	return facts->block.zone_count >= 3 && strcmp(facts->zones[0].name, "hub") == 0 &&
	       strcmp(facts->zones[1].name, "counters") == 0;
}

static void take_facts(const struct top_sample *sample, dxh_facts *facts, struct top_block *block)
{
	struct stat_facts given = {.block = facts};

	memcpy(block->uuid, facts->block.uuid, sizeof block->uuid);
	block->producer = facts->block.producer;
	block->pid = facts->block.producer_pid;
	block->epoch = facts->block.epoch;
	block->slot_count = facts->block.slot_count;
	block->items = facts->items;
	block->bytes = facts->bytes;
	block->wakes = facts->wakes;
	block->held = facts->held;
	block->evicted = facts->evicted;
	block->reader_count = facts->reader_count;
	for (size_t i = 0; i < facts->reader_count && i < TOP_READERS; i++)
		block->readers[i] = facts->readers[i];
	users_of(&sample->users, facts->path, &given.users);
	for (size_t i = 0; i < given.users.count; i++)
		if (given.users.list[i].pid != facts->block.producer_pid)
			block->followers += stat_followers(&given, &given.users.list[i]);
	users_free(&given.users);
}

static void name_of(const char *file, char name[DXH_BLOCK_NAME_MAX + 1])
{
	snprintf(name, DXH_BLOCK_NAME_MAX + 1, "%.*s", (int)(strlen(file) - strlen(suffix)), file);
	for (char *at = name; *at != '\0'; at++)
		if (*at == '+')
			*at = '/';
}

bool top_look(const struct top_sample *sample, const char *directory, const char *name,
              struct top_block *block)
{
	dxh_facts *facts = NULL;
	dxh_status status;

	*block = (struct top_block){.producer = DXH_PRODUCER_UNKNOWN};
	snprintf(block->name, sizeof block->name, "%s", name);
	snprintf(block->directory, sizeof block->directory, "%s", directory);
	status =
		dxh_block_facts(block->name, &(dxh_inspect_config){.directory = directory}, &facts);
	block->taken_ns = dxh_now_ns();
	if (status == DXH_ENOTFOUND)
		return false;
	if (status != DXH_OK) {
		block->is_denied = status == DXH_EACCESS;
		snprintf(block->error, sizeof block->error, "%s", dxh_last_error());
		return true;
	}
	take_facts(sample, facts, block);
	if (has_metrics(facts))
		take_metrics(directory, block);
	dxh_facts_free(&facts);
	return true;
}

struct top_block *top_add(struct top_sample *sample)
{
	size_t capacity = sample->capacity > 0 ? 2 * sample->capacity : 16;
	struct top_block *blocks = sample->blocks;

	if (sample->count == sample->capacity) {
		blocks = realloc(blocks, capacity * sizeof *blocks);
		if (blocks == NULL)
			return NULL;
		sample->blocks = blocks;
		sample->capacity = capacity;
	}
	return &blocks[sample->count++];
}

static const struct top_block *find(const struct top_sample *sample, const struct top_block *block)
{
	for (size_t i = 0; i < sample->count; i++)
		if (strcmp(sample->blocks[i].name, block->name) == 0 &&
		    memcmp(sample->blocks[i].uuid, block->uuid, sizeof block->uuid) == 0)
			return &sample->blocks[i];
	return NULL;
}

static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static void compare(struct top_block *block, const struct top_block *before)
{
	double seconds = (double)(block->taken_ns - before->taken_ns) / 1e9;
	const dxh_hub_stats *now = &block->metrics.stats, *then = &before->metrics.stats;

	block->items_s = rate(block->items, before->items, seconds);
	block->bytes_s = rate(block->bytes, before->bytes, seconds);
	block->wakes_s = rate(block->wakes, before->wakes, seconds);
	memcpy(block->history, before->history + 1, sizeof block->history - sizeof(double));
	block->history[TOP_HISTORY - 1] = block->items_s;
	if (!block->is_hub || !before->is_hub)
		return;
	block->posted_s = rate(now->posted, then->posted, seconds);
	block->done_s = rate(now->done, then->done, seconds);
	block->notified_s = rate(now->notifications_posted, then->notifications_posted, seconds);
	block->wakeups_s = rate(now->wakeups, then->wakeups, seconds);
	block->history[TOP_HISTORY - 1] = block->done_s + block->notified_s;
}

static bool is_listed(const struct top_sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->count; i++)
		if (strcmp(sample->blocks[i].name, name) == 0)
			return true;
	return false;
}

/* All blocks of the directory; beside channels only hubs, which no broker knows. */
static bool take_directory(struct top_sample *sample)
{
	const char *directory = sample->place->directory;
	bool hubs_only = sample->place->asker.peer != NULL;
	char name[DXH_BLOCK_NAME_MAX + 1];
	struct top_block *block = NULL;
	struct dirent **files = NULL;
	int count = scandir(directory, &files, is_data_file, alphasort);

	if (count == -1)
		return hubs_only;
	for (int i = 0; i < count; i++) {
		name_of(files[i]->d_name, name);
		free(files[i]);
		if (is_listed(sample, name) || (block = top_add(sample)) == NULL)
			continue;
		if (!top_look(sample, directory, name, block) || (hubs_only && !block->is_hub))
			sample->count--;
	}
	free(files);
	return true;
}

static void compare_all(struct top_sample *sample, const struct top_sample *before)
{
	for (size_t i = 0; i < sample->count; i++) {
		const struct top_block *known = find(before, &sample->blocks[i]);

		if (known != NULL)
			compare(&sample->blocks[i], known);
	}
}

bool top_take(const struct top_place *place, const struct top_sample *before,
              struct top_sample *sample)
{
	*sample = (struct top_sample){.place = place, .taken_ns = dxh_now_ns()};
	users_look(&sample->users);
	if ((place->asker.peer != NULL && !top_take_channels(before, sample)) ||
	    !take_directory(sample)) {
		top_free(sample);
		return false;
	}
	users_forget(&sample->users);
	if (before != NULL)
		compare_all(sample, before);
	return true;
}

const char *top_title(const struct top_sample *sample)
{
	return sample->place->asker.peer != NULL ? sample->place->asker.endpoint
	                                         : sample->place->directory;
}

void top_free(struct top_sample *sample)
{
	users_forget(&sample->users);
	free(sample->blocks);
	*sample = (struct top_sample){0};
}
