/* SPDX-License-Identifier: MIT */
/* The hub: one I/O thread that owns every socket, and what it counts.
 *
 * Any thread posts; the I/O thread sends, receives, watches deadlines and
 * completes. Usually a program has one hub. After fork() the child must open
 * its own: every object of the parent answers DXH_EFORKED there.
 */
#ifndef DXH_HUB_H
#define DXH_HUB_H

#include <dxh/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dxh_hub dxh_hub;

typedef struct dxh_hub_config {
	const char *name;           /* told to peers, shown in logs; NULL: program name */
	uint32_t operations_max;    /* posted and not yet released; 0: 65536 */
	uint32_t frame_bytes;       /* a frame is closed at this size; 0: 65536, the most */
	uint64_t body_bytes_max;    /* largest body sent or received; 0: 512 KiB; <= 1 GiB */
	int64_t connect_timeout_ns; /* handshake of one connection; 0: 5 s */
	int64_t reconnect_min_ns;   /* pause before the next try, full jitter; 0: 10 ms */
	int64_t reconnect_max_ns;   /* 0: 1 s */
	int32_t sample_one_in;      /* requests of a thread timed for dxh_hub_latency_get(); 0: 64;
	                             * negative: none */
	const char *metrics_block;  /* a block where other processes read what this hub counts, see
	                             * dxh/metrics.h; NULL: none */
} dxh_hub_config;

/* Open a hub and start its I/O thread.
 * Called:  dxh_hub_open(config, &hub); config NULL: all defaults.
 * Thread:  any. Owner: the caller, until dxh_hub_close().
 * Returns: DXH_EINVAL naming the field; DXH_ENOMEM; DXH_ELIMIT; DXH_ESYSTEM; with
 *          metrics_block also as dxh_producer_open(): DXH_EBUSY when another hub that
 *          lives has it, DXH_ESCHEMA or DXH_ESIZE when it is some other block.
 */
#define dxh_hub_open(...) dxh_hub_open_sized(sizeof(dxh_hub_config), __VA_ARGS__)
DXH_API DXH_NODISCARD dxh_status dxh_hub_open_sized(size_t config_bytes,
                                                    const dxh_hub_config *config, dxh_hub **hub);

/* What a drain did, and left behind, all in all; dxh/drain.h tells it by lane and peer. */
typedef struct dxh_drain_report {
	uint64_t completed; /* operations that ended while draining */
	uint64_t abandoned; /* operations ended as DXH_ECLOSED at the deadline */
	uint64_t notifications_sent;
	uint64_t notifications_left; /* never handed to the network */
	uint64_t answers_left;       /* of services, for clients that did not take them */
	uint64_t rows_missing;       /* of dxh_hub_drain_row(), for want of memory */
} dxh_drain_report;

/* Refuse new posts, wait until all operations have ended, all notifications are sent
 * and all answers that services have given, or the deadline. Then what is left ends as
 * DXH_ECLOSED with its certainty. Returns at the latest 50 ms after the deadline,
 * whatever the peers do. Services go on; requests that are with their workers are not
 * waited for, and told by dxh_hub_drain_row(). Close the hub next; no call reopens it.
 *
 * Called:  dxh_hub_drain(hub, deadline_ns, &report); report may be NULL.
 * Thread:  any but the I/O thread; once.
 * Returns: DXH_OK: nothing of this was left; DXH_EWAIT: something was, see report and
 *          dxh_hub_drain_row(). DXH_EINVAL; DXH_EDEADLK; DXH_EFORKED; DXH_ECLOSED when
 *          drained before.
 */
#define dxh_hub_drain(...) dxh_hub_drain_sized(sizeof(dxh_drain_report), __VA_ARGS__)
DXH_API dxh_status dxh_hub_drain_sized(size_t report_bytes, dxh_hub *hub, int64_t deadline_ns,
                                       dxh_drain_report *report);

/* Close the hub with its peers, services and requests: all pointers to them die
 * with it, so no other thread may be inside a call with one. Threads that still post are
 * told to end by dxh_hub_drain(): from then on they get DXH_EDRAINING and DXH_ECLOSED.
 * Completions stay valid, also in calls that wait for them; those still open end as
 * DXH_ECLOSED. Clients of its services are given
 * up to 200 ms to read their last answers; nothing else is waited for.
 * In a child of fork() it frees nothing shared with the parent.
 *
 * Thread:  any but the I/O thread. Sets *hub to NULL.
 * Returns: DXH_EINVAL when it is NULL; DXH_EDEADLK on the I/O thread.
 */
DXH_API dxh_status dxh_hub_close(dxh_hub **hub);

/* Counters since the hub was opened; they only grow, but for *_now. */
typedef struct dxh_hub_stats {
	uint64_t posted; /* operations accepted; the sum of the next eight + open */
	uint64_t done;   /* ended with a reply */
	uint64_t errors; /* ended with an error reply of the service, also that it was too late */
	uint64_t expired;
	uint64_t canceled;
	uint64_t lost;       /* connection ended after sending */
	uint64_t unsendable; /* ended unsent for another reason than those above */
	uint64_t closed;     /* ended by drain or close */
	uint64_t flushed;    /* flushes that ended well */
	uint64_t open_now;

	uint64_t notifications_posted;
	uint64_t notifications_sent;
	uint64_t notifications_dropped; /* at close, or as the oldest when that was asked for */

	uint64_t requests_received;
	uint64_t requests_refused; /* overloaded or malformed, answered with an error */
	uint64_t requests_expired; /* refused because their time had passed */
	uint64_t replies_sent;
	/* Of requests received, those whose client went before it could be sent an answer,
	 * or for whose answer there was no room. With replies_sent and what is still open
	 * they make up requests_received. */
	uint64_t replies_dropped;
	uint64_t notifications_received;
	uint64_t notifications_refused; /* no room in the inbox */

	uint64_t frames_sent;
	uint64_t records_sent;
	uint64_t frames_received;
	uint64_t records_received;
	uint64_t frames_bad;      /* broke a rule of the wire format; dropped */
	uint64_t replies_late;    /* for an operation that had ended; dropped */
	uint64_t replies_foreign; /* for nothing we asked this peer; dropped */

	uint64_t wakeups;     /* times the I/O thread woke from its sleep */
	uint64_t doorbells;   /* system calls posters made to wake it */
	uint64_t futex_wakes; /* system calls made to wake waiters */
	uint64_t reconnects;
	uint64_t slots_now; /* completions not released */
	/* Completions; bodies of requests under way and of replies not released that are
	 * larger than these; frames of notifications; received requests and notifications, answers and
	 * publications that wait; where frames are put together. Not: notes received, see
	 * inbox_bytes of subscriptions; tables that are made when something is opened; what
	 * ZeroMQ holds. */
	uint64_t memory_bytes;

	uint64_t notes_published; /* one for each subscription that a publication met */
	uint64_t notes_sent;
	uint64_t notes_dropped; /* their subscriber was too slow, or gone */

	uint64_t retries;         /* requests sent once more */
	uint64_t retries_refused; /* not, because retries were too many already */
	uint64_t clients_refused; /* whose keys were on no list */
	uint64_t callbacks;       /* of inline groups and handlers, on the I/O thread */
	uint64_t callbacks_slow;  /* that held it up for more than 1 ms */

	uint64_t control_refused; /* hints to a service, and answers of a service to such, for
	                           * which there was no room */

	uint64_t requests_unknown; /* dispatched, with a subject that nobody handles */

	/* Nothing is dropped without a count. What was handed to the network counts as
	 * sent; whether it arrived only an answer or a flush can tell. */
	uint64_t notifications_unread; /* of those received, when their service was closed */
	uint64_t notes_received;       /* into the inbox of a subscription */
	uint64_t notes_refused;        /* no room in that inbox */
	uint64_t notes_stray;  /* for no subscription that stands, as right after closing it */
	uint64_t notes_unread; /* of those received, when their subscription was closed */

	uint64_t parts_dropped; /* of bodies that were refused, had ended, or were not asked for */

	uint64_t held; /* requests marked DXH_HOLD, held when their connection ended */
	/* Requests that came again to a service that keeps answers, see dxh_service_config.
	 * With those that were executed once more they are all that did. */
	uint64_t repeats_answered; /* with the answer of before */
	uint64_t repeats_joined;   /* still in work: one answer for both */
	uint64_t repeats_refused;  /* as DXH_EREPEATED or DXH_ELOST */
	/* Of answers that no client had acknowledged: */
	uint64_t replies_evicted;   /* given up for want of room, or as their client was away */
	uint64_t replies_forgotten; /* nor is it known any more that they were given */
} dxh_hub_stats;

/* A snapshot without a lock. Thread: any. Returns: DXH_EINVAL, DXH_EFORKED. */
#define dxh_hub_stats_get(...) dxh_hub_stats_get_sized(sizeof(dxh_hub_stats), __VA_ARGS__)
DXH_API dxh_status dxh_hub_stats_get_sized(size_t stats_bytes, const dxh_hub *hub,
                                           dxh_hub_stats *stats);

/* Where the time of a request goes. */
typedef enum dxh_stage {
	DXH_STAGE_QUEUE = 0,   /* posted, until the I/O thread has taken it */
	DXH_STAGE_LANE = 1,    /* until it is handed to the network */
	DXH_STAGE_SERVICE = 2, /* until its answer is here: network, service, network */
	DXH_STAGE_WAKE = 3     /* until its waiter is woken, behind the whole batch */
} dxh_stage;

/* Of the requests that were timed, since the hub was opened; percentiles are known to
 * an eighth. */
typedef struct dxh_latency {
	uint64_t count;
	uint64_t p50_ns, p90_ns, p99_ns, p999_ns;
	uint64_t max_ns;
} dxh_latency;

/* A snapshot without a lock. Thread: any. Returns: DXH_EINVAL; DXH_EFORKED. */
DXH_API dxh_status dxh_hub_latency_get(const dxh_hub *hub, dxh_stage stage, dxh_latency *latency);

/* One line without newline or other control characters; called on the I/O thread. */
typedef void (*dxh_dump_fn)(void *context, const char *line);

/* Tell what the hub is doing now: its peers, each with its state and its open operations
 * (subject, bytes, state, age, time left until the deadline, attempt), then its services,
 * each with its clients. Of operations and clients a hundred lines are written, and one
 * that counts the others. The hub stands still meanwhile.
 *
 * Thread:  any, also this hub's I/O thread, in a callback.
 * Blocks:  until the I/O thread has written it.
 * Returns: DXH_EINVAL; DXH_EDEADLK on another hub's I/O thread; DXH_EFORKED. */
DXH_API dxh_status dxh_hub_dump(dxh_hub *hub, dxh_dump_fn write, void *context);

#ifdef __cplusplus
}
#endif
#endif
