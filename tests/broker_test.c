/* SPDX-License-Identifier: MIT */
/* The broker as a stranger meets it: subjects, bodies, limits, its own start and
 * stop. */
#include "tests/support/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const subjects[] = {"channel.register", "channel.deregister", "channel.discover",
                                       "channel.list"};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

static dxh_status ask(const char *subject, const void *body, size_t bytes)
{
	static unsigned char answer[DXI_LIST_WIRE_MAX];

	return dxh_request_sync(world.producers, subject, body, bytes, SOON, answer, sizeof answer,
	                        NULL);
}

/* A claim without any block behind it. */
static dxi_claim made_up_claim(const char *name, uint64_t producer)
{
	static const char schema[] = "\x81\xa5zones\x90";
	dxi_claim claim = {.schema = schema, .schema_bytes = sizeof schema - 1};

	snprintf(claim.info.name, sizeof claim.info.name, "%s", name);
	snprintf(claim.info.directory, sizeof claim.info.directory, "/nowhere");
	dxi_hash(schema, sizeof schema - 1, claim.info.schema_hash);
	claim.info.producer_uid = producer;
	claim.info.producer_pid = 1;
	return claim;
}

static dxh_status claim_made_up(const char *name, uint64_t producer)
{
	dxi_claim claim = made_up_claim(name, producer);

	return claim_by_hand(&claim);
}

/* ---- strangers ---- */

Test(broker, a_subject_it_does_not_know_is_refused_naming_it, .timeout = 60)
{
	world_open(NULL);
	must_be(ask("channel.frobnicate", NULL, 0), DXH_EUNKNOWN, "'channel.frobnicate'");
	must_be(ask("presence.heartbeat", NULL, 0), DXH_EUNKNOWN, "'presence.heartbeat'");
	must_be(ask("\xff\x1b[2J\xc3\xa4\xe2\x82", NULL, 0), DXH_EUNKNOWN,
	        "'?"
	        "?[2J\xc3\xa4?"
	        "?'");
	world_close();
}

Test(broker, a_body_that_is_none_is_refused_for_every_subject, .timeout = 60)
{
	static const struct {
		const char *bytes;
		size_t length;
	} bad[] = {
		{"", 0},
		{"\xc0", 1},
		{"\x80", 1},
		{"\xc1", 1},
		{"\x81", 1},
		{"\x80\x80", 2},
		{"\x81\xa7"
	         "channel\x01",
	         10},
		{"\xdf\xff\xff\xff\xff\xc0", 6},
		{"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91", 18}};

	world_open(NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		for (size_t s = 0; s < SUBJECTS; s++)
			must_be(ask(subjects[s], bad[i].bytes, bad[i].length), DXH_EINVAL,
			        subjects[s]);
	cr_expect_eq(state_of("anything"), DXH_CHANNEL_NOT_FOUND);
	world_close();
}

Test(broker, a_missing_key_is_named_to_the_client, .timeout = 60)
{
	world_open(NULL);
	must_be(ask("channel.discover", "\x80", 1), DXH_EINVAL,
	        "channel.discover: key 'channel' is missing");
	must_be(ask("channel.list",
	            "\x81\xa5"
	            "after\xa0",
	            8),
	        DXH_EINVAL, "channel.list: key 'max' is missing");
	world_close();
}

Test(broker, a_wrong_hash_is_refused_as_a_schema, .timeout = 60)
{
	dxi_claim claim = made_up_claim("a", 1);

	world_open(NULL);
	claim.info.schema_hash[0] ^= 1;
	must_be(claim_by_hand(&claim), DXH_ESCHEMA, "schema_hash");
	cr_expect_eq(state_of("a"), DXH_CHANNEL_NOT_FOUND);
	world_close();
}

/* splitmix64: the same numbers in every run. */
static uint64_t random_state = 6;

static uint64_t random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t random_body(unsigned char *body, size_t capacity)
{
	dxi_claim claim = made_up_claim("a", 1);
	size_t length = dxi_claim_write(&claim, body, capacity);

	for (uint64_t hits = random_u64() % 6; hits > 0; hits--)
		body[random_u64() % length] = (unsigned char)random_u64();
	return random_u64() % 3 ? length : random_u64() % length;
}

Test(broker, survives_random_bodies_and_still_answers, .timeout = 120)
{
	unsigned char body[2048];

	world_open(NULL);
	for (int round = 0; round < 2000; round++) {
		size_t length = random_body(body, sizeof body);
		dxh_status status = ask(subjects[random_u64() % SUBJECTS], body, length);

		cr_assert(status == DXH_OK || status == DXH_EINVAL || status == DXH_ESCHEMA ||
		                  status == DXH_ENOTFOUND || status == DXH_ENOTOWNER ||
		                  status == DXH_ECONFLICT,
		          "%s", dxh_last_error());
		must(dxh_notify(world.producers, "presence.heartbeat", body, length));
	}
	must(dxh_flush(world.producers, DXH_FLUSH_REPLIED, SOON));
	must(claim_made_up("b", 2));
	cr_expect_eq(state_of("b"), DXH_CHANNEL_FOUND);
	world_close();
}

/* ---- owners over the wire ---- */

Test(broker, only_the_owner_deregisters, .timeout = 60)
{
	dxi_owner owner = {.channel = "a", .producer = 2, .pid = 1};
	unsigned char body[DXI_SMALL_WIRE_MAX];

	world_open(NULL);
	must(claim_made_up("a", 1));
	must_be(ask("channel.deregister", body, dxi_deregister_write(&owner, body, sizeof body)),
	        DXH_ENOTOWNER, "belongs to pid 1");
	owner.producer = 1;
	must(ask("channel.deregister", body, dxi_deregister_write(&owner, body, sizeof body)));
	must_be(ask("channel.deregister", body, dxi_deregister_write(&owner, body, sizeof body)),
	        DXH_ENOTFOUND, "'a'");
	world_close();
}

Test(broker, a_silent_channel_is_pending_until_it_beats, .timeout = 60)
{
	dxi_owner owner = {.channel = "a", .producer = 1};
	unsigned char body[DXI_SMALL_WIRE_MAX];
	dxh_channel_info info;
	dxh_consumer *consumer;

	world_open(&(dxh_broker_config){.beat_ms = 1, .beats_missed = 2, .beats_kept = 1000000});
	must(claim_made_up("a", 1));
	while (state_of("a") == DXH_CHANNEL_FOUND)
		;
	must(dxh_discover(world.consumers, "a", SOON, &info));
	cr_expect_eq(info.state, DXH_CHANNEL_PENDING);
	cr_expect(strstr(info.reason, "no beat for"), "%s", info.reason);
	must_be(dxh_consume(world.consumers, "a", NULL, dxh_in_ms(50), &consumer), DXH_EDEAD,
	        "no beat for");
	world_stop_broker();
	world_start_broker(&(dxh_broker_config){
		.beat_ms = 1, .beats_missed = 1000 /* 1 s */, .beats_kept = 1000000});
	must(claim_made_up("a", 1));
	while (state_of("a") == DXH_CHANNEL_FOUND)
		;
	must(dxh_notify(world.producers, "presence.heartbeat", body,
	                dxi_heartbeat_write(&owner, body, sizeof body)));
	must(dxh_flush(world.producers, DXH_FLUSH_REPLIED, SOON));
	cr_expect_eq(state_of("a"), DXH_CHANNEL_FOUND);
	world_close();
}

Test(broker, more_channels_than_allowed_are_refused_while_all_live, .timeout = 60)
{
	world_open(&(dxh_broker_config){.channels_max = 2});
	must(claim_made_up("a", 1));
	must(claim_made_up("b", 2));
	must_be(claim_made_up("c", 3), DXH_ELIMIT, "channels_max");
	world_close();
}

Test(broker, lists_more_channels_than_one_answer_holds, .timeout = 60)
{
	enum { COUNT = 3 * DXI_LIST_PAGE_MAX + 5 };
	static dxh_channel_info found[COUNT + 1];
	size_t count = 0, total = 0;

	world_open(&(dxh_broker_config){.beat_ms = 60000});
	for (uint64_t i = 0; i < COUNT; i++) {
		char name[16];

		/* 7 shares no factor with COUNT: each once, out of order. */
		snprintf(name, sizeof name, "n%03d", (int)(i * 7 % COUNT));
		must(claim_made_up(name, i));
	}
	must(dxh_list(world.consumers, NULL, SOON, found, COUNT + 1, &count, &total));
	cr_assert_eq(count, COUNT);
	cr_expect_eq(total, COUNT);
	for (int i = 0; i < COUNT; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%03d", i);
		cr_assert_str_eq(found[i].name, name);
	}
	must(dxh_list(world.consumers, "n009", SOON, found, 100, &count, NULL));
	cr_expect_eq(count, 100);
	cr_expect_str_eq(found[99].name, "n109");
	must(dxh_list(world.consumers, NULL, SOON, NULL, 0, &count, &total));
	cr_expect_eq(count, 0);
	cr_expect_eq(total, COUNT);
	world_close();
}

/* ---- start and stop ---- */

Test(broker, numbers_beyond_their_limits_are_refused_by_name, .timeout = 60)
{
	dxh_broker *broker;
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	must_be(dxh_broker_start(hub, test_endpoint(),
	                         &(dxh_broker_config){.channels_max = 1u << 21}, &broker),
	        DXH_EINVAL, "channels_max");
	must_be(dxh_broker_start(hub, test_endpoint(), &(dxh_broker_config){.beat_ms = 3600001},
	                         &broker),
	        DXH_EINVAL, "beat_ms");
	must_be(dxh_broker_start(hub, test_endpoint(), &(dxh_broker_config){.beats_missed = 1001},
	                         &broker),
	        DXH_EINVAL, "beats_missed");
	must_be(dxh_broker_start(NULL, test_endpoint(), NULL, &broker), DXH_EINVAL, "hub");
	must_be(dxh_broker_start(hub, "tcp://0.0.0.0:1", NULL, &broker), DXH_EINSECURE, NULL);
	must_be(dxh_broker_start(hub, "nonsense", NULL, &broker), DXH_EINVAL, "nonsense");
	must(dxh_hub_close(&hub));
}

Test(broker, two_cannot_listen_on_one_endpoint, .timeout = 60)
{
	dxh_broker *second;

	world_open(NULL);
	must_be(dxh_broker_start(world.broker_hub, world.endpoint, NULL, &second), DXH_EBUSY, NULL);
	world_close();
}

Test(broker, tells_the_port_it_got, .timeout = 60)
{
	dxh_broker *broker;
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_broker_start(hub, "tcp://127.0.0.1:*", NULL, &broker));
	cr_expect(strncmp(dxh_broker_endpoint(broker), "tcp://127.0.0.1:", 16) == 0);
	cr_expect_neq(dxh_broker_endpoint(broker)[16], '*');
	must(dxh_broker_stop(&broker));
	cr_expect_null(broker);
	must_be(dxh_broker_stop(&broker), DXH_EINVAL, "stopped already");
	cr_expect_str_empty(dxh_broker_endpoint(NULL));
	must(dxh_hub_close(&hub));
}

static void *ask_on(void *stop)
{
	dxh_channel_info info;

	while (!*(_Atomic int *)stop)
		(void)(dxh_discover(world.consumers, "a", SOON, &info) == DXH_OK);
	return NULL;
}

/* The thread of the broker is anywhere between two requests when it is stopped. */
Test(broker, may_be_stopped_and_started_under_load, .timeout = 120)
{
	_Atomic int stop = 0;
	pthread_t thread;

	world_open(NULL);
	cr_assert_eq(pthread_create(&thread, NULL, ask_on, (void *)&stop), 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			must(claim_made_up("b", 1));
		world_stop_broker();
		world_start_broker(NULL);
	}
	stop = 1;
	pthread_join(thread, NULL);
	world_close();
}

static _Atomic uint64_t callbacks;
static dxh_status started, stopped;

static void start_and_stop(void *context, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	dxh_broker *broker = world.broker;

	(void)context;
	(void)peer;
	(void)reason;
	if (state != DXH_PEER_READY)
		return;
	stopped = dxh_broker_stop(&broker);
	started = dxh_broker_start(world.broker_hub, "ipc://@dxh-never", NULL, &broker);
	callbacks++;
}

Test(broker, is_neither_started_nor_stopped_on_the_io_thread, .timeout = 60)
{
	dxh_peer *peer;

	world_open(NULL);
	must(dxh_peer_connect(world.broker_hub, world.endpoint,
	                      &(dxh_peer_config){.on_state = start_and_stop}, &peer));
	test_wait_for(&callbacks, 1);
	cr_expect_eq(stopped, DXH_EDEADLK);
	cr_expect_eq(started, DXH_EDEADLK);
	world_close();
}

Test(broker, a_child_of_fork_stops_nothing, .timeout = 60)
{
	int ended = -1;
	pid_t child;

	world_open(NULL);
	child = fork();
	if (child == 0)
		_exit(dxh_broker_stop(&world.broker) == DXH_OK && !world.broker ? 0 : 1);
	cr_assert_eq(waitpid(child, &ended, 0), child);
	cr_expect_eq(ended, 0);
	cr_expect_eq(state_of("a"), DXH_CHANNEL_NOT_FOUND);
	world_close();
}
