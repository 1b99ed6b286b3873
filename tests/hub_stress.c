/* SPDX-License-Identifier: MIT */
/* The books of a whole hub: requests end in every way there is, at random, while
 * connections are cut, services restarted and the hub is drained under its
 * posters. What was created is what was done, refused, expired, cancelled, lost and
 * closed; nobody gets another's answer; all slots come home; each body that was handed
 * over is given back. Half of the hubs ask over ipc, the others a service of their own
 * over inproc.
 *
 * Planted: "books" counts one end too many; "answer" has the service answer one
 * request with the body of another.
 */
#include "tests/support/stress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { POSTERS = 4, WORKERS = 2, OPEN = 32, HELD_MAX = 16, OPERATIONS_OF_A_ROUND = 50000 };

typedef struct counts {
	_Atomic uint64_t posted, refused, ended[DXH_EUNKNOWN + 1], released_early, notified;
	_Atomic uint64_t grouped, from_group, handed_over, given_back;
} counts;

static counts all;
static dxh_hub *hub;
static dxh_peer *peer;
static _Atomic uint64_t answered, posters_left, answered_inproc;
static bool is_inproc; /* of this round */

/* Where a service comes and goes. */
typedef struct server {
	dxh_hub *hub;
	char endpoint[64];
	dxh_service *service; /* while there are workers */
	_Atomic int stop;
	pthread_t thread;
} server;

typedef struct worker {
	server *of;
	uint64_t number;
	pthread_t thread;
} worker;

/* ---- the answering side -------------------------------------------------------------- */

static void answer(dxh_request *request, uint64_t *random)
{
	size_t bytes;
	const void *body = dxh_request_body(request, &bytes);
	uint64_t wrong = 0;

	if (atomic_fetch_add(&answered, 1) % 1000 == 777 && stress_planted("answer"))
		body = &wrong, bytes = sizeof wrong;
	switch (stress_random(random) % 8) {
	case 0:
		dxh_request_release(request);
		break;
	case 1:
		(void)dxh_request_reject(request, DXH_EREJECTED, "no");
		break;
	default:
		(void)dxh_request_reply(request, body, bytes);
		break;
	}
}

static void *serve(void *context)
{
	const worker *self = context;
	uint64_t random = stress_state(200 + self->number);
	dxh_request *held[HELD_MAX];
	size_t held_count = 0;
	dxh_request *request;
	dxh_status status;

	do {
		status = dxh_service_receive(self->of->service, dxh_in_ms(5), &request);
		if (status == DXH_OK && dxh_request_is_notification(request))
			dxh_request_release(request);
		else if (status == DXH_OK && held_count < HELD_MAX &&
		         stress_random(&random) % 4 == 0)
			held[held_count++] = request;
		else if (status == DXH_OK)
			answer(request, &random);
		if (held_count > 0 && (status != DXH_OK || stress_random(&random) % 4 == 0))
			answer(held[--held_count], &random);
	} while (status == DXH_OK || (status == DXH_EWAIT && !self->of->stop));
	while (held_count > 0)
		answer(held[--held_count], &random);
	return NULL;
}

/* Serve, and now and then go away and come back, until told to stop. */
static void *serve_and_restart(void *context)
{
	server *self = context;
	worker workers[WORKERS];

	while (!self->stop) {
		dxh_status status =
			dxh_service_bind(self->hub, self->endpoint, NULL, &self->service);

		if (status == DXH_EDRAINING || status == DXH_ECLOSED)
			break; /* its own hub goes */
		stress_must(status);
		for (uint64_t i = 0; i < WORKERS; i++) {
			workers[i] = (worker){.of = self, .number = i};
			pthread_create(&workers[i].thread, NULL, serve, &workers[i]);
		}
		for (int i = 0; i < 40 && !self->stop; i++)
			usleep(5000);
		stress_must(dxh_service_stop(self->service));
		for (int i = 0; i < WORKERS; i++)
			pthread_join(workers[i].thread, NULL);
		stress_must(dxh_service_close(&self->service));
	}
	return NULL;
}

static void start_serving(server *self)
{
	self->stop = 0;
	pthread_create(&self->thread, NULL, serve_and_restart, self);
}

static void stop_serving(server *self)
{
	self->stop = 1;
	pthread_join(self->thread, NULL);
}

/* ---- the asking side -------------------------------------------------------------------- */

/* One end, with the answer that belongs to it. */
static void count_end(dxh_status status, uint64_t asked, const dxh_reply *reply)
{
	if (status == DXH_OK &&
	    (reply->body_bytes < sizeof asked || memcmp(reply->body, &asked, sizeof asked) != 0))
		stress_fail("the answer of another request");
	if (status > DXH_EUNKNOWN)
		stress_fail("status %d", status);
	atomic_fetch_add(&all.ended[status], 1);
}

static int64_t some_deadline(uint64_t *random)
{
	switch (stress_random(random) % 4) {
	case 0:
		return dxh_in_us((int64_t)(stress_random(random) % 2000));
	case 1:
		return dxh_in_ms((int64_t)(stress_random(random) % 50));
	default:
		return dxh_in_ms(20000);
	}
}

typedef struct open_request {
	dxh_completion done; /* 0: none */
	uint64_t asked;
} open_request;

static void end_one(open_request *one, uint64_t *random)
{
	dxh_reply reply = {0};
	dxh_status status;

	if (!one->done)
		return;
	switch (stress_random(random) % 8) {
	case 0:
		stress_must(dxh_release(one->done));
		atomic_fetch_add(&all.released_early, 1);
		one->done = 0;
		return;
	case 1:
	case 2:
		stress_must(dxh_cancel(one->done, NULL));
		break;
	default:
		break;
	}
	status = dxh_await(one->done, DXH_FOREVER, &reply);
	count_end(status, one->asked, &reply);
	stress_must(dxh_release(one->done));
	if (dxh_release(one->done) != DXH_ESTALE)
		stress_fail("a second release is not stale");
	one->done = 0;
}

static void refuse(dxh_status status)
{
	if (status != DXH_EFULL && status != DXH_EDRAINING && status != DXH_ECLOSED)
		stress_fail("post: %s", dxh_last_error());
	atomic_fetch_add(&all.refused, 1);
}

static void take_back(void *context, void *body)
{
	(void)context;
	*(volatile unsigned char *)body = 0; /* whoever still reads it races with this */
	free(body);
	atomic_fetch_add(&all.given_back, 1);
}

/* Most are small. Over inproc workers read large ones where they lie; libzmq would read
 * them too, and ThreadSanitizer does not see how it hands them between its threads. */
static size_t some_size(uint64_t *random)
{
	if (stress_random(random) % 4)
		return sizeof(uint64_t);
	if (!is_inproc || stress_random(random) % 16)
		return 300;
	return stress_random(random) % 8 ? 40000 : 300000;
}

static void post_one(open_request *one, uint64_t *random)
{
	static const uint32_t policies[] = {0, DXH_HOLD, DXH_IDEMPOTENT};
	size_t bytes = some_size(random);
	unsigned char *body = calloc(1, bytes);
	bool is_handed_over = stress_random(random) % 4 == 0;
	dxh_request_item item = {.subject = "echo",
	                         .body = body,
	                         .body_bytes = bytes,
	                         .deadline_ns = some_deadline(random),
	                         .flags = policies[stress_random(random) % 3]};
	dxh_status status;

	if (is_handed_over) {
		item.flags |= DXH_TRANSFER;
		item.free_fn = take_back;
	}
	one->asked = stress_random(random);
	memcpy(body, &one->asked, sizeof one->asked);
	status = dxh_post_batch(peer, &item, 1, NULL, &one->done);
	if (status == DXH_OK && is_handed_over)
		atomic_fetch_add(&all.handed_over, 1);
	else
		free(body);
	if (status == DXH_OK) {
		atomic_fetch_add(&all.posted, 1);
	} else {
		one->done = 0;
		refuse(status);
	}
}

/* Some through a group, which has to hand out every one. */
static void post_group(dxh_group *group, uint64_t *random)
{
	uint64_t asked[4];
	dxh_completion done[4];
	dxh_request_item items[4];
	dxh_event events[4];
	size_t count, wanted = 4;

	for (int i = 0; i < 4; i++) {
		asked[i] = stress_random(random);
		items[i] = (dxh_request_item){.subject = "echo",
		                              .body = &asked[i],
		                              .body_bytes = sizeof asked[i],
		                              .deadline_ns = some_deadline(random),
		                              .user = &asked[i]};
	}
	if (dxh_post_batch(peer, items, 4, group, done) != DXH_OK) {
		atomic_fetch_add(&all.refused, 4);
		return;
	}
	atomic_fetch_add(&all.posted, 4);
	atomic_fetch_add(&all.grouped, 4);
	if (stress_random(random) % 2)
		stress_must(dxh_cancel(done[2], NULL));
	while (wanted > 0 && dxh_group_wait(group, 1, events, 4, DXH_FOREVER, &count) == DXH_OK) {
		for (size_t i = 0; i < count; i++) {
			count_end(events[i].reply.status, *(uint64_t *)events[i].user,
			          &events[i].reply);
			stress_must(dxh_release(events[i].completion));
		}
		wanted -= count;
		atomic_fetch_add(&all.from_group, count);
	}
	stress_equal(wanted, 0);
}

static void *post(void *context)
{
	uint64_t share = OPERATIONS_OF_A_ROUND / POSTERS;
	uint64_t random = stress_state((uintptr_t)context + atomic_load(&all.posted));
	open_request open[OPEN] = {{0}};
	dxh_group *group;

	if (share > stress_operations / POSTERS)
		share = stress_operations / POSTERS;
	stress_must(dxh_group_open(&group));
	for (uint64_t i = 0; i < share; i++) {
		open_request *one = &open[stress_random(&random) % OPEN];

		end_one(one, &random);
		post_one(one, &random);
		if (stress_random(&random) % 16 == 0)
			post_group(group, &random);
		if (stress_random(&random) % 4 == 0 &&
		    dxh_notify(peer, "note", &i, sizeof i) == DXH_OK)
			atomic_fetch_add(&all.notified, 1);
	}
	for (int i = 0; i < OPEN; i++)
		end_one(&open[i], &random);
	stress_must(dxh_group_close(&group));
	atomic_fetch_sub(&posters_left, 1);
	return NULL;
}

/* One hub from open to close, drained while its posters are at it. */
static void round_of_a_hub(uint64_t number, const server *far)
{
	static server own = {.endpoint = "inproc://stress"};

	dxh_hub_config config = {.reconnect_min_ns = 1000000, .reconnect_max_ns = 5000000};
	pthread_t posters[POSTERS];
	dxh_drain_report report;
	dxh_hub_stats stats;
	uint64_t posted_before = all.posted, answered_before = answered, ended;

	is_inproc = number / 2 % 2;
	stress_must(dxh_hub_open(&config, &hub));
	stress_must(dxh_peer_connect(hub, is_inproc ? own.endpoint : far->endpoint, NULL, &peer));
	own.hub = hub;
	if (is_inproc)
		start_serving(&own);
	posters_left = POSTERS;
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&posters[i], NULL, post, (void *)(i + number * POSTERS));
	/* Every second round the hub goes away under them. */
	while (posters_left > 0 && (number % 2 || all.posted - posted_before < 20000))
		usleep(1000);
	(void)dxh_hub_drain(hub, dxh_in_ms(number % 2 ? 5000 : 20), &report);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i], NULL);
	if (is_inproc) {
		stop_serving(&own);
		answered_inproc += answered - answered_before;
	}
	stress_must(dxh_hub_stats_get(hub, &stats));
	ended = stats.done + stats.errors + stats.expired + stats.canceled + stats.lost +
	        stats.unsendable + stats.closed + stats.flushed;
	stress_equal(stats.posted, all.posted - posted_before);
	stress_equal(ended + (uint64_t)stress_planted("books"), stats.posted);
	stress_equal(stats.open_now, 0);
	stress_equal(stats.slots_now, 0);
	stress_must(dxh_hub_close(&hub));
	stress_equal(all.given_back, all.handed_over);
}

int main(int argc, char **argv)
{
	uint64_t ended, rounds = 0;
	server far = {.hub = NULL};

	stress_begin(argc, argv, 100000);
	snprintf(far.endpoint, sizeof far.endpoint, "ipc://@dxh-stress-%d", (int)getpid());
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	stress_must(dxh_hub_open(NULL, &far.hub));
	start_serving(&far);
	/* Four hubs at least: over each of the two, drained and taken away. */
	while (all.posted + all.refused < stress_operations || rounds < 4)
		round_of_a_hub(rounds++, &far);
	stop_serving(&far);
	stress_must(dxh_hub_close(&far.hub));
	if (answered_inproc == 0)
		stress_fail("nothing was answered over inproc");

	ended = all.released_early;
	for (int i = 0; i <= DXH_EUNKNOWN; i++)
		ended += all.ended[i];
	stress_equal(ended, all.posted);
	stress_equal(all.from_group, all.grouped);
	stress_equal(all.given_back, all.handed_over);
	printf("hub_stress: %" PRIu64 " posted in %" PRIu64 " hubs, %" PRIu64
	       " refused, each ended "
	       "once:",
	       all.posted, rounds, all.refused);
	for (int i = 0; i <= DXH_EUNKNOWN; i++)
		if (all.ended[i] > 0)
			printf(" %s %" PRIu64, dxh_status_name((dxh_status)i), all.ended[i]);
	printf(", released before %" PRIu64 "; answered over inproc %" PRIu64 " of %" PRIu64 "\n",
	       all.released_early, answered_inproc, answered);
	return 0;
}
