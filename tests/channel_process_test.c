/* SPDX-License-Identifier: MIT */
/* Channels whose producer or broker is another process, and dies there.
 *
 * Children are forked before any hub is open, and never return. */
#include "tests/support/channels.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Dead after 300 ms of silence. */
static const dxh_broker_config quick = {.beat_ms = 30, .beats_missed = 10};
/* Dead after hours. */
static const dxh_broker_config patient = {.beat_ms = 10000, .beats_missed = 1000};

/* In a child nothing may be asserted: it leaves, and the parent misses it. */
static void need(dxh_status status)
{
	if (status != DXH_OK)
		_exit(1);
}

static pid_t fork_child(void (*act)(const char *name), const char *name)
{
	pid_t child;

	world_name();
	child = fork();
	cr_assert_neq(child, -1);
	if (child > 0)
		return child;
	act(name);
	for (;;)
		pause();
}

static void produce_and_stay(const char *name)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_peer *broker;
	dxh_hub *hub;

	need(dxh_hub_open(NULL, &hub));
	need(dxh_peer_connect(hub, world_name(), NULL, &broker));
	need(dxh_produce(broker, name, &config, SOON, &producer));
	need(dxh_publish(producer, "alive", 6, DXH_NOW));
}

static void broke(const char *unused)
{
	dxh_broker *broker;
	dxh_hub *hub;

	(void)unused;
	need(dxh_hub_open(NULL, &hub));
	need(dxh_broker_start(hub, world_name(), &quick, &broker));
}

static void kill_child(pid_t child)
{
	int ended;

	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, &ended, 0), child);
	cr_assert(WIFSIGNALED(ended), "the child left by itself");
}

static dxh_consumer *consume(const char *name)
{
	dxh_consumer *consumer = NULL;

	must(dxh_consume(world.consumers, name, NULL, SOON, &consumer));
	return consumer;
}

/* It happens by itself; asking again only looks whether it has. */
static void await_state(const char *name, dxh_channel_state state)
{
	int64_t deadline_ns = SOON;

	while (state_of(name) != state)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
}

static dxh_channel_info info_of(const char *name)
{
	dxh_channel_info info;

	must(dxh_discover(world.consumers, name, SOON, &info));
	return info;
}

Test(channel_process, data_crosses_processes, .timeout = 60)
{
	const char *name = new_name();
	pid_t child = fork_child(produce_and_stay, name);
	dxh_consumer *consumer;
	dxh_item item;
	char copy[64];

	world_open(NULL);
	consumer = consume(name);
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	cr_expect_str_eq(copy, "alive");
	cr_expect_eq(info_of(name).producer_pid, child);
	must(dxh_consumer_close(&consumer));
	kill_child(child);
	must(dxh_block_unlink(NULL, name));
	world_close();
}

Test(channel_process, a_killed_producer_is_pending_and_consuming_says_dead, .timeout = 60)
{
	const char *name = new_name();
	pid_t child = fork_child(produce_and_stay, name);
	dxh_consumer *consumer, *late;
	dxh_item item;
	char copy[64];

	world_open(&quick);
	consumer = consume(name);
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	kill_child(child);
	/* Who is attached knows from the kernel, at once; the broker by silence. */
	must_be(dxh_read_next(consumer, copy, sizeof copy, SOON, &item), DXH_EDEAD, NULL);
	await_state(name, DXH_CHANNEL_PENDING);
	cr_expect(strstr(info_of(name).reason, "no beat for"), "%s", info_of(name).reason);
	must_be(dxh_consume(world.consumers, name, NULL, dxh_in_ms(50), &late), DXH_EDEAD,
	        "no beat for");
	must(dxh_consumer_close(&consumer));
	must(dxh_block_unlink(NULL, name));
	world_close();
}

Test(channel_process, a_successor_has_the_channel_before_the_broker_misses_a_beat, .timeout = 60)
{
	const char *name = new_name();
	pid_t child = fork_child(produce_and_stay, name);
	dxh_consumer *consumer;
	dxh_producer *producer;
	dxh_item item;
	char copy[64];

	world_open(&patient);
	consumer = consume(name);
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	kill_child(child);
	producer = produce(world.producers, name);
	cr_expect_eq(info_of(name).producer_pid, getpid());
	cr_expect_eq(info_of(name).epoch, 1);
	must(dxh_publish(producer, "heir", 5, DXH_NOW));
	while (dxh_read_next(consumer, copy, sizeof copy, SOON, &item) == DXH_EDEAD)
		;
	cr_expect_str_eq(copy, "heir");
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_process, a_stopped_producer_is_pending_until_it_goes_on, .timeout = 60)
{
	const char *name = new_name();
	pid_t child = fork_child(produce_and_stay, name);
	dxh_consumer *consumer;

	world_open(&quick);
	consumer = consume(name);
	must(dxh_consumer_close(&consumer));
	cr_assert_eq(kill(child, SIGSTOP), 0);
	await_state(name, DXH_CHANNEL_PENDING);
	cr_assert_eq(kill(child, SIGCONT), 0);
	await_state(name, DXH_CHANNEL_FOUND);
	kill_child(child);
	must(dxh_block_unlink(NULL, name));
	world_close();
}

/* Until the broker of the child is gone, that of the parent cannot listen. */
Test(channel_process, a_killed_broker_is_replaced_and_told_everything_again, .timeout = 60)
{
	pid_t child = fork_child(broke, NULL);
	dxh_producer *producer;
	dxh_peer *peer;
	dxh_hub *hub;
	dxh_channel_info info;
	dxh_consumer *consumer;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, world_name(), NULL, &peer));
	producer = produce(peer, new_name());
	must(dxh_discover(peer, last_name(), SOON, &info));
	cr_expect_eq(info.state, DXH_CHANNEL_FOUND);
	kill_child(child);
	world_open(NULL);
	consumer = consume(last_name());
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	must(dxh_hub_close(&hub));
	world_close();
}

Test(channel_process, a_child_of_fork_that_closes_deregisters_nothing, .timeout = 60)
{
	dxh_producer *producer;
	int ended = -1;
	pid_t child;

	world_open(NULL);
	producer = produce(world.producers, new_name());
	child = fork();
	if (child == 0) {
		(void)dxh_producer_close(&producer);
		_exit(producer ? 1 : 0);
	}
	cr_assert_eq(waitpid(child, &ended, 0), child);
	cr_expect_eq(ended, 0);
	cr_expect_eq(state_of(last_name()), DXH_CHANNEL_FOUND);
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_process, a_child_of_fork_can_ask_nothing_through_its_parents_hub, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_channel_info info;
	dxh_producer *producer;
	dxh_consumer *consumer;
	int ended = -1;
	pid_t child;

	world_open(NULL);
	child = fork();
	if (child == 0)
		_exit(dxh_produce(world.producers, "a", &config, SOON, &producer) != DXH_EFORKED ||
		      dxh_consume(world.producers, "a", NULL, SOON, &consumer) != DXH_EFORKED ||
		      dxh_discover(world.producers, "a", SOON, &info) != DXH_EFORKED);
	cr_assert_eq(waitpid(child, &ended, 0), child);
	cr_expect_eq(ended, 0);
	world_close();
}
