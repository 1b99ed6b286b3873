/* SPDX-License-Identifier: MIT */
/* A parcel: the notifications of one frame, copied together. They are handed to
 * workers one by one and may be released in any order, on any thread; the memory
 * comes back to the I/O thread once, with the last of them.
 *
 *   field  written by                        read by      order
 *   open   seal(), release()                 release()    acq_rel: what was read of a
 *                                                         notification is read before its
 *                                                         memory is used again
 *   the rest is constant once workers have it
 */
#ifndef DXI_PARCEL_H
#define DXI_PARCEL_H

#include "runtime/service.h"

struct dxi_parcel {
	dxi_task task; /* kind DXI_TASK_PARCEL */
	dxh_service *service;
	_Atomic uint32_t open; /* notifications not yet released */
	uint32_t count;
	size_t capacity;
	size_t used;
	alignas(8) unsigned char bytes[];
};

/* What a frame's notifications occupy at most: so many, of so many bytes together.
 * Pure. */
size_t dxi_parcel_bytes(size_t records, size_t frame_bytes);

/* I/O thread. NULL: no memory. */
dxi_parcel *dxi_parcel_make(dxh_service *service, size_t bytes);
void dxi_parcel_free(dxi_parcel *parcel);
void dxi_parcel_free_spares(dxh_service *service);

/* I/O thread: copy one record into it, which has room. */
dxh_request *dxi_parcel_add(dxi_parcel *parcel, const dxi_record *record);

/* I/O thread: no more comes into it; it may be handed out. */
void dxi_parcel_seal(dxi_parcel *parcel);

/* One notification is done with. Thread: any. true: it was the last; the caller sees
 * to it that the parcel comes back. */
bool dxi_parcel_release(dxi_parcel *parcel);

#endif
