/* SPDX-License-Identifier: MIT */
/* Follow a channel and know exactly what was lost: a producer found through a
 * broker writes faster than this reader reads, into a ring of 8. */
#include <dxh.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RING = 8, SAMPLES = 20 };

static void check(dxh_status status)
{
	if (status == DXH_OK)
		return;
	fprintf(stderr, "%s\n", dxh_last_error());
	exit(1);
}

static void publish(dxh_producer *producer, int first, int count)
{
	for (int i = first; i < first + count; i++)
		check(dxh_publish(producer, &i, sizeof i, DXH_FOREVER));
}

/* To the end of the channel. */
static void follow(dxh_consumer *consumer)
{
	dxh_item item;
	int value;
	int read = 0;

	for (;;) {
		switch (dxh_read_next(consumer, &value, sizeof value, dxh_in_ms(100), &item)) {
		case DXH_OK:
			read++;
			break;
		case DXH_ELAPPED: /* the next call goes on */
			printf("lost %" PRIu64 " samples, tickets %" PRIu64 "..%" PRIu64 "\n",
			       item.lost, item.lost_first, item.lost_last);
			break;
		case DXH_EWAIT: /* nothing new, the producer lives */
			break;
		case DXH_EDEAD:
			printf("the producer died; waiting for a successor\n");
			break;
		case DXH_ECLOSED:
			printf("read %d samples, the last was %d; the channel is closed\n", read,
			       value);
			return;
		default:
			fprintf(stderr, "%s\n", dxh_last_error());
			return;
		}
	}
}

int main(void)
{
	char endpoint[64];
	char name[DXH_CHANNEL_NAME_MAX + 1];
	dxh_hub *hub;
	dxh_broker *broker;
	dxh_peer *peer;
	dxh_producer *producer;
	dxh_consumer *consumer;

	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-follow-%d", (int)getpid());
	snprintf(name, sizeof name, "sensor/front-%d", (int)getpid());
	/* A broker of our own; usually `dxh broker` or another program has one. */
	check(dxh_hub_open(NULL, &hub));
	check(dxh_broker_start(hub, endpoint, NULL, &broker));
	check(dxh_peer_connect(hub, endpoint, NULL, &peer));

	check(dxh_produce(peer, name,
	                  &(dxh_channel_config){.block = {.slot = DXH_SLOT_BYTES(sizeof(int)),
	                                                  .slot_count = RING}},
	                  dxh_in_ms(5000), &producer));
	check(dxh_consume(peer, name, &(dxh_consumer_config){.discipline = DXH_FOLLOW},
	                  dxh_in_ms(5000), &consumer));
	publish(producer, 0, SAMPLES);
	check(dxh_producer_close(&producer));
	follow(consumer);

	check(dxh_consumer_close(&consumer));
	check(dxh_block_unlink(NULL, name));
	check(dxh_broker_stop(&broker));
	check(dxh_hub_close(&hub));
	return 0;
}
