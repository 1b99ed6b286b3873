/* SPDX-License-Identifier: MIT */
/* Channels that are refused: the block is not what the broker was told, what
 * answers is no broker, or the call cannot be made here. */
#include "tests/support/channels.h"

/* ---- the broker and the block disagree ---- */

Test(channel_refusal, a_block_that_the_broker_was_not_told_of_is_refused, .timeout = 60)
{
	dxh_block_config block = block_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxi_claim claim;

	world_open(NULL);
	must(dxh_producer_open(new_name(), &block, &producer));
	claim = claim_of(producer);
	claim.info.block_uuid[0] ^= 1;
	must(claim_by_hand(&claim));
	must_be(dxh_consume(world.consumers, last_name(), NULL, dxh_in_ms(100), &consumer),
	        DXH_ESCHEMA, "another one than the broker was told of");
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_refusal, a_block_of_another_schema_than_told_is_refused, .timeout = 60)
{
	static const char other[] = "\x81\xa5zones\x90";
	dxh_block_config block = block_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxi_claim claim;

	world_open(NULL);
	must(dxh_producer_open(new_name(), &block, &producer));
	claim = claim_of(producer);
	claim.schema = other;
	claim.schema_bytes = sizeof other - 1;
	claim.info.zone_count = 0;
	dxi_hash(other, sizeof other - 1, claim.info.schema_hash);
	must(claim_by_hand(&claim));
	must_be(dxh_consume(world.consumers, last_name(), NULL, dxh_in_ms(100), &consumer),
	        DXH_ESCHEMA, "another schema");
	must(dxh_producer_close(&producer));
	world_close();
}

Test(channel_refusal, a_channel_whose_block_is_gone_is_not_found, .timeout = 60)
{
	dxh_block_config block = block_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxi_claim claim;

	world_open(NULL);
	must(dxh_producer_open(new_name(), &block, &producer));
	claim = claim_of(producer);
	must(claim_by_hand(&claim));
	must(dxh_producer_close(&producer));
	must_be(dxh_consume(world.consumers, last_name(), NULL, dxh_in_ms(100), &consumer),
	        DXH_ENOTFOUND, last_name());
	world_close();
}

Test(channel_refusal, a_slot_of_another_size_is_refused_without_waiting, .timeout = 60)
{
	dxh_producer *producer;
	dxh_consumer *consumer;
	int64_t begin = dxh_now_ns();

	world_open(NULL);
	producer = produce(world.producers, new_name());
	must_be(dxh_consume(world.consumers, last_name(),
	                    &(dxh_consumer_config){.slot = DXH_SLOT_BYTES(4096)}, dxh_in_ms(60000),
	                    &consumer),
	        DXH_ESIZE, NULL);
	cr_expect_lt(dxh_now_ns() - begin, INT64_C(30000000000));
	must(dxh_producer_close(&producer));
	world_close();
}

/* ---- no broker at the other end ---- */

Test(channel_refusal, a_service_that_is_no_broker_is_refused_and_no_block_is_left, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_block_info info;
	test_echo echo;
	dxh_hub *hub;
	dxh_peer *peer;

	config.block.unlink_on_close = 0;
	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, dxh_service_endpoint(echo.service), NULL, &peer));
	must_be(dxh_produce(peer, new_name(), &config, SOON, &producer), DXH_EPROTO, "beat_ms");
	must_be(dxh_block_stat(NULL, last_name(), &info), DXH_ENOTFOUND, NULL);
	must_be(dxh_consume(peer, "a", NULL, SOON, &consumer), DXH_EPROTO, "'state'");
	must(dxh_hub_close(&hub));
	test_echo_close(&echo);
}

static void *know_nothing(void *service)
{
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		dxh_request_reject(request, DXH_EUNKNOWN, "never heard of it");
	return NULL;
}

Test(channel_refusal, a_service_that_knows_no_channels_is_told_apart_from_a_broker, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_service *service;
	pthread_t thread;
	dxh_peer *peer;
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_service_bind(hub, test_endpoint(), NULL, &service));
	cr_assert_eq(pthread_create(&thread, NULL, know_nothing, service), 0);
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	must_be(dxh_produce(peer, new_name(), &config, SOON, &producer), DXH_EUNKNOWN,
	        "never heard of it");
	must_be(dxh_consume(peer, "a", NULL, SOON, &consumer), DXH_EUNKNOWN, "never heard of it");
	must(dxh_service_stop(service));
	pthread_join(thread, NULL);
	must(dxh_hub_close(&hub));
}

static void *close_for_ever(void *service)
{
	dxh_request *request;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK)
		dxh_request_reject(request, DXH_ECLOSED, "closing down");
	return NULL;
}

/* DXH_ECLOSED would say that a hub of the caller's was closed, and end its trying. */
Test(channel_refusal, a_broker_that_closes_is_one_that_does_not_answer_up_to_the_deadline,
     .timeout = 60)
{
	dxh_consumer *consumer;
	dxh_service *service;
	int64_t deadline_ns;
	pthread_t thread;
	dxh_peer *peer;
	dxh_hub *hub;

	must(dxh_hub_open(NULL, &hub));
	must(dxh_service_bind(hub, test_endpoint(), NULL, &service));
	cr_assert_eq(pthread_create(&thread, NULL, close_for_ever, service), 0);
	must(dxh_peer_connect(hub, dxh_service_endpoint(service), NULL, &peer));
	/* After 20, 60 and 140 ms it is asked again; after 300 would be too late. */
	deadline_ns = dxh_in_ms(250);
	must_be(dxh_consume(peer, "a", NULL, deadline_ns, &consumer), DXH_EEXPIRED, NULL);
	cr_expect_geq(dxh_now_ns(), deadline_ns - 20000000);
	must(dxh_service_stop(service));
	pthread_join(thread, NULL);
	must(dxh_hub_close(&hub));
}

/* ---- arguments and states ---- */

Test(channel_refusal, a_block_without_a_name_is_no_channel, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;

	world_open(NULL);
	config.block.memfd = 1;
	must_be(dxh_produce(world.producers, new_name(), &config, dxh_in_ms(100), &producer),
	        DXH_EINVAL, "memfd");
	world_close();
}

Test(channel_refusal, arguments_that_are_none_are_refused_by_name, .timeout = 60)
{
	static char long_endpoint[DXH_ENDPOINT_MAX + 2];
	dxh_channel_config config = channel_config();
	dxh_channel_info info;
	dxh_producer *producer;
	dxh_consumer *consumer;
	size_t count;

	world_open(NULL);
	must_be(dxh_produce(NULL, "a", &config, SOON, &producer), DXH_EINVAL, "peer");
	must_be(dxh_produce(world.producers, NULL, &config, SOON, &producer), DXH_EINVAL, "name");
	must_be(dxh_produce(world.producers, "a", NULL, SOON, &producer), DXH_EINVAL, "config");
	must_be(dxh_produce(world.producers, "/a", &config, SOON, &producer), DXH_EINVAL, "/a");
	memset(long_endpoint, 'e', sizeof long_endpoint - 1);
	config.endpoint = long_endpoint;
	must_be(dxh_produce(world.producers, "a", &config, SOON, &producer), DXH_EINVAL,
	        "endpoint");
	must_be(dxh_consume(world.producers, NULL, NULL, SOON, &consumer), DXH_EINVAL, "name");
	must_be(dxh_consume(world.producers, ".a", NULL, SOON, &consumer), DXH_EINVAL, ".a");
	must_be(dxh_discover(world.producers, "", SOON, &info), DXH_EINVAL, "channel name");
	must_be(dxh_discover(world.producers, "a", SOON, NULL), DXH_EINVAL, NULL);
	must_be(dxh_list(world.producers, NULL, SOON, NULL, 1, &count, NULL), DXH_EINVAL, NULL);
	must_be(dxh_list(world.producers, long_endpoint, SOON, NULL, 0, &count, NULL), DXH_EINVAL,
	        "longer");
	world_close();
}

Test(channel_refusal, a_draining_hub_opens_no_channel, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_block_info info;

	world_open(NULL);
	must(dxh_hub_drain(world.producer_hub, SOON, NULL));
	must_be(dxh_produce(world.producers, new_name(), &config, SOON, &producer), DXH_ECLOSED,
	        NULL);
	must_be(dxh_block_stat(NULL, last_name(), &info), DXH_ENOTFOUND, NULL);
	must_be(dxh_consume(world.producers, "a", NULL, SOON, &consumer), DXH_ECLOSED, NULL);
	world_close();
}

static void *drain(void *hub)
{
	dxh_hub_drain(hub, SOON, NULL);
	return NULL;
}

/* A request that nobody answers yet keeps the drain going. */
Test(channel_refusal, a_hub_that_is_draining_says_so, .timeout = 60)
{
	dxh_channel_config config = channel_config();
	dxh_completion held, refused;
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_status status;
	pthread_t thread;
	test_echo echo;
	dxh_peer *peer;

	world_open(NULL);
	test_echo_open(&echo, test_endpoint(), NULL);
	must(dxh_peer_connect(world.producer_hub, dxh_service_endpoint(echo.service), NULL, &peer));
	must(dxh_post(peer, "hold", NULL, 0, SOON, &held));
	test_wait_for(&echo.held_count, 1);
	cr_assert_eq(pthread_create(&thread, NULL, drain, world.producer_hub), 0);
	while ((status = dxh_post(peer, "echo", NULL, 0, SOON, &refused)) != DXH_EDRAINING)
		if (status == DXH_OK)
			must(dxh_release(refused));
	must_be(dxh_produce(world.producers, "a", &config, SOON, &producer), DXH_EDRAINING, NULL);
	must_be(dxh_consume(world.producers, "a", NULL, SOON, &consumer), DXH_EDRAINING, NULL);
	test_echo_release(&echo);
	pthread_join(thread, NULL);
	must(dxh_release(held));
	world_close();
	test_echo_close(&echo);
}

static _Atomic uint64_t callbacks;
static dxh_status in_callback[4];

static void call_all(void *context, dxh_peer *peer, dxh_peer_state state, const char *reason)
{
	dxh_channel_config config = channel_config();
	dxh_channel_info info;
	dxh_producer *producer;
	dxh_consumer *consumer;
	size_t count;

	(void)context;
	(void)reason;
	if (state != DXH_PEER_READY)
		return;
	in_callback[0] = dxh_produce(peer, "a", &config, SOON, &producer);
	in_callback[1] = dxh_consume(peer, "a", NULL, SOON, &consumer);
	in_callback[2] = dxh_discover(peer, "a", SOON, &info);
	in_callback[3] = dxh_list(peer, NULL, SOON, &info, 1, &count, NULL);
	callbacks++;
}

Test(channel_refusal, the_io_thread_may_not_wait_for_the_broker, .timeout = 60)
{
	dxh_peer *peer;

	world_open(NULL);
	must(dxh_peer_connect(world.producer_hub, dxh_broker_endpoint(world.broker),
	                      &(dxh_peer_config){.on_state = call_all}, &peer));
	test_wait_for(&callbacks, 1);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(in_callback[i], DXH_EDEADLK, "call %d", i);
	world_close();
}
