/* SPDX-License-Identifier: MIT */
/* The operation: one posted request, or one flush, from post to its end. It lies
 * in the record of its slot; a small request fits in whole. */
#ifndef DXI_OPERATION_H
#define DXI_OPERATION_H

#include "runtime/body.h"
#include "runtime/hub.h"

enum { DXI_INLINE_BYTES = 96 };

typedef enum dxi_place {
	DXI_NOWHERE,
	DXI_IN_LANE,       /* waiting to be sent */
	DXI_IN_SENT,       /* sent, waiting for the reply */
	DXI_IN_REST,       /* to be sent again, see retry.h */
	DXI_IN_LARGE_LANE, /* waiting to be sent in parts, see request_transfer.h */
	DXI_IN_TRANSFER,   /* being sent in parts */
	DXI_IN_FLUSHES
} dxi_place;

typedef enum dxi_operation_kind {
	DXI_OP_REQUEST,
	DXI_OP_FLUSH_SENT,
	DXI_OP_FLUSH_REPLIED
} dxi_operation_kind;

/* cancel.number: when it was taken from the queue, ms. post.number: for those that are
 * timed, when it was posted, later when it was sent (dxi_stamp_of()); else 0. */
typedef struct dxi_operation {
	dxi_task cancel; /* first: see dxi_completion_begin() */
	dxi_task post;
	dxh_peer *peer;
	dxi_timer timer;
	struct dxi_operation *previous, *next; /* in the list of its place */
	unsigned char *payload; /* the subject, and behind it a body that lies inline */
	uint32_t body_bytes;
	uint8_t subject_bytes;
	uint8_t kind : 6; /* dxi_operation_kind */
	uint8_t idempotent : 1;
	uint8_t hold : 1;
	uint8_t place;
	uint8_t attempt; /* 0 the first time; stays at 255 */
	union {
		unsigned char inline_bytes[DXI_INLINE_BYTES];
		struct {
			dxi_body *body;      /* with the subject before it; held */
			uint32_t sent_bytes; /* of it, in parts */
		} large;                     /* when the payload is not inline */
		uint64_t flush_after;        /* frames queued before this flush */
	};
} dxi_operation;
static_assert(sizeof(dxi_operation) <= DXI_RECORD_BYTES, "an operation fits in its slot");

typedef struct dxi_operation_list {
	dxi_operation *first, *last;
	size_t count;
} dxi_operation_list;

void dxi_operation_append(dxi_operation_list *list, dxi_operation *operation, dxi_place place);

/* All of `from`, which is in no place, to the front of a list. */
void dxi_operation_prepend_all(dxi_operation_list *list, dxi_operation_list *from, dxi_place place);

/* Did it leave, on this connection or an earlier one? */
dxh_certainty dxi_operation_certainty(const dxi_operation *operation);

/* Out of whatever list it is in. */
void dxi_operation_remove(dxi_operation *operation);

static inline dxi_operation *dxi_operation_of(dxi_slot *slot)
{
	return (dxi_operation *)(void *)slot->record;
}

static inline dxi_slot *dxi_slot_of(dxi_operation *operation)
{
	return (dxi_slot *)(void *)((char *)operation - offsetof(dxi_slot, record));
}

/* Its id on the wire: the handle, told apart from those of other hubs. */
uint64_t dxi_operation_id(dxi_operation *operation);

/* The counted body of a request; NULL: it lies inline. */
static inline dxi_body *dxi_operation_held_body(const dxi_operation *operation)
{
	return operation->payload == operation->inline_bytes ? NULL : operation->large.body;
}

/* Where the body of a request lies. */
static inline const unsigned char *dxi_operation_body(const dxi_operation *operation)
{
	const dxi_body *held = dxi_operation_held_body(operation);

	return held ? held->bytes : operation->payload + operation->subject_bytes;
}

/* I/O thread: the operation has arrived by the queue, or its cancel has. */
void dxi_operation_arrived(dxh_hub *hub, dxi_operation *operation);
void dxi_operation_cancel_arrived(dxh_hub *hub, dxi_operation *operation);

/* I/O thread: it was handed to the network. */
void dxi_operation_was_sent(dxi_operation *operation);

/* I/O thread: the terminal event; the operation is gone afterwards. The body is
 * copied. */
void dxi_operation_end(dxi_operation *operation, dxh_status status, dxh_certainty certainty,
                       const void *body, size_t body_bytes);

/* The same for a reply in memory that becomes the completion's own. */
void dxi_operation_end_with(dxi_operation *operation, void *reply, size_t bytes);

/* I/O thread: end all in the list so. */
void dxi_operation_end_all(dxi_operation_list *list, dxh_status status, dxh_certainty certainty,
                           const char *reason);

/* I/O thread: end what has expired. Returns how many. */
size_t dxi_operation_expire(dxh_hub *hub);

/* Why no slot is free: the second bound, with how many have ended and were not
 * released. */
dxh_status dxi_operation_fail_no_slot(const dxh_hub *hub);

/* Is this usable as a subject? DXH_EINVAL otherwise; its length. */
dxh_status dxi_subject_check(const char *subject, size_t *bytes);

#endif
