/* SPDX-License-Identifier: MIT */
/* Concurrency Kit's ring for one producer and many consumers, which is wait-free
 * to put into (it is the multi-producer form that stalls), and a futex to sleep.
 *
 * The steps are those of ck_ring_enqueue_spmc() and ck_ring_dequeue_spmc(), but a place of
 * the ring is written and read as one word: who takes reads it before he knows that it is
 * his, while it may be written anew already. */
#include "queue/inbox.h"

#include "base/futex.h"

#include <ck_ring.h>
#include <limits.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Beside the count, in one word: the last one out learns from its own step that
 * somebody waits for it, and touches nothing after that step. */
#define CLOSED ((uint32_t)1 << 31)

struct dxi_inbox {
	alignas(128) ck_ring_t ring;
	alignas(128) _Atomic uint32_t word;
	_Atomic uint32_t waiters;
	_Atomic uint32_t inside; /* threads in take(), and CLOSED */
	uint32_t unsignalled;    /* put since the last signal; the putter's own */
	ck_ring_buffer_t items[];
};

dxi_inbox *dxi_inbox_open(uint32_t capacity)
{
	uint32_t size = 8;
	size_t bytes;
	dxi_inbox *inbox;

	while (size <= capacity) /* a ring of size n holds n - 1 */
		size *= 2;
	bytes = sizeof *inbox + size * sizeof(ck_ring_buffer_t);
	inbox = aligned_alloc(128, (bytes + 127) / 128 * 128);
	if (!inbox)
		return NULL;
	*inbox = (dxi_inbox){.unsignalled = 0};
	ck_ring_init(&inbox->ring, size);
	return inbox;
}

bool dxi_inbox_put(dxi_inbox *inbox, void *item)
{
	ck_ring_t *ring = &inbox->ring;
	unsigned consumer = ck_pr_load_uint(&ring->c_head), producer = ring->p_tail;

	if (producer - consumer == ring->mask)
		return false;
	ck_pr_store_ptr(&inbox->items[producer & ring->mask].value, item);
	ck_pr_fence_store();
	ck_pr_store_uint(&ring->p_tail, producer + 1);
	inbox->unsignalled++;
	return true;
}

uint32_t dxi_inbox_count(const dxi_inbox *inbox)
{
	return ck_ring_size(&inbox->ring);
}

bool dxi_inbox_signal(dxi_inbox *inbox)
{
	uint32_t count = inbox->unsignalled;

	if (count == 0)
		return false;
	inbox->unsignalled = 0;
	/* seq_cst on both sides: Dekker with `waiters` in take(). The ring's own
	 * stores come before this RMW. */
	atomic_fetch_add(&inbox->word, 1);
	if (atomic_load(&inbox->waiters) > 0)
		dxi_futex_wake(&inbox->word, count > INT_MAX ? INT_MAX : (int)count,
		               DXI_FUTEX_PRIVATE);
	return true;
}

/* What was read is kept only if nobody else took any of it meanwhile, and what nobody took
 * is not overwritten. */
uint32_t dxi_inbox_take_more(dxi_inbox *inbox, void **items, uint32_t max)
{
	unsigned consumer = ck_pr_load_uint(&inbox->ring.c_head), count;

	do {
		ck_pr_fence_load();
		count = ck_pr_load_uint(&inbox->ring.p_tail) - consumer;
		if (count > max)
			count = max;
		if (count == 0)
			return 0;
		ck_pr_fence_load();
		for (unsigned i = 0; i < count; i++)
			items[i] = ck_pr_load_ptr(
				&inbox->items[(consumer + i) & inbox->ring.mask].value);
		ck_pr_fence_load_atomic();
	} while (!ck_pr_cas_uint_value(&inbox->ring.c_head, consumer, consumer + count, &consumer));
	return count;
}

static bool try_take(dxi_inbox *inbox, void **item)
{
	return dxi_inbox_take_more(inbox, item, 1) == 1;
}

static dxh_status wait_and_take(dxi_inbox *inbox, int64_t deadline_ns, void **item)
{
	dxh_status status = DXH_EWAIT;
	bool in_time = deadline_ns != DXH_NOW;

	atomic_fetch_add(&inbox->waiters, 1);
	for (;;) {
		uint32_t word = atomic_load(&inbox->word);

		if (atomic_load(&inbox->inside) & CLOSED)
			status = DXH_ECLOSED;
		else if (try_take(inbox, item))
			status = DXH_OK;
		if (status != DXH_EWAIT || !in_time)
			break;
		in_time = dxi_futex_wait(&inbox->word, word, deadline_ns, DXI_FUTEX_PRIVATE);
	}
	atomic_fetch_sub(&inbox->waiters, 1);
	return status;
}

dxh_status dxi_inbox_take(dxi_inbox *inbox, int64_t deadline_ns, void **item)
{
	dxh_status status = DXH_OK;

	/* What is there is taken without being counted in `inside`: two atomic steps less.
	 * relaxed: who is to see CLOSED for certain is one who waits. */
	if (!(atomic_load_explicit(&inbox->inside, memory_order_relaxed) & CLOSED) &&
	    try_take(inbox, item))
		return DXH_OK;
	if (atomic_fetch_add(&inbox->inside, 1) & CLOSED)
		status = DXH_ECLOSED;
	else if (!try_take(inbox, item))
		status = wait_and_take(inbox, deadline_ns, item);
	if (atomic_fetch_sub(&inbox->inside, 1) == (CLOSED | 1))
		dxi_futex_wake(&inbox->inside, INT_MAX, DXI_FUTEX_PRIVATE);
	return status;
}

void dxi_inbox_stop(dxi_inbox *inbox)
{
	atomic_fetch_or(&inbox->inside, CLOSED);
	atomic_fetch_add(&inbox->word, 1);
	dxi_futex_wake(&inbox->word, INT_MAX, DXI_FUTEX_PRIVATE);
}

bool dxi_inbox_is_stopped(const dxi_inbox *inbox)
{
	return (atomic_load(&inbox->inside) & CLOSED) != 0;
}

void dxi_inbox_close(dxi_inbox *inbox)
{
	uint32_t inside;

	dxi_inbox_stop(inbox);
	while ((inside = atomic_load(&inbox->inside)) != CLOSED)
		dxi_futex_wait(&inbox->inside, inside, DXH_FOREVER, DXI_FUTEX_PRIVATE);
}

void *dxi_inbox_rest(dxi_inbox *inbox)
{
	void *item;

	return try_take(inbox, &item) ? item : NULL;
}

void dxi_inbox_free(dxi_inbox *inbox)
{
	free(inbox);
}
