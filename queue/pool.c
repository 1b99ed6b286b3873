/* SPDX-License-Identifier: MIT */
/* Chunks of slots in a grow-only table, and one free list a pool: a stack of
 * indexes whose head carries a tag against ABA. Slots are type-stable, so a pop
 * that reads the link of a slot somebody else has taken reads a stale number
 * and fails its CAS. */
#include "queue/pool.h"

#include "base/forked.h"
#include "queue/completion.h"
#include "queue/doorbell.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	CHUNK_SLOTS = 1024, /* 256 KiB: few enough growths, little waste for a small hub */
	TABLE_CHUNKS = 4096 /* 4 Mi slots, 1 GiB, in one process */
};

struct dxi_pool {
	alignas(128) _Atomic uint64_t free;  /* tag << 32 | index + 1; 0 in the low half: empty */
	alignas(128) _Atomic uint32_t slots; /* grown so far */
	_Atomic uint32_t home;               /* of them in the free list, about */
	_Atomic uint64_t heap_bytes;         /* of results of its slots */
	uint32_t slots_max;
	uint32_t process;
	dxi_queue *cancels;
	int cancels_doorbell;
	_Atomic uint32_t ringing; /* threads between push and ring */
	struct dxi_pool *next_idle;
};

typedef struct chunk {
	dxi_pool *pool;
	alignas(128) dxi_slot slots[CHUNK_SLOTS];
} chunk;

static _Atomic(chunk *) table[TABLE_CHUNKS];
static uint32_t table_used;  /* under grow_lock */
static dxi_pool *idle_pools; /* under grow_lock: closed, all slots home */
static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* A fork must not catch the lock held by a thread that the child lacks. */
static void before_fork(void)
{
	pthread_mutex_lock(&grow_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&grow_lock);
}

/* Its one thread is no I/O thread, also when it was forked from a callback on one. */
static void after_fork_in_child(void)
{
	dxi_may_not_wait = false;
	after_fork();
}

static void register_fork_handlers(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static chunk *chunk_of(uint32_t index)
{
	/* Pairs with the release in grow(). */
	return atomic_load_explicit(&table[index / CHUNK_SLOTS], memory_order_acquire);
}

dxi_slot *dxi_slot_find(uint32_t index)
{
	chunk *home;

	if (index >= TABLE_CHUNKS * CHUNK_SLOTS)
		return NULL;
	home = chunk_of(index);
	return home ? &home->slots[index % CHUNK_SLOTS] : NULL;
}

static dxi_pool *pool_of(const dxi_slot *slot)
{
	return chunk_of(slot->index)->pool;
}

static void push_free(dxi_pool *pool, dxi_slot *slot)
{
	uint64_t head = atomic_load_explicit(&pool->free, memory_order_relaxed);
	uint64_t wanted;

	do {
		atomic_store_explicit(&slot->next_free, (uint32_t)head, memory_order_relaxed);
		wanted = ((head >> 32) + 1) << 32 | (slot->index + 1);
		/* release: publishes next_free and the slot's new generation to pop_free(). */
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->free, &head, wanted, memory_order_release, memory_order_relaxed));
	/* relaxed: a figure for people. */
	atomic_fetch_add_explicit(&pool->home, 1, memory_order_relaxed);
}

static dxi_slot *pop_free(dxi_pool *pool)
{
	uint64_t head = atomic_load_explicit(&pool->free, memory_order_acquire);
	uint64_t wanted;
	dxi_slot *slot;

	do {
		if ((uint32_t)head == 0)
			return NULL;
		slot = dxi_slot_find((uint32_t)head - 1);
		wanted = ((head >> 32) + 1) << 32 |
		         atomic_load_explicit(&slot->next_free, memory_order_relaxed);
		/* acquire: pairs with the release in push_free(). */
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->free, &head, wanted, memory_order_acquire, memory_order_acquire));
	atomic_fetch_sub_explicit(&pool->home, 1, memory_order_relaxed);
	return slot;
}

/* One more chunk, keeping its first slot for the caller. Under grow_lock. */
static dxi_slot *grow(dxi_pool *pool)
{
	uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_relaxed);
	uint32_t count = pool->slots_max - slots;
	chunk *more;

	if (count == 0 || table_used == TABLE_CHUNKS)
		return NULL;
	if (count > CHUNK_SLOTS)
		count = CHUNK_SLOTS;
	more = mmap(NULL, sizeof *more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (more == MAP_FAILED)
		return NULL;
	more->pool = pool;
	for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
		more->slots[i].index = table_used * CHUNK_SLOTS + i;
		atomic_init(&more->slots[i].state, dxi_state_free(1));
	}
	/* release: pairs with the acquire in chunk_of(). */
	atomic_store_explicit(&table[table_used++], more, memory_order_release);
	for (uint32_t i = 1; i < count; i++)
		push_free(pool, &more->slots[i]);
	atomic_store_explicit(&pool->slots, slots + count, memory_order_relaxed);
	return &more->slots[0];
}

dxi_slot *dxi_pool_take(dxi_pool *pool)
{
	dxi_slot *slot = pop_free(pool);

	if (slot || atomic_load_explicit(&pool->slots, memory_order_relaxed) == pool->slots_max)
		return slot;
	pthread_mutex_lock(&grow_lock);
	slot = pop_free(pool); /* somebody else may have grown it meanwhile */
	if (!slot)
		slot = grow(pool);
	pthread_mutex_unlock(&grow_lock);
	return slot;
}

void dxi_pool_give(dxi_slot *slot)
{
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
	uint32_t generation = (uint32_t)(state >> 32) + 1;

	/* release: whoever reads the new generation sees a slot that is nobody's. */
	atomic_store_explicit(&slot->state, dxi_state_free(generation), memory_order_release);
	/* A slot that has used up its generations is retired, so that no old
	 * handle ever becomes valid again. */
	if (generation != 0)
		push_free(pool_of(slot), slot);
}

/* An idle pool of this process that fits, out of the list. Under grow_lock. */
static dxi_pool *reuse_idle(uint32_t slots_max)
{
	for (dxi_pool **at = &idle_pools; *at; at = &(*at)->next_idle) {
		dxi_pool *pool = *at;

		if (pool->process != dxi_process_id() || dxi_pool_out(pool) != 0 ||
		    pool->slots > slots_max)
			continue;
		*at = pool->next_idle;
		return pool;
	}
	return NULL;
}

dxi_pool *dxi_pool_open(uint32_t slots_max, dxi_queue *cancels, int cancels_doorbell)
{
	dxi_pool *pool;

	pthread_once(&fork_once, register_fork_handlers);
	pthread_mutex_lock(&grow_lock);
	pool = reuse_idle(slots_max);
	pthread_mutex_unlock(&grow_lock);
	if (!pool) {
		pool = aligned_alloc(alignof(dxi_pool), sizeof *pool);
		if (!pool)
			return NULL;
		*pool = (dxi_pool){.process = dxi_process_id()};
	}
	pool->slots_max = slots_max;
	pool->cancels = cancels;
	pool->cancels_doorbell = cancels_doorbell;
	return pool;
}

void dxi_pool_close(dxi_pool *pool)
{
	/* A few instructions of threads that are inside dxh_cancel(). */
	while (atomic_load(&pool->ringing) > 0)
		sched_yield();
	pthread_mutex_lock(&grow_lock);
	pool->cancels = NULL;
	pool->next_idle = idle_pools;
	idle_pools = pool;
	pthread_mutex_unlock(&grow_lock);
}

uint32_t dxi_pool_slots(const dxi_pool *pool)
{
	return atomic_load_explicit(&pool->slots, memory_order_relaxed);
}

uint32_t dxi_pool_out(const dxi_pool *pool)
{
	uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_relaxed);
	uint32_t home = atomic_load_explicit(&pool->home, memory_order_relaxed);

	return slots > home ? slots - home : 0;
}

uint64_t dxi_pool_bytes(const dxi_pool *pool)
{
	/* relaxed: figures for people. */
	return (uint64_t)atomic_load_explicit(&pool->slots, memory_order_relaxed) * DXI_SLOT_BYTES +
	       atomic_load_explicit(&pool->heap_bytes, memory_order_relaxed);
}

void dxi_slot_count_heap(const dxi_slot *slot, int64_t more_bytes)
{
	/* relaxed, modulo 2^64: the sum never is less than nothing. */
	atomic_fetch_add_explicit(&pool_of(slot)->heap_bytes, (uint64_t)more_bytes,
	                          memory_order_relaxed);
}

void dxi_slot_send_cancel(const dxi_slot *slot, dxi_task *cancel)
{
	dxi_pool *pool = pool_of(slot);

	/* seq_cst: in before the push, by which the hub may learn that it can close. */
	atomic_fetch_add(&pool->ringing, 1);
	if (dxi_queue_push(pool->cancels, &cancel->node, &cancel->node))
		dxi_doorbell_ring(pool->cancels_doorbell);
	atomic_fetch_sub(&pool->ringing, 1);
}

uint32_t dxi_slot_process(const dxi_slot *slot)
{
	return pool_of(slot)->process;
}

const dxi_pool *dxi_slot_pool(const dxi_slot *slot)
{
	return pool_of(slot);
}
