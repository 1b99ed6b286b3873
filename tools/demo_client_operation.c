/* SPDX-License-Identifier: MIT */
/* Every request that is accepted must end once, in one of seven ways, and every
 * reply must be what was asked for; here it is counted. */
#include "demo_client.h"

#include "demo_sample.h"

#include <string.h>

/* How long after its own deadline a request may end before it counts as never
 * ended: far beyond what a loaded machine needs. */
enum { OVERDUE_MS = 20000 };

/* Bytes that no other request has, in lengths up to the limit. */
void demo_make_echo(struct demo_worker *worker, struct demo_operation *operation)
{
	uint64_t sequence = worker->sequence++;
	uint64_t state = (sequence << 8 | worker->number) * UINT64_C(0x9e3779b97f4a7c15) + 1;

	operation->expect = DEMO_EXPECT_ECHO;
	operation->body_bytes = sequence % 16 == 15 ? DEMO_BODY_MAX : 8 + sequence % 100;
	for (size_t i = 0; i < operation->body_bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		operation->body[i] = (unsigned char)state;
	}
}

const char *demo_subject(const struct demo_operation *operation)
{
	switch (operation->expect) {
	case DEMO_EXPECT_ECHO:
		return "echo";
	case DEMO_EXPECT_STATS:
		return "stats.get";
	case DEMO_EXPECT_ACCEPTED:
	case DEMO_EXPECT_REJECTED:
		break;
	}
	return "rate.set";
}

static void note_refusal(struct demo_worker *worker, dxh_status status, uint64_t count)
{
	if (status != DXH_EFULL)
		demo_say("a request was not accepted: %s", dxh_last_error());
	demo_add(&worker->own->refused, count);
}

bool demo_post(struct demo_worker *worker, struct demo_operation *operation, dxh_group *group,
               int64_t deadline_ns)
{
	const char *subject = demo_subject(operation);
	dxh_status status;

	operation->posted_ns = dxh_now_ns();
	if (group != NULL)
		status = dxh_post_to(group, worker->peer, subject, operation->body,
		                     operation->body_bytes, deadline_ns, &operation->done);
	else
		status = dxh_post(worker->peer, subject, operation->body, operation->body_bytes,
		                  deadline_ns, &operation->done);
	histogram_add(&worker->own->post, dxh_now_ns() - operation->posted_ns);
	operation->open = status == DXH_OK;
	if (!operation->open)
		note_refusal(worker, status, 1);
	else
		demo_add(&worker->own->posted, 1);
	return operation->open;
}

bool demo_post_window(struct demo_worker *worker, size_t count, dxh_group *group,
                      int64_t deadline_ns)
{
	dxh_request_item items[DEMO_WINDOW];
	dxh_completion done[DEMO_WINDOW];
	int64_t begun_ns = dxh_now_ns();
	int64_t cost_ns;
	dxh_status status;

	for (size_t i = 0; i < count; i++) {
		struct demo_operation *operation = &worker->operation[i];

		items[i] = (dxh_request_item){.subject = demo_subject(operation),
		                              .body = operation->body,
		                              .body_bytes = operation->body_bytes,
		                              .deadline_ns = deadline_ns,
		                              .user = operation};
		operation->posted_ns = begun_ns;
	}
	status = dxh_post_batch(worker->peer, items, count, group, done);
	if (status != DXH_OK) {
		note_refusal(worker, status, count);
		return false;
	}
	cost_ns = (dxh_now_ns() - begun_ns) / (int64_t)count;
	for (size_t i = 0; i < count; i++) {
		worker->operation[i].done = done[i];
		worker->operation[i].open = true;
		histogram_add(&worker->own->post, cost_ns);
	}
	demo_add(&worker->own->posted, count);
	return true;
}

/* Is the reply what this request asks for? */
static bool is_right(const struct demo_operation *operation, const dxh_reply *reply)
{
	struct demo_stats_reply stats;

	switch (operation->expect) {
	case DEMO_EXPECT_ECHO:
		return reply->body_bytes == operation->body_bytes &&
		       memcmp(reply->body, operation->body, reply->body_bytes) == 0;
	case DEMO_EXPECT_STATS:
		if (reply->body_bytes != sizeof stats)
			return false;
		memcpy(&stats, reply->body, sizeof stats);
		return stats.checksum ==
		       demo_checksum(&stats, offsetof(struct demo_stats_reply, checksum));
	case DEMO_EXPECT_ACCEPTED:
		return reply->body_bytes == 0;
	case DEMO_EXPECT_REJECTED:
		break;
	}
	return false;
}

static void count_end(struct demo_worker *worker, const struct demo_operation *operation,
                      const dxh_reply *reply)
{
	struct demo_client *own = worker->own;

	if (reply->status == DXH_OK) {
		demo_add(&own->done, 1);
		histogram_add(&own->round_trip, dxh_now_ns() - operation->posted_ns);
		if (!is_right(operation, reply))
			demo_add(&own->wrong_reply, 1);
	} else if (reply->certainty == DXH_REPLIED) {
		demo_add(&own->failed, 1);
		if (operation->expect == DEMO_EXPECT_REJECTED && reply->status == DXH_EREJECTED)
			demo_add(&own->rejections, 1);
		if (reply->status == DXH_EEXPIRED)
			demo_add(&own->answered_late, 1);
	} else if (reply->status == DXH_EEXPIRED) {
		demo_add(&own->expired, 1);
		if (!operation->hasty)
			demo_add(&own->expired_early, 1);
	} else if (reply->status == DXH_ECANCELED) {
		demo_add(&own->canceled, 1);
	} else if (reply->status == DXH_ELOST) {
		demo_add(&own->lost, 1);
	} else if (reply->status == DXH_ECLOSED) {
		demo_add(&own->closed, 1);
	} else {
		demo_say("a request ended in an unusual way: %s", dxh_status_name(reply->status));
		demo_add(&own->other, 1);
	}
}

/* The fault that the report must find. */
static bool forget(const struct demo_worker *worker)
{
	return worker->facts->config.fault == DEMO_FAULT_LOSE_COMPLETION && worker->number == 0 &&
	       worker->sequence == 50;
}

/* Give it back; afterwards the handle must be known to be dead. */
static void release(struct demo_worker *worker, struct demo_operation *operation)
{
	operation->open = false;
	if (dxh_release(operation->done) != DXH_OK)
		demo_add(&worker->own->bad_handle, 1);
	if (worker->sequence % 64 == 0 && dxh_release(operation->done) != DXH_ESTALE)
		demo_add(&worker->own->bad_handle, 1);
}

void demo_settle(struct demo_worker *worker, struct demo_operation *operation)
{
	dxh_reply reply = {0};
	dxh_status status;

	if (!operation->open)
		return;
	status = dxh_await(operation->done, dxh_in_ms(DEMO_REQUEST_MS + OVERDUE_MS), &reply);
	if (status == DXH_EWAIT || status == DXH_ESTALE || status == DXH_EFORKED)
		demo_add(&worker->own->never_ended, 1);
	else if (!forget(worker))
		count_end(worker, operation, &reply);
	release(worker, operation);
}

void demo_settle_event(struct demo_worker *worker, struct demo_operation *operation,
                       const dxh_event *event)
{
	if (!operation->open || operation->done != event->completion) {
		demo_add(&worker->own->ended_twice, 1);
		return;
	}
	count_end(worker, operation, &event->reply);
	release(worker, operation);
}
