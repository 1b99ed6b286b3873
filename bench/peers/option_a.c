/* SPDX-License-Identifier: MIT */
/* Many threads, one DEALER, one mutex: held over the round trip, which is what one writes
 * first; and done with care, so that it is held only while the socket is touched. */
#include "bench/peers/peers.h"
#include "bench/peers/zmq.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct caller {
	uint64_t id;
	bool answered;
	pthread_cond_t wake;
	unsigned char payload[256];
} caller;

typedef struct socket_for_all {
	pthread_mutex_t lock;
	void *socket;
	/* with care */
	caller **callers;
	caller *leader; /* waits for the socket on behalf of all */
	int leader_fd;  /* ends its wait */
	int socket_fd;
} socket_for_all;

static uint64_t id_of(const bench_thread *thread, uint64_t number)
{
	return number << 8 | thread->index;
}

/* ---- held over the round trip --------------------------------------------------------- */

static void ask_locked(bench_thread *thread, socket_for_all *all, caller *own)
{
	size_t bytes = thread->round->load.bytes;

	pthread_mutex_lock(&all->lock);
	bench_check(thread->round, zmq_send(all->socket, own->payload, bytes, 0) != -1, "send");
	bench_check(thread->round, zmq_recv(all->socket, own->payload, bytes, 0) == (int)bytes,
	            "receive");
	pthread_mutex_unlock(&all->lock);
}

/* ---- with care ---------------------------------------------------------------------------- */

static void hand_out(bench_thread *thread, socket_for_all *all)
{
	size_t bytes = thread->round->load.bytes;
	unsigned char reply[256];

	while (zmq_recv(all->socket, reply, sizeof reply, ZMQ_DONTWAIT) == (int)bytes) {
		caller *whose = all->callers[bench_payload_id(reply) & 0xff];

		bench_check(thread->round, bench_payload_is(reply, bytes, whose->id), "reply");
		whose->answered = true;
		if (whose == all->leader)
			eventfd_write(all->leader_fd, 1);
		else
			pthread_cond_signal(&whose->wake);
	}
}

/* The lock is not held meanwhile. */
static void lead(socket_for_all *all, caller *own)
{
	struct pollfd waits[2] = {{.fd = all->socket_fd, .events = POLLIN},
	                          {.fd = all->leader_fd, .events = POLLIN}};
	eventfd_t count;

	all->leader = own;
	pthread_mutex_unlock(&all->lock);
	poll(waits, 2, -1);
	pthread_mutex_lock(&all->lock);
	if (waits[1].revents & POLLIN)
		eventfd_read(all->leader_fd, &count);
	all->leader = NULL;
}

static void appoint_next(bench_thread *thread, socket_for_all *all)
{
	for (size_t i = 0; !all->leader && i < thread->round->load.threads; i++)
		if (all->callers[i] && all->callers[i]->id != 0 && !all->callers[i]->answered) {
			pthread_cond_signal(&all->callers[i]->wake);
			return;
		}
}

static void ask_with_care(bench_thread *thread, socket_for_all *all, caller *own)
{
	size_t bytes = thread->round->load.bytes;

	pthread_mutex_lock(&all->lock);
	own->answered = false;
	own->id = bench_payload_id(own->payload);
	bench_check(thread->round, zmq_send(all->socket, own->payload, bytes, 0) != -1, "send");
	for (;;) {
		/* Also what came while sending: its descriptor tells of news only once. */
		hand_out(thread, all);
		if (own->answered)
			break;
		if (all->leader)
			pthread_cond_wait(&own->wake, &all->lock);
		else
			lead(all, own);
	}
	own->id = 0;
	appoint_next(thread, all);
	pthread_mutex_unlock(&all->lock);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void prepare(bench_thread *thread)
{
	socket_for_all *all = thread->shared;
	caller *own = calloc(1, sizeof *own);

	bench_check(thread->round, own != NULL, "memory");
	pthread_cond_init(&own->wake, NULL);
	bench_payload_init(own->payload, thread->round->load.bytes);
	all->callers[thread->index] = own;
	thread->own = own;
}

static void run(bench_thread *thread)
{
	size_t bytes = thread->round->load.bytes;
	socket_for_all *all = thread->shared;
	caller *own = thread->own;

	while (bench_goes_on(thread->round, thread->operations)) {
		uint64_t id = id_of(thread, ++thread->operations);
		int64_t begin_ns = dxh_now_ns();

		bench_payload_mark(own->payload, bytes, id);
		if (thread->round->load.variant)
			ask_with_care(thread, all, own);
		else
			ask_locked(thread, all, own);
		bench_check(thread->round, bench_payload_is(own->payload, bytes, id), "reply");
		bench_histogram_add(thread->latency, dxh_now_ns() - begin_ns);
	}
}

static void finish(bench_thread *thread)
{
	free(thread->own);
}

void bench_option_a(bench_round *round)
{
	static const bench_crowd crowd = {.prepare = prepare, .run = run, .finish = finish};
	caller *callers[256] = {0};
	socket_for_all all = {.callers = callers};
	size_t length = sizeof all.socket_fd;
	void *context;

	bench_server(round, bench_zmq_serve_echo);
	context = zmq_ctx_new();
	pthread_mutex_init(&all.lock, NULL);
	all.leader_fd = eventfd(0, EFD_CLOEXEC);
	all.socket = bench_zmq_open(round, context, ZMQ_DEALER, false);
	zmq_getsockopt(all.socket, ZMQ_FD, &all.socket_fd, &length);
	bench_threads(round, &crowd, &all);
	zmq_close(all.socket);
	zmq_ctx_term(context);
	close(all.leader_fd);
}
