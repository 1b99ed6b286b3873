/* SPDX-License-Identifier: MIT */
/* The hub from inside: what its I/O thread owns, and how others reach it. */
#ifndef DXI_HUB_H
#define DXI_HUB_H

#include "base/forked.h"
#include "queue/completion.h"
#include "queue/queue.h"
#include "runtime/drain.h"
#include "runtime/inline_handler.h"
#include "runtime/latency.h"
#include "runtime/link.h"
#include "runtime/metrics.h"
#include "runtime/timer.h"

#include <dxh/block.h>
#include <dxh/hub.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What travels on the submission queue: the kind of a dxi_task. */
typedef enum dxi_task_kind {
	DXI_TASK_OPERATION = 1, /* a request or flush, see operation.h */
	DXI_TASK_CANCEL,        /* the second link of one */
	DXI_TASK_BATCH,         /* an open frame of notifications, see batch.h */
	DXI_TASK_ANSWER,        /* a request that a worker gives back, see service.h */
	DXI_TASK_PARCEL,        /* notifications that workers are done with, see parcel.h */
	DXI_TASK_REFILL,        /* workers have taken: see listener.c */
	DXI_TASK_PUBLISH,       /* see publish.c */
	DXI_TASK_ROOM,          /* a poster that wants the oldest frame, see room.h */
	DXI_TASK_RIPE,          /* a lane of notifications to look at, see notify_lane.h */
	DXI_TASK_CALL,          /* a function to run on the I/O thread */
	DXI_TASK_NOTE           /* never pushed: a notification, see parcel.h */
} dxi_task_kind;

typedef enum dxi_hub_state { DXI_HUB_RUNNING, DXI_HUB_DRAINING, DXI_HUB_CLOSED } dxi_hub_state;

/* Something to be done at a time, on the I/O thread. interval_ns 0: once. */
typedef struct dxi_tick {
	dxi_timer timer;
	int64_t interval_ns;
	void (*fn)(void *context);
	void *context;
} dxi_tick;

struct dxh_hub {
	/* any thread */
	dxi_queue queue;
	int doorbell;
	_Atomic int state; /* dxi_hub_state; written by the I/O thread */
	uint32_t process;
	dxi_pool *pool;
	dxh_hub_config config; /* defaults filled in; constant */
	char name[64];
	uint64_t incarnation;   /* random; mixed into ids on the wire */
	dxi_metrics *metrics;   /* in the block below, or own_metrics */
	dxi_histogram *latency; /* of each stage; the same */
	dxi_metrics own_metrics;
	dxi_histogram own_latency[DXI_STAGES];
	dxh_producer *metrics_block; /* NULL: none */
	pthread_t thread;

	/* the I/O thread alone */
	int epoll;
	struct dxi_context *context; /* ZeroMQ's */
	dxi_links links;
	dxi_wheel deadlines; /* of operations */
	dxi_wheel ticks;     /* of everything else */
	dxi_wakes wakes;
	int64_t now_ns;      /* read once a turn */
	bool sampled_ended;  /* one that is timed has ended in this turn */
	int64_t told_ns;     /* when the metrics block was last told */
	bool latency_untold; /* times have come since */
	struct dxh_peer *peers;
	uint32_t lingering; /* of the peers: those with a linger time */
	struct dxh_service *services;
	dxi_link *doorkeeper;     /* answers libzmq; NULL: not asked yet */
	struct dxh_peer *wanting; /* peers of which posters want frames, see room.h */
	struct dxh_request *lent; /* with bodies of others, see lent.h */
	dxi_inline_handling handling;
	uint64_t cancels_under_way; /* of operations that have ended */
	uint64_t random_state;
	unsigned char *scratch; /* DXI_MESSAGE_BYTES_MAX, for encoding */
	bool stop;

	/* the drain: asked for by one thread, watched by the I/O thread */
	dxi_tick drain_tick;
	dxh_drain_report drain_report;
	dxi_drain_rows drain_rows;
	uint64_t drain_ended_before;
	uint64_t drain_sent_before;
	int64_t drain_deadline_ns;
	_Atomic uint32_t drained; /* futex */
};

/* Push a task, ring if the I/O thread sleeps. Thread: any. */
void dxi_hub_push(dxh_hub *hub, dxi_task *newest, dxi_task *oldest);

/* Run a function on the I/O thread and wait for its answer, whose last error
 * becomes the caller's. On the I/O thread itself it just runs. Thread: any. */
dxh_status dxi_hub_call(dxh_hub *hub, dxh_status (*fn)(void *context), void *context);

/* Is the caller the I/O thread of this hub? Thread: any. */
bool dxi_hub_is_io_thread(const dxh_hub *hub);

/* May new work be posted? DXH_OK, DXH_EFORKED, DXH_EDRAINING, DXH_ECLOSED. */
dxh_status dxi_hub_check_open(const dxh_hub *hub);

/* The same for calls that are allowed while draining. */
dxh_status dxi_hub_fail_forked(const dxh_hub *of);
static inline dxh_status dxi_hub_check_process(const dxh_hub *of)
{
	return of->process == dxi_process_id() ? DXH_OK : dxi_hub_fail_forked(of);
}

/* Call tick->fn every interval_ns from now on, on the I/O thread. stop: after it
 * returns, fn is not running and will not be called. Thread: any. */
void dxi_hub_tick_start(dxh_hub *hub, dxi_tick *tick);
void dxi_hub_tick_stop(dxh_hub *hub, dxi_tick *tick);

/* I/O thread: run the function of a DXI_TASK_CALL; end the drain if nothing is
 * left to do. */
void dxi_hub_run_call(dxi_task *task);
void dxi_hub_look_drained(dxh_hub *hub);

/* I/O thread: everything that waits or is open at any peer ends as DXH_ECLOSED. */
void dxi_hub_abandon_all(dxh_hub *hub, const char *reason);

/* So long after this turn's time; DXH_FOREVER stays it. I/O thread. */
int64_t dxi_hub_after(const dxh_hub *hub, int64_t ns);

/* A random number in [0, below). I/O thread. */
uint64_t dxi_hub_random(dxh_hub *hub, uint64_t below);

/* ---- io_thread.c ---- */

void *dxi_io_thread(void *hub);

/* One turn without sleeping; returns the work done. For tests and the thread. */
size_t dxi_io_turn(dxh_hub *hub, int64_t now_ns);

#endif
