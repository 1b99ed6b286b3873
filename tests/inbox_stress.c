/* SPDX-License-Identifier: MIT */
/* A small inbox that is full most of the time: its places are written anew while takers who
 * are late still look at them. Each item is taken once, by each taker in the order in which
 * they were put, with what was written to it before; nobody sleeps over one.
 *
 * Planted: "twice" puts an item a second time;
 * "payload" writes to items behind their put (a data race).
 */
#include "tests/support/stress.h"

#include "queue/inbox.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { TAKERS = 3, CAPACITY = 4, ITEMS = 64, AT_ONCE = 3 };

typedef struct item {
	uint64_t number;      /* plain: published by the inbox */
	_Atomic int is_taken; /* the putter's again */
} item;

static dxi_inbox *inbox;
static item items[ITEMS];
static _Atomic uint64_t taken, sum;

static void put(item *next)
{
	while (!dxi_inbox_put(inbox, next)) {
		dxi_inbox_signal(inbox);
		sched_yield();
	}
}

static void put_all(uint64_t *random)
{
	for (uint64_t number = 1; number <= stress_operations; number++) {
		item *next = &items[number % ITEMS];

		while (!atomic_load_explicit(&next->is_taken, memory_order_acquire)) {
			dxi_inbox_signal(inbox);
			sched_yield();
		}
		atomic_store_explicit(&next->is_taken, 0, memory_order_relaxed);
		next->number = number;
		put(next);
		if (stress_planted("payload"))
			next->number = number;
		if (number == stress_operations / 2 && stress_planted("twice"))
			put(next);
		if (stress_random(random) % 4 == 0)
			dxi_inbox_signal(inbox);
	}
	dxi_inbox_signal(inbox);
}

static void use(item *one, uint64_t *before)
{
	if (one->number <= *before)
		stress_fail("number %" PRIu64 " behind %" PRIu64, one->number, *before);
	*before = one->number;
	atomic_fetch_add_explicit(&sum, one->number, memory_order_relaxed);
	atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
	atomic_store_explicit(&one->is_taken, 1, memory_order_release);
}

static void *take(void *unused)
{
	void *got[AT_ONCE];
	uint64_t before = 0;

	(void)unused;
	while (dxi_inbox_take(inbox, dxh_in_ms(60000), &got[0]) == DXH_OK) {
		uint32_t count = 1 + dxi_inbox_take_more(inbox, &got[1], AT_ONCE - 1);

		for (uint32_t i = 0; i < count; i++)
			use(got[i], &before);
	}
	if (!dxi_inbox_is_stopped(inbox))
		stress_fail("nothing came for a minute");
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t random;
	pthread_t takers[TAKERS];

	stress_begin(argc, argv, 400000);
	random = stress_state(0);
	inbox = dxi_inbox_open(CAPACITY);
	if (!inbox)
		stress_fail("no memory");
	for (int i = 0; i < ITEMS; i++)
		atomic_store(&items[i].is_taken, 1);
	for (int i = 0; i < TAKERS; i++)
		pthread_create(&takers[i], NULL, take, NULL);
	put_all(&random);
	while (atomic_load(&taken) < stress_operations)
		sched_yield();
	dxi_inbox_stop(inbox);
	for (int i = 0; i < TAKERS; i++)
		pthread_join(takers[i], NULL);
	dxi_inbox_free(inbox);
	stress_equal(taken, stress_operations);
	stress_equal(sum, stress_operations * (stress_operations + 1) / 2);
	printf("inbox_stress: %" PRIu64 " items taken once each and in order\n", stress_operations);
	return 0;
}
