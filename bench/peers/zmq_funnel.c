/* SPDX-License-Identifier: MIT */
/* Threads that speak inproc to a proxy, which owns the one connection to the server: what
 * the ZeroMQ guide suggests when many threads share a connection. */
#include "bench/peers/lane.h"
#include "bench/peers/peers.h"

#include <pthread.h>
#include <stdio.h>

typedef struct funnel {
	void *context;
	char inner[80];
	pthread_t thread;
	void *near, *far;
} funnel;

static void *forward(void *argument)
{
	funnel *own = argument;

	zmq_proxy(own->near, own->far, NULL); /* until the context ends */
	zmq_close(own->near);
	zmq_close(own->far);
	return NULL;
}

static void *open_near(bench_round *round, funnel *own, int type)
{
	void *socket = zmq_socket(own->context, type);
	const int none = 0;

	bench_check(round, socket != NULL, "zmq_socket");
	zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
	zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
	return socket;
}

static void open_inner(bench_thread *thread)
{
	funnel *through = thread->shared;
	void *socket = open_near(thread->round, through, ZMQ_DEALER);

	bench_check(thread->round, zmq_connect(socket, through->inner) == 0, "connect");
	bench_lane_init(thread, socket);
}

void bench_zmq_funnel(bench_round *round)
{
	static const bench_crowd crowd = {
		.prepare = open_inner, .run = bench_lane_run, .finish = bench_lane_close};
	funnel own = {0};

	bench_server(round, bench_zmq_serve_echo);
	own.context = zmq_ctx_new();
	snprintf(own.inner, sizeof own.inner, "inproc://%s", round->name);
	own.near = open_near(round, &own, ZMQ_ROUTER);
	bench_check(round, zmq_bind(own.near, own.inner) == 0, "bind");
	own.far = bench_zmq_open(round, own.context, ZMQ_DEALER, false);
	bench_check(round, pthread_create(&own.thread, NULL, forward, &own) == 0, "thread");
	bench_threads(round, &crowd, &own);
	zmq_ctx_shutdown(own.context);
	pthread_join(own.thread, NULL);
	zmq_ctx_term(own.context);
}
