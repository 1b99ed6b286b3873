/* SPDX-License-Identifier: MIT */
/* The service: one endpoint we answer on.
 *
 * service.c and request.c hold what user threads call; clients.h the I/O thread's side: who is
 * connected, what each has open, and the answers on their way back.
 */
#ifndef DXI_SERVICE_H
#define DXI_SERVICE_H

#include "queue/credit.h"
#include "queue/inbox.h"
#include "runtime/body.h"
#include "runtime/caller.h"
#include "runtime/endpoint.h"
#include "runtime/floods.h"
#include "runtime/handlers.h"
#include "runtime/hub.h"
#include "runtime/reply_cache.h"
#include "runtime/security.h"
#include "runtime/shed.h"
#include "runtime/topics.h"
#include "runtime/turns.h"
#include "runtime/wire.h"

typedef struct dxi_client dxi_client;
typedef struct dxi_parcel dxi_parcel;

/* A received request, later the carrier of its answer. A dxh_request that users have may
 * also be a notification, of which only the task is there: see parcel.h. */
struct dxh_request {
	dxi_task task; /* kind DXI_TASK_ANSWER; before that linked in its client's backlog */
	dxh_service *service;
	dxi_caller *caller; /* who sent it; a notification has it from its parcel */
	dxi_client *client; /* I/O thread; NULL: gone */
	struct dxh_request *previous, *next; /* I/O thread: in a list of the client */
	uint64_t id;
	int64_t deadline_ns;
	_Atomic int canceled; /* relaxed: a hint */
	uint16_t attempt;     /* 0 the first time */
	bool is_to_be_kept;   /* what becomes of it, see reply_cache.h */
	uint8_t subject_bytes;
	dxi_kept *kept; /* I/O thread; NULL: it is not, or no more */

	/* received; the user's until answered */
	unsigned char *body;
	size_t body_bytes;
	dxi_body *lender; /* holds the body when storage does not, see lent.h; NULL: it does */
	struct dxh_request *previous_lent, *next_lent; /* I/O thread */

	/* the answer; published by the push on the queue */
	uint8_t answer_kind; /* dxi_record_kind */
	dxh_status answer_status;
	const void *answer;
	size_t answer_bytes;
	size_t answer_sent;    /* of it, in parts; I/O thread */
	dxi_body *answer_body; /* holds the answer when storage does not; may be NULL */

	size_t capacity;
	unsigned char storage[]; /* subject, NUL, padding, body; later the answer. The worker's
	                          * alone until it has answered */
};

typedef struct dxi_request_list {
	dxh_request *first, *last;
	size_t count;
} dxi_request_list;

/* Clients that wait to be sent to. */
typedef struct dxi_client_queue {
	dxi_client *first, *last;
} dxi_client_queue;

/* May this client subscribe to all topics that begin so? DXH_OK or how it is refused.
 * NULL: it may. I/O thread. */
typedef struct dxi_topic_gate {
	dxh_status (*admit)(void *context, const dxh_client_info *client, const char *prefix,
	                    size_t prefix_bytes);
	void *context;
} dxi_topic_gate;

struct dxh_service {
	/* any thread */
	dxh_hub *hub;
	dxi_topic_gate gate; /* constant */
	dxh_service_config config;
	dxi_inbox *inbox;
	_Atomic int fd; /* -1 until asked for; release / acquire */
	dxi_handlers handlers;
	char endpoint[DXI_ENDPOINT_BYTES_MAX + 1]; /* as bound */
	dxi_curve curve;                           /* constant */
	char *allow_file;                          /* NULL: any key, or no keys */
	dxi_credit publications;                   /* that wait for the I/O thread */
	_Atomic uint32_t subscribers;              /* subscriptions of all clients */
	/* Dekker, all seq_cst: a worker takes, then looks at more_waits; the I/O thread
	 * sets more_waits, then looks at what is left in the inbox. */
	_Atomic bool more_waits;   /* written by the I/O thread: behind what is in the inbox */
	_Atomic uint32_t ahead;    /* at most so many in the inbox; relaxed, workers: a hint */
	_Atomic bool poked;        /* refill is on the queue, or its effect is to come */
	dxi_task refill;           /* kind DXI_TASK_REFILL */
	_Atomic uint32_t deserted; /* futex: leaving, and no client is left */

	/* the I/O thread alone */
	struct dxh_service *next;
	dxi_link *link;
	dxi_endpoint_file file;
	dxi_shed shed;
	dxi_client **buckets; /* by routing id */
	dxi_topics topics;    /* who subscribed to what */
	uint32_t bucket_count;
	uint32_t client_count;
	dxi_floods hellos;          /* by where they come from */
	dxi_floods overruns;        /* of windows, by incarnation */
	dxi_floods chatter;         /* records that bring no work, by incarnation */
	dxi_turns turns;            /* received and not yet in the inbox */
	int64_t starved_ns;         /* when workers had nothing though something waited, last */
	dxi_backlog leavings;       /* of clients that are gone */
	dxi_client_queue answering; /* clients whose answers can be tried now */
	dxi_client_queue parked;    /* those that were full; tried at the next edge */
	dxi_tick again;             /* and by the clock */
	dxi_reply_cache cache;      /* not after its farewell */
	dxi_tick absence;           /* who has been away too long is forgotten */
	uint64_t requests_out;      /* waiting, in the inbox or with the user */
	uint64_t bytes_out;         /* what those hold */
	bool leaving;               /* takes nothing more, has said farewell */
	bool closed;                /* freed when requests_out comes to 0 */
	dxh_request *spare;         /* for reuse */
	uint32_t spare_count;
	dxi_parcel *spare_parcels; /* linked by task.node */
	uint32_t spare_parcel_count;
};

/* dxh_service_bind() with a gate. */
dxh_status dxi_service_bind(dxh_hub *hub, const char *endpoint, const dxh_service_config *config,
                            const dxi_topic_gate *gate, dxh_service **service);

/* Clients that are there read their last answers; the dead are known at once. */
enum { DXI_FAREWELL_NS = 200000000 };

/* End the receiving threads and say farewell; then wait until every client has
 * left, or the deadline. Not on the I/O thread. */
void dxi_service_begin_leave(dxh_service *service);
void dxi_service_await_leave(dxh_service *service, int64_t deadline_ns);

/* Make the descriptor readable, if somebody has asked for it. Thread: any. */
void dxi_service_ring(dxh_service *service);

/* The memory of one that does not listen, or no more. */
void dxi_service_destroy(dxh_service *service);

/* ---- the I/O thread's side: listener.c, intake.c, answers.c ---- */

/* Open the link and listen. */
dxh_status dxi_service_listen(dxh_service *service, const char *endpoint);

/* A worker gives a request back, answered; or the last notification of a parcel. */
void dxi_service_take_answer(dxh_request *request);
void dxi_service_take_parcel(dxi_parcel *parcel);

/* Workers have taken enough that more can go on to them. */
void dxi_service_poked(dxi_task *task);

/* What waits goes on to the inbox, a client in turn. */
void dxi_service_refill(dxh_service *service);

/* Once a turn: wake workers, send answers. Returns the work done. */
size_t dxi_service_answer(dxh_service *service);

/* No answer waits to be sent. */
bool dxi_service_is_idle(const dxh_service *service);

/* Answer everything that is open with DXH_ECLOSED and say GOODBYE. Clients then
 * hang up, after they have read it: a service that hung up first could cut its
 * last answers off, for libzmq may drop what was received and not yet read. */
void dxi_service_say_farewell(dxh_service *service);

/* Close the link; free the service now, or when the last request of a user has
 * come back. */
void dxi_service_free(dxh_service *service, int linger_ms);

#endif
