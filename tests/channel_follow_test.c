/* SPDX-License-Identifier: MIT */
/* A consumer of a channel goes wherever the channel goes, and tells of each step. */
#include "tests/support/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char name[32];
static dxh_consumer *consumer;
static dxh_item item;
static char copy[64];

static void consume_with(const dxh_consumer_config *config)
{
	must(dxh_consume(world.consumers, name, config, SOON, &consumer));
}

static dxh_status read_until(int64_t deadline_ns)
{
	return dxh_read_next(consumer, copy, sizeof copy, deadline_ns, &item);
}

/* The next thing that is told but for waiting, and for ends that are told again. */
static dxh_status next_told(dxh_status again)
{
	int64_t deadline_ns = SOON;
	dxh_status status;

	do {
		cr_assert_lt(dxh_now_ns(), deadline_ns);
		status = read_until(dxh_in_ms(50));
	} while (status == DXH_EWAIT || status == again);
	return status;
}

static void expect_read(const char *text)
{
	must(next_told(DXH_EDEAD));
	cr_expect_str_eq(copy, text);
}

static void publish(dxh_producer *producer, const char *text)
{
	must(dxh_publish(producer, text, strlen(text) + 1, DXH_NOW));
}

static char *directory_of_our_own(void)
{
	static char directory[256];

	snprintf(directory, sizeof directory, "%s/dir-%s", shm_directory(), name);
	cr_assert_eq(mkdir(directory, 0700), 0);
	return directory;
}

Test(channel_follow, a_block_that_is_made_anew_is_followed, .timeout = 60)
{
	dxh_producer *producer;

	world_open(NULL);
	strcpy(name, new_name());
	producer = produce(world.producers, name);
	consume_with(NULL);
	publish(producer, "old");
	must(dxh_producer_close(&producer));
	producer = produce(world.producers, name);
	publish(producer, "new");
	expect_read("old");
	cr_expect_eq(next_told(DXH_EUNLINKED), DXH_EMOVED);
	expect_read("new");
	cr_expect_eq(item.ticket, 0);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_follow, a_successor_goes_on_in_the_same_block, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;

	config.block.unlink_on_close = 0;
	world_open(NULL);
	strcpy(name, new_name());
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	consume_with(NULL);
	must(dxh_producer_close(&producer));
	cr_expect_eq(read_until(DXH_FOREVER), DXH_ECLOSED);
	config.block.unlink_on_close = 1;
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	publish(producer, "heir");
	must(next_told(DXH_ECLOSED));
	cr_expect_eq(item.epoch, 1);
	cr_expect_str_eq(copy, "heir");
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

/* Only the broker can tell that: the block before is still where it was. */
Test(channel_follow, a_producer_in_another_directory_is_followed, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_block_info info;

	config.block.unlink_on_close = 0;
	world_open(NULL);
	strcpy(name, new_name());
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	consume_with(NULL);
	must(dxh_producer_close(&producer));
	cr_expect_eq(read_until(DXH_FOREVER), DXH_ECLOSED);
	config.block.directory = directory_of_our_own();
	config.block.unlink_on_close = 1;
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	publish(producer, "moved");
	cr_expect_eq(next_told(DXH_ECLOSED), DXH_EMOVED);
	expect_read("moved");
	/* And there it is followed by its name again. */
	must(dxh_producer_close(&producer));
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	cr_expect_eq(next_told(DXH_EUNLINKED), DXH_EMOVED);
	must(dxh_consumer_info(consumer, &info));
	cr_expect_eq(info.producer, DXH_PRODUCER_ALIVE);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
	cr_expect_eq(rmdir(config.block.directory), 0);
	world_close();
}

Test(channel_follow, a_directory_that_was_asked_for_is_not_left, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;

	config.block.unlink_on_close = 0;
	world_open(NULL);
	strcpy(name, new_name());
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	consume_with(&(dxh_consumer_config){.directory = shm_directory()});
	must(dxh_producer_close(&producer));
	config.block.directory = directory_of_our_own();
	config.block.unlink_on_close = 1;
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	cr_expect_eq(read_until(DXH_FOREVER), DXH_ECLOSED);
	cr_expect_eq(read_until(dxh_in_ms(800)), DXH_ECLOSED);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_block_unlink(NULL, name));
	cr_expect_eq(rmdir(config.block.directory), 0);
	world_close();
}

Test(channel_follow, the_name_is_followed_without_a_broker, .timeout = 60)
{
	dxh_block_config block = block_config();
	dxh_producer *producer;

	world_open(NULL);
	strcpy(name, new_name());
	producer = produce(world.producers, name);
	consume_with(NULL);
	world_stop_broker();
	must(dxh_producer_close(&producer));
	cr_expect_eq(read_until(DXH_FOREVER), DXH_EUNLINKED);
	must(dxh_producer_open(name, &block, &producer));
	publish(producer, "alone");
	cr_expect_eq(next_told(DXH_EUNLINKED), DXH_EMOVED);
	expect_read("alone");
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_follow, zones_without_slots_are_followed_by_looking, .timeout = 60)
{
	dxh_channel_config config = {
		.block = {.zones = {DXH_ZONE_RAW("notes", 64)}, .unlink_on_close = 1}};
	dxh_producer *producer;
	int64_t deadline_ns = SOON;
	dxh_status status;

	world_open(NULL);
	strcpy(name, new_name());
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	consume_with(NULL);
	must(dxh_consumer_check(consumer));
	must(dxh_producer_close(&producer));
	cr_expect_eq(dxh_consumer_check(consumer), DXH_EUNLINKED);
	must(dxh_produce(world.producers, name, &config, SOON, &producer));
	while ((status = dxh_consumer_check(consumer)) == DXH_EUNLINKED)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	cr_expect_eq(status, DXH_EMOVED);
	must(dxh_consumer_check(consumer));
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_follow, a_consumer_outlives_its_hub, .timeout = 60)
{
	dxh_producer *producer;

	world_open(NULL);
	strcpy(name, new_name());
	producer = produce(world.producers, name);
	consume_with(NULL);
	must(dxh_hub_close(&world.consumer_hub));
	publish(producer, "on");
	expect_read("on");
	must(dxh_producer_close(&producer));
	producer = produce(world.producers, name);
	cr_expect_eq(next_told(DXH_EUNLINKED), DXH_EMOVED);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_hub_open(NULL, &world.consumer_hub));
	world_close();
}

/* ---- what is asked for must be to be had ---- */

/* There is no block at all: only the broker can know. */
Test(channel_follow, another_schema_is_refused_before_anything_is_attached, .timeout = 60)
{
	static const dxh_zone_spec others[] = {DXH_ZONE_RAW("letters", 64), {.name = NULL}};
	dxh_producer *producer;
	dxi_claim claim;

	world_open(NULL);
	strcpy(name, new_name());
	producer = produce(world.producers, name);
	claim = claim_of(producer);
	claim.schema = memcpy(malloc(claim.schema_bytes), claim.schema, claim.schema_bytes);
	must(dxh_producer_close(&producer));
	must(claim_by_hand(&claim));
	must_be(dxh_consume(world.consumers, name, &(dxh_consumer_config){.zones = others},
	                    dxh_in_ms(60000), &consumer),
	        DXH_ESCHEMA, "letters");
	must_be(dxh_consume(world.consumers, name,
	                    &(dxh_consumer_config){.slot = DXH_SLOT_BYTES(4096)}, dxh_in_ms(60000),
	                    &consumer),
	        DXH_ESIZE, "4096");
	free((void *)(uintptr_t)claim.schema);
	world_close();
}

Test(channel_follow, a_discipline_that_the_block_cannot_give_is_refused_at_once, .timeout = 60)
{
	dxh_channel_config zones = {
		.block = {.zones = {DXH_ZONE_RAW("notes", 64)}, .unlink_on_close = 1}};
	dxh_producer *producer;

	world_open(NULL);
	strcpy(name, new_name());
	producer = produce(world.producers, name);
	must_be(dxh_consume(world.consumers, name,
	                    &(dxh_consumer_config){.discipline = DXH_LOSSLESS}, dxh_in_ms(60000),
	                    &consumer),
	        DXH_ESTATE, "readers_max");
	must(dxh_producer_close(&producer));
	must(dxh_produce(world.producers, name, &zones, SOON, &producer));
	for (dxh_discipline each = DXH_LATEST; each <= DXH_LOSSLESS; each++)
		must_be(dxh_consume(world.consumers, name,
		                    &(dxh_consumer_config){.discipline = each}, dxh_in_ms(60000),
		                    &consumer),
		        DXH_ESTATE, "only zones");
	must(dxh_producer_close(&producer));
	world_close();
}
