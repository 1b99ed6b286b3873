/* SPDX-License-Identifier: MIT */
/* Channels between hubs and processes: found, kept registered, taken over, lost. */
#include "tests/support/channels.h"
#include "tests/support/pause.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- found ---- */

Test(channel, what_is_produced_is_consumed_through_the_broker, .timeout = 60)
{
	dxh_producer *producer;
	dxh_consumer *consumer;
	char copy[64];
	dxh_item item;

	world_open(NULL);
	producer = produce(world.producers, new_name());
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	must(dxh_publish(producer, "seven", 6, DXH_NOW));
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	cr_expect_str_eq(copy, "seven");
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel, discover_tells_what_the_producer_knows_of_its_block, .timeout = 60)
{
	dxh_channel_info info;
	dxh_block_info block;
	dxh_producer *producer;
	char *directory = realpath(shm_directory(), NULL);

	world_open(NULL);
	producer = produce_at(world.producers, new_name(), "tcp://camera:5555");
	must(dxh_producer_info(producer, &block));
	must(dxh_discover(world.consumers, last_name(), SOON, &info));
	cr_expect_eq(info.state, DXH_CHANNEL_FOUND);
	cr_expect_str_eq(info.name, last_name());
	cr_expect_str_empty(info.reason);
	cr_expect_str_eq(info.directory, directory);
	cr_expect_str_eq(info.endpoint, "tcp://camera:5555");
	cr_expect_eq(memcmp(info.block_uuid, block.uuid, sizeof block.uuid), 0);
	cr_expect_eq(memcmp(info.schema_hash, block.schema_hash, sizeof block.schema_hash), 0);
	cr_expect_eq(info.producer_pid, getpid());
	cr_expect_neq(info.producer_uid, 0);
	cr_expect_eq(info.epoch, 0);
	cr_expect_eq(info.slot_bytes, 64);
	cr_expect_eq(info.slot_count, 4);
	cr_expect_eq(info.zone_count, 1);
	must(dxh_producer_close(&producer));
	world_close();
	free(directory);
}

/* The broker stands still, and more was asked than its window allows: the close waits behind
 * that, longer than anybody waits for it. */
Test(channel, a_close_that_the_broker_hears_late_leaves_the_name_free, .timeout = 60)
{
	enum { QUESTIONS = 1000 };
	static dxh_completion done[QUESTIONS];
	test_pause pause;
	dxh_producer *producer;

	world_open(NULL);
	producer = produce(world.producers, new_name());
	test_pause_begin(&pause, world.broker_hub);
	for (int i = 0; i < QUESTIONS; i++)
		must(dxh_post(world.producers, "broker.metrics", "\x80", 1, SOON, &done[i]));
	must(dxh_producer_close(&producer));
	test_pause_end(&pause);
	producer = produce(world.producers, last_name());
	for (int i = 0; i < QUESTIONS; i++) {
		must(dxh_await(done[i], SOON, NULL));
		must(dxh_release(done[i]));
	}
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel, a_closed_producer_is_not_found_at_once, .timeout = 60)
{
	dxh_producer *producer;

	world_open(NULL);
	producer = produce(world.producers, new_name());
	cr_expect_eq(state_of(last_name()), DXH_CHANNEL_FOUND);
	must(dxh_producer_close(&producer));
	cr_expect_eq(state_of(last_name()), DXH_CHANNEL_NOT_FOUND);
	world_close();
}

static void *produce_later(void *name)
{
	struct timespec little = {.tv_nsec = 50000000};

	/* Only so that the other side has to wait; right without it too. */
	nanosleep(&little, NULL);
	return produce(world.producers, name);
}

Test(channel, consume_waits_for_a_channel_that_does_not_exist_yet, .timeout = 60)
{
	dxh_consumer *consumer;
	dxh_producer *producer;
	pthread_t thread;
	void *made;

	world_open(NULL);
	cr_assert_eq(pthread_create(&thread, NULL, produce_later, (void *)new_name()), 0);
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	pthread_join(thread, &made);
	producer = made;
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel, many_producers_of_one_process_are_listed_page_by_page_in_order, .timeout = 60)
{
	enum { COUNT = 7 };
	dxh_producer *producers[COUNT];
	dxh_channel_info found[COUNT + 1];
	size_t count, total;

	world_open(NULL);
	for (int i = 0; i < COUNT; i++)
		producers[i] = produce(world.producers, new_name());
	must(dxh_list(world.consumers, NULL, SOON, found, COUNT + 1, &count, &total));
	cr_assert_eq(count, COUNT);
	cr_expect_eq(total, COUNT);
	for (size_t i = 1; i < count; i++)
		cr_expect_lt(strcmp(found[i - 1].name, found[i].name), 0);
	must(dxh_list(world.consumers, found[3].name, SOON, found, 2, &count, &total));
	cr_expect_eq(count, 2);
	cr_expect_eq(total, COUNT);
	must(dxh_list(world.consumers, "zzz", SOON, found, 2, &count, NULL));
	cr_expect_eq(count, 0);
	for (int i = 0; i < COUNT; i++)
		must(dxh_producer_close(&producers[i]));
	world_close();
}

/* ---- not found ---- */

Test(channel, a_name_that_nobody_produces_is_not_found_at_the_deadline, .timeout = 60)
{
	dxh_consumer *consumer;

	world_open(NULL);
	cr_expect_eq(state_of("nobody"), DXH_CHANNEL_NOT_FOUND); /* connected by now */
	must_be(dxh_consume(world.consumers, "nobody", NULL, dxh_in_ms(150), &consumer),
	        DXH_ENOTFOUND, "knows no channel 'nobody'");
	world_close();
}

Test(channel, a_broker_that_does_not_answer_is_told_apart_from_not_found, .timeout = 60)
{
	dxh_channel_info info;
	dxh_consumer *consumer;
	dxh_hub *hub;
	dxh_peer *nobody;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, test_endpoint(), NULL, &nobody));
	must_be(dxh_consume(nobody, "a", NULL, dxh_in_ms(100), &consumer), DXH_EEXPIRED, NULL);
	must_be(dxh_discover(nobody, "a", dxh_in_ms(50), &info), DXH_EEXPIRED, NULL);
	must(dxh_hub_close(&hub));
}

/* ---- the broker comes and goes ---- */

Test(channel, a_producer_without_a_broker_is_found_once_there_is_one, .timeout = 60)
{
	dxh_consumer *consumer;
	dxh_producer *producer;

	world_open(NULL);
	world_stop_broker();
	must(dxh_produce(world.producers, new_name(),
	                 &(dxh_channel_config){.block = block_config()}, dxh_in_ms(100),
	                 &producer));
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	world_start_broker(NULL);
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

/* So seldom that nothing heals by beats or refreshing within a test. */
static const dxh_broker_config seldom = {.beat_ms = 60000};

Test(channel, after_a_restart_of_the_broker_every_channel_is_known_again, .timeout = 60)
{
	dxh_producer *producers[3];
	char names[3][32];

	world_open(&seldom);
	for (int i = 0; i < 3; i++) {
		producers[i] = produce(world.producers, new_name());
		strcpy(names[i], last_name());
	}
	for (int round = 0; round < 3; round++) {
		world_stop_broker();
		world_start_broker(&seldom);
		for (int i = 0; i < 3; i++) {
			dxh_consumer *consumer;

			must(dxh_consume(world.consumers, names[i], NULL, SOON, &consumer));
			must(dxh_consumer_close(&consumer));
		}
	}
	for (int i = 0; i < 3; i++)
		must(dxh_producer_close(&producers[i]));
	world_close();
}

/* Beats every minute would be death under the second broker. */
Test(channel, the_interval_of_the_present_broker_counts, .timeout = 60)
{
	dxh_producer *producer;
	int64_t end;

	world_open(&seldom);
	producer = produce(world.producers, new_name());
	world_stop_broker();
	world_start_broker(&(dxh_broker_config){.beat_ms = 100, .beats_missed = 15});
	while (state_of(last_name()) != DXH_CHANNEL_FOUND)
		;
	for (end = dxh_in_ms(2500); dxh_now_ns() < end;)
		cr_assert_eq(state_of(last_name()), DXH_CHANNEL_FOUND);
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel, data_flows_on_while_the_broker_is_away, .timeout = 60)
{
	dxh_producer *producer;
	dxh_consumer *consumer;
	char copy[64];
	dxh_item item;

	world_open(NULL);
	producer = produce(world.producers, new_name());
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	world_stop_broker();
	must(dxh_publish(producer, "on", 3, DXH_NOW));
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	cr_expect_str_eq(copy, "on");
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel, an_idle_producer_stays_found_beyond_the_time_of_silence, .timeout = 60)
{
	dxh_producer *producer;
	int64_t end;

	/* Death comes before a claim is repeated: only beats prevent it. */
	world_open(&(dxh_broker_config){.beat_ms = 60, .beats_missed = 15});
	producer = produce(world.producers, new_name());
	for (end = dxh_in_ms(1500); dxh_now_ns() < end;)
		cr_assert_eq(state_of(last_name()), DXH_CHANNEL_FOUND);
	must(dxh_producer_close(&producer));
	world_close();
}

/* ---- two of one name ---- */

Test(channel, a_second_producer_elsewhere_conflicts_and_leaves_nothing, .timeout = 60)
{
	dxh_channel_config second = channel_config();
	dxh_producer *first, *other;
	char elsewhere[256];

	world_open(NULL);
	first = produce(world.producers, new_name());
	snprintf(elsewhere, sizeof elsewhere, "%s/dir-%s", shm_directory(), last_name());
	cr_assert_eq(mkdir(elsewhere, 0700), 0);
	second.block.directory = elsewhere;
	second.block.unlink_on_close = 0;
	must_be(dxh_produce(world.consumers, last_name(), &second, SOON, &other), DXH_ECONFLICT,
	        "has a live producer, pid");
	cr_expect_eq(rmdir(elsewhere), 0, "something was left in %s", elsewhere);
	must(dxh_producer_close(&first));
	world_close();
}

Test(channel, a_conflict_leaves_a_block_that_was_there_before, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_block_info info;
	dxi_claim claim;

	config.block.unlink_on_close = 0;
	world_open(NULL);
	must(dxh_producer_open(new_name(), &config.block, &producer));
	claim = claim_of(producer);
	claim.info.block_uuid[0] ^= 1;
	must(claim_by_hand(&claim));
	must(dxh_producer_close(&producer));
	must_be(dxh_produce(world.producers, last_name(), &config, SOON, &producer), DXH_ECONFLICT,
	        "number 0000000000001267");
	must(dxh_block_stat(NULL, last_name(), &info));
	must(dxh_block_unlink(NULL, last_name()));
	world_close();
}

Test(channel, a_second_producer_of_the_same_block_is_busy_before_the_broker_hears, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *first, *other;

	world_open(NULL);
	first = produce(world.producers, new_name());
	must_be(dxh_produce(world.consumers, last_name(), &config, SOON, &other), DXH_EBUSY, NULL);
	cr_expect_eq(state_of(last_name()), DXH_CHANNEL_FOUND);
	must(dxh_producer_close(&first));
	world_close();
}

static _Atomic uint64_t conflicts_logged;

static void count_conflicts(void *context, dxh_log_level level, const char *line)
{
	(void)context;
	if (level == DXH_LOG_ERROR && strstr(line, "DXH_ECONFLICT"))
		conflicts_logged++;
}

/* Both open while no broker is there, so that neither call can tell. */
Test(channel, a_late_conflict_is_logged_once_and_heals_when_the_first_goes, .timeout = 60)
{
	dxh_channel_config configs[2] = {channel_config(), channel_config()};
	dxh_producer *producers[2];
	char elsewhere[256];
	dxh_channel_info info;
	uint64_t requests;
	int64_t deadline;

	dxh_log_set(DXH_LOG_ERROR, count_conflicts, NULL);
	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 500});
	world_stop_broker();
	snprintf(elsewhere, sizeof elsewhere, "%s/dir-%s", shm_directory(), new_name());
	cr_assert_eq(mkdir(elsewhere, 0700), 0);
	configs[1].block.directory = elsewhere;
	must(dxh_produce(world.producers, last_name(), &configs[0], dxh_in_ms(20), &producers[0]));
	must(dxh_produce(world.consumers, last_name(), &configs[1], dxh_in_ms(20), &producers[1]));
	world_start_broker(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 500});
	test_wait_for(&conflicts_logged, 1);
	/* More claims than the first owner repeats: some of them conflicts. */
	requests = test_stats(world.broker_hub).requests_received;
	for (deadline = SOON; test_stats(world.broker_hub).requests_received < requests + 8;)
		cr_assert_lt(dxh_now_ns(), deadline);

	must(dxh_discover(world.consumers, last_name(), SOON, &info));
	cr_assert_eq(info.state, DXH_CHANNEL_FOUND);
	must(dxh_producer_close(&producers[strcmp(info.directory, elsewhere) == 0]));
	deadline = SOON;
	do {
		cr_assert_lt(dxh_now_ns(), deadline);
	} while (state_of(last_name()) != DXH_CHANNEL_FOUND);
	cr_expect_eq(conflicts_logged, 1);
	for (int i = 0; i < 2; i++)
		if (producers[i])
			must(dxh_producer_close(&producers[i]));
	world_close();
	cr_expect_eq(rmdir(elsewhere), 0);
}
