/* SPDX-License-Identifier: MIT */
/* Both ends of a conversation, ours and bare ZeroMQ's, in one process. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench/bench.h"

#include <pthread.h>
#include <stdatomic.h>

/* Two hubs: one echoes requests and counts notifications, one asks. */
typedef struct bench_pair {
	dxh_hub *server, *client;
	dxh_service *service;
	dxh_peer *peer;
	pthread_t thread;
	_Atomic uint64_t notified;
} bench_pair;

void bench_pair_open(bench_pair *pair);
void bench_pair_close(bench_pair *pair);

/* A ROUTER that echoes (or, for DEALER to DEALER, counts), and a DEALER to ask. */
typedef struct bench_raw {
	void *context, *server, *client;
	pthread_t thread;
	_Atomic uint64_t received;
	int echo;
} bench_raw;

void bench_raw_open(bench_raw *raw, int echo);
void bench_raw_close(bench_raw *raw);

#endif
