/* SPDX-License-Identifier: MIT */
/* Five readings of the channel of channel_produce.c, in the struct's own terms, and a request
 * to whoever produces it. */
#include <dxh.h>

#include <stdio.h>

struct reading {
	double volts;
};
DXH_SCHEMA(reading, DXH_FIELD(volts, "at the probe", "V"));

int main(int argc, char **argv)
{
	dxh_consumer_config config = {.slot = DXH_SLOT(reading)}; /* else DXH_ESCHEMA */
	struct reading reading;
	char answer[16];
	dxh_hub *hub;
	dxh_peer *broker, *producer;
	dxh_consumer *consumer;
	dxh_item item;

	if (argc != 3)
		return fprintf(stderr, "usage: %s BROKER CHANNEL\n", argv[0]), 2;
	if (dxh_hub_open(NULL, &hub) != DXH_OK ||
	    dxh_peer_connect(hub, argv[1], NULL, &broker) != DXH_OK ||
	    dxh_consume(broker, argv[2], &config, dxh_in_ms(5000), &consumer) != DXH_OK ||
	    dxh_channel_peer(broker, argv[2], NULL, dxh_in_ms(5000), &producer) != DXH_OK)
		return fprintf(stderr, "%s\n", dxh_last_error()), 1;
	for (int i = 0; i < 5; i++)
		if (dxh_read_next(consumer, &reading, sizeof reading, dxh_in_ms(5000), &item) ==
		    DXH_OK)
			printf("%.1f V\n", reading.volts);
	if (dxh_request_sync(producer, "end", NULL, 0, dxh_in_ms(5000), answer, 16, NULL) == DXH_OK)
		printf("%s\n", answer);
	dxh_consumer_close(&consumer);
	return dxh_hub_close(&hub) != DXH_OK;
}
