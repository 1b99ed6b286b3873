/* SPDX-License-Identifier: MIT */
/* What handing a request over costs its caller where a mutex guards a socket. */
#include "bench/peers/peers.h"
#include "bench/peers/zmq.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { BATCH = 64 };

typedef struct outlet {
	pthread_mutex_t lock;
	void *socket;
	uint64_t answered[256]; /* by thread; replies come in the order of its requests */
} outlet;

typedef struct poster {
	unsigned char payload[256];
	uint64_t next;
} poster;

static uint64_t id_of(const bench_thread *thread, uint64_t number)
{
	return number << 8 | thread->index;
}

static void post_one(bench_thread *thread, outlet *to, poster *own)
{
	size_t bytes = thread->round->load.bytes;
	int sent;

	bench_payload_mark(own->payload, bytes, id_of(thread, own->next++));
	pthread_mutex_lock(&to->lock);
	sent = zmq_send(to->socket, own->payload, bytes, 0);
	pthread_mutex_unlock(&to->lock);
	bench_check(thread->round, sent != -1, "send");
}

/* What is there, for whomever. */
static void receive(bench_thread *thread, outlet *from)
{
	size_t bytes = thread->round->load.bytes;
	unsigned char reply[256];

	while (zmq_recv(from->socket, reply, sizeof reply, ZMQ_DONTWAIT) == (int)bytes) {
		uint64_t whose = bench_payload_id(reply) & 0xff;

		bench_check(thread->round,
		            bench_payload_is(reply, bytes, from->answered[whose] << 8 | whose),
		            "reply");
		from->answered[whose]++;
	}
}

static void take_replies(bench_thread *thread, outlet *from, const poster *own)
{
	bool open = true;

	while (open) {
		pthread_mutex_lock(&from->lock);
		receive(thread, from);
		open = from->answered[thread->index] < own->next;
		pthread_mutex_unlock(&from->lock);
		if (open)
			sched_yield();
	}
}

static void prepare(bench_thread *thread)
{
	poster *own = calloc(1, sizeof *own);

	bench_check(thread->round, own != NULL, "memory");
	bench_payload_init(own->payload, thread->round->load.bytes);
	thread->own = own;
}

static void run(bench_thread *thread)
{
	outlet *to = thread->shared;
	poster *own = thread->own;

	while (bench_goes_on(thread->round, thread->operations)) {
		int64_t before_ns = dxh_now_ns();

		for (int i = 0; i < BATCH; i++) {
			int64_t now_ns;

			post_one(thread, to, own);
			now_ns = dxh_now_ns();
			bench_histogram_add(thread->latency, now_ns - before_ns);
			before_ns = now_ns;
		}
		thread->operations += BATCH;
		take_replies(thread, to, own);
	}
}

static void finish(bench_thread *thread)
{
	free(thread->own);
}

void bench_post_mutex(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = run, .finish = finish};
	outlet own = {.lock = PTHREAD_MUTEX_INITIALIZER};
	void *context;

	bench_server(round, bench_zmq_serve_echo);
	context = zmq_ctx_new();
	own.socket = bench_zmq_open(round, context, ZMQ_DEALER, false);
	bench_threads(round, &crowd, &own);
	zmq_close(own.socket);
	zmq_ctx_term(context);
}
