/* SPDX-License-Identifier: MIT */
/* The state word of completions in hostile hands: operations are completed,
 * cancelled, awaited, polled, released and grouped by threads that know nothing of
 * each other. Each ends once, is released once, is handed out by its group at most
 * once, and every slot comes home.
 *
 * Planted: "twice" completes some a second time (an assert aborts); "leak" keeps
 * one from being released.
 */
#include "tests/support/stress.h"

#include "queue/completion.h"
#include "queue/doorbell.h"
#include "queue/group.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { POSTERS = 2, MEDDLERS = 2, BOARD = 256, SLOTS = 4096, OPEN_MAX = 64, BODY = 8 };

typedef enum task_kind { POSTED = 1, CANCEL } task_kind;

/* What lies in the record of a slot; the cancel comes first, see
 * dxi_completion_begin(). */
typedef struct record {
	dxi_task cancel, post;
	uint64_t body;
} record;

static dxi_queue queue;
static int doorbell;
static dxi_pool *pool;
static dxi_wakes wakes;
static dxh_group *group;

/* Handles that anybody may meddle with; 0: none. */
static _Atomic uint64_t board[BOARD];

static _Atomic uint64_t posted, posted_to_group, posters_left = POSTERS;
static _Atomic uint64_t released, handed_out, awaited;
static uint64_t completed, canceled_early; /* the taker's */
static _Atomic int taker_may_stop;

static record *record_of(dxi_slot *slot)
{
	return (record *)(void *)slot->record;
}

static dxi_slot *slot_of(dxi_task *task, size_t offset)
{
	return (dxi_slot *)(void *)((char *)task - offset - offsetof(dxi_slot, record));
}

/* ---- the taker, who plays the I/O thread ------------------------------------------- */

static dxi_slot *open_slots[OPEN_MAX];
static size_t open_count;
static uint64_t cancels_under_way;

/* An error says why, on the heap, as one from a service does: who awaits it reads the
 * text, while others release the completion. */
static const char *reason(size_t *bytes)
{
	static const char words[] = "there was no time left for it, and nobody to do it anyway";
	char *text = malloc(sizeof words);

	if (!text)
		stress_fail("no memory");
	memcpy(text, words, sizeof words);
	*bytes = sizeof words - 1;
	return text;
}

static void finish(dxi_slot *slot, dxh_status status)
{
	record *its = record_of(slot);
	const void *body = &its->body;
	size_t bytes = BODY;

	if (status != DXH_OK)
		body = reason(&bytes);
	if (dxi_completion_complete(slot, status, DXH_REPLIED, body, bytes, status != DXH_OK,
	                            &wakes))
		cancels_under_way++;
	if (stress_planted("twice") && completed % 64 == 63)
		dxi_completion_complete(slot, status, DXH_REPLIED, NULL, 0, false, &wakes);
	completed++;
}

static void forget(dxi_slot *slot)
{
	for (size_t i = 0; i < open_count; i++)
		if (open_slots[i] == slot) {
			open_slots[i] = open_slots[--open_count];
			return;
		}
}

static void run(dxi_task *task, uint64_t *random)
{
	dxi_slot *slot;

	if (task->kind == CANCEL) {
		slot = slot_of(task, offsetof(record, cancel));
		if (dxi_completion_cancel_seen(slot)) {
			forget(slot);
			finish(slot, DXH_ECANCELED);
		} else {
			cancels_under_way--;
		}
		return;
	}
	slot = slot_of(task, offsetof(record, post));
	if (!dxi_completion_claim(slot)) {
		canceled_early++;
		return;
	}
	/* Some wait for a while, so that cancels find them open. */
	if (open_count < OPEN_MAX && stress_random(random) % 2) {
		open_slots[open_count++] = slot;
		return;
	}
	finish(slot, DXH_OK);
}

static void *take(void *unused)
{
	uint64_t random = stress_state(100);

	(void)unused;
	dxi_may_not_wait = true;
	while (!atomic_load(&taker_may_stop) || open_count > 0 || cancels_under_way > 0) {
		dxi_node *node = dxi_queue_take(&queue);
		bool idle = !node;

		while (node) {
			dxi_node *next = node->next;

			run((dxi_task *)node, &random);
			node = next;
		}
		if (open_count > 0 && (idle || stress_random(&random) % 2))
			finish(open_slots[--open_count], DXH_EEXPIRED);
		dxi_wakes_issue(&wakes);
		if (idle && open_count == 0 && dxi_queue_arm(&queue)) {
			poll(&(struct pollfd){.fd = doorbell, .events = POLLIN}, 1, 20);
			dxi_doorbell_clear(doorbell);
		}
	}
	return NULL;
}

/* ---- those who post, and those who meddle ------------------------------------------------ */

static void release(dxh_completion done)
{
	dxh_status status = dxh_release(done);

	if (status == DXH_OK)
		atomic_fetch_add(&released, 1);
	else if (status != DXH_ESTALE)
		stress_fail("release: %s", dxh_last_error());
}

static void await(dxh_completion done, int64_t deadline_ns)
{
	dxh_reply reply;
	dxh_status status = dxh_await(done, deadline_ns, &reply);

	switch (status) {
	case DXH_OK:
	case DXH_EEXPIRED:
	case DXH_ECANCELED:
		atomic_fetch_add(&awaited, 1);
		break;
	case DXH_EWAIT:
	case DXH_ESTALE:
		break;
	default:
		stress_fail("await: %s", dxh_last_error());
	}
}

static void poll_one(dxh_completion done)
{
	switch (dxh_poll(done)) {
	case DXH_OK:
	case DXH_EWAIT:
	case DXH_ESTALE:
		return;
	default:
		stress_fail("poll: %s", dxh_last_error());
	}
}

/* Put a handle on the board; what was there is released here. */
static void show(dxh_completion done, uint64_t place)
{
	dxh_completion before = atomic_exchange(&board[place % BOARD], done);

	if (before)
		release(before);
}

static void post_one(uint64_t *random)
{
	bool grouped = stress_random(random) % 4 == 0;
	dxi_slot *slot;
	record *its;
	dxh_completion done;

	while (!(slot = dxi_pool_take(pool)))
		sched_yield();
	if (grouped)
		stress_must(dxi_group_expect(group, 1));
	its = record_of(slot);
	*its = (record){.cancel.kind = CANCEL, .post.kind = POSTED};
	done = dxi_completion_begin(slot, grouped ? group : NULL, NULL);
	its->body = done;
	atomic_fetch_add(&posted, 1);
	atomic_fetch_add(&posted_to_group, grouped);
	if (dxi_queue_push(&queue, &its->post.node, &its->post.node))
		dxi_doorbell_ring(doorbell);
	/* One of a group is released by who collects. */
	if (!grouped && stress_random(random) % 8 == 0) {
		dxh_reply reply;

		if (dxh_await(done, dxh_in_ms(60000), &reply) == DXH_EWAIT)
			stress_fail("not ended within a minute");
		if (reply.body_bytes == BODY && memcmp(reply.body, &done, BODY) != 0)
			stress_fail("the body of another operation");
	}
	if (!stress_planted("leak") || done % 997 != 0)
		show(done, stress_random(random));
}

static void *post(void *context)
{
	uint64_t random = stress_state((uintptr_t)context);

	for (uint64_t i = 0; i < stress_operations / POSTERS; i++)
		post_one(&random);
	atomic_fetch_sub(&posters_left, 1);
	return NULL;
}

static void *meddle(void *context)
{
	uint64_t random = stress_state(50 + (uintptr_t)context);

	while (atomic_load(&posters_left) > 0) {
		uint64_t place = stress_random(&random) % BOARD;
		dxh_completion done = atomic_load(&board[place]);

		if (!done)
			continue;
		switch (stress_random(&random) % 6) {
		case 0:
			poll_one(done);
			break;
		case 1:
			await(done, DXH_NOW);
			break;
		case 2:
			await(done, dxh_in_us(50));
			break;
		case 3:
			show(0, place); /* releases it, before or after its end */
			break;
		case 4:
			release(done); /* and whoever has it from the board is late */
			break;
		default:
			(void)dxh_cancel(done, NULL);
			break;
		}
	}
	return NULL;
}

static void *collect(void *unused)
{
	dxh_event events[16];
	size_t count;

	(void)unused;
	for (;;) {
		/* Asked before: what is posted behind it is waited for once more. */
		bool all_posted = atomic_load(&posters_left) == 0;
		dxh_status status = dxh_group_wait(group, 1, events, 16, dxh_in_ms(5), &count);

		if (status == DXH_EEMPTY && all_posted)
			return NULL;
		atomic_fetch_add(&handed_out, count);
		for (size_t i = 0; i < count; i++)
			release(events[i].completion);
	}
}

int main(int argc, char **argv)
{
	pthread_t taker, collector, posters[POSTERS], meddlers[MEDDLERS];

	stress_begin(argc, argv, 200000);
	dxi_queue_init(&queue);
	stress_must(dxi_doorbell_open(&doorbell));
	stress_must(dxh_group_open(&group));
	pool = dxi_pool_open(SLOTS, &queue, doorbell);
	pthread_create(&taker, NULL, take, NULL);
	pthread_create(&collector, NULL, collect, NULL);
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&posters[i], NULL, post, (void *)i);
	for (uintptr_t i = 0; i < MEDDLERS; i++)
		pthread_create(&meddlers[i], NULL, meddle, (void *)i);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i], NULL);
	for (int i = 0; i < MEDDLERS; i++)
		pthread_join(meddlers[i], NULL);
	for (uint64_t i = 0; i < BOARD; i++)
		show(0, i);
	pthread_join(collector, NULL);
	atomic_store(&taker_may_stop, 1);
	pthread_join(taker, NULL);
	stress_equal(posted, stress_operations / POSTERS * POSTERS);
	stress_equal(completed + canceled_early, posted);
	stress_equal(released, posted);
	stress_equal(dxi_pool_out(pool), 0);
	if (handed_out > posted_to_group)
		stress_fail("the group handed out more than was posted to it");
	stress_must(dxh_group_close(&group));
	printf("completion_stress: %" PRIu64 " ended once each, %" PRIu64 " of them cancelled on "
	       "their way, %" PRIu64 " handed out by a group, %" PRIu64 " awaited\n",
	       posted, canceled_early, handed_out, awaited);
	dxi_pool_close(pool);
	return 0;
}
