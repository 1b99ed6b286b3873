/* SPDX-License-Identifier: MIT */
/* Attaching to a channel or a block, whichever was named. */
#include "source.h"

#include "channel.h"

#include <time.h>

enum { AGAIN_NS = 20000000 };

static dxh_status connect_broker(struct source *source)
{
	dxh_status status = DXH_OK;

	if (!source->hub)
		status = dxh_hub_open(NULL, &source->hub);
	if (status == DXH_OK && !source->peer)
		status = dxh_peer_connect(source->hub, source->broker, NULL, &source->peer);
	return status;
}

bool source_choose(struct source *source, const char *command)
{
	if (source->broker && source->directory) {
		tool_usage(command, "a channel's broker knows the directory: --broker or --dir");
		return false;
	}
	if (!source->directory)
		source->broker = channel_broker(source->broker);
	return true;
}

dxh_status source_open(struct source *source, dxh_start start, uint64_t ticket, int64_t deadline_ns,
                       dxh_consumer **consumer)
{
	dxh_consumer_config config = {.directory = source->directory,
	                              .discipline = source->lossless ? DXH_LOSSLESS : DXH_FOLLOW,
	                              .start = start,
	                              .start_ticket = ticket,
	                              .follow_name = 1};
	struct timespec pause = {.tv_nsec = AGAIN_NS};
	dxh_status status;

	if (source->broker) {
		status = connect_broker(source);
		if (status != DXH_OK)
			return status;
		return dxh_consume(source->peer, source->name, &config, deadline_ns, consumer);
	}
	while ((status = dxh_consumer_open(source->name, &config, consumer)) == DXH_ENOTFOUND &&
	       dxh_now_ns() < deadline_ns)
		nanosleep(&pause, NULL);
	return status;
}

void source_close(struct source *source)
{
	if (source->hub)
		dxh_hub_close(&source->hub);
}
