/* SPDX-License-Identifier: MIT */
/* Being told of channels: events over the wire, gaps, descriptions, figures. */
#include "tests/support/channels.h"

#include "runtime/broker/consumer_message.h"

#include <dxh/watch.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nobody who does not beat dies while a test runs. */
static const dxh_broker_config patient = {.beat_ms = 60000};

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

static void claim_made_up(const char *name, uint64_t producer)
{
	dxi_claim claim = made_up_claim(name, producer);

	must(claim_by_hand(&claim));
}

static void give_up(const char *name, uint64_t producer)
{
	dxi_owner owner = {.producer = producer, .pid = 1};
	unsigned char body[DXI_SMALL_WIRE_MAX], answer[64];

	snprintf(owner.channel, sizeof owner.channel, "%s", name);
	must(dxh_request_sync(world.producers, DXI_SUBJECT_DEREGISTER, body,
	                      dxi_deregister_write(&owner, body, sizeof body), SOON, answer,
	                      sizeof answer, NULL));
}

static dxh_status join(const char *name, uint64_t uid)
{
	dxi_reader_claim claim = {.info = {.uid = uid, .pid = 2, .discipline = DXH_LATEST}};
	unsigned char body[DXI_CONSUMER_WIRE_MAX], answer[256];

	snprintf(claim.channel, sizeof claim.channel, "%s", name);
	snprintf(claim.info.name, sizeof claim.info.name, "by hand");
	memset(claim.info.block_uuid, 0xbb, sizeof claim.info.block_uuid); /* of another block */
	return dxh_request_sync(world.consumers, DXI_SUBJECT_CONSUMER_REGISTER, body,
	                        dxi_reader_claim_write(&claim, body, sizeof body), SOON, answer,
	                        sizeof answer, NULL);
}

static void say(const char *subject, const unsigned char *body, size_t bytes)
{
	must(dxh_notify(world.consumers, subject, body, bytes));
	must(dxh_flush(world.consumers, DXH_FLUSH_REPLIED, SOON));
}

static dxh_watcher *watch(const char *prefix)
{
	dxh_watcher *watcher = NULL;

	must(dxh_watch(world.consumers, prefix, NULL, SOON, &watcher));
	return watcher;
}

static dxh_watch_event next(dxh_watcher *watcher)
{
	dxh_watch_event event;

	must(dxh_watcher_next(watcher, SOON, &event));
	return event;
}

static void
expect_next(dxh_watcher *watcher, dxh_watch_kind kind, const char *channel, uint64_t producer)
{
	dxh_watch_event event = next(watcher);

	cr_assert_eq(event.kind, kind, "%d %s", event.kind, event.reason);
	cr_expect_str_eq(event.channel, channel);
	cr_expect_eq(event.producer, producer);
}

Test(broker_watch, coming_and_going_is_told_in_order_with_numbers, .timeout = 60)
{
	dxh_watch_event one, two;
	dxh_watcher *watcher;

	world_open(NULL);
	watcher = watch("");
	claim_made_up("a", 1);
	claim_made_up("b", 2);
	give_up("a", 1);
	one = next(watcher);
	cr_expect_eq(one.kind, DXH_WATCH_OPENED);
	cr_expect_str_eq(one.channel, "a");
	cr_expect_eq(one.pid, 1);
	two = next(watcher);
	cr_expect_str_eq(two.channel, "b");
	cr_expect_eq(two.number, one.number + 1);
	cr_expect_eq(two.broker, one.broker);
	expect_next(watcher, DXH_WATCH_CLOSING, "a", 1);
	must_be(dxh_watcher_next(watcher, DXH_NOW, &one), DXH_EWAIT, NULL);
	must(dxh_watcher_close(&watcher));
	cr_expect_null(watcher);
	world_close();
}

Test(broker_watch, only_channels_that_begin_so_are_told, .timeout = 60)
{
	dxh_watcher *watcher;

	world_open(NULL);
	watcher = watch("camera/");
	claim_made_up("cameras", 1);
	claim_made_up("camera/front", 2);
	expect_next(watcher, DXH_WATCH_OPENED, "camera/front", 2);
	must(dxh_watcher_close(&watcher));
	world_close();
}

Test(broker_watch, deaths_are_told_without_anybody_asking, .timeout = 60)
{
	dxh_watch_event event;
	dxh_watcher *watcher;

	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 5, .beats_kept = 5});
	watcher = watch("");
	must(join("a", 7));
	event = next(watcher);
	cr_expect_eq(event.kind, DXH_WATCH_CONSUMER_DIED);
	cr_expect_eq(event.consumer, 7);
	cr_expect_eq(event.pid, 2);
	cr_expect_eq(event.producer, 0);
	claim_made_up("a", 1);
	expect_next(watcher, DXH_WATCH_OPENED, "a", 1);
	event = next(watcher);
	cr_expect_eq(event.kind, DXH_WATCH_ERROR);
	cr_expect(strstr(event.reason, "dead after 5 of 20 ms"), "%s", event.reason);
	expect_next(watcher, DXH_WATCH_CLOSING, "a", 1);
	must(dxh_watcher_close(&watcher));
	world_close();
}

Test(broker_watch, the_successor_of_a_dead_one_is_a_change, .timeout = 60)
{
	dxh_watcher *watcher;

	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 5, .beats_kept = 100000});
	watcher = watch("");
	claim_made_up("a", 1);
	expect_next(watcher, DXH_WATCH_OPENED, "a", 1);
	expect_next(watcher, DXH_WATCH_ERROR, "a", 1);
	claim_made_up("a", 2);
	expect_next(watcher, DXH_WATCH_CHANGED, "a", 2);
	must(dxh_watcher_close(&watcher));
	world_close();
}

Test(broker_watch, a_new_connection_is_a_gap_even_if_nothing_follows, .timeout = 60)
{
	dxh_watch_event event;
	dxh_watcher *watcher;
	struct pollfd readable = {.events = POLLIN};

	world_open(NULL);
	watcher = watch("");
	readable.fd = dxh_watcher_fd(watcher);
	cr_assert_neq(readable.fd, -1);
	must_be(dxh_watcher_next(watcher, DXH_NOW, &event), DXH_EWAIT, NULL);
	world_stop_broker();
	world_start_broker(NULL);
	cr_expect_eq(poll(&readable, 1, 30000), 1);
	event = next(watcher);
	cr_expect_eq(event.kind, DXH_WATCH_GAP);
	cr_expect_eq(event.lost, 0);
	claim_made_up("a", 1);
	expect_next(watcher, DXH_WATCH_OPENED, "a", 1);
	must(dxh_watcher_close(&watcher));
	world_close();
}

Test(broker_watch, what_a_slow_watcher_misses_is_a_gap_at_its_place, .timeout = 60)
{
	enum { EVENTS = 12, ROOM = 4 };
	dxh_watch_event event;
	dxh_watcher *watcher;
	uint64_t kept = 0, gaps = 0;

	world_open(NULL);
	must(dxh_watch(world.consumers, "", &(dxh_watch_config){.events_max = ROOM}, SOON,
	               &watcher));
	for (uint64_t i = 0; i < EVENTS; i++)
		claim_made_up("a", 1), give_up("a", 1);
	/* Behind them on the same connection: all that is to come has come. */
	must(dxh_flush(world.consumers, DXH_FLUSH_REPLIED, SOON));
	while (dxh_watcher_next(watcher, DXH_NOW, &event) == DXH_OK) {
		gaps += event.kind == DXH_WATCH_GAP;
		kept += event.kind != DXH_WATCH_GAP;
	}
	cr_expect_eq(kept, ROOM);
	cr_expect_eq(gaps, 1, "nothing follows, and yet it is told");
	claim_made_up("b", 1);
	event = next(watcher);
	cr_expect_eq(event.kind, DXH_WATCH_GAP);
	cr_expect_eq(event.lost, 2 * EVENTS - ROOM, "now it is known how many");
	expect_next(watcher, DXH_WATCH_OPENED, "b", 1);
	must(dxh_watcher_close(&watcher));
	world_close();
}

static void count(void *context, const dxh_watch_event *event)
{
	*(int *)context += event->kind == DXH_WATCH_OPENED;
}

Test(broker_watch, events_may_be_dispatched, .timeout = 60)
{
	dxh_watcher *watcher;
	size_t calls = 0, all = 0;
	int opened = 0;

	world_open(NULL);
	watcher = watch("");
	claim_made_up("a", 1);
	claim_made_up("b", 1);
	while (all < 2) {
		must(dxh_watcher_dispatch(watcher, count, &opened, 1, SOON, &calls));
		cr_expect_eq(calls, 1);
		all += calls;
	}
	cr_expect_eq(opened, 2);
	must(dxh_watcher_stop(watcher));
	must_be(dxh_watcher_dispatch(watcher, count, &opened, 1, SOON, &calls), DXH_ECLOSED, NULL);
	must(dxh_watcher_close(&watcher));
	must_be(dxh_watcher_close(&watcher), DXH_EINVAL, NULL);
	must_be(dxh_watch(world.consumers, NULL, NULL, SOON, &watcher), DXH_EINVAL, "prefix");
	world_close();
}

/* ---- descriptions ---- */

Test(broker_watch, a_description_tells_tables_schema_and_consumers, .timeout = 60)
{
	dxh_channel_facts *facts;
	dxh_producer *producer;
	size_t bytes;
	const void *schema;

	world_open(&patient);
	producer = produce(world.producers, new_name());
	must(join(last_name(), 9));
	must(join(last_name(), 8));
	must(dxh_describe(world.consumers, last_name(), SOON, &facts));
	schema = dxh_producer_schema(producer, &bytes);
	cr_expect_eq(facts->channel.state, DXH_CHANNEL_FOUND);
	cr_expect_eq(facts->channel.consumers, 2);
	cr_assert_eq(facts->channel.zone_count, 1);
	cr_expect_str_eq(facts->zones[0].name, "notes");
	cr_expect_eq(facts->zones[0].bytes, 64);
	cr_assert_eq(facts->schema_bytes, bytes);
	cr_expect_eq(memcmp(facts->schema, schema, bytes), 0);
	cr_expect_neq(facts->producer_start, 0);
	cr_assert_eq(facts->consumer_count, 2);
	cr_expect_eq(facts->consumers[0].uid, 8);
	cr_expect_eq(facts->consumers[1].uid, 9);
	cr_expect_eq(facts->consumers[1].discipline, DXH_LATEST);
	cr_expect_str_eq(facts->consumers[1].name, "by hand");
	dxh_channel_facts_free(&facts);
	cr_expect_null(facts);
	must(dxh_producer_close(&producer));
	must(dxh_describe(world.consumers, last_name(), SOON, &facts));
	cr_expect_eq(facts->channel.state, DXH_CHANNEL_NOT_FOUND);
	cr_expect_null(facts->schema);
	cr_expect_eq(facts->consumer_count, 2, "they wait for it");
	dxh_channel_facts_free(&facts);
	world_close();
}

Test(broker_watch, more_consumers_than_one_answer_holds_are_all_described, .timeout = 60)
{
	enum { COUNT = 2 * 64 + 3 };
	dxh_channel_facts *facts;

	world_open(&(dxh_broker_config){.client_consumers = COUNT, .beat_ms = 60000});
	claim_made_up("a", 1);
	for (uint64_t i = 1; i <= COUNT; i++)
		must(join("a", 7 * i % (COUNT + 1)));
	must_be(join("a", UINT64_MAX), DXH_ELIMIT, "this client");
	must(join("a", 1));
	must(dxh_describe(world.consumers, "a", SOON, &facts));
	cr_assert_eq(facts->consumer_count, COUNT);
	for (uint64_t i = 0; i < COUNT; i++)
		cr_assert_eq(facts->consumers[i].uid, i + 1);
	dxh_channel_facts_free(&facts);
	world_close();
}

Test(broker_watch, beats_and_broken_items_of_consumers_show, .timeout = 60)
{
	dxi_reader_word word = {
		.channel = "a", .consumer = 9, .next_ticket = 5, .read = 4, .lost = 1, .lag = 3};
	unsigned char body[DXI_SMALL_WIRE_MAX];
	dxh_channel_facts *facts;
	dxh_channel_info info;
	dxh_watch_event event;
	dxh_watcher *watcher;
	size_t count;

	world_open(&patient);
	claim_made_up("a", 1);
	must(join("a", 9));
	watcher = watch("a");
	say(DXI_SUBJECT_HEARTBEAT, body, dxi_reader_beat_write(&word, body, sizeof body));
	word.corrupt = 6;
	say(DXI_SUBJECT_CHECKSUM_ERROR, body, dxi_checksum_error_write(&word, body, sizeof body));
	say(DXI_SUBJECT_CHECKSUM_ERROR, body, dxi_checksum_error_write(&word, body, sizeof body));
	event = next(watcher);
	cr_expect_eq(event.kind, DXH_WATCH_ERROR);
	cr_expect_eq(event.checksum_errors, 6);
	must(dxh_describe(world.consumers, "a", SOON, &facts));
	cr_expect_eq(facts->consumers[0].read, 4);
	cr_expect_eq(facts->consumers[0].lost, 1);
	cr_expect_eq(facts->consumers[0].lag, 3);
	cr_expect_eq(facts->consumers[0].next_ticket, 5);
	cr_expect_eq(facts->consumers[0].corrupt, 6);
	cr_expect_eq(facts->channel.checksum_errors, 6, "told twice, counted once");
	dxh_channel_facts_free(&facts);
	must(dxh_list(world.consumers, NULL, SOON, &info, 1, &count, NULL));
	cr_expect_eq(info.checksum_errors, 6);
	cr_expect_eq(info.consumers, 1);
	must(dxh_watcher_close(&watcher));
	world_close();
}

Test(broker_watch, a_consumer_with_another_schema_of_the_same_block_is_refused, .timeout = 60)
{
	dxi_claim claim = made_up_claim("a", 1);
	dxi_reader_claim reader = {.channel = "a", .info = {.uid = 3}};
	unsigned char body[DXI_CONSUMER_WIRE_MAX], answer[256];

	world_open(NULL);
	claim.info.block_uuid[0] = 1;
	must(claim_by_hand(&claim));
	reader.info.block_uuid[0] = 1;
	must_be(dxh_request_sync(world.consumers, DXI_SUBJECT_CONSUMER_REGISTER, body,
	                         dxi_reader_claim_write(&reader, body, sizeof body), SOON, answer,
	                         sizeof answer, NULL),
	        DXH_ESCHEMA, "'schema_hash'");
	world_close();
}

/* ---- consumers that register by themselves ---- */

/* Ask until the one consumer has read so many. */
static dxh_channel_facts *described_with(const char *name, uint64_t read, uint64_t lag)
{
	dxh_channel_facts *facts = NULL;
	int64_t deadline_ns = SOON;

	for (;;) {
		must(dxh_describe(world.consumers, name, SOON, &facts));
		if (facts->consumer_count == 1 && facts->consumers[0].read == read &&
		    facts->consumers[0].lag == lag)
			return facts;
		dxh_channel_facts_free(&facts);
		cr_assert_lt(dxh_now_ns(), deadline_ns, "nobody with %llu read and a lag of %llu",
		             (unsigned long long)read, (unsigned long long)lag);
	}
}

Test(broker_watch, consume_registers_beats_and_deregisters_by_itself, .timeout = 60)
{
	dxh_channel_facts *facts;
	dxh_block_info block;
	dxh_producer *producer;
	dxh_consumer *consumer;
	char copy[64];
	dxh_item item;

	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 1000});
	producer = produce(world.producers, new_name());
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	must(dxh_publish(producer, "one", 4, DXH_NOW));
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	must(dxh_publish(producer, "two", 4, DXH_NOW));
	must(dxh_publish(producer, "three", 6, DXH_NOW));
	facts = described_with(last_name(), 1, 2);
	must(dxh_consumer_info(consumer, &block));
	cr_expect_eq(facts->consumers[0].pid, getpid());
	cr_expect_eq(facts->consumers[0].start, facts->producer_start);
	cr_expect_eq(facts->consumers[0].next_ticket, 1);
	cr_expect_eq(facts->consumers[0].discipline, DXH_FOLLOW);
	cr_expect_eq(memcmp(facts->consumers[0].block_uuid, block.uuid, sizeof block.uuid), 0);
	dxh_channel_facts_free(&facts);
	must(dxh_consumer_close(&consumer));
	must(dxh_describe(world.consumers, last_name(), SOON, &facts));
	cr_expect_eq(facts->consumer_count, 0);
	dxh_channel_facts_free(&facts);
	must(dxh_producer_close(&producer));
	world_close();
}

Test(broker_watch, a_consumer_that_goes_on_in_another_block_tells_it, .timeout = 60)
{
	dxh_channel_facts *facts;
	dxh_producer *producer;
	dxh_consumer *consumer;
	int64_t deadline_ns = SOON;
	char copy[64];
	dxh_item item;
	bool same;

	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 1000});
	producer = produce(world.producers, new_name());
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	must(dxh_producer_close(&producer)); /* and the block is removed */
	producer = produce(world.producers, last_name());
	must(dxh_publish(producer, "new", 4, DXH_NOW));
	while (dxh_read_next(consumer, copy, sizeof copy, dxh_in_ms(20), &item) != DXH_OK)
		cr_assert_lt(dxh_now_ns(), deadline_ns);
	cr_expect_str_eq(copy, "new");
	do {
		must(dxh_describe(world.consumers, last_name(), SOON, &facts));
		same = facts->consumer_count == 1 &&
		       memcmp(facts->consumers[0].block_uuid, facts->channel.block_uuid, 16) == 0;
		dxh_channel_facts_free(&facts);
		cr_assert_lt(dxh_now_ns(), deadline_ns, "the broker is never told of the block");
	} while (!same);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(broker_watch, a_consumer_is_known_again_to_a_new_broker, .timeout = 60)
{
	dxh_channel_facts *facts;
	dxh_producer *producer;
	dxh_consumer *consumer;

	world_open(&(dxh_broker_config){.beat_ms = 20, .beats_missed = 1000});
	producer = produce(world.producers, new_name());
	must(dxh_consume(world.consumers, last_name(), NULL, SOON, &consumer));
	facts = described_with(last_name(), 0, 0);
	dxh_channel_facts_free(&facts);
	world_stop_broker();
	world_start_broker(NULL);
	facts = described_with(last_name(), 0, 0);
	dxh_channel_facts_free(&facts);
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

Test(broker_watch, a_hub_may_be_closed_before_its_consumers_and_producers, .timeout = 60)
{
	dxh_producer *producer;
	dxh_consumer *consumer;
	dxh_peer *peer;
	dxh_item item;
	dxh_hub *hub;
	char copy[64];

	world_open(NULL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, world.endpoint, NULL, &peer));
	producer = produce(peer, new_name());
	must(dxh_consume(peer, last_name(), NULL, SOON, &consumer));
	must(dxh_hub_close(&hub));
	must(dxh_publish(producer, "still", 6, DXH_NOW));
	must(dxh_read_next(consumer, copy, sizeof copy, SOON, &item));
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
	world_close();
}

/* A process of its own, forked before there is any hub here. */
static pid_t fork_consumer(const char *name)
{
	pid_t child = fork();
	dxh_consumer *consumer;
	dxh_peer *peer;
	dxh_hub *hub;

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(dxh_hub_open(NULL, &hub));
	must(dxh_peer_connect(hub, world_name(), NULL, &peer));
	(void)produce(peer, name);
	must(dxh_consume(peer, name, NULL, SOON, &consumer));
	for (;;)
		pause();
}

/* Its next refresh is ten seconds away when it is stopped: it comes back before. */
Test(broker_watch, who_was_stopped_for_too_long_registers_at_once_when_it_goes_on, .timeout = 90)
{
	dxh_channel_facts *facts;
	dxh_watch_event event;
	dxh_watcher *watcher;
	int64_t went_on_ns;
	pid_t child;
	char name[32];

	world_name();
	snprintf(name, sizeof name, "%s", new_name());
	child = fork_consumer(name);
	world_open(&(dxh_broker_config){.beat_ms = 500, .beats_missed = 2, .beats_kept = 1000});
	watcher = watch("");
	facts = described_with(name, 0, 0);
	dxh_channel_facts_free(&facts);
	kill(child, SIGSTOP);
	do
		event = next(watcher);
	while (event.kind != DXH_WATCH_CONSUMER_DIED);
	kill(child, SIGCONT);
	went_on_ns = dxh_now_ns();
	facts = described_with(name, 0, 0);
	dxh_channel_facts_free(&facts);
	cr_expect_lt(dxh_now_ns() - went_on_ns, 5 * (int64_t)1000000000);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	must(dxh_block_unlink(NULL, name));
	must(dxh_watcher_close(&watcher));
	world_close();
}

/* ---- figures ---- */

Test(broker_watch, the_broker_tells_what_it_has_done, .timeout = 60)
{
	dxh_broker_stats stats;
	dxh_channel_info info;
	dxh_watcher *watcher;
	dxh_producer *producer;

	world_open(&patient);
	watcher = watch("");
	producer = produce(world.producers, new_name());
	claim_made_up("b", 1);
	must(join("b", 2));
	must(dxh_discover(world.consumers, "b", SOON, &info));
	say("no.such", (const unsigned char *)"", 0);
	must(dxh_broker_stats_get(world.consumers, SOON, &stats));
	cr_expect_eq(stats.registrations, 2);
	cr_expect_eq(stats.consumer_registrations, 1);
	cr_expect_eq(stats.discoveries, 1);
	cr_expect_eq(stats.metrics, 1);
	cr_expect_eq(stats.requests, 5);
	cr_expect_eq(stats.refused, 0);
	cr_expect_eq(stats.beats_stray, 1);
	cr_expect_eq(stats.events, 2);
	cr_expect_eq(stats.channels_now, 2);
	cr_expect_eq(stats.channels_live_now, 2);
	cr_expect_eq(stats.consumers_now, 1);
	cr_expect_eq(stats.watchers_now, 1);
	cr_expect_gt(stats.schema_bytes_now, 7);
	must(dxh_watcher_close(&watcher));
	must(dxh_producer_close(&producer));
	world_close();
}

/* A broker that nobody has registered at does not wake: see also tests/broker_orders_test. */
Test(broker_watch, one_client_may_not_fill_the_registry, .timeout = 60)
{
	dxi_claim claim = made_up_claim("x", 1);

	world_open(&(dxh_broker_config){.channels_max = 100, .client_channels = 3});
	for (int i = 0; i < 3; i++) {
		snprintf(claim.info.name, sizeof claim.info.name, "n%d", i);
		must(claim_by_hand(&claim));
	}
	snprintf(claim.info.name, sizeof claim.info.name, "more");
	must_be(claim_by_hand(&claim), DXH_ELIMIT, "this client has registered 3 channels");
	give_up("n1", 1);
	must(claim_by_hand(&claim));
	world_close();
}
