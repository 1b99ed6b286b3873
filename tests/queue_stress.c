/* SPDX-License-Identifier: MIT */
/* The submission queue under load: every node that is pushed is taken once, with
 * what was written to it before, in the order of its poster, and no sleep is slept
 * over a push.
 *
 * Planted: "payload" writes to a node behind its push (a data race); "twice"
 * takes each node for two.
 */
#include "tests/support/stress.h"

#include "queue/doorbell.h"
#include "queue/queue.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { POSTERS = 4, NODES = 64 };

typedef struct item {
	dxi_node node;
	uint32_t poster;
	uint64_t number;      /* plain: published by the queue */
	_Atomic int is_taken; /* the poster's again */
} item;

static dxi_queue queue;
static int doorbell;
static item items[POSTERS][NODES];

static void *post(void *context)
{
	uint32_t poster = (uint32_t)(uintptr_t)context;
	uint64_t random = stress_state(poster), share = stress_operations / POSTERS;

	for (uint64_t number = 0; number < share;) {
		uint64_t batch = 1 + stress_random(&random) % 4;
		dxi_node *newest = NULL, *oldest = NULL;

		for (uint64_t i = 0; i < batch && number < share; i++, number++) {
			item *next = &items[poster][number % NODES];

			while (!atomic_load_explicit(&next->is_taken, memory_order_acquire))
				sched_yield();
			atomic_store_explicit(&next->is_taken, 0, memory_order_relaxed);
			next->poster = poster;
			next->number = number;
			next->node.next = newest;
			newest = &next->node;
			oldest = oldest ? oldest : newest;
		}
		if (dxi_queue_push(&queue, newest, oldest))
			dxi_doorbell_ring(doorbell);
		if (stress_planted("payload"))
			((item *)newest)->number = number - 1;
	}
	return NULL;
}

static uint64_t take_all(uint64_t expected[POSTERS])
{
	dxi_node *node = dxi_queue_take(&queue);
	uint64_t count = 0;

	while (node) {
		item *taken = (item *)node;

		node = node->next;
		stress_equal(taken->number, expected[taken->poster]);
		expected[taken->poster] += stress_planted("twice") ? 2 : 1;
		atomic_store_explicit(&taken->is_taken, 1, memory_order_release);
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	uint64_t expected[POSTERS] = {0}, taken = 0, sleeps = 0;
	pthread_t threads[POSTERS];

	stress_begin(argc, argv, 400000);
	dxi_queue_init(&queue);
	stress_must(dxi_doorbell_open(&doorbell));
	for (int i = 0; i < POSTERS * NODES; i++)
		atomic_store(&items[i / NODES][i % NODES].is_taken, 1);
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&threads[i], NULL, post, (void *)i);
	while (taken < stress_operations / POSTERS * POSTERS) {
		uint64_t some = take_all(expected);

		taken += some;
		if (some > 0 || !dxi_queue_arm(&queue))
			continue;
		/* Nobody rings twice for one sleep: a missed ring would hang here. */
		sleeps++;
		if (poll(&(struct pollfd){.fd = doorbell, .events = POLLIN}, 1, 60000) != 1)
			stress_fail("armed, and no ring for a minute");
		dxi_doorbell_clear(doorbell);
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < POSTERS; i++)
		stress_equal(expected[i], stress_operations / POSTERS);
	stress_equal(taken, stress_operations / POSTERS * POSTERS);
	printf("queue_stress: %" PRIu64 " nodes taken once each and in order, %" PRIu64 " sleeps\n",
	       taken, sleeps);
	return 0;
}
