/* SPDX-License-Identifier: MIT */
/* What one writes when threads share a connection through a queue: a mutex, a deque, a
 * thread that owns the socket, a condition variable for each waiting thread. One request
 * a message, or packed by 64 (load.variant). */
#include "bench/peers/peers.h"
#include "bench/peers/zmq.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAYLOAD_MAX = 64 };

typedef struct waiter waiter;

typedef struct request {
	waiter *owner;
	uint64_t id;
	bool open, done;
	int64_t posted_ns; /* with a window of one its latency is kept */
	unsigned char payload[PAYLOAD_MAX];
} request;

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	const request *waits_for;
};

typedef struct queue {
	bench_round *round;
	pthread_mutex_t lock;
	request **posted, **taken; /* room for the window each; swapped by the I/O thread */
	size_t count;
	bool asleep, ending;
	int doorbell;
	void *context, *socket;
	request *requests; /* by number, as in the low bits of the id */
	pthread_t thread;
} queue;

/* ---- posting threads ------------------------------------------------------------------ */

static void post(queue *own, request *what)
{
	bool ring;

	what->open = true;
	what->done = false;
	pthread_mutex_lock(&own->lock);
	own->posted[own->count++] = what;
	ring = own->asleep;
	own->asleep = false;
	pthread_mutex_unlock(&own->lock);
	if (ring)
		eventfd_write(own->doorbell, 1);
}

static void await(request *what)
{
	waiter *owner = what->owner;

	pthread_mutex_lock(&owner->lock);
	owner->waits_for = what;
	while (!what->done)
		pthread_cond_wait(&owner->wake, &owner->lock);
	owner->waits_for = NULL;
	pthread_mutex_unlock(&owner->lock);
}

/* ---- the I/O thread --------------------------------------------------------------------- */

static void complete(queue *own, const unsigned char *reply)
{
	uint64_t id = bench_payload_id(reply);
	request *what = &own->requests[id & 0xffff];
	waiter *owner = what->owner;

	bench_check(own->round, bench_payload_is(reply, own->round->load.bytes, what->id), "reply");
	memcpy(what->payload, reply, own->round->load.bytes);
	pthread_mutex_lock(&owner->lock);
	what->done = true;
	if (owner->waits_for == what)
		pthread_cond_signal(&owner->wake);
	pthread_mutex_unlock(&owner->lock);
}

static bool receive(queue *own)
{
	size_t bytes = own->round->load.bytes;
	bool any = false;
	zmq_msg_t frame;

	zmq_msg_init(&frame);
	while (zmq_msg_recv(&frame, own->socket, ZMQ_DONTWAIT) != -1) {
		const unsigned char *from = zmq_msg_data(&frame);

		any = true;
		for (size_t at = 0; at < zmq_msg_size(&frame); at += bytes)
			complete(own, from + at);
	}
	zmq_msg_close(&frame);
	return any;
}

static void send_all(queue *own, request **what, size_t count)
{
	size_t bytes = own->round->load.bytes, most = (size_t)own->round->load.variant;

	for (size_t at = 0; at < count;) {
		size_t some = count - at < most ? count - at : most;
		unsigned char *to;
		zmq_msg_t frame;

		bench_check(own->round, zmq_msg_init_size(&frame, some * bytes) == 0, "memory");
		to = zmq_msg_data(&frame);
		for (size_t i = 0; i < some; i++)
			memcpy(to + i * bytes, what[at + i]->payload, bytes);
		bench_check(own->round, zmq_msg_send(&frame, own->socket, 0) != -1, "send");
		at += some;
	}
}

/* What has been posted; when nothing has, the next to post rings. */
static size_t take(queue *own, bool may_sleep)
{
	request **posted = own->posted;
	size_t count;

	pthread_mutex_lock(&own->lock);
	count = own->count;
	own->posted = own->taken;
	own->taken = posted;
	own->count = 0;
	own->asleep = may_sleep && count == 0 && !own->ending;
	pthread_mutex_unlock(&own->lock);
	return count;
}

static void sleep_until_news(queue *own)
{
	zmq_pollitem_t waits[2] = {{.socket = own->socket, .events = ZMQ_POLLIN},
	                           {.fd = own->doorbell, .events = ZMQ_POLLIN}};
	eventfd_t rung;

	zmq_poll(waits, 2, -1);
	if (waits[1].revents)
		eventfd_read(own->doorbell, &rung);
}

static bool is_ending(queue *own)
{
	bool ending;

	pthread_mutex_lock(&own->lock);
	ending = own->ending;
	pthread_mutex_unlock(&own->lock);
	return ending;
}

static void *serve_queue(void *argument)
{
	queue *own = argument;

	while (!is_ending(own)) {
		bool any = receive(own);
		size_t count = take(own, !any);

		if (count > 0)
			send_all(own, own->taken, count);
		else if (!any)
			sleep_until_news(own);
	}
	return NULL;
}

/* ---- the window of a thread ---------------------------------------------------------------- */

static void prepare(bench_thread *thread)
{
	waiter *own = calloc(1, sizeof *own);
	queue *all = thread->shared;

	bench_check(thread->round, own != NULL, "memory");
	pthread_mutex_init(&own->lock, NULL);
	pthread_cond_init(&own->wake, NULL);
	for (size_t i = 0; i < thread->window; i++) {
		request *what = &all->requests[thread->index * thread->window + i];

		what->owner = own;
		bench_payload_init(what->payload, thread->round->load.bytes);
	}
	thread->own = own;
}

static void take_reply(bench_thread *thread, request *what)
{
	await(what);
	bench_check(thread->round,
	            bench_payload_is(what->payload, thread->round->load.bytes, what->id), "reply");
	what->open = false;
	if (thread->window == 1)
		bench_histogram_add(thread->latency, dxh_now_ns() - what->posted_ns);
	thread->operations++;
}

static void run(bench_thread *thread)
{
	queue *all = thread->shared;
	size_t first = thread->index * thread->window, open = 0, at = 0;
	uint64_t number = 0;
	bool posting = true;

	for (; posting || open > 0; at = (at + 1) % thread->window) {
		request *what = &all->requests[first + at];

		if (what->open) {
			take_reply(thread, what);
			open--;
		}
		posting = posting && bench_goes_on(thread->round, number);
		if (!posting)
			continue;
		if (thread->window == 1)
			what->posted_ns = dxh_now_ns();
		what->id = number++ << 16 | (first + at);
		bench_payload_mark(what->payload, thread->round->load.bytes, what->id);
		post(all, what);
		open++;
	}
}

static void finish(bench_thread *thread)
{
	free(thread->own);
}

static void end(queue *own)
{
	pthread_mutex_lock(&own->lock);
	own->ending = true;
	pthread_mutex_unlock(&own->lock);
	eventfd_write(own->doorbell, 1);
	pthread_join(own->thread, NULL);
	zmq_close(own->socket);
	zmq_ctx_term(own->context);
	close(own->doorbell);
	free(own->posted);
	free(own->taken);
	free(own->requests);
}

void bench_naive(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = run, .finish = finish};
	size_t room = round->load.window + round->load.threads;
	queue own = {.round = round,
	             .posted = calloc(room, sizeof(request *)),
	             .taken = calloc(room, sizeof(request *)),
	             .requests = calloc(room, sizeof(request))};

	bench_check(round, own.posted && own.taken && own.requests, "memory");
	bench_server(round,
	             round->load.variant > 1 ? bench_zmq_serve_packed : bench_zmq_serve_echo);
	pthread_mutex_init(&own.lock, NULL);
	own.doorbell = eventfd(0, EFD_CLOEXEC);
	own.context = zmq_ctx_new();
	own.socket = bench_zmq_open(round, own.context, ZMQ_DEALER, false);
	bench_check(round, pthread_create(&own.thread, NULL, serve_queue, &own) == 0, "thread");
	bench_threads(round, &crowd, &own);
	end(&own);
}
