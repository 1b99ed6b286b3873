/* SPDX-License-Identifier: MIT */
/* What the rivals on bare ZeroMQ share: sockets that drop nothing, and servers. */
#ifndef BENCH_PEERS_ZMQ_H
#define BENCH_PEERS_ZMQ_H

#include "bench/bench.h"

#include <zmq.h>

/* A context and a socket, connected or bound to the round's endpoint, without
 * high-water marks: the window bounds what is under way, and a ROUTER at its mark
 * would drop. */
void *bench_zmq_open(bench_round *round, void *context, int type, bool bind);

/* Servers: answer each message with itself; answer frames of requests of load.bytes,
 * each looked at; count notifications of load.bytes, which must come in order by
 * thread. */
void bench_zmq_serve_echo(bench_round *round);
void bench_zmq_serve_packed(bench_round *round);
void bench_zmq_serve_notes(bench_round *round);

#endif
