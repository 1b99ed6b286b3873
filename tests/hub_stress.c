/* SPDX-License-Identifier: MIT */
/* The books of a whole hub: requests end in every way there is, at random, while peers are
 * closed, services restarted and the hub is drained under its posters. What was created is
 * what was done, refused, expired, cancelled, lost and closed; nobody gets another's answer;
 * nothing is executed that ended as not sent, or twice that must not be; all slots come
 * home; each body that was handed over is given back. Half of the hubs ask over ipc, the
 * others a service of their own over inproc.
 *
 * An operation is a request or a flush that was posted. Each way to end has its share of
 * them, or the program fails.
 *
 * Planted: "books" counts one end too many; "answer" has the service answer one
 * request with the body of another; "again" executes one twice; "unsent" takes what was
 * sent and lost for not sent.
 */
#include "tests/support/ledger.h"
#include "tests/support/restless.h"

#include <pthread.h>

enum {
	POSTERS = 4,
	OPEN = 32, /* of each poster */
	GROUPED = 4,
	OPERATIONS_OF_A_ROUND = 50000,
	DRAINED_AFTER = 20000,
	REFUSED_ENOUGH = 100 /* a poster believes that the hub drains */
};

typedef struct counts {
	_Atomic uint64_t posted, refused, ended[DXH_EUNKNOWN + 1], released_early, notified;
	_Atomic uint64_t certainties[DXH_REPLIED + 1], cancels[DXH_CANCEL_TOO_LATE + 1];
	_Atomic uint64_t grouped, from_group, handed_over, given_back, flushes, peers_closed;
} counts;

static counts all;
static dxh_hub *hub;
static dxh_peer *shared_peer;
static _Atomic uint64_t posters_left;
static uint64_t answered_inproc;
static bool is_inproc, is_drained; /* of this round */
static const char *endpoint;       /* of this round */

/* ---- the asking side -------------------------------------------------------------------- */

typedef struct open_operation {
	dxh_completion done; /* 0: none */
	uint64_t serial;     /* 0: a flush */
	bool is_own;         /* of a peer that nobody else has */
} open_operation;

typedef struct poster {
	uint64_t random;
	dxh_peer *own; /* closed now and then, with what is open; NULL: the hub drains */
	dxh_group *group;
	open_operation open[OPEN];
	uint64_t refused; /* for the hub drains */
} poster;

/* One end, with the answer that belongs to it. */
static void count_end(uint64_t serial, const dxh_reply *reply)
{
	dxh_certainty certainty = reply->certainty;

	if (reply->status > DXH_EUNKNOWN || certainty > DXH_REPLIED)
		stress_fail("status %d, certainty %d", reply->status, certainty);
	atomic_fetch_add(&all.ended[reply->status], 1);
	if (!serial)
		return;
	atomic_fetch_add(&all.certainties[certainty], 1);
	if (reply->status == DXH_OK &&
	    (reply->body_bytes < sizeof serial || memcmp(reply->body, &serial, sizeof serial) != 0))
		stress_fail("the answer of another request");
	if (stress_planted("unsent") && certainty == DXH_MAYBE_EXECUTED)
		certainty = DXH_NOT_SENT;
	ledger_end(serial, reply->status, certainty);
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

static void cancel(dxh_completion done)
{
	dxh_cancel_answer told;

	stress_must(dxh_cancel(done, &told));
	atomic_fetch_add(&all.cancels[told], 1);
}

static void end_one(open_operation *one, uint64_t *random)
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
		cancel(one->done);
		break;
	default:
		break;
	}
	status = dxh_await(one->done, DXH_FOREVER, &reply);
	stress_equal(status, reply.status);
	count_end(one->serial, &reply);
	stress_must(dxh_release(one->done));
	if (dxh_release(one->done) != DXH_ESTALE)
		stress_fail("a second release is not stale");
	one->done = 0;
}

/* What was not posted is as good as not sent. */
static void refuse(poster *self, dxh_status status, uint64_t serial)
{
	if (status == DXH_EDRAINING || status == DXH_ECLOSED)
		self->refused++;
	else if (status != DXH_EFULL)
		stress_fail("post: %s", dxh_last_error());
	atomic_fetch_add(&all.refused, 1);
	if (serial)
		ledger_end(serial, status, DXH_NOT_SENT);
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

static dxh_peer *some_peer(poster *self, bool *is_own)
{
	*is_own = self->own && stress_random(&self->random) % 2;
	return *is_own ? self->own : shared_peer;
}

static void post_one(poster *self, open_operation *one)
{
	static const uint32_t policies[] = {0, DXH_HOLD, DXH_IDEMPOTENT};
	uint64_t *random = &self->random;
	size_t bytes = some_size(random);
	unsigned char *body = calloc(1, bytes);
	bool is_handed_over = stress_random(random) % 4 == 0;
	dxh_request_item item = {.subject = "echo",
	                         .body = body,
	                         .body_bytes = bytes,
	                         .deadline_ns = some_deadline(random),
	                         .flags = policies[stress_random(random) % 3]};
	dxh_status status;

	one->serial = ledger_open(item.flags & DXH_IDEMPOTENT);
	memcpy(body, &one->serial, sizeof one->serial);
	if (is_handed_over) {
		item.flags |= DXH_TRANSFER;
		item.free_fn = take_back;
	}
	status = dxh_post_batch(some_peer(self, &one->is_own), &item, 1, NULL, &one->done);
	if (status == DXH_OK && is_handed_over)
		atomic_fetch_add(&all.handed_over, 1);
	else
		free(body);
	if (status == DXH_OK) {
		atomic_fetch_add(&all.posted, 1);
	} else {
		one->done = 0;
		refuse(self, status, one->serial);
	}
}

static void post_flush(poster *self, open_operation *one)
{
	dxh_flush_level level =
		stress_random(&self->random) % 2 ? DXH_FLUSH_SENT : DXH_FLUSH_REPLIED;

	one->serial = 0;
	stress_must(dxh_flush_post(some_peer(self, &one->is_own), level,
	                           some_deadline(&self->random), &one->done));
	atomic_fetch_add(&all.posted, 1);
	atomic_fetch_add(&all.flushes, 1);
}

/* Some through a group, which has to hand out every one. */
static void post_group(poster *self)
{
	uint64_t serials[GROUPED];
	dxh_completion done[GROUPED];
	dxh_request_item items[GROUPED];
	dxh_event events[GROUPED];
	size_t count, wanted = GROUPED;
	dxh_status status;

	for (int i = 0; i < GROUPED; i++) {
		serials[i] = ledger_open(false);
		items[i] = (dxh_request_item){.subject = "echo",
		                              .body = &serials[i],
		                              .body_bytes = sizeof serials[i],
		                              .deadline_ns = some_deadline(&self->random),
		                              .user = &serials[i]};
	}
	status = dxh_post_batch(shared_peer, items, GROUPED, self->group, done);
	if (status != DXH_OK) {
		for (int i = 0; i < GROUPED; i++)
			refuse(self, status, serials[i]);
		return;
	}
	atomic_fetch_add(&all.posted, GROUPED);
	atomic_fetch_add(&all.grouped, GROUPED);
	if (stress_random(&self->random) % 2)
		cancel(done[2]);
	while (wanted > 0 &&
	       dxh_group_wait(self->group, 1, events, GROUPED, DXH_FOREVER, &count) == DXH_OK) {
		for (size_t i = 0; i < count; i++) {
			count_end(*(uint64_t *)events[i].user, &events[i].reply);
			stress_must(dxh_release(events[i].completion));
		}
		wanted -= count;
		atomic_fetch_add(&all.from_group, count);
	}
	stress_equal(wanted, 0);
}

static void connect_own(poster *self)
{
	dxh_status status = dxh_peer_connect(hub, endpoint, NULL, &self->own);

	if (status != DXH_OK && status != DXH_EDRAINING && status != DXH_ECLOSED)
		stress_fail("connect: %s", dxh_last_error());
	if (status != DXH_OK)
		self->own = NULL;
}

/* What is open with it ends at once. */
static void close_own(poster *self)
{
	if (!self->own)
		return;
	stress_must(dxh_peer_close(&self->own));
	for (int i = 0; i < OPEN; i++)
		if (self->open[i].done && self->open[i].is_own &&
		    dxh_poll(self->open[i].done) != DXH_OK)
			stress_fail("open beyond its peer");
	atomic_fetch_add(&all.peers_closed, 1);
}

/* Mostly one; or so many that they fill frames, which then go with their memory. */
static void post_notes(uint64_t *random)
{
	unsigned char note[400] = {0};
	int count = stress_random(random) % 16 ? 1 : 128;

	for (int i = 0; i < count; i++)
		if (dxh_notify(shared_peer, "note", note, count > 1 ? sizeof note : 8) == DXH_OK)
			atomic_fetch_add(&all.notified, 1);
}

static void post_something(poster *self)
{
	open_operation *one = &self->open[stress_random(&self->random) % OPEN];

	end_one(one, &self->random);
	if (stress_random(&self->random) % 64 == 0)
		post_flush(self, one);
	else
		post_one(self, one);
	if (stress_random(&self->random) % 16 == 0)
		post_group(self);
	if (stress_random(&self->random) % 4 == 0)
		post_notes(&self->random);
	if (stress_random(&self->random) % 1024 == 0) {
		close_own(self);
		connect_own(self);
	}
}

static void *post(void *context)
{
	poster self = {.random = stress_state((uintptr_t)context)};
	uint64_t share = OPERATIONS_OF_A_ROUND / POSTERS;

	stress_must(dxh_group_open(&self.group));
	connect_own(&self);
	for (uint64_t i = 0; is_drained ? self.refused < REFUSED_ENOUGH : i < share; i++)
		post_something(&self);
	for (int i = 0; i < OPEN; i++)
		end_one(&self.open[i], &self.random);
	close_own(&self);
	stress_must(dxh_group_close(&self.group));
	atomic_fetch_sub(&posters_left, 1);
	return NULL;
}

/* ---- the books --------------------------------------------------------------------------- */

static void ignore(void *context, const char *line)
{
	(void)context;
	(void)line;
}

/* Of one hub, when nobody posts any more. */
static void balance(uint64_t posted, uint64_t notified)
{
	dxh_hub_stats stats;
	uint64_t ended;

	/* What was posted and released at once the I/O thread may have still to take: a dump
	 * comes behind it. */
	stress_must(dxh_hub_dump(hub, ignore, NULL));
	stress_must(dxh_hub_stats_get(hub, &stats));
	ended = stats.done + stats.errors + stats.expired + stats.canceled + stats.lost +
	        stats.unsendable + stats.closed + stats.flushed;
	stress_equal(stats.posted, posted);
	stress_equal(ended + (uint64_t)stress_planted("books"), stats.posted);
	stress_equal(stats.open_now, 0);
	stress_equal(stats.slots_now, 0);
	stress_equal(stats.notifications_posted, notified);
	stress_equal(stats.notifications_sent + stats.notifications_dropped, notified);
}

/* One hub from open to close, every second one drained while its posters are at it. */
static void round_of_a_hub(uint64_t number, const restless_server *far)
{
	static restless_server near = {.endpoint = "inproc://stress"};

	dxh_hub_config config = {.reconnect_min_ns = 1000000, .reconnect_max_ns = 5000000};
	uint64_t posted_before = all.posted, notified_before = all.notified;
	uint64_t answered_before = restless_answered;
	pthread_t posters[POSTERS];

	is_drained = number % 2 == 0;
	is_inproc = number / 2 % 2;
	endpoint = is_inproc ? near.endpoint : far->endpoint;
	stress_must(dxh_hub_open(&config, &hub));
	stress_must(dxh_peer_connect(hub, endpoint, NULL, &shared_peer));
	near.hub = hub;
	if (is_inproc)
		restless_start(&near);
	posters_left = POSTERS;
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&posters[i], NULL, post, (void *)(i + number * POSTERS));
	while (is_drained ? all.posted - posted_before < DRAINED_AFTER : posters_left > 0)
		usleep(1000);
	(void)dxh_hub_drain(hub, dxh_in_ms(is_drained ? 20 : 5000), NULL);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i], NULL);
	if (is_inproc) {
		restless_stop(&near);
		answered_inproc += restless_answered - answered_before;
	}
	balance(all.posted - posted_before, all.notified - notified_before);
	stress_must(dxh_hub_close(&hub));
	stress_equal(all.given_back, all.handed_over);
}

/* Of all hubs. */
static void close_books(void)
{
	uint64_t ended = all.released_early;

	for (int i = 0; i <= DXH_EUNKNOWN; i++)
		ended += all.ended[i];
	stress_equal(ended, all.posted);
	stress_equal(all.from_group, all.grouped);
	stress_equal(all.given_back, all.handed_over);
}

/* Each way to end, with the share of all that it had at the least: one in so many. */
static void tell_way(const char *name, uint64_t count, uint64_t one_in)
{
	printf(", %s %" PRIu64, name, count);
	if (count * one_in < all.posted)
		stress_fail("only %" PRIu64 " %s of %" PRIu64 ", less than one in %" PRIu64, count,
		            name, all.posted, one_in);
}

static void tell(uint64_t hubs)
{
	printf("hub_stress: %" PRIu64 " posted in %" PRIu64 " hubs, each ended once", all.posted,
	       hubs);
	tell_way("answered", all.ended[DXH_OK], 4);
	tell_way("rejected", all.ended[DXH_EREJECTED], 20);
	tell_way("expired", all.ended[DXH_EEXPIRED], 2000);
	tell_way("cancelled", all.ended[DXH_ECANCELED], 200);
	tell_way("lost", all.ended[DXH_ELOST], 20000);
	tell_way("closed", all.ended[DXH_ECLOSED], 2000);
	tell_way("released early", all.released_early, 20);
	tell_way("cancels before they left", all.cancels[DXH_CANCELED], 1000);
	tell_way("cancels on their way", all.cancels[DXH_CANCEL_PENDING], 5000);
	tell_way("cancels too late", all.cancels[DXH_CANCEL_TOO_LATE], 200);
	tell_way("not sent", all.certainties[DXH_NOT_SENT], 200);
	tell_way("maybe executed", all.certainties[DXH_MAYBE_EXECUTED], 2000);
	tell_way("replied", all.certainties[DXH_REPLIED], 4);
	tell_way("answered over inproc", answered_inproc, 5);
	tell_way("flushes", all.flushes, 200);
	tell_way("peers closed", all.peers_closed, 5000);
	tell_way("services restarted", restless_restarts, 20000);
	printf(", %" PRIu64 " refused\n", all.refused);
}

int main(int argc, char **argv)
{
	restless_server far = {.hub = NULL};
	uint64_t rounds = 0;

	stress_begin(argc, argv, 100000);
	snprintf(far.endpoint, sizeof far.endpoint, "ipc://@dxh-stress-%d", (int)getpid());
	dxh_log_set(DXH_LOG_ERROR, NULL, NULL);
	stress_must(dxh_hub_open(NULL, &far.hub));
	restless_start(&far);
	/* Four hubs at least: over each of the two, drained and taken away. */
	while (all.posted < stress_operations || rounds < 4)
		round_of_a_hub(rounds++, &far);
	restless_stop(&far);
	stress_must(dxh_hub_close(&far.hub));
	close_books();
	tell(rounds);
	return 0;
}
