/* SPDX-License-Identifier: MIT */
/* Our side of messages: a service that echoes and counts, in a process of its own, and a
 * hub with a peer to ask it. */
#ifndef BENCH_HUB_H
#define BENCH_HUB_H

#include "bench/bench.h"

/* Bodies larger than the default are allowed for when load.bytes is. */
void bench_hub_serve(bench_round *round);

typedef struct bench_hub {
	dxh_hub *hub;
	dxh_peer *peer;
} bench_hub;

/* Fork the service, open the hub, connect, and ask once. hub_config may be NULL; what
 * large bodies need is filled in. */
void bench_hub_open(bench_round *round, bench_hub *own, const dxh_hub_config *hub_config);
void bench_hub_close(bench_round *round, bench_hub *own);

/* The hub and peer that requests of these sizes and numbers need. */
dxh_hub_config bench_hub_config(const bench_round *round);
dxh_peer_config bench_peer_config(const bench_round *round);

/* variant BENCH_INLINE: the service answers on its I/O thread; else on a worker. */
enum { BENCH_INLINE = 1000 };
void bench_hub_rtt(bench_round *round);    /* one request at a time */
void bench_hub_window(bench_round *round); /* load.window of them, from load.threads */
void bench_hub_window_with(bench_round *round, const dxh_hub_config *config);
void bench_hub_sync(bench_round *round);   /* load.threads callers, one request each */
void bench_hub_notify(bench_round *round); /* notifications from load.threads */
void bench_hub_lone(bench_round *round);   /* one notification at a time */

void bench_hub_post(bench_round *round);       /* single posts, timed */
void bench_hub_posters(bench_round *round);    /* load.threads of them, CPU time of posts */
void bench_hub_post_calls(bench_round *round); /* system calls; variant 1: some planted */

void bench_hub_peers(bench_round *round);     /* load.count of one hub */
void bench_hub_deadlines(bench_round *round); /* load.count armed */

void bench_hub_allocations(bench_round *round);
void bench_hub_large(bench_round *round); /* variant: DXH_TRANSFER or 0 */

/* variant: of requests none is timed, one in 64, or that in a block. */
enum { BENCH_UNTIMED = -1, BENCH_TIMED = 0, BENCH_IN_BLOCK = 1 };
void bench_hub_metrics(bench_round *round);

#endif
