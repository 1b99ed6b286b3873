/* SPDX-License-Identifier: MIT */
/* Forks at any moment, beside threads that post, await, notify, answer, publish and
 * read: in the child every call of the parent's objects is DXH_EFORKED at once, and a
 * hub of its own works; the parent notices nothing, and its books balance. One fork
 * for 200 operations.
 *
 * Planted: "books" counts one end too many; "child" has a child take the parent's hub
 * for its own.
 */
#include "tests/support/asan.h"
#include "tests/support/stress.h"

#include <dxh/block.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

enum {
	POSTERS = 2,
	OPERATIONS_OF_A_FORK = 200,
	FORKS_MAX = 5000,
	CHILD_S_MAX = 60,
	AT_ONCE_MS = 5000, /* far from any wait, and enough for a loaded machine */
	OPEN = 8
};

static dxh_hub *hub, *server;
static dxh_peer *peer, *nobody;
static dxh_service *service;
static dxh_group *group;
static dxh_completion held; /* open all the time */
static dxh_subscription *subscription;
static dxh_producer *producer;
static dxh_consumer *consumer;
static char endpoint[64], block[64];
static _Atomic bool stop;
static _Atomic uint64_t posted, ended, answered, published, consumed;

/* ---- the parent's threads --------------------------------------------------------------- */

static void *post(void *context)
{
	uint64_t random = stress_state((uintptr_t)context);
	dxh_completion done[OPEN];

	while (!stop) {
		int count = 0;

		while (count < OPEN && dxh_post(peer, "echo", &random, sizeof random,
		                                dxh_in_ms(20000), &done[count]) == DXH_OK)
			count++;
		posted += (unsigned)count;
		(void)!dxh_notify(peer, "note", &random, sizeof random);
		for (int i = 0; i < count; i++) {
			if (stress_random(&random) % 8 == 0)
				stress_must(dxh_cancel(done[i], NULL));
			if (dxh_await(done[i], DXH_FOREVER, NULL) == DXH_OK)
				answered++;
			stress_must(dxh_release(done[i]));
			ended++;
		}
	}
	return NULL;
}

static void *serve(void *unused)
{
	dxh_request *request;
	size_t bytes;

	while (dxh_service_receive(service, DXH_FOREVER, &request) == DXH_OK) {
		const void *body = dxh_request_body(request, &bytes);

		if (dxh_request_is_notification(request))
			dxh_request_release(request);
		else
			(void)dxh_request_reply(request, body, bytes);
	}
	return unused;
}

static void *produce(void *unused)
{
	while (!stop) {
		uint64_t item = published;

		stress_must(dxh_publish(producer, &item, sizeof item, DXH_NOW));
		published++;
		sched_yield();
	}
	return unused;
}

static void *consume(void *unused)
{
	uint64_t copy;
	dxh_item item;

	while (!stop) {
		dxh_status status =
			dxh_read_next(consumer, &copy, sizeof copy, dxh_in_ms(20), &item);

		if (status == DXH_OK && copy != item.ticket)
			stress_fail("item %" PRIu64 " holds %" PRIu64, item.ticket, copy);
		if (status != DXH_OK && status != DXH_EWAIT && status != DXH_ELAPPED)
			stress_fail("read: %s", dxh_last_error());
		consumed += status == DXH_OK;
	}
	return unused;
}

/* ---- the child ------------------------------------------------------------------------------ */

#define refused(call)                                                                              \
	do {                                                                                       \
		dxh_status got_ = (call);                                                          \
		if (got_ != DXH_EFORKED)                                                           \
			stress_fail("in the child %s is %s", #call, dxh_status_name(got_));        \
	} while (0)

static void use_completions(void)
{
	dxh_event event;
	dxh_reply reply;
	size_t count;

	refused(dxh_await(held, DXH_FOREVER, &reply));
	refused(dxh_poll(held));
	refused(dxh_result(held, &reply));
	refused(dxh_cancel(held, NULL));
	refused(dxh_release(held));
	refused(dxh_group_wait(group, 1, &event, 1, DXH_FOREVER, &count));
	refused(dxh_group_next(group, &event, DXH_FOREVER));
}

static void use_hub(void)
{
	dxh_completion done;
	dxh_hub_stats stats;
	dxh_peer *more;
	dxh_service *another;

	refused(dxh_post(peer, "echo", "x", 1, DXH_FOREVER, &done));
	refused(dxh_post_to(group, peer, "echo", "x", 1, DXH_FOREVER, &done));
	refused(dxh_request_sync(peer, "echo", "x", 1, DXH_FOREVER, NULL, 0, NULL));
	refused(dxh_notify(peer, "note", "x", 1));
	refused(dxh_flush(peer, DXH_FLUSH_REPLIED, DXH_FOREVER));
	refused(dxh_peer_connect(hub, endpoint, NULL, &more));
	refused(dxh_service_bind(hub, "ipc://@dxh-fork-child", NULL, &another));
	refused(dxh_hub_stats_get(hub, &stats));
	refused(dxh_hub_drain(hub, DXH_FOREVER, NULL));
	more = peer;
	refused(dxh_peer_close(&more));
}

static void use_service(void)
{
	dxh_service *closing = service;
	dxh_request *request;
	const dxh_note *note;

	refused(dxh_service_receive(service, DXH_FOREVER, &request));
	refused(dxh_service_publish(service, "topic", "x", 1));
	refused(dxh_service_stop(service));
	refused(dxh_service_close(&closing));
	refused(dxh_subscription_receive(subscription, DXH_FOREVER, &note));
}

static void use_block(void)
{
	uint64_t copy;
	dxh_item item;

	refused(dxh_publish(producer, "x", 1, DXH_FOREVER));
	refused(dxh_read_next(consumer, &copy, sizeof copy, DXH_FOREVER, &item));
}

/* What a child may do: with a hub of its own ask the parent's service. */
static void open_its_own(void)
{
	uint64_t number = 4711, answer;
	dxh_peer *asked;
	dxh_hub *own;
	size_t bytes;

	stress_must(dxh_hub_open(NULL, &own));
	stress_must(dxh_peer_connect(own, endpoint, NULL, &asked));
	stress_must(dxh_request_sync(asked, "echo", &number, sizeof number, dxh_in_ms(30000),
	                             &answer, sizeof answer, &bytes));
	stress_equal(answer, number);
	stress_must(dxh_hub_close(&own));
}

static _Noreturn void be_a_child(uint64_t number)
{
	int64_t begun_ns = dxh_now_ns();

	alarm(CHILD_S_MAX);
	if (number == 10 && stress_planted("child"))
		stress_must(dxh_request_sync(peer, "echo", "x", 1, dxh_in_ms(1000), NULL, 0, NULL));
	use_completions();
	use_hub();
	use_service();
	use_block();
	if (dxh_now_ns() - begun_ns > (int64_t)AT_ONCE_MS * 1000000)
		stress_fail("the child was held up");
	stress_must(dxh_hub_close(&hub)); /* which frees nothing of the parent's */
	stress_must(dxh_hub_close(&server));
#ifdef TEST_ASAN
	_exit(0);
#endif
	stress_must(dxh_consumer_close(&consumer));
	stress_must(dxh_producer_close(&producer));
	if (number % 4 == 0)
		open_its_own();
	_exit(0);
}

/* ---- the parent -------------------------------------------------------------------------------- */

static void open_all(void)
{
	const dxh_block_config config = {
		.slot = DXH_SLOT_BYTES(64), .slot_count = 16, .unlink_on_close = 1};

	stress_must(dxh_hub_open(NULL, &server));
	stress_must(dxh_service_bind(server, endpoint, NULL, &service));
	stress_must(dxh_hub_open(NULL, &hub));
	stress_must(dxh_peer_connect(hub, endpoint, NULL, &peer));
	stress_must(dxh_peer_connect(hub, "ipc://@dxh-fork-nobody", NULL, &nobody));
	stress_must(dxh_group_open(&group));
	stress_must(dxh_post_to(group, nobody, "never", NULL, 0, DXH_FOREVER, &held));
	stress_must(dxh_subscribe(peer, "topic", NULL, &subscription));
	stress_must(dxh_producer_open(block, &config, &producer));
	stress_must(dxh_consumer_open(block, NULL, &consumer));
}

static void close_all(void)
{
	dxh_hub_stats stats;

	stress_must(dxh_peer_close(&nobody));
	if (dxh_await(held, DXH_FOREVER, NULL) != DXH_ECLOSED)
		stress_fail("what was held ended otherwise: %s", dxh_last_error());
	stress_must(dxh_release(held));
	stress_must(dxh_group_close(&group));
	stress_must(dxh_subscription_close(&subscription));
	stress_must(dxh_hub_drain(hub, dxh_in_ms(20000), NULL));
	stress_must(dxh_hub_stats_get(hub, &stats));
	stress_equal(stats.posted, posted + 1);
	stress_equal(ended + (uint64_t)stress_planted("books"), posted);
	stress_equal(stats.done, answered);
	stress_equal(stats.slots_now, 0);
	stress_must(dxh_hub_close(&hub));
	stress_must(dxh_hub_close(&server));
	stress_must(dxh_consumer_close(&consumer));
	stress_must(dxh_producer_close(&producer));
}

static void fork_one(uint64_t number)
{
	pid_t child = fork();
	int how = -1;

	if (child == 0)
		be_a_child(number);
	if (child == -1 || waitpid(child, &how, 0) != child || how != 0)
		stress_fail("child %" PRIu64 " ended with %d", number, how);
}

int main(int argc, char **argv)
{
	pthread_t posters[POSTERS], answering, producing, consuming;
	uint64_t forks, random;

	stress_begin(argc, argv, 100000);
	forks = stress_operations / OPERATIONS_OF_A_FORK;
	if (forks > FORKS_MAX)
		forks = FORKS_MAX;
	random = stress_state(99);
	snprintf(endpoint, sizeof endpoint, "ipc://@dxh-fork-%d", (int)getpid());
	snprintf(block, sizeof block, "fork-%d", (int)getpid());
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	open_all();
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&posters[i], NULL, post, (void *)i);
	pthread_create(&answering, NULL, serve, NULL);
	pthread_create(&producing, NULL, produce, NULL);
	pthread_create(&consuming, NULL, consume, NULL);
	for (uint64_t i = 0; i < forks; i++) {
		usleep((useconds_t)(stress_random(&random) % 1000));
		fork_one(i);
	}
	stop = true;
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i], NULL);
	pthread_join(producing, NULL);
	pthread_join(consuming, NULL);
	stress_must(dxh_service_stop(service));
	pthread_join(answering, NULL);
	close_all();
	if (answered == 0 || consumed == 0)
		stress_fail("the parent did nothing meanwhile");
	printf("fork_stress: %" PRIu64 " forks, beside %" PRIu64 " requests and %" PRIu64
	       " items of which %" PRIu64 " were read\n",
	       forks, posted, published, consumed);
	return 0;
}
