/* SPDX-License-Identifier: MIT */
/* A thread with a socket of its own and a window of requests on it. */
#ifndef BENCH_PEERS_LANE_H
#define BENCH_PEERS_LANE_H

#include "bench/peers/zmq.h"

typedef struct bench_lane {
	void *socket;
	unsigned char payload[256];
	uint64_t sent, answered;
	int64_t sent_ns; /* of the last; with a window of one its latency is kept */
} bench_lane;

/* For bench_crowd; prepare opens the socket and calls init. */
bench_lane *bench_lane_init(bench_thread *thread, void *socket);
void bench_lane_run(bench_thread *thread);
void bench_lane_close(bench_thread *thread);

#endif
