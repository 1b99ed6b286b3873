/* SPDX-License-Identifier: MIT */
/* The channels of a broker for `dxh top`: their blocks as those of a directory, and who
 * consumes them as the broker says. */
#include "top.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 64, ANSWER_MS = 1000 };

/* Without an answer nobody is shown: that is no reason to stop watching. */
static void take_consumers(dxh_peer *broker, struct top_block *block)
{
	dxh_channel_facts *facts = NULL;

	if (dxh_describe(broker, block->name, dxh_in_ms(ANSWER_MS), &facts) != DXH_OK)
		return;
	block->consumer_count = facts->consumer_count;
	for (size_t i = 0; i < facts->consumer_count && i < TOP_READERS; i++)
		block->consumers[i] = facts->consumers[i];
	dxh_channel_facts_free(&facts);
}

static bool take_channel(struct top_sample *sample, const char *directory, const char *name)
{
	struct top_block *block = top_add(sample);

	if (block == NULL)
		return false;
	if (!top_look(sample, directory, name, block))
		snprintf(block->error, sizeof block->error,
		         "its block is not on this machine, or was removed");
	return true;
}

static bool take_listed(struct top_sample *sample, const dxh_channel_info *channel)
{
	if (!take_channel(sample, channel->directory, channel->name))
		return false;
	if (channel->consumers > 0)
		take_consumers(sample->place->asker.peer, &sample->blocks[sample->count - 1]);
	return true;
}

/* The broker is away: what it knew is still there. */
static bool take_known(const struct top_sample *before, struct top_sample *sample)
{
	sample->broker_is_away = true;
	for (size_t i = 0; i < before->count; i++)
		if (!before->blocks[i].is_hub &&
		    !take_channel(sample, before->blocks[i].directory, before->blocks[i].name))
			return false;
	return true;
}

bool top_take_channels(const struct top_sample *before, struct top_sample *sample)
{
	static dxh_channel_info page[PAGE];
	char after[DXH_CHANNEL_NAME_MAX + 1] = "";
	size_t count;

	do {
		if (dxh_list(sample->place->asker.peer, after[0] != '\0' ? after : NULL,
		             dxh_in_ms(ANSWER_MS), page, PAGE, &count, NULL) != DXH_OK) {
			sample->count = 0;
			return before != NULL && take_known(before, sample);
		}
		for (size_t i = 0; i < count; i++)
			if (!take_listed(sample, &page[i]))
				return false;
		if (count > 0)
			memcpy(after, page[count - 1].name, sizeof after);
	} while (count == PAGE);
	return true;
}

bool top_is_consumer(const struct top_block *block, const dxh_reader_row *row)
{
	for (size_t i = 0; i < block->consumer_count && i < TOP_READERS; i++)
		if (block->consumers[i].pid == row->reader.pid)
			return true;
	return false;
}
