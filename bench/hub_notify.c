/* SPDX-License-Identifier: MIT */
/* Our notifications: from many threads until the other end has taken them all, and a
 * lone one. */
#include "bench/hub.h"
#include "bench/peers/notes.h"

#include <stdlib.h>

static void prepare(bench_thread *thread)
{
	size_t bytes = thread->round->load.bytes;

	thread->own = malloc(bytes);
	bench_check(thread->round, thread->own != NULL, "memory");
	bench_payload_init(thread->own, bytes);
}

static void run(bench_thread *thread)
{
	size_t bytes = thread->round->load.bytes;
	bench_hub *hub = thread->shared;

	while ((thread->operations & 63) != 0 || bench_goes_on(thread->round, thread->operations)) {
		uint64_t id = bench_note_id(thread->index, thread->operations++);

		bench_payload_mark(thread->own, bytes, id);
		bench_must(thread->round, dxh_notify(hub->peer, "n", thread->own, bytes), "notify");
	}
	bench_must(thread->round, dxh_flush(hub->peer, DXH_FLUSH_REPLIED, DXH_FOREVER), "flush");
}

static void settle(bench_round *round, void *shared, uint64_t sent)
{
	(void)shared;
	bench_wait_arrived(round, sent);
}

static void finish(bench_thread *thread)
{
	free(thread->own);
}

void bench_hub_notify(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = prepare, .run = run, .settle = settle, .finish = finish};
	bench_hub hub;

	bench_hub_open(round, &hub, NULL);
	bench_threads(round, &crowd, &hub);
	bench_hub_close(round, &hub);
}

/* ---- a lone one --------------------------------------------------------------------------- */

typedef struct lone {
	bench_hub hub;
	unsigned char payload[256];
} lone;

static void send_lone(bench_round *round, void *context, uint64_t id)
{
	lone *own = context;

	bench_payload_mark(own->payload, round->load.bytes, id);
	bench_must(round, dxh_notify(own->hub.peer, "n", own->payload, round->load.bytes),
	           "notify");
}

void bench_hub_lone(bench_round *round)
{
	lone own;

	bench_payload_init(own.payload, round->load.bytes);
	bench_hub_open(round, &own.hub, NULL);
	bench_note_lone(round, send_lone, &own);
	bench_hub_close(round, &own.hub);
}
