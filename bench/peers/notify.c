/* SPDX-License-Identifier: MIT */
/* Notifications from many threads over one PUSH socket: each sent under a mutex; packed
 * under the mutex, the best simple thing to write; by a mutex queue to a thread that
 * packs; and a lone one. */
#include "bench/peers/notes.h"
#include "bench/peers/peers.h"
#include "bench/peers/zmq.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES = 16384, QUEUE_FRAMES = 64 };

typedef struct outlet {
	bench_round *round;
	void *context, *socket;
	pthread_mutex_t lock;
	/* packed: the frame that is being filled */
	zmq_msg_t frame;
	size_t used;
	/* by a queue: what waits for the thread, which swaps two buffers */
	pthread_cond_t filled, emptied;
	pthread_t thread;
	unsigned char *waiting, *leaving;
	bool ending;
} outlet;

static void prepare(bench_thread *thread)
{
	thread->own = malloc(thread->round->load.bytes);
	bench_check(thread->round, thread->own != NULL, "memory");
	bench_payload_init(thread->own, thread->round->load.bytes);
}

static void finish(bench_thread *thread)
{
	free(thread->own);
}

static void open_outlet(bench_round *round, outlet *own)
{
	/* As many messages as wait by default, in frames of 16 KiB or alone. */
	const int frames = 1000, alone = 64000;
	const int *most = round->load.variant ? &frames : &alone;

	*own = (outlet){.round = round};
	bench_server(round, bench_zmq_serve_notes);
	own->context = zmq_ctx_new();
	own->socket = bench_zmq_open(round, own->context, ZMQ_PUSH, false);
	zmq_setsockopt(own->socket, ZMQ_SNDHWM, most, sizeof *most);
	pthread_mutex_init(&own->lock, NULL);
}

static void close_outlet(outlet *own)
{
	zmq_close(own->socket);
	zmq_ctx_term(own->context);
}

static const unsigned char *next_note(bench_thread *thread)
{
	bench_payload_mark(thread->own, thread->round->load.bytes,
	                   bench_note_id(thread->index, thread->operations++));
	return thread->own;
}

static bool goes_on(const bench_thread *thread)
{
	return (thread->operations & 63) != 0 || bench_goes_on(thread->round, thread->operations);
}

static void settle(bench_round *round, void *shared, uint64_t sent)
{
	(void)shared;
	bench_wait_arrived(round, sent);
}

/* ---- each sent under a mutex ------------------------------------------------------------ */

static void run_mutex(bench_thread *thread)
{
	outlet *to = thread->shared;

	while (goes_on(thread)) {
		const unsigned char *note = next_note(thread);
		int sent;

		pthread_mutex_lock(&to->lock);
		sent = zmq_send(to->socket, note, thread->round->load.bytes, 0);
		pthread_mutex_unlock(&to->lock);
		bench_check(thread->round, sent != -1, "send");
	}
}

void bench_notify_mutex(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = prepare, .run = run_mutex, .settle = settle, .finish = finish};
	outlet own;

	open_outlet(round, &own);
	bench_threads(round, &crowd, &own);
	close_outlet(&own);
}

/* ---- packed under the mutex ------------------------------------------------------------------ */

static void new_frame(outlet *own)
{
	bench_check(own->round, zmq_msg_init_size(&own->frame, FRAME_BYTES) == 0, "memory");
	own->used = 0;
}

static void run_packed(bench_thread *thread)
{
	size_t bytes = thread->round->load.bytes;
	outlet *to = thread->shared;

	while (goes_on(thread)) {
		const unsigned char *note = next_note(thread);

		pthread_mutex_lock(&to->lock);
		memcpy((unsigned char *)zmq_msg_data(&to->frame) + to->used, note, bytes);
		to->used += bytes;
		if (to->used == FRAME_BYTES) {
			bench_check(thread->round, zmq_msg_send(&to->frame, to->socket, 0) != -1,
			            "send");
			new_frame(to);
		}
		pthread_mutex_unlock(&to->lock);
	}
}

/* The last frame is not full. */
static void settle_packed(bench_round *round, void *shared, uint64_t sent)
{
	outlet *own = shared;

	if (own->used > 0)
		bench_check(round,
		            zmq_send(own->socket, zmq_msg_data(&own->frame), own->used, 0) != -1,
		            "send");
	bench_wait_arrived(round, sent);
}

void bench_notify_packed(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = prepare, .run = run_packed, .settle = settle_packed, .finish = finish};
	outlet own;

	bench_check(round, FRAME_BYTES % round->load.bytes == 0, "payload");
	round->load.variant = 1;
	open_outlet(round, &own);
	new_frame(&own);
	bench_threads(round, &crowd, &own);
	zmq_msg_close(&own.frame);
	close_outlet(&own);
}

/* ---- a queue, and a thread that packs ----------------------------------------------------------- */

static void run_queue(bench_thread *thread)
{
	size_t bytes = thread->round->load.bytes;
	outlet *to = thread->shared;

	while (goes_on(thread)) {
		const unsigned char *note = next_note(thread);

		pthread_mutex_lock(&to->lock);
		while (to->used == QUEUE_FRAMES * FRAME_BYTES)
			pthread_cond_wait(&to->emptied, &to->lock);
		memcpy(to->waiting + to->used, note, bytes);
		if (to->used == 0)
			pthread_cond_signal(&to->filled);
		to->used += bytes;
		pthread_mutex_unlock(&to->lock);
	}
}

static size_t take(outlet *own)
{
	unsigned char *waiting;
	size_t used;

	pthread_mutex_lock(&own->lock);
	while (own->used == 0 && !own->ending)
		pthread_cond_wait(&own->filled, &own->lock);
	used = own->used;
	waiting = own->waiting;
	own->waiting = own->leaving;
	own->leaving = waiting;
	own->used = 0;
	pthread_cond_broadcast(&own->emptied);
	pthread_mutex_unlock(&own->lock);
	return used;
}

static void *pack(void *argument)
{
	outlet *own = argument;
	size_t used;

	while ((used = take(own)) > 0)
		for (size_t at = 0; at < used; at += FRAME_BYTES) {
			size_t some = used - at < FRAME_BYTES ? used - at : FRAME_BYTES;

			bench_check(own->round,
			            zmq_send(own->socket, own->leaving + at, some, 0) != -1,
			            "send");
		}
	return NULL;
}

static void end_queue(outlet *own)
{
	pthread_mutex_lock(&own->lock);
	own->ending = true;
	pthread_cond_signal(&own->filled);
	pthread_mutex_unlock(&own->lock);
	pthread_join(own->thread, NULL);
	free(own->waiting);
	free(own->leaving);
}

void bench_notify_queue(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = prepare, .run = run_queue, .settle = settle, .finish = finish};
	outlet own;

	round->load.variant = 1;
	open_outlet(round, &own);
	pthread_cond_init(&own.filled, NULL);
	pthread_cond_init(&own.emptied, NULL);
	own.waiting = malloc(QUEUE_FRAMES * FRAME_BYTES);
	own.leaving = malloc(QUEUE_FRAMES * FRAME_BYTES);
	bench_check(round, own.waiting && own.leaving, "memory");
	bench_check(round, pthread_create(&own.thread, NULL, pack, &own) == 0, "thread");
	bench_threads(round, &crowd, &own);
	end_queue(&own);
	close_outlet(&own);
}

/* ---- a lone one -------------------------------------------------------------------------------- */

typedef struct lone {
	outlet to;
	unsigned char payload[256];
} lone;

static void send_lone(bench_round *round, void *context, uint64_t id)
{
	lone *own = context;

	bench_payload_mark(own->payload, round->load.bytes, id);
	bench_check(round, zmq_send(own->to.socket, own->payload, round->load.bytes, 0) != -1,
	            "send");
}

void bench_notify_lone(bench_round *round)
{
	lone own;

	bench_payload_init(own.payload, round->load.bytes);
	open_outlet(round, &own.to);
	bench_note_lone(round, send_lone, &own);
	close_outlet(&own.to);
}
