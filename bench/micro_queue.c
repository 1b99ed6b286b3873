/* SPDX-License-Identifier: MIT */
/* The parts of a post, from inside: queue, wake-up, completion, credit. */
#include "bench/bench.h"

#include "base/futex.h"
#include "queue/completion.h"
#include "queue/credit.h"
#include "queue/doorbell.h"
#include "queue/queue.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the queue, by posters ------------------------------------------------------------ */

enum { NODES = 256 };

typedef struct item {
	dxi_node node; /* first */
	_Atomic uint64_t *taken;
} item;

typedef struct takers_queue {
	dxi_queue queue;
	_Atomic int ending;
} takers_queue;

static void *take_all(void *context)
{
	takers_queue *own = context;

	while (!atomic_load(&own->ending))
		for (dxi_node *node = dxi_queue_take(&own->queue); node;) {
			item *taken = (item *)(void *)node;

			node = node->next;
			/* Publishes that the node is the poster's again. */
			atomic_fetch_add_explicit(taken->taken, 1, memory_order_release);
		}
	return NULL;
}

typedef struct pusher {
	_Atomic uint64_t taken;
	item items[NODES];
} pusher;

static void prepare_pusher(bench_thread *thread)
{
	pusher *own = aligned_alloc(128, (sizeof *own + 127) / 128 * 128);

	bench_check(thread->round, own != NULL, "memory");
	memset(own, 0, sizeof *own);
	for (int i = 0; i < NODES; i++)
		own->items[i].taken = &own->taken;
	thread->own = own;
}

static void push_all(bench_thread *thread)
{
	takers_queue *to = thread->shared;
	pusher *own = thread->own;
	int64_t spent_ns = 0;

	while (bench_goes_on(thread->round, thread->operations)) {
		int64_t begin_ns = bench_thread_cpu_ns();

		for (int i = 0; i < NODES; i++)
			dxi_queue_push(&to->queue, &own->items[i].node, &own->items[i].node);
		spent_ns += bench_thread_cpu_ns() - begin_ns;
		thread->operations += NODES;
		while (atomic_load_explicit(&own->taken, memory_order_acquire) < thread->operations)
			sched_yield();
	}
	atomic_fetch_add(&thread->round->counters[0], (uint64_t)spent_ns);
}

static void finish_pusher(bench_thread *thread)
{
	pusher *own = thread->own;

	bench_check(thread->round, atomic_load(&own->taken) == thread->operations, "taken");
	free(own);
}

static void push_by_posters(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = prepare_pusher, .run = push_all, .finish = finish_pusher};
	static takers_queue own;
	pthread_t taker;

	dxi_queue_init(&own.queue);
	bench_check(round, pthread_create(&taker, NULL, take_all, &own) == 0, "thread");
	bench_threads(round, &crowd, &own);
	round->elapsed_ns = (int64_t)atomic_load(&round->counters[0]);
	atomic_store(&own.ending, 1);
	pthread_join(taker, NULL);
}

void bench_workload_micro_queue(bench *found)
{
	static const size_t posters[] = {1, 2, 4, 8, 16, 32, 64};
	bench_load load = {.window = 64, .place = BENCH_ANYWHERE};

	bench_block(found, BENCH_MEAN, "queue: a push, by posters");
	bench_axis(found, "posters beside one taker");
	for (size_t i = 0; i < sizeof posters / sizeof *posters; i++) {
		load.threads = posters[i];
		bench_point(found, "push", (double)posters[i], push_by_posters, &load);
	}
	bench_note(found, "CPU time of the pushes, by posters in batches of 256; not pinned");
	bench_block_run(found);
}

/* ---- wake-up -------------------------------------------------------------------------------- */

typedef struct sleeper {
	bench_round *round;
	int doorbell; /* -1: a futex */
	_Atomic uint32_t word;
	_Atomic int64_t rung_ns;
	_Atomic uint64_t woken;
} sleeper;

/* An id of -1 ends it. */
static void *sleep_again(void *context)
{
	sleeper *own = context;
	struct pollfd wait = {.fd = own->doorbell, .events = POLLIN};

	for (uint32_t turn = 0;; turn++) {
		int64_t rung_ns;

		if (own->doorbell == -1)
			while (atomic_load(&own->word) == turn)
				dxi_futex_wait(&own->word, turn, DXH_FOREVER, DXI_FUTEX_PRIVATE);
		else
			bench_check(own->round, poll(&wait, 1, -1) == 1, "poll");
		rung_ns = atomic_load(&own->rung_ns);
		if (rung_ns < 0)
			return NULL;
		bench_histogram_add(&own->round->latency, dxh_now_ns() - rung_ns);
		if (own->doorbell != -1)
			dxi_doorbell_clear(own->doorbell);
		atomic_fetch_add(&own->woken, 1);
	}
}

static void ring(sleeper *own, int64_t rung_ns)
{
	atomic_store(&own->rung_ns, rung_ns);
	if (own->doorbell != -1) {
		dxi_doorbell_ring(own->doorbell);
		return;
	}
	atomic_fetch_add(&own->word, 1);
	dxi_futex_wake(&own->word, 1, DXI_FUTEX_PRIVATE);
}

/* variant 1: by the doorbell; 0: by a futex. */
static void wake_up(bench_round *round)
{
	static sleeper own;
	uint64_t rung = 0;
	pthread_t thread;

	own.round = round;
	own.doorbell = -1;
	if (round->load.variant)
		bench_must(round, dxi_doorbell_open(&own.doorbell), "doorbell");
	bench_check(round, pthread_create(&thread, NULL, sleep_again, &own) == 0, "thread");
	bench_start(round);
	while (bench_goes_on(round, rung)) {
		usleep(50); /* it sleeps by then, mostly */
		ring(&own, dxh_now_ns());
		rung++;
		while (atomic_load(&own.woken) < rung)
			sched_yield();
	}
	bench_stop(round, rung);
	ring(&own, -1);
	pthread_join(thread, NULL);
	if (own.doorbell != -1)
		close(own.doorbell);
}

void bench_workload_micro_wake(bench *found)
{
	bench_load load = {.threads = 1, .variant = 1, .place = BENCH_ANYWHERE};

	bench_block(found, BENCH_P50, "wake-up: until a thread that slept runs");
	bench_side(found, "doorbell and poll", wake_up, &load);
	load.variant = 0;
	bench_side(found, "futex", wake_up, &load);
	bench_note(found, "not pinned");
	bench_block_run(found);
}

/* ---- completion ------------------------------------------------------------------------------- */

typedef struct record {
	dxi_task cancel, post;
} record;

typedef struct life {
	dxi_queue cancels, posts;
	dxi_pool *pool;
	dxi_wakes wakes;
	dxi_credit credit;
} life;

/* A slot from the pool, posted, taken, claimed, completed, awaited, released: all that
 * happens to an operation that does nothing, by one thread. */
static void live_once(bench_round *round, void *context, uint64_t i)
{
	static char body[8];
	life *own = context;
	dxi_slot *slot = dxi_pool_take(own->pool), *taken;
	dxh_completion done;
	record *its;
	dxi_node *node;

	(void)i;
	bench_check(round, slot != NULL, "slot");
	done = dxi_completion_begin(slot, NULL, NULL);
	its = (record *)(void *)slot->record;
	dxi_queue_push(&own->posts, &its->post.node, &its->post.node);
	node = dxi_queue_take(&own->posts);
	bench_check(round, node == &its->post.node, "taken");
	taken = slot;
	bench_check(round, dxi_completion_claim(taken), "claim");
	dxi_completion_complete(taken, DXH_OK, DXH_REPLIED, body, sizeof body, false, &own->wakes);
	dxi_wakes_issue(&own->wakes);
	bench_must(round, dxh_await(done, DXH_NOW, NULL), "await");
	bench_must(round, dxh_release(done), "release");
}

static void open_life(bench_round *round, life *own, int *doorbell)
{
	memset(own, 0, sizeof *own);
	dxi_queue_init(&own->cancels);
	dxi_queue_init(&own->posts);
	dxi_credit_init(&own->credit, (dxi_amount){.things = 1000, .bytes = 1 << 20});
	bench_must(round, dxi_doorbell_open(doorbell), "doorbell");
	own->pool = dxi_pool_open(1024, &own->cancels, *doorbell);
	bench_check(round, own->pool != NULL, "pool");
}

static void complete_nothing(bench_round *round)
{
	static life own;
	int doorbell;

	open_life(round, &own, &doorbell);
	bench_mean(round, 64, live_once, &own);
	bench_check(round, dxi_pool_out(own.pool) == 0, "slots home");
	dxi_pool_close(own.pool);
	close(doorbell);
}

static void take_and_give(bench_round *round, void *context, uint64_t i)
{
	const dxi_amount amount = {.things = 1, .bytes = 64};
	life *own = context;

	(void)i;
	bench_check(round, dxi_credit_take(&own->credit, amount), "credit");
	dxi_credit_give(&own->credit, amount);
}

static void use_credit(bench_round *round)
{
	static life own;

	dxi_credit_init(&own.credit, (dxi_amount){.things = 1000, .bytes = 1 << 20});
	bench_mean(round, 64, take_and_give, &own);
	bench_check(round, dxi_credit_free(&own.credit).things == 1000, "credit home");
}

void bench_workload_micro_completion(bench *found)
{
	const bench_load load = {.threads = 1};

	bench_block(found, BENCH_MEAN, "completion: from post to done, nothing to do");
	bench_side(found, "slot to slot", complete_nothing, &load);
	bench_side(found, "credit, taken and given", use_credit, &load);
	bench_block_run(found);
}
