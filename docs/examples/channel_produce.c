/* SPDX-License-Identifier: MIT */
/* A channel: a reading every 10 ms, until a request by the channel's name asks for the end.
 * channel_consume.c is the other side. */
#include <dxh.h>

#include <stdio.h>

struct reading {
	double volts;
};
DXH_SCHEMA(reading, DXH_FIELD(volts, "at the probe", "V"));

int main(int argc, char **argv)
{
	dxh_channel_config config = {.block = {.slot = DXH_SLOT(reading), .slot_count = 256},
	                             .serve = 1};
	struct reading reading = {0};
	dxh_hub *hub;
	dxh_peer *broker;
	dxh_producer *producer;
	dxh_request *request;

	if (argc != 3)
		return fprintf(stderr, "usage: %s BROKER CHANNEL\n", argv[0]), 2;
	config.block.unlink_on_close = 1;
	if (dxh_hub_open(NULL, &hub) != DXH_OK ||
	    dxh_peer_connect(hub, argv[1], NULL, &broker) != DXH_OK ||
	    dxh_produce(broker, argv[2], &config, dxh_in_ms(2000), &producer) != DXH_OK)
		return fprintf(stderr, "%s\n", dxh_last_error()), 1;
	while (dxh_service_receive(dxh_channel_service(producer), dxh_in_ms(10), &request) !=
	       DXH_OK)
		if (reading.volts += 0.5, dxh_publish(producer, &reading, sizeof reading, DXH_NOW))
			return fprintf(stderr, "%s\n", dxh_last_error()), 1;
	dxh_request_reply(request, "goodbye", 8);
	dxh_producer_close(&producer);
	return dxh_hub_close(&hub) != DXH_OK;
}
