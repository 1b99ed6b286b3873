/* SPDX-License-Identifier: MIT */
/* A parcel: the notifications of one frame, copied together. They are handed to
 * workers one by one and may be released in any order, on any thread; the memory
 * comes back to the I/O thread once, with the last of them.
 *
 * A notification takes no more room than its record did: what has to be known of it stands
 * where the header of the record was.
 *
 *   0            24 + ..     32 + ..
 *   dxi_note     subject NUL body, at a multiple of 8
 *
 *   field  written by                        read by      order
 *   open   seal(), release()                 release()    acq_rel: what was read of a
 *                                                         notification is read before its
 *                                                         memory is used again
 *   the rest is constant once workers have it
 */
#ifndef DXI_PARCEL_H
#define DXI_PARCEL_H

#include "runtime/clients.h"

struct dxi_parcel {
	dxi_task task; /* kind DXI_TASK_PARCEL */
	dxh_service *service;
	_Atomic uint32_t open; /* notifications not yet released */
	uint32_t count;
	size_t capacity;
	size_t record_bytes;                /* of its records, as they came */
	dxi_caller *caller;                 /* who sent it */
	dxi_client *client;                 /* NULL: gone. This and the next two: I/O thread */
	struct dxi_parcel *previous, *next; /* of the client's */
	size_t used;
	alignas(8) unsigned char bytes[];
};

/* A notification, to its users a dxh_request. Constant once workers have it. */
typedef struct dxi_note {
	dxi_task task; /* kind DXI_TASK_NOTE; number: bytes of the body << 8 | of the subject */
	dxi_parcel *parcel;
} dxi_note;
static_assert(sizeof(dxi_note) <= DXI_RECORD_HEADER_BYTES - 8, "and a NUL with up to 7 bytes");
static_assert(DXH_SUBJECT_MAX < 1 << 8 && DXI_MESSAGE_BYTES_MAX < 1 << 24, "they fit in a number");

/* NULL: it is a request. Thread: any. */
static inline const dxi_note *dxi_note_of(const dxh_request *request)
{
	return ((const dxi_task *)(const void *)request)->kind == DXI_TASK_NOTE
	               ? (const dxi_note *)(const void *)request
	               : NULL;
}

static inline size_t dxi_note_body_bytes(const dxi_note *note)
{
	return note->task.number >> 8;
}

/* Where the body lies, behind the begin of its note: so that subject and NUL end there. */
static inline size_t dxi_note_body_at(size_t subject_bytes)
{
	return DXI_RECORD_HEADER_BYTES + subject_bytes / 8 * 8;
}

/* The service that either of them came to. Thread: any. */
static inline dxh_service *dxi_request_service(const dxh_request *request)
{
	const dxi_note *note = dxi_note_of(request);

	return note ? note->parcel->service : request->service;
}

static inline size_t dxi_request_body_bytes(const dxh_request *request)
{
	const dxi_note *note = dxi_note_of(request);

	return note ? dxi_note_body_bytes(note) : request->body_bytes;
}

/* I/O thread; of records of so many bytes together. NULL: no memory. */
dxi_parcel *dxi_parcel_make(dxh_service *service, size_t bytes);
void dxi_parcel_free(dxi_parcel *parcel);
void dxi_parcel_free_spares(dxh_service *service);

/* I/O thread: copy one record into it, which has room. */
dxi_note *dxi_parcel_add(dxi_parcel *parcel, const dxi_record *record);

/* I/O thread: no more comes into it; it may be handed out, and is one of the client's
 * until it is closed. */
void dxi_parcel_seal(dxi_parcel *parcel, dxi_client *client);

/* I/O thread, behind seal(): it stays until it is released once more. */
void dxi_parcel_hold(dxi_parcel *parcel);

/* I/O thread: all of it is back; the client gets its credit. */
void dxi_parcel_close(dxi_parcel *parcel);

/* I/O thread: the client goes. */
void dxi_parcels_orphan(dxi_client *client);

/* I/O thread: the service is done with so many bytes of the client's notifications. */
void dxi_parcel_credit(dxi_client *client, uint64_t bytes);

/* I/O thread: CREDIT, into a frame to the client, if it is worth telling. */
bool dxi_parcel_credit_is_due(const dxi_client *client);
void dxi_parcel_credit_encode(dxi_client *client, dxi_frame_writer *writer);

/* One notification is done with. Thread: any. true: it was the last; the caller sees
 * to it that the parcel comes back. */
bool dxi_parcel_release(dxi_parcel *parcel);

#endif
