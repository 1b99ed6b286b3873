/* SPDX-License-Identifier: MIT */
/* The arrival of notifications: whole, in the order of their threads, counted; and the
 * way of a lone one. */
#include "bench/peers/notes.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Words of the round. variant LONE: somebody waits for each. */
enum { LONE = 100, ARRIVED_NS = 0, BELL = 1 };

static _Atomic uint32_t *bell(bench_round *round)
{
	return (_Atomic uint32_t *)&round->counters[BELL];
}

static void tell_sender(bench_round *round)
{
	atomic_store(&round->counters[ARRIVED_NS], (uint64_t)dxh_now_ns());
	atomic_fetch_add(bell(round), 1);
	syscall(SYS_futex, bell(round), FUTEX_WAKE, 1, NULL, NULL, 0);
}

void bench_note_arrived(bench_round *round, bench_order *order, const void *payload)
{
	uint64_t id = bench_payload_id(payload);
	size_t thread = (size_t)(id >> 48) % BENCH_NOTE_THREADS;
	bool good = bench_payload_is(payload, round->load.bytes,
	                             bench_note_id(thread, order->next[thread]));

	order->next[thread]++;
	/* relaxed: nothing is read on the strength of these but the counts themselves. */
	if (!good)
		atomic_fetch_add_explicit(&round->wrong, 1, memory_order_relaxed);
	atomic_store_explicit(&round->arrived,
	                      atomic_load_explicit(&round->arrived, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
	if (round->load.variant == LONE)
		tell_sender(round);
}

static void await_bell(bench_round *round, uint32_t before)
{
	const struct timespec limit = {.tv_sec = 10};

	while (atomic_load(bell(round)) == before)
		if (syscall(SYS_futex, bell(round), FUTEX_WAIT, before, &limit, NULL, 0) == -1 &&
		    bench_time_left(round) == false && atomic_load(bell(round)) == before &&
		    dxh_now_ns() > round->end_ns + INT64_C(10000000000))
			bench_fail(round, "a notification did not arrive within 10 s");
}

void bench_note_lone(bench_round *round,
                     void (*send)(bench_round *round, void *context, uint64_t id), void *context)
{
	uint64_t sent = 0;

	round->load.variant = LONE;
	bench_start(round);
	while (sent < 3 || bench_time_left(round)) {
		uint32_t before = atomic_load(bell(round));
		int64_t sent_ns = dxh_now_ns();

		send(round, context, sent++);
		await_bell(round, before);
		bench_histogram_add(&round->latency,
		                    (int64_t)atomic_load(&round->counters[ARRIVED_NS]) - sent_ns);
	}
	bench_stop(round, sent);
	bench_wait_arrived(round, sent);
}
