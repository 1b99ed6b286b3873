/* SPDX-License-Identifier: MIT */
/* What the system has to bring bytes to another process: pipes and POSIX message queues;
 * and ZeroMQ over ipc. */
#include "bench/peers/peers.h"
#include "bench/peers/zmq.h"
#include "bench/way.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a pipe ------------------------------------------------------------------------------ */

static void pipe_make(bench_way *way)
{
	int *ends = calloc(2, sizeof *ends);

	bench_check(way->round, ends && pipe(ends) == 0, "pipe");
	/* As large as a user may make it. */
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	way->own = ends;
}

static void pipe_open(bench_way *way)
{
	(void)way;
}

static void pipe_send(bench_way *way, const void *payload)
{
	const int *ends = way->own;
	size_t bytes = way->round->load.bytes;

	for (size_t done = 0; done < bytes;) {
		ssize_t some = write(ends[1], (const char *)payload + done, bytes - done);

		bench_check(way->round, some > 0, "write");
		done += (size_t)some;
	}
}

static void pipe_receive(bench_way *way, void *payload)
{
	const int *ends = way->own;
	size_t bytes = way->round->load.bytes;

	for (size_t done = 0; done < bytes;) {
		ssize_t some = read(ends[0], (char *)payload + done, bytes - done);

		bench_check(way->round, some > 0, "read");
		done += (size_t)some;
	}
}

static void pipe_close(bench_way *way)
{
	free(way->own);
}

static const bench_transport by_pipe = {.make = pipe_make,
                                        .open = pipe_open,
                                        .send = pipe_send,
                                        .receive = pipe_receive,
                                        .close = pipe_close};

void bench_pipe_latency(bench_round *round)
{
	bench_way_latency(round, &by_pipe, true);
}

void bench_pipe_rate(bench_round *round)
{
	bench_way_rate(round, &by_pipe, true);
}

/* ---- a POSIX message queue: up to 8 KiB a message by default --------------------------- */

static void mq_make(bench_way *way)
{
	struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)way->round->load.bytes};
	char name[80];
	mqd_t *queue = malloc(sizeof *queue);

	bench_check(way->round, queue != NULL, "memory");
	snprintf(name, sizeof name, "/%s", bench_way_name(way));
	*queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	bench_check(way->round, *queue != (mqd_t)-1, "mq_open");
	mq_unlink(name); /* both ends inherit it */
	way->own = queue;
}

static void mq_send_one(bench_way *way, const void *payload)
{
	const mqd_t *queue = way->own;

	bench_check(way->round, mq_send(*queue, payload, way->round->load.bytes, 0) == 0, "send");
}

static void mq_receive_one(bench_way *way, void *payload)
{
	ssize_t bytes = (ssize_t)way->round->load.bytes;
	const mqd_t *queue = way->own;

	bench_check(way->round, mq_receive(*queue, payload, (size_t)bytes, NULL) == bytes,
	            "receive");
}

static const bench_transport by_mq = {.make = mq_make,
                                      .open = pipe_open,
                                      .send = mq_send_one,
                                      .receive = mq_receive_one,
                                      .close = pipe_close};

void bench_mq_latency(bench_round *round)
{
	bench_way_latency(round, &by_mq, true);
}

void bench_mq_rate(bench_round *round)
{
	bench_way_rate(round, &by_mq, true);
}

/* ---- ZeroMQ: PUSH and PULL over ipc -------------------------------------------------------- */

/* One a process, ended with its last way: what was sent last leaves before. */
static void *context;
static int open_ways;

static void zmq_open_way(bench_way *way)
{
	void *socket;
	char endpoint[96];
	int result;

	if (open_ways++ == 0)
		context = zmq_ctx_new();
	socket = zmq_socket(context, way->writes ? ZMQ_PUSH : ZMQ_PULL);
	bench_check(way->round, socket != NULL, "zmq_socket");
	snprintf(endpoint, sizeof endpoint, "ipc://@%s", bench_way_name(way));
	result = way->writes ? zmq_connect(socket, endpoint) : zmq_bind(socket, endpoint);
	bench_check(way->round, result == 0, "zmq endpoint");
	way->own = socket;
}

static void zmq_send_one(bench_way *way, const void *payload)
{
	bench_check(way->round, zmq_send(way->own, payload, way->round->load.bytes, 0) != -1,
	            "send");
}

static void zmq_receive_one(bench_way *way, void *payload)
{
	int bytes = (int)way->round->load.bytes;

	bench_check(way->round, zmq_recv(way->own, payload, (size_t)bytes, 0) == bytes, "receive");
}

static void zmq_close_way(bench_way *way)
{
	zmq_close(way->own);
	if (--open_ways == 0)
		zmq_ctx_term(context);
}

static const bench_transport by_zmq = {.open = zmq_open_way,
                                       .send = zmq_send_one,
                                       .receive = zmq_receive_one,
                                       .close = zmq_close_way};

void bench_zmq_latency(bench_round *round)
{
	bench_way_latency(round, &by_zmq, true);
}

void bench_zmq_rate(bench_round *round)
{
	bench_way_rate(round, &by_zmq, true);
}
