/* SPDX-License-Identifier: MIT */
/* A small world of channels: a broker, and two hubs that know it. */
#ifndef TEST_CHANNELS_H
#define TEST_CHANNELS_H

#include "tests/support/support.h"

#include "base/hash.h"
#include "runtime/broker/message.h"

#include <string.h>

typedef struct test_world {
	dxh_hub *broker_hub, *producer_hub, *consumer_hub;
	dxh_broker *broker;
	dxh_peer *producers, *consumers; /* the broker, as each side knows it */
	char endpoint[64];
} test_world;

extern test_world world;

/* The endpoint its broker will have: for children that are forked before. */
const char *world_name(void);

/* config NULL: defaults. */
void world_open(const dxh_broker_config *config);
void world_close(void);
void world_stop_broker(void);
void world_start_broker(const dxh_broker_config *config);

/* A block name that nobody else has, and the one handed out last. */
const char *new_name(void);
const char *last_name(void);
const char *shm_directory(void);

/* One raw zone of 64 bytes, four slots of 64, removed when closed. */
dxh_block_config block_config(void);
dxh_channel_config channel_config(void);
dxh_producer *produce(dxh_peer *broker, const char *name);
dxh_producer *produce_at(dxh_peer *broker, const char *name, const char *endpoint);

/* What the broker says, seen from the consumers' side. */
dxh_channel_state state_of(const char *name);

/* What dxh_produce() would claim, and claiming without it. */
dxi_claim claim_of(const dxh_producer *producer);
dxh_status claim_by_hand(const dxi_claim *claim);

#endif
