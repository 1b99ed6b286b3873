/* SPDX-License-Identifier: MIT */
/* The submission queue: order, the armed mark, many posters. */
#include "queue/queue.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct item {
	dxi_node node;
	uint32_t poster;
	uint32_t number;
};

static dxi_queue queue;

static bool push(struct item *item)
{
	return dxi_queue_push(&queue, &item->node, &item->node);
}

Test(queue, take_of_an_empty_queue_is_null, .timeout = 5)
{
	dxi_queue_init(&queue);
	cr_expect_null(dxi_queue_take(&queue));
}

Test(queue, take_hands_out_in_the_order_of_pushes, .timeout = 5)
{
	struct item items[3];
	dxi_node *first;

	dxi_queue_init(&queue);
	for (int i = 0; i < 3; i++)
		cr_expect_not(push(&items[i]), "nobody sleeps, so nobody is woken");
	first = dxi_queue_take(&queue);
	cr_assert_eq(first, &items[0].node);
	cr_assert_eq(first->next, &items[1].node);
	cr_assert_eq(first->next->next, &items[2].node);
	cr_assert_null(first->next->next->next);
	cr_expect_null(dxi_queue_take(&queue));
}

Test(queue, a_chain_comes_out_oldest_first_behind_what_was_there, .timeout = 5)
{
	struct item before, chain[2];
	dxi_node *first;

	dxi_queue_init(&queue);
	push(&before);
	chain[1].node.next = &chain[0].node;
	dxi_queue_push(&queue, &chain[1].node, &chain[0].node);
	first = dxi_queue_take(&queue);
	cr_assert_eq(first, &before.node);
	cr_assert_eq(first->next, &chain[0].node);
	cr_assert_eq(first->next->next, &chain[1].node);
}

Test(queue, exactly_the_first_push_after_arming_must_ring, .timeout = 5)
{
	struct item items[3];

	dxi_queue_init(&queue);
	cr_assert(dxi_queue_arm(&queue));
	cr_expect(push(&items[0]));
	cr_expect_not(push(&items[1]));
	dxi_queue_take(&queue);
	cr_expect_not(push(&items[2]), "a take disarms");
}

Test(queue, arming_fails_when_something_was_pushed, .timeout = 5)
{
	struct item item;

	dxi_queue_init(&queue);
	push(&item);
	cr_expect_not(dxi_queue_arm(&queue));
	dxi_queue_take(&queue);
	cr_expect(dxi_queue_arm(&queue));
	cr_expect(dxi_queue_arm(&queue), "armed twice is armed");
	cr_expect_null(dxi_queue_take(&queue), "the mark is no node");
}

/* Every order of two pushes, an arm and a take: a push is lost to nobody, and who
 * arms successfully is rung for by the next push. */
Test(queue, every_order_of_small_events_keeps_the_promise, .timeout = 5)
{
	enum { STEPS = 4, ORDERS = 256 };
	unsigned tried = 0;

	for (unsigned order = 0; order < ORDERS; order++) {
		struct item items[STEPS];
		unsigned pushed = 0, taken = 0;
		bool asleep = false;

		dxi_queue_init(&queue);
		for (unsigned step = 0; step < STEPS; step++) {
			unsigned what = order >> (2 * step) & 3;

			if (what <= 1) {
				cr_assert_eq(push(&items[pushed++]), asleep);
				asleep = false;
			} else if (what == 2) {
				bool armed = dxi_queue_arm(&queue);

				cr_assert_eq(armed, pushed == taken);
				asleep = armed;
			} else {
				for (dxi_node *node = dxi_queue_take(&queue); node;
				     node = node->next)
					cr_assert_eq(node, &items[taken++].node);
				cr_assert_eq(taken, pushed);
				asleep = false;
			}
		}
		tried++;
	}
	cr_assert_eq(tried, ORDERS);
}

enum { POSTERS = 8, ITEMS = 20000 };
static struct item posted[POSTERS][ITEMS];
static _Atomic uint64_t rings;

static void *post_all(void *context)
{
	uint32_t poster = (uint32_t)(uintptr_t)context;

	for (uint32_t i = 0; i < ITEMS; i++) {
		posted[poster][i].poster = poster;
		posted[poster][i].number = i;
		if (push(&posted[poster][i]))
			rings++;
	}
	return NULL;
}

Test(queue, many_posters_lose_nothing_and_keep_their_own_order, .timeout = 60)
{
	pthread_t threads[POSTERS];
	uint32_t next[POSTERS] = {0};
	uint64_t seen = 0, slept = 0;

	dxi_queue_init(&queue);
	for (uintptr_t i = 0; i < POSTERS; i++)
		pthread_create(&threads[i], NULL, post_all, (void *)i);
	while (seen < (uint64_t)POSTERS * ITEMS) {
		dxi_node *node = dxi_queue_take(&queue);

		if (!node && dxi_queue_arm(&queue))
			slept++;
		for (; node; node = node->next, seen++) {
			struct item *item = (struct item *)node;

			cr_assert_eq(item->number, next[item->poster]);
			next[item->poster]++;
		}
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_leq(rings, slept, "at most one ring for each sleep");
}
