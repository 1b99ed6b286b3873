/* SPDX-License-Identifier: MIT */
/* Requests to the producer of a channel, by the channel's name, wherever it goes. */
#include "tests/support/channels.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A producer that answers everything with one word. */
typedef struct serving {
	dxh_producer *producer;
	pthread_t worker;
	const char *word;
} serving;

static void *answer(void *context)
{
	serving *self = context;
	dxh_service *service = dxh_channel_service(self->producer);
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		dxh_request_reply(request, self->word, strlen(self->word) + 1);
	return NULL;
}

static void
serve(serving *self, dxh_peer *broker, const char *name, const char *endpoint, const char *word)
{
	dxh_channel_config config = channel_config();

	config.endpoint = endpoint;
	config.serve = 1;
	*self = (serving){.word = word};
	must(dxh_produce(broker, name, &config, SOON, &self->producer));
	cr_assert_eq(pthread_create(&self->worker, NULL, answer, self), 0);
}

static void leave(serving *self)
{
	must(dxh_service_stop(dxh_channel_service(self->producer)));
	pthread_join(self->worker, NULL);
	must(dxh_producer_close(&self->producer));
}

/* Who answers? A request whose connection ends under it is not what is tested. */
static const char *ask(dxh_peer *peer)
{
	static char word[16];
	dxh_status status;

	do {
		status = dxh_request_sync(peer, "who", NULL, 0, SOON, word, sizeof word, NULL);
	} while (status == DXH_ELOST || status == DXH_ECLOSED);
	must(status);
	return word;
}

/* It goes there by itself; asking again only looks whether it has. */
static void await_answer(dxh_peer *peer, const char *word)
{
	int64_t deadline_ns = SOON;

	while (strcmp(ask(peer), word) != 0)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
}

static dxh_peer *peer_of(const char *name)
{
	dxh_peer *peer = NULL;

	must(dxh_channel_peer(world.consumers, name, NULL, SOON, &peer));
	return peer;
}

Test(channel_requests, they_reach_the_producer_at_a_place_that_nobody_named, .timeout = 60)
{
	dxh_channel_info info;
	struct stat found;
	serving camera;
	dxh_peer *peer;

	world_open(NULL);
	serve(&camera, world.producers, new_name(), NULL, "camera");
	peer = peer_of(last_name());
	cr_expect_str_eq(ask(peer), "camera");
	must(dxh_discover(world.consumers, last_name(), SOON, &info));
	cr_expect_str_eq(info.endpoint, dxh_service_endpoint(dxh_channel_service(camera.producer)));
	cr_assert(strncmp(info.endpoint, "ipc:///tmp/dxh-", 15) == 0, "%s", info.endpoint);
	must(dxh_peer_close(&peer));
	leave(&camera);
	cr_expect_neq(stat(info.endpoint + 6, &found), 0, "its socket was left");
	world_close();
}

Test(channel_requests, an_endpoint_with_any_port_is_told_with_the_port_it_got, .timeout = 60)
{
	serving camera;
	dxh_peer *peer;

	world_open(NULL);
	serve(&camera, world.producers, new_name(), "tcp://127.0.0.1:*", "camera");
	peer = peer_of(last_name());
	cr_expect_str_eq(ask(peer), "camera");
	must(dxh_peer_close(&peer));
	leave(&camera);
	world_close();
}

Test(channel_requests, within_one_hub_they_take_no_socket, .timeout = 60)
{
	serving camera;
	dxh_peer *peer;

	world_open(NULL);
	serve(&camera, world.consumers, new_name(), "inproc://camera", "camera");
	peer = peer_of(last_name());
	cr_expect_str_eq(ask(peer), "camera");
	must(dxh_peer_close(&peer));
	leave(&camera);
	world_close();
}

Test(channel_requests, a_service_of_the_callers_own_is_found_by_the_channels_name, .timeout = 60)
{
	const char *endpoint = test_endpoint();
	dxh_producer *producer;
	unsigned char echoed[4];
	test_echo echo;
	dxh_peer *peer;

	world_open(NULL);
	test_echo_open(&echo, endpoint, NULL);
	producer = produce_at(world.producers, new_name(), endpoint);
	cr_expect_null(dxh_channel_service(producer));
	peer = peer_of(last_name());
	must(dxh_request_sync(peer, "echo", "abc", 4, SOON, echoed, sizeof echoed, NULL));
	cr_expect_eq(memcmp(echoed, "abc", 4), 0);
	must(dxh_peer_close(&peer));
	must(dxh_producer_close(&producer));
	test_echo_close(&echo);
	world_close();
}

/* ---- it goes along ---- */

Test(channel_requests, a_producer_that_is_restarted_elsewhere_gets_them, .timeout = 60)
{
	serving first, second;
	char name[32];
	dxh_peer *peer;

	world_open(NULL);
	strcpy(name, new_name());
	serve(&first, world.producers, name, test_endpoint(), "first");
	peer = peer_of(name);
	cr_expect_str_eq(ask(peer), "first");
	leave(&first);
	serve(&second, world.producers, name, test_endpoint(), "second");
	await_answer(peer, "second");
	must(dxh_peer_close(&peer));
	leave(&second);
	world_close();
}

Test(channel_requests, what_is_posted_while_nobody_produces_waits_for_the_next, .timeout = 60)
{
	serving first, second;
	dxh_completion done;
	dxh_reply reply;
	char name[32];
	dxh_peer *peer;
	int64_t deadline_ns = SOON;

	world_open(NULL);
	strcpy(name, new_name());
	serve(&first, world.producers, name, test_endpoint(), "first");
	peer = peer_of(name);
	cr_expect_str_eq(ask(peer), "first");
	leave(&first);
	while (dxh_peer_state_get(peer) == DXH_PEER_READY)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	must(dxh_post(peer, "who", NULL, 0, SOON, &done));
	cr_expect_eq(dxh_await(done, dxh_in_ms(300), &reply), DXH_EWAIT);
	serve(&second, world.producers, name, test_endpoint(), "second");
	must(dxh_await(done, SOON, &reply));
	cr_expect_str_eq(reply.body, "second");
	must(dxh_release(done));
	must(dxh_peer_close(&peer));
	leave(&second);
	world_close();
}

/* The old place still answers: only the broker tells that it is no longer the channel's. */
Test(channel_requests, a_place_that_still_answers_is_left_for_the_new_one, .timeout = 60)
{
	const char *places[2] = {test_endpoint(), test_endpoint()};
	dxh_producer *producer;
	test_echo echoes[2];
	char name[32];
	dxh_peer *peer;
	int64_t deadline_ns = SOON;

	world_open(NULL);
	for (int i = 0; i < 2; i++)
		test_echo_open(&echoes[i], places[i], NULL);
	strcpy(name, new_name());
	producer = produce_at(world.producers, name, places[0]);
	peer = peer_of(name);
	must(dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL));
	must(dxh_producer_close(&producer));
	producer = produce_at(world.producers, name, places[1]);
	while (echoes[1].requests == 0) {
		cr_assert_lt(dxh_now_ns(), deadline_ns);
		(void)!dxh_request_sync(peer, "echo", NULL, 0, SOON, NULL, 0, NULL);
	}
	cr_expect_gt(echoes[0].requests, 0);
	must(dxh_peer_close(&peer));
	must(dxh_producer_close(&producer));
	for (int i = 0; i < 2; i++)
		test_echo_close(&echoes[i]);
	world_close();
}

static void serve_and_stay(const char *name, const char *endpoint)
{
	dxh_channel_config config = channel_config();
	serving child = {.word = "child"};
	dxh_peer *broker;
	dxh_hub *hub;

	config.serve = 1;
	config.endpoint = endpoint;
	if (dxh_hub_open(NULL, &hub) == DXH_OK &&
	    dxh_peer_connect(hub, world_name(), NULL, &broker) == DXH_OK &&
	    dxh_produce(broker, name, &config, SOON, &child.producer) == DXH_OK)
		answer(&child);
	_exit(1);
}

static pid_t fork_serving(const char *name, const char *endpoint)
{
	pid_t child;

	world_name();
	child = fork();
	cr_assert_neq(child, -1);
	if (child == 0)
		serve_and_stay(name, endpoint);
	return child;
}

static void kill_child(pid_t child)
{
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

Test(channel_requests, after_a_takeover_the_successor_gets_them, .timeout = 60)
{
	const char *name = new_name(), *endpoint = test_endpoint();
	pid_t child = fork_serving(name, endpoint);
	serving heir;
	dxh_peer *peer;

	world_open(NULL);
	peer = peer_of(name);
	cr_expect_str_eq(ask(peer), "child");
	kill_child(child);
	serve(&heir, world.producers, name, test_endpoint(), "heir");
	cr_expect_str_eq(ask(peer), "heir");
	must(dxh_peer_close(&peer));
	leave(&heir);
	world_close();
}

/* ---- the broker is not in the way ---- */

static void count_states(void *count, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	(void)peer;
	(void)state;
	(void)reason;
	(*(_Atomic uint64_t *)count)++;
}

Test(channel_requests, they_flow_on_without_the_broker_and_under_one_that_knows_nothing,
     .timeout = 60)
{
	static const dxh_broker_config seldom = {.beat_ms = 60000};
	static _Atomic uint64_t states;
	serving camera;
	dxh_peer *peer;
	int64_t end_ns;

	world_open(&seldom);
	serve(&camera, world.producers, new_name(), test_endpoint(), "camera");
	must(dxh_channel_peer(
		world.consumers, last_name(),
		&(dxh_peer_config){.on_state = count_states, .context = (void *)&states}, SOON,
		&peer));
	cr_expect_str_eq(ask(peer), "camera");
	states = 0;
	world_stop_broker();
	cr_expect_str_eq(ask(peer), "camera");
	world_start_broker(&seldom);
	for (end_ns = dxh_in_ms(2500); dxh_now_ns() < end_ns;)
		cr_expect_str_eq(ask(peer), "camera");
	cr_expect_eq(states, 0, "the connection was given up");
	must(dxh_peer_close(&peer));
	leave(&camera);
	world_close();
}

/* ---- refused ---- */

Test(channel_requests, a_channel_that_is_not_there_is_told_at_the_deadline, .timeout = 60)
{
	dxh_peer *peer;

	world_open(NULL);
	cr_expect_eq(state_of("nobody"), DXH_CHANNEL_NOT_FOUND); /* connected by now */
	must_be(dxh_channel_peer(world.consumers, "nobody", NULL, dxh_in_ms(100), &peer),
	        DXH_ENOTFOUND, "knows no channel 'nobody'");
	world_close();
}

Test(channel_requests, a_producer_that_serves_nothing_is_told_at_once, .timeout = 60)
{
	int64_t begin_ns = dxh_now_ns();
	dxh_producer *producer;
	dxh_peer *peer;

	world_open(NULL);
	producer = produce(world.producers, new_name());
	must_be(dxh_channel_peer(world.consumers, last_name(), NULL, dxh_in_ms(60000), &peer),
	        DXH_EUNSUPPORTED, "serves no requests");
	cr_expect_lt(dxh_now_ns() - begin_ns, INT64_C(30000000000));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_requests, a_producer_that_died_is_told_as_dead, .timeout = 60)
{
	const char *name = new_name(), *endpoint = test_endpoint();
	pid_t child = fork_serving(name, endpoint);
	dxh_peer *peer;
	int64_t deadline_ns = SOON;

	world_open(&(dxh_broker_config){.beat_ms = 30, .beats_missed = 10});
	peer = peer_of(name);
	must(dxh_peer_close(&peer));
	kill_child(child);
	while (state_of(name) != DXH_CHANNEL_PENDING)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	must_be(dxh_channel_peer(world.consumers, name, NULL, dxh_in_ms(100), &peer), DXH_EDEAD,
	        "no beat for");
	must(dxh_block_unlink(NULL, name));
	world_close();
}

Test(channel_requests, an_address_that_is_in_use_fails_the_producer_and_leaves_nothing,
     .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_block_info info;
	test_echo echo;

	world_open(NULL);
	test_echo_open(&echo, test_endpoint(), NULL);
	config.serve = 1;
	config.endpoint = dxh_service_endpoint(echo.service);
	must_be(dxh_produce(world.producers, new_name(), &config, SOON, &producer), DXH_EBUSY,
	        NULL);
	must_be(dxh_block_stat(NULL, last_name(), &info), DXH_ENOTFOUND, NULL);
	cr_expect_eq(state_of(last_name()), DXH_CHANNEL_NOT_FOUND);
	test_echo_close(&echo);
	world_close();
}

/* ---- progress ---- */

Test(channel_requests, a_work_loop_that_hangs_is_pending_and_one_that_says_so_is_not, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_channel_info info;
	int64_t deadline_ns = SOON, end_ns;

	config.stall_ms = 400;
	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 1000});
	must(dxh_produce(world.producers, new_name(), &config, SOON, &producer));
	for (end_ns = dxh_in_ms(800); dxh_now_ns() < end_ns;) {
		must(dxh_channel_progress(producer));
		cr_assert_eq(state_of(last_name()), DXH_CHANNEL_FOUND);
	}
	while (state_of(last_name()) != DXH_CHANNEL_PENDING)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	must(dxh_discover(world.consumers, last_name(), SOON, &info));
	cr_expect(strstr(info.reason, "no progress"), "%s", info.reason);
	must(dxh_publish(producer, "x", 1, DXH_NOW));
	while (state_of(last_name()) != DXH_CHANNEL_FOUND)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_requests, only_a_channel_makes_progress, .timeout = 60)
{
	dxh_block_config block = block_config();
	dxh_producer *producer;

	must(dxh_producer_open(new_name(), &block, &producer));
	must_be(dxh_channel_progress(producer), DXH_EINVAL, "dxh_produce()");
	cr_expect_null(dxh_channel_service(producer));
	must(dxh_producer_close(&producer));
}
