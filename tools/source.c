/* SPDX-License-Identifier: MIT */
/* Attaching to a channel, a block or a file, whichever was named. */
#include "source.h"

#include "block.h"
#include "channel.h"
#include "text.h"

#include <time.h>

enum { AGAIN_NS = 20000000, WAIT_MS = 5000 };

static dxh_status connect_broker(struct source *source)
{
	dxh_status status = DXH_OK;

	if (!source->hub)
		status = dxh_hub_open(NULL, &source->hub);
	if (status == DXH_OK && !source->peer)
		status = channel_connect_peer(source->hub, source->broker, &source->peer);
	return status;
}

bool source_choose(struct source *source, const char *command, const char *given, bool takes_file)
{
	if (source->broker && source->directory) {
		tool_usage(command, "a channel's broker knows the directory: --broker or --dir");
		return false;
	}
	if (given[0] != '/' && given[0] != '.') {
		source->name = given;
		if (!source->directory)
			source->broker = channel_broker(source->broker);
		return true;
	}
	source->file = given;
	source->broker = NULL;
	if (!takes_file)
		tool_usage(command, "name a channel or a block, not a file: %s",
		           tool_shown(given).s);
	else if (source->directory)
		tool_usage(command, "%s is a file: --dir says nothing about it",
		           tool_shown(given).s);
	return takes_file && !source->directory;
}

static bool unable(const struct source *source, const char *command, dxh_status status)
{
	struct channel_asker asker = {.endpoint = source->broker};
	struct block_arguments arguments = {.command = command,
	                                    .name = source->name,
	                                    .file = source->file,
	                                    .directory = source->directory};

	if (!source->broker)
		block_unable(&arguments, status);
	else if (status == DXH_ENOTFOUND)
		tool_fail(command, "%s at %s: `dxh ls` lists those it knows",
		          tool_shown(dxh_last_error()).s, tool_shown(source->broker).s);
	else
		channel_unanswered(command, &asker, status);
	return false;
}

/* What has no items is not followed. */
static bool has_items(const struct source *source, const char *command, dxh_consumer **consumer)
{
	dxh_block_info info;

	if (dxh_consumer_info(*consumer, &info) == DXH_OK && info.slot_count > 0)
		return true;
	tool_fail(command, "%s has no items, only zones: `dxh cat --zones` shows them",
	          tool_shown(source->file ? source->file : source->name).s);
	dxh_consumer_close(consumer);
	return false;
}

bool source_open(struct source *source, const char *command, dxh_start start, uint64_t ticket,
                 dxh_consumer **consumer)
{
	dxh_consumer_config config = {.directory = source->directory,
	                              .discipline = source->lossless ? DXH_LOSSLESS : DXH_FOLLOW,
	                              .start = start,
	                              .start_ticket = ticket,
	                              .file = source->file,
	                              .follow_name = source->file == NULL};
	struct timespec pause = {.tv_nsec = AGAIN_NS};
	int64_t deadline_ns = dxh_in_ms(WAIT_MS);
	dxh_status status;

	if (source->broker) {
		if (!tool_broker_folder(command, source->broker, false))
			return false;
		status = connect_broker(source);
		if (status == DXH_OK)
			status = dxh_consume(source->peer, source->name, &config, deadline_ns,
			                     consumer);
	} else {
		while ((status = dxh_consumer_open(source->name, &config, consumer)) ==
		               DXH_ENOTFOUND &&
		       !source->file && dxh_now_ns() < deadline_ns)
			nanosleep(&pause, NULL);
	}
	return status == DXH_OK ? has_items(source, command, consumer)
	                        : unable(source, command, status);
}

void source_close(struct source *source)
{
	if (source->hub)
		dxh_hub_close(&source->hub);
}
