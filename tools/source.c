/* SPDX-License-Identifier: MIT */
/* Attaching to a channel or a block, whichever was named. */
#include "source.h"

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

dxh_status source_open(struct source *source, dxh_start start, uint64_t ticket, int64_t deadline_ns,
                       dxh_consumer **consumer)
{
	dxh_consumer_config config = {.directory = source->directory,
	                              .discipline = source->lossless ? DXH_LOSSLESS : DXH_FOLLOW,
	                              .start = start,
	                              .start_ticket = ticket};
	struct timespec pause = {.tv_nsec = AGAIN_NS};
	dxh_status status;

	if (source->broker) {
		status = connect_broker(source);
		if (status != DXH_OK)
			return status;
		/* A broker is asked at least once, which takes its time. */
		return dxh_consume(source->peer, source->name, &config,
		                   deadline_ns == DXH_NOW ? dxh_in_ms(500) : deadline_ns, consumer);
	}
	while ((status = dxh_consumer_open(source->name, &config, consumer)) == DXH_ENOTFOUND &&
	       deadline_ns != DXH_NOW && dxh_now_ns() < deadline_ns)
		nanosleep(&pause, NULL);
	return status;
}

void source_close(struct source *source)
{
	if (source->hub)
		dxh_hub_close(&source->hub);
}
