/* SPDX-License-Identifier: MIT */
/* The clients of a service, as the I/O thread sees them. All calls: I/O thread.
 *
 * clients.c knows who is connected; answers.c what goes back to them, answer_queue.c whose
 * turn it is; listener.c and intake.c what they send.
 */
#ifndef DXI_CLIENTS_H
#define DXI_CLIENTS_H

#include "runtime/assembly.h"
#include "runtime/service.h"

/* ZeroMQ makes routing ids of 5 bytes; a client may choose more. */
enum { DXI_ROUTING_ID_MAX = 32 };

typedef enum dxi_queued { DXI_QUEUED_NOWHERE, DXI_QUEUED_ANSWERING, DXI_QUEUED_PARKED } dxi_queued;

/* What a client is still to be sent of publications, see publish.c. */
typedef struct dxi_notes {
	struct dxi_waiting_note *ring;
	uint32_t first, count, capacity;
	uint64_t bytes;
} dxi_notes;

struct dxi_client {
	dxh_service *service;
	struct dxi_client *next_in_bucket;
	struct dxi_client *previous_queued, *next_queued;
	dxi_queued queued;
	bool full;            /* when it was tried last */
	bool retried;         /* since then, or since news came from outside */
	uint64_t incarnation; /* with its key in it, if it has one */
	uint64_t connection;  /* the how manieth of this incarnation; 0: it does not count them */
	dxi_caller *caller;
	dxi_memory *memory;    /* see repeat.h; NULL: nothing is kept for it */
	uint64_t memory_token; /* as it was told */
	char name[64];         /* of its hub, for people */
	int64_t heard_ns;
	dxi_backlog backlog;      /* received, not yet in the inbox */
	dxi_request_list open;    /* in the backlog, the inbox or with the user */
	dxi_request_list answers; /* to be sent */
	uint32_t replies;         /* answers to requests, of all that are to be sent */
	uint64_t bytes;           /* of bodies of its requests, and of its answers */
	/* Bodies in parts, see request_assembly.c and answer_transfer.c. */
	bool takes_parts;
	bool goodbye_due; /* behind the last of them */
	dxi_assemblies arriving;
	dxi_request_list large;     /* answers that wait for others to be sent */
	dxi_request_list departing; /* of which parts are being sent; the first is next */
	uint32_t frames_in_row;     /* of small answers, while parts waited */
	dxi_parcel *parcels;        /* with workers, or waiting for them */
	/* Of its notifications, in bytes of records. */
	uint64_t notify_window; /* this many may be out; 0: it does not count them */
	uint64_t notify_out;    /* not yet given back by workers */
	uint64_t notify_taken;  /* done with, on this connection */
	uint64_t notify_told;   /* of that, it knows */
	dxi_notes notes;
	uint32_t frames_without_notes; /* while some waited */
	struct dxi_subscriber *subscribers;
	uint32_t subscriber_count;
	uint32_t frame_bytes;
	uint8_t id_bytes;
	unsigned char id[DXI_ROUTING_ID_MAX];
};

/* ---- answers.c ---- */

void dxi_request_append(dxi_request_list *list, dxh_request *request);
void dxi_request_remove(dxi_request_list *list, dxh_request *request);

/* Room for so many bytes of subject, body or answer. NULL: no memory. */
dxh_request *dxi_request_make(dxh_service *service, size_t bytes);
void dxi_request_free(dxh_request *request);
void dxi_request_free_spares(dxh_service *service);

/* An answered request, or one of less memory with its answer. */
dxh_request *dxi_request_shrink(dxh_request *request);

/* The request carries its answer: send it when its client's turn comes. */
void dxi_answer_queue(dxi_client *client, dxh_request *request);

/* An answer that the library gives by itself; `body` is copied. */
void dxi_answer_now(dxi_client *client, uint8_t kind, uint64_t id, dxh_status status,
                    const void *body, size_t body_bytes);

/* The service goes: say so when the last answer has left. */
void dxi_client_say_goodbye(dxi_client *client);

/* Send one record past the queues; tells whether the client is still there. */
dxi_sent
dxi_answer_past_queue(dxh_service *service, const void *id, size_t id_bytes, dxi_record record);

/* ---- answer_queue.c ---- */

/* There is something to be sent: an answer, or a note. */
void dxi_client_has_something(dxi_client *client);

/* It was sent to, and there is more for it, behind the others. */
void dxi_client_requeue(dxi_client *client);

/* It is full. */
void dxi_client_park(dxi_client *client);

/* Clients that were full may not be any more: try all of them when the socket's
 * descriptor `fired`. Otherwise only those that became full since: looking at the
 * socket's events may have taken in the very news that would have fired it. */
void dxi_answer_unpark(dxh_service *service, bool fired);

/* Out of the lists of clients that wait to be sent to. */
void dxi_client_dequeue(dxi_client *client);

/* The service goes: its clients are not tried again. */
void dxi_answer_queue_stop(dxh_service *service);

/* ---- intake.c ---- */

/* May a request with such a body be taken? Otherwise the status to refuse it with. */
dxh_status dxi_request_admit(const dxi_client *client, uint64_t body_bytes, const char **text);
void dxi_request_refuse(dxi_client *client, uint64_t id, dxh_status status, const char *text);

/* A request as this record says, with room for its body, or with the body itself if that
 * has an owner. NULL: no memory. */
dxh_request *
dxi_request_announced(dxh_service *service, const dxi_record *record, size_t body_bytes);

/* A whole request goes on to the workers, or is refused. */
void dxi_request_accept(dxi_client *client, dxh_request *request);

/* A request in one record came. */
void dxi_request_taken(dxi_client *client, const dxi_record *record);

/* All notifications that follow each other in the frame, *record being the first.
 * false: nothing follows them; otherwise *record is what does. */
bool dxi_notifications_taken(dxi_client *client, dxi_frame_reader *reader, dxi_record *record);

/* ---- clients.c ---- */

/* It has nothing open, and nothing waits for it. */
bool dxi_client_is_idle(const dxi_client *client);

dxi_client *dxi_client_find(dxh_service *service, const void *id, size_t bytes);

/* HELLO: welcome the sender, or refuse it with a reason. */
void dxi_client_take_hello(dxh_service *service, const dxi_message *message,
                           const dxi_record *record);

/* Once more of what it should do seldom. Who does it `many` times in a second is named in the
 * log: "floods: ... sent MANY WHAT in a second". */
void dxi_client_floods(const dxi_client *client, dxi_floods *floods, uint32_t many,
                       const char *what);

/* It is gone: nobody reads its answers. */
void dxi_client_drop(dxi_client *client);

/* Tell whoever closes the service when no client is left. */
void dxi_service_tell_if_deserted(dxh_service *service);

#endif
