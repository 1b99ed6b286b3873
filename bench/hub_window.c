/* SPDX-License-Identifier: MIT */
/* Our requests: a window of them from many threads, and synchronous callers. */
#include "bench/hub.h"

#include <stdlib.h>

typedef struct poster {
	dxh_completion *done;
	uint64_t *ids;
	uint64_t next;
	unsigned char *payload;
} poster;

static void prepare(bench_thread *thread)
{
	poster *own = calloc(1, sizeof *own);

	bench_check(thread->round, own != NULL, "memory");
	own->done = calloc(thread->window, sizeof *own->done);
	own->ids = calloc(thread->window, sizeof *own->ids);
	own->payload = malloc(thread->round->load.bytes);
	bench_check(thread->round, own->done && own->ids && own->payload, "memory");
	bench_payload_init(own->payload, thread->round->load.bytes);
	thread->own = own;
}

static void finish(bench_thread *thread)
{
	poster *own = thread->own;

	free(own->done);
	free(own->ids);
	free(own->payload);
	free(own);
}

static void post(bench_thread *thread, size_t at)
{
	bench_hub *hub = thread->shared;
	poster *own = thread->own;

	own->ids[at] = (uint64_t)thread->index << 48 | own->next++;
	bench_payload_mark(own->payload, thread->round->load.bytes, own->ids[at]);
	bench_must(thread->round,
	           dxh_post(hub->peer, "echo", own->payload, thread->round->load.bytes, DXH_FOREVER,
	                    &own->done[at]),
	           "post");
}

static void take_reply(bench_thread *thread, size_t at)
{
	poster *own = thread->own;
	dxh_reply reply;

	bench_must(thread->round, dxh_await(own->done[at], DXH_FOREVER, &reply), "await");
	bench_check(thread->round,
	            reply.body_bytes == thread->round->load.bytes &&
	                    bench_payload_is(reply.body, reply.body_bytes, own->ids[at]),
	            "reply");
	bench_must(thread->round, dxh_release(own->done[at]), "release");
	own->done[at] = DXH_NO_COMPLETION;
	thread->operations++;
}

/* The oldest is awaited, and its place taken by the next. */
static void run(bench_thread *thread)
{
	poster *own = thread->own;
	bool posting = true;
	size_t open = 0;

	for (size_t at = 0; posting || open > 0; at = at + 1 == thread->window ? 0 : at + 1) {
		if (own->done[at] != DXH_NO_COMPLETION) {
			take_reply(thread, at);
			open--;
		}
		posting = posting && bench_goes_on(thread->round, own->next);
		if (posting) {
			post(thread, at);
			open++;
		}
	}
}

void bench_hub_window_with(bench_round *round, const dxh_hub_config *config)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = run, .finish = finish};
	bench_hub hub;

	bench_hub_open(round, &hub, config);
	bench_threads(round, &crowd, &hub);
	bench_hub_close(round, &hub);
}

void bench_hub_window(bench_round *round)
{
	bench_hub_window_with(round, NULL);
}

/* ---- synchronous callers ------------------------------------------------------------------ */

static void call_each(bench_thread *thread)
{
	size_t bytes = thread->round->load.bytes, got;
	bench_hub *hub = thread->shared;
	poster *own = thread->own;
	unsigned char reply[256];

	while (bench_goes_on(thread->round, thread->operations)) {
		uint64_t id = (uint64_t)thread->index << 48 | ++thread->operations;
		int64_t begin_ns = dxh_now_ns();

		bench_payload_mark(own->payload, bytes, id);
		bench_must(thread->round,
		           dxh_request_sync(hub->peer, "echo", own->payload, bytes, DXH_FOREVER,
		                            reply, sizeof reply, &got),
		           "request");
		bench_check(thread->round, got == bytes && bench_payload_is(reply, bytes, id),
		            "reply");
		bench_histogram_add(thread->latency, dxh_now_ns() - begin_ns);
	}
}

void bench_hub_sync(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = call_each, .finish = finish};
	bench_hub hub;

	bench_hub_open(round, &hub, NULL);
	bench_threads(round, &crowd, &hub);
	bench_hub_close(round, &hub);
}
