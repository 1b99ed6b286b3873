/* SPDX-License-Identifier: MIT */
/* Watching channels come and go, and looking at one of them: what there is is listed, what
 * happens from then on is told. */
#include <dxh.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

static void list(dxh_peer *broker)
{
	dxh_channel_info channels[16];
	size_t count;

	check(dxh_list(broker, NULL, dxh_in_ms(5000), channels, 16, &count, NULL));
	printf("%zu channels\n", count);
}

/* Until one has closed; a watcher usually goes on for ever. */
static void follow(dxh_watcher *watcher, dxh_peer *broker)
{
	dxh_watch_event event = {.kind = DXH_WATCH_GAP};

	while (event.kind != DXH_WATCH_CLOSING) {
		check(dxh_watcher_next(watcher, dxh_in_ms(5000), &event));
		if (event.kind == DXH_WATCH_GAP)
			list(broker); /* something may have been missed: look anew */
		else
			printf("%s: %s\n", event.kind == DXH_WATCH_OPENED ? "opened" : "closing",
			       event.reason);
	}
}

static void describe(dxh_peer *broker, const char *name)
{
	dxh_channel_facts *facts;

	check(dxh_describe(broker, name, dxh_in_ms(5000), &facts));
	printf("%u items of %u bytes, %zu consumers\n", facts->channel.slot_count,
	       (unsigned)facts->channel.slot_bytes, facts->consumer_count);
	dxh_channel_facts_free(&facts);
}

int main(void)
{
	dxh_channel_config config = {
		.block = {.slot = DXH_SLOT_BYTES(64), .slot_count = 8, .unlink_on_close = 1}};
	dxh_producer *producer;
	dxh_watcher *watcher;
	dxh_broker *broker;
	dxh_peer *peer;
	dxh_hub *hub;
	char name[32];

	snprintf(name, sizeof name, "example.%d", (int)getpid());
	check(dxh_hub_open(NULL, &hub));
	check(dxh_broker_start(hub, "inproc://broker", NULL, &broker));
	check(dxh_peer_connect(hub, "inproc://broker", NULL, &peer));
	check(dxh_watch(peer, "example.", NULL, dxh_in_ms(5000), &watcher));
	list(peer);

	check(dxh_produce(peer, name, &config, dxh_in_ms(5000), &producer));
	describe(peer, name);
	check(dxh_producer_close(&producer));
	follow(watcher, peer);

	check(dxh_watcher_close(&watcher));
	check(dxh_broker_stop(&broker));
	check(dxh_hub_close(&hub));
	return 0;
}
