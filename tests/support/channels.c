/* SPDX-License-Identifier: MIT */
/* Opening and closing the small world, and shorthands in it. */
#include "tests/support/channels.h"

#include "runtime/broker/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

test_world world;

static char name_buffer[32];

const char *new_name(void)
{
	static unsigned count;

	snprintf(name_buffer, sizeof name_buffer, "c%d.%u", (int)getpid(), count++);
	return name_buffer;
}

const char *last_name(void)
{
	return name_buffer;
}

const char *shm_directory(void)
{
	const char *directory = getenv("DXH_SHM_DIR");

	return directory && directory[0] ? directory : "/dev/shm";
}

void world_start_broker(const dxh_broker_config *config)
{
	int64_t deadline_ns = SOON;
	dxh_status status;

	/* The name of an endpoint is free a moment after its socket was closed. */
	do {
		status = dxh_broker_start(world.broker_hub, world.endpoint, config, &world.broker);
	} while (status == DXH_EBUSY && dxh_now_ns() < deadline_ns);
	must(status);
}

void world_stop_broker(void)
{
	must(dxh_broker_stop(&world.broker));
}

const char *world_name(void)
{
	if (!world.endpoint[0])
		strcpy(world.endpoint, test_endpoint());
	return world.endpoint;
}

void world_open(const dxh_broker_config *config)
{
	world_name();
	must(dxh_hub_open(NULL, &world.broker_hub));
	world_start_broker(config);
	must(dxh_hub_open(NULL, &world.producer_hub));
	must(dxh_hub_open(NULL, &world.consumer_hub));
	must(dxh_peer_connect(world.producer_hub, world.endpoint, NULL, &world.producers));
	must(dxh_peer_connect(world.consumer_hub, world.endpoint, NULL, &world.consumers));
}

void world_close(void)
{
	must(dxh_hub_close(&world.consumer_hub));
	must(dxh_hub_close(&world.producer_hub));
	if (world.broker)
		world_stop_broker();
	must(dxh_hub_close(&world.broker_hub));
}

dxh_block_config block_config(void)
{
	return (dxh_block_config){.zones = {DXH_ZONE_RAW("notes", 64)},
	                          .slot = DXH_SLOT_BYTES(64),
	                          .slot_count = 4,
	                          .unlink_on_close = 1};
}

dxh_channel_config channel_config(void)
{
	return (dxh_channel_config){.block = block_config()};
}

dxh_producer *produce_at(dxh_peer *broker, const char *name, const char *endpoint)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer = NULL;

	config.endpoint = endpoint;
	must(dxh_produce(broker, name, &config, SOON, &producer));
	return producer;
}

dxh_producer *produce(dxh_peer *broker, const char *name)
{
	return produce_at(broker, name, NULL);
}

dxh_channel_state state_of(const char *name)
{
	dxh_channel_info info;

	must(dxh_discover(world.consumers, name, SOON, &info));
	return info.state;
}

dxi_claim claim_of(const dxh_producer *producer)
{
	dxi_claim claim = {.stall_ms = 0};
	dxh_block_info block;

	must(dxh_producer_info(producer, &block));
	strcpy(claim.info.name, block.name);
	snprintf(claim.info.directory, sizeof claim.info.directory, "%s", shm_directory());
	memcpy(claim.info.block_uuid, block.uuid, sizeof block.uuid);
	memcpy(claim.info.schema_hash, block.schema_hash, sizeof block.schema_hash);
	claim.info.producer_uid = 4711;
	claim.info.producer_pid = getpid();
	claim.info.slot_bytes = block.slot_bytes;
	claim.info.slot_count = block.slot_count;
	claim.schema = dxh_producer_schema(producer, &claim.schema_bytes);
	must(dxi_zones_of_schema(claim.schema, claim.schema_bytes, claim.zones,
	                         &claim.info.zone_count));
	return claim;
}

dxh_status claim_by_hand(const dxi_claim *claim)
{
	static unsigned char body[DXI_CLAIM_WIRE_MAX + DXI_SCHEMA_WIRE_MAX];
	unsigned char answer[1024];

	return dxh_request_sync(world.producers, DXI_SUBJECT_REGISTER, body,
	                        dxi_claim_write(claim, body, sizeof body), SOON, answer,
	                        sizeof answer, NULL);
}
