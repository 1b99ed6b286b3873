/* SPDX-License-Identifier: MIT */
/* The round trip of one request of 64 bytes between two processes, nothing else under
 * way. */
#include "bench/hub.h"
#include "bench/peers/peers.h"

void bench_workload_rtt(bench *found)
{
	const bench_load load = {.threads = 1, .window = 1, .bytes = 64};
	bench_load at_once = load;
	int ours, here, zmq, nng;

	at_once.variant = BENCH_INLINE;

	bench_block(found, BENCH_P50, "one request of 64 B at a time, ipc");
	ours = bench_side(found, "dxh", bench_hub_rtt, &load);
	here = bench_side(found, "dxh, inline handler", bench_hub_rtt, &at_once);
	zmq = bench_side(found, "zmq DEALER-ROUTER", bench_zmq_rtt, &load);
	nng = bench_rival(found, "nng", "contexts + aio", &load);
	bench_rival(found, "czmq", "DEALER-ROUTER", &load);
	bench_rival(found, "nanomsg", "REQ-REP", &load);
	bench_rival(found, "nats", "request, tcp", &load);
	bench_side(found, "unix socket", bench_socket_rtt, &load);
	bench_side(found, "futex in shared memory", bench_futex_rtt, &load);
	bench_ratio(found, "rtt.zmq", ours, zmq, BENCH_AT_MOST, 1.25, 1.05);
	bench_ratio(found, "rtt.zmq.inline", here, zmq, BENCH_AT_MOST, 1.25, 1.05);
	bench_ratio(found, "rtt.nng", ours, nng, BENCH_AT_MOST, 0.85, 0.65);
	bench_ratio(found, "rtt.nng.inline", here, nng, BENCH_AT_MOST, 0.85, 0.65);
	bench_block_run(found);
}
