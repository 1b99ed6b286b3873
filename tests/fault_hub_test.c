/* SPDX-License-Identifier: MIT */
/* Hubs, services, peers and keys while the system fails, one call after the other:
 * see tests/fault/fault.h. The floors leave room for bells, which ring only where the
 * I/O thread happens to sleep. */
#include "tests/fault/fault.h"

#include "base/status.h"
#include "tests/support/channels.h"
#include "tests/support/pair.h"

#include <stdio.h>
#include <unistd.h>

static dxh_hub *opened;
static dxh_service *service;
static dxh_peer *connected;
static char path[256], secret[256], allowed[256], public_key[DXH_KEY_BYTES];

static void quiet(void)
{
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
}

static void file_in_tmp(char *text, size_t capacity, const char *file)
{
	const char *folder = getenv("TMPDIR");

	snprintf(text, capacity, "%s/dxh-fault-%d-%s", folder ? folder : "/tmp", (int)getpid(),
	         file);
}

/* ---- the control: what these tests have to notice ------------------------------------------- */

static void *first, *second;

#ifndef TEST_ASAN /* which would notice it, too */
static dxh_status allocate_and_leak(void)
{
	first = malloc(10);
	second = first ? malloc(10) : NULL;
	return second ? DXH_OK : dxi_fail(DXH_ENOMEM, "no memory"); /* the first is lost */
}
#endif

static dxh_status allocate_and_lie(void)
{
	first = second = NULL;
	first = malloc(10);
	return first ? DXH_OK : dxi_fail(DXH_EINVAL, "is that so?");
}

static dxh_status allocate_once(void)
{
	static bool failed;

	first = second = NULL;
	if (!failed)
		first = malloc(10);
	failed = !first;
	return first ? DXH_OK : dxi_fail(DXH_ENOMEM, "no memory, and never again");
}

static dxh_status make_no_call(void)
{
	first = second = NULL;
	return DXH_OK;
}

static void give_both_back(void)
{
	free(first);
	free(second);
}

static void notice(dxh_status (*call)(void), unsigned floor, const char *words)
{
	const char *found = fault_find(&(fault_subject){.name = "a fault that is planted",
	                                                .call = call,
	                                                .undo = give_both_back},
	                               floor);

	cr_assert(found && strstr(found, words), "noticed: %s, and not: %s", found, words);
}

Test(fault, a_leak_a_wrong_status_and_a_point_never_hit_are_noticed, .timeout = 120, .init = quiet)
{
#ifndef TEST_ASAN
	notice(allocate_and_leak, 1, "more each time");
#endif
	notice(allocate_and_lie, 1, "is that so?");
	notice(allocate_once, 1, "then without a fault");
	notice(make_no_call, 1, "only 0 points");
}

/* ---- hubs ------------------------------------------------------------------------------------- */

static dxh_status open_hub(void)
{
	return dxh_hub_open(NULL, &opened);
}

static void close_hub(void)
{
	must(dxh_hub_close(&opened));
}

Test(fault, a_hub_opens_or_not, .timeout = 120, .init = quiet)
{
	fault_everywhere(&(fault_subject){.name = "opening a hub",
	                                  .call = open_hub,
	                                  .undo = close_hub,
	                                  .also_right = {DXH_EUNSUPPORTED}},
	                 13);
}

static char metrics_block[48];

static dxh_status open_hub_with_block(void)
{
	return dxh_hub_open(&(dxh_hub_config){.metrics_block = metrics_block}, &opened);
}

Test(fault, a_hub_with_its_metrics_in_a_block_opens_or_not, .timeout = 120, .init = quiet)
{
	snprintf(metrics_block, sizeof metrics_block, "fault-metrics-%d", (int)getpid());
	fault_everywhere(&(fault_subject){.name = "opening a hub with a metrics block",
	                                  .call = open_hub_with_block,
	                                  .undo = close_hub,
	                                  .also_right = {DXH_EUNSUPPORTED}},
	                 50);
}

/* ---- services ----------------------------------------------------------------------------------- */

static dxh_service_config serving;
static const char *endpoint;

static dxh_status bind_service(void)
{
	return dxh_service_bind(opened, endpoint, &serving, &service);
}

static void close_service(void)
{
	must(dxh_service_close(&service));
}

static void make_keys(void)
{
	quiet();
	file_in_tmp(secret, sizeof secret, "secret");
	file_in_tmp(allowed, sizeof allowed, "allowed");
	must(dxh_key_make(secret, public_key));
	must(dxh_hub_open(NULL, &opened));
}

static void drop_keys(void)
{
	must(dxh_hub_close(&opened));
	unlink(secret);
}

Test(fault, a_service_binds_or_not, .timeout = 120, .init = make_keys, .fini = drop_keys)
{
	static char ipc[300];

	file_in_tmp(path, sizeof path, "socket");
	snprintf(ipc, sizeof ipc, "ipc://%s", path);
	endpoint = ipc;
	fault_everywhere(&(fault_subject){.name = "binding a service",
	                                  .call = bind_service,
	                                  .undo = close_service},
	                 15);
	cr_expect_neq(access(path, F_OK), 0, "the socket file is left");
}

Test(fault, a_service_with_keys_binds_or_not, .timeout = 120, .init = make_keys, .fini = drop_keys)
{
	endpoint = "tcp://127.0.0.1:*";
	serving = (dxh_service_config){.key_file = secret, .allow_file = allowed};
	fault_everywhere(&(fault_subject){.name = "binding a service with keys",
	                                  .call = bind_service,
	                                  .undo = close_service},
	                 20);
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static dxh_status make_key(void)
{
	return dxh_key_make(path, public_key);
}

static void remove_key(void)
{
	cr_assert_eq(unlink(path), 0);
}

Test(fault, a_key_file_is_made_whole_or_not_at_all, .timeout = 120, .init = quiet)
{
	file_in_tmp(path, sizeof path, "made");
	fault_everywhere(
		&(fault_subject){.name = "making a key", .call = make_key, .undo = remove_key}, 6);
}

static dxh_status read_key(void)
{
	return dxh_key_public(secret, public_key);
}

static void nothing(void)
{
}

Test(fault, a_key_file_is_read_or_not, .timeout = 120, .init = make_keys, .fini = drop_keys)
{
	fault_everywhere(
		&(fault_subject){.name = "reading a key", .call = read_key, .undo = nothing}, 5);
}

/* ---- peers ------------------------------------------------------------------------------------------- */

static dxh_peer_config asking;

/* Until the first answer: whatever fails behind the call is tried again. */
static dxh_status connect_and_ask(void)
{
	dxh_status status = dxh_peer_connect(opened, endpoint, &asking, &connected);

	if (status != DXH_OK)
		return status;
	status = dxh_request_sync(connected, "echo", NULL, 0, SOON, NULL, 0, NULL);
	if (status != DXH_OK)
		must(dxh_peer_close(&connected));
	return status;
}

static void close_peer(void)
{
	must(dxh_peer_close(&connected));
}

static void connect_everywhere(const dxh_service_config *with, const char *name, unsigned floor)
{
	test_echo_open(&echo, test_endpoint(), with);
	endpoint = dxh_service_endpoint(echo.service);
	fault_everywhere(
		&(fault_subject){.name = name, .call = connect_and_ask, .undo = close_peer}, floor);
	test_echo_close(&echo);
}

Test(fault, a_peer_connects_or_not, .timeout = 200, .init = make_keys, .fini = drop_keys)
{
	asking = (dxh_peer_config){.beat_ns = 20000000};
	connect_everywhere(NULL, "connecting a peer", 38);
}

Test(fault, a_peer_with_keys_connects_or_not, .timeout = 200, .init = make_keys, .fini = drop_keys)
{
	asking = (dxh_peer_config){.server_key = public_key, .key_file = secret};
	connect_everywhere(&(dxh_service_config){.key_file = secret, .allow_any = 1},
	                   "connecting a peer with keys", 45);
}

/* ---- groups and subscriptions ----------------------------------------------------------------------------- */

static dxh_group *group;

static dxh_status open_group(void)
{
	dxh_status status = dxh_group_open(&group);

	if (status == DXH_OK && dxh_group_fd(group) == -1) {
		status = strstr(dxh_last_error(), "DXH_ELIMIT") ? DXH_ELIMIT : DXH_ESYSTEM;
		must(dxh_group_close(&group));
	}
	return status;
}

static void close_group(void)
{
	must(dxh_group_close(&group));
}

Test(fault, a_group_opens_or_not, .timeout = 120, .init = quiet)
{
	fault_everywhere(&(fault_subject){.name = "opening a group",
	                                  .call = open_group,
	                                  .undo = close_group},
	                 3);
}

static dxh_subscription *subscription;

static dxh_status subscribe(void)
{
	dxh_status status = dxh_subscribe(peer, "topic", NULL, &subscription);

	if (status != DXH_OK)
		return status;
	status = dxh_subscription_await(subscription, SOON);
	if (status != DXH_OK)
		must(dxh_subscription_close(&subscription));
	return status;
}

static void unsubscribe(void)
{
	must(dxh_subscription_close(&subscription));
}

Test(fault, a_subscription_stands_or_not, .timeout = 120, .init = quiet)
{
	open_pair(test_endpoint(), NULL, NULL);
	fault_everywhere(&(fault_subject){.name = "subscribing",
	                                  .call = subscribe,
	                                  .undo = unsubscribe,
	                                  .also_right = {DXH_EOVERLOADED}},
	                 8);
	close_pair();
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

/* With a body that needs memory on each side. */
static size_t body_bytes;

static dxh_status ask(void)
{
	static char body[400000], answer[400000];

	return dxh_request_sync(peer, "echo", body, body_bytes, SOON, answer, sizeof answer, NULL);
}

static void ask_everywhere(const char *name, size_t bytes, unsigned floor)
{
	body_bytes = bytes;
	open_pair(test_endpoint(), NULL, NULL);
	fault_everywhere(&(fault_subject){.name = name,
	                                  .call = ask,
	                                  .undo = nothing,
	                                  .also_right = {DXH_EOVERLOADED, DXH_ELOST}},
	                 floor);
	close_pair();
}

Test(fault, a_request_is_answered_or_says_why_not, .timeout = 200, .init = quiet)
{
	ask_everywhere("asking", 4000, 10);
}

Test(fault, a_large_request_is_answered_or_says_why_not, .timeout = 200, .init = quiet)
{
	ask_everywhere("asking with a large body", 100000, 12);
}

Test(fault, a_request_in_parts_is_answered_or_says_why_not, .timeout = 200, .init = quiet)
{
	ask_everywhere("asking in parts", 400000, 13);
}

/* ---- within a hub ---- */

static void *answer_all(void *unused)
{
	dxh_request *request;
	size_t bytes;

	(void)unused;
	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		const void *body = dxh_request_body(request, &bytes);

		(void)dxh_request_reply(request, body, bytes); /* otherwise it says why not */
	}
	return NULL;
}

static dxh_status connect_and_ask_within(void)
{
	dxh_status status = dxh_peer_connect(opened, endpoint, &asking, &connected);

	if (status != DXH_OK)
		return status;
	peer = connected;
	status = ask();
	if (status == DXH_OK)
		status = dxh_flush(peer, DXH_FLUSH_REPLIED, SOON);
	if (status != DXH_OK)
		must(dxh_peer_close(&connected));
	return status;
}

Test(fault, a_service_binds_over_inproc_or_not, .timeout = 120, .init = make_keys,
     .fini = drop_keys)
{
	endpoint = "inproc://fault";
	fault_everywhere(&(fault_subject){.name = "binding over inproc",
	                                  .call = bind_service,
	                                  .undo = close_service},
	                 5);
}

Test(fault, a_request_over_inproc_is_answered_or_says_why_not, .timeout = 200, .init = make_keys,
     .fini = drop_keys)
{
	static const size_t sizes[] = {100, 4000, 100000, 400000};
	pthread_t thread;

	endpoint = "inproc://fault";
	asking = (dxh_peer_config){.beat_ns = 20000000};
	/* Nothing is remembered of clients that went without a word. */
	serving = (dxh_service_config){.repeats = DXH_REPEATS_EXECUTE};
	must(bind_service());
	cr_assert_eq(pthread_create(&thread, NULL, answer_all, NULL), 0);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		body_bytes = sizes[i];
		fault_everywhere(&(fault_subject){.name = "asking over inproc",
		                                  .call = connect_and_ask_within,
		                                  .undo = close_peer,
		                                  .also_right = {DXH_EOVERLOADED, DXH_ELOST}},
		                 14);
	}
	must(dxh_service_stop(service));
	pthread_join(thread, NULL);
	close_service();
}

static dxh_status notify_and_flush(void)
{
	dxh_status status = dxh_notify(peer, "note", "x", 1);

	return status == DXH_OK ? dxh_flush(peer, DXH_FLUSH_REPLIED, SOON) : status;
}

Test(fault, a_notification_leaves_or_says_why_not, .timeout = 200, .init = quiet)
{
	open_pair(test_endpoint(), NULL, NULL);
	fault_everywhere(
		&(fault_subject){.name = "notifying", .call = notify_and_flush, .undo = nothing},
		8);
	close_pair();
}

/* One publication that has come, so that losses show. */
static dxh_status publish_and_receive(void)
{
	dxh_status status = dxh_service_publish(echo.service, "topic", "x", 1);
	const dxh_note *note;

	if (status != DXH_OK)
		return status;
	/* One that was lost on the way is told with the next. */
	while ((status = dxh_subscription_receive(subscription, dxh_in_ms(50), &note)) == DXH_EWAIT)
		if (dxh_service_publish(echo.service, "topic", "x", 1) != DXH_OK)
			return DXH_ESTATE;
	if (status == DXH_OK)
		dxh_note_release(note);
	return status;
}

static void take_the_rest(void)
{
	const dxh_note *note;

	while (dxh_subscription_receive(subscription, DXH_NOW, &note) == DXH_OK)
		dxh_note_release(note);
}

Test(fault, a_publication_comes_or_is_counted_as_lost, .timeout = 200, .init = quiet)
{
	open_pair(test_endpoint(), NULL, NULL);
	must(dxh_subscribe(peer, "topic", NULL, &subscription));
	must(dxh_subscription_await(subscription, SOON));
	fault_everywhere(&(fault_subject){.name = "publishing",
	                                  .call = publish_and_receive,
	                                  .undo = take_the_rest},
	                 5);
	must(dxh_subscription_close(&subscription));
	close_pair();
}

/* ---- channels ------------------------------------------------------------------------------------------------ */

static dxh_broker *broker;

static dxh_status start_broker(void)
{
	return dxh_broker_start(opened, "tcp://127.0.0.1:*", NULL, &broker);
}

static void stop_broker(void)
{
	must(dxh_broker_stop(&broker));
}

Test(fault, a_broker_starts_or_not, .timeout = 120, .init = quiet)
{
	must(dxh_hub_open(NULL, &opened));
	fault_everywhere(&(fault_subject){.name = "starting a broker",
	                                  .call = start_broker,
	                                  .undo = stop_broker},
	                 17);
	must(dxh_hub_close(&opened));
}

static const char *channel;
static dxh_producer *producer;
static dxh_consumer *consumer;

static dxh_status produce_and_consume(void)
{
	dxh_channel_config config = channel_config();
	int64_t patience_ns = SOON;
	dxh_status status;

	/* Of one that could not say goodbye the broker learns by its silence. */
	do
		status = dxh_produce(world.producers, channel, &config, patience_ns, &producer);
	while (status == DXH_ECONFLICT && dxh_now_ns() < patience_ns);
	if (status != DXH_OK)
		return status;
	status = dxh_consume(world.consumers, channel, NULL, SOON, &consumer);
	if (status != DXH_OK)
		must(dxh_producer_close(&producer));
	return status;
}

static void close_both(void)
{
	must(dxh_consumer_close(&consumer));
	must(dxh_producer_close(&producer));
}

Test(fault, a_channel_is_produced_and_consumed_or_not, .timeout = 200, .init = quiet)
{
	world_open(&(dxh_broker_config){.beat_ms = 50, .beats_missed = 3});
	channel = new_name();
	fault_everywhere(&(fault_subject){.name = "producing and consuming a channel",
	                                  .call = produce_and_consume,
	                                  .undo = close_both,
	                                  .also_right = {DXH_EOVERLOADED, DXH_ELOST}},
	                 70);
	world_close();
}
