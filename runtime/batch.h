/* SPDX-License-Identifier: MIT */
/* The open frame: where one thread packs notifications for one peer, while it is
 * already on its way to the I/O thread.
 *
 * The first record of a frame pushes it on the submission queue; further ones
 * are only appended, by the same thread. The I/O thread closes the frame when it
 * can send it and sends what is in it. A lone notification thus goes at once,
 * and under load frames fill by themselves.
 *
 *   word = generation:32 | CLOSED:1 | WRITING:1 | FILLED:1 | records:14 | units of 8 bytes:15
 *
 *   field  written by                    read by        order
 *   word   append() (one thread at a     both           CAS and RMW, acq_rel
 *          time), close()
 *   bytes  append(), between WRITING     I/O thread     plain, published by word
 *          set and cleared
 *
 * Their memory changes only while the frame is closed, when a socket has taken it; push_free()
 * or whoever wanted the frame publishes that.
 *
 * The writer claims the frame (WRITING) before it writes, so that a frame is
 * never recycled under its pen. If the I/O thread closes it meanwhile, it lets go
 * of the frame, and the writer hands it over again, with its record in it.
 */
#ifndef DXI_BATCH_H
#define DXI_BATCH_H

#include "queue/queue.h"
#include "runtime/wire.h"

#include <stdatomic.h>

struct dxh_peer;

typedef struct dxi_batch {
	dxi_task task; /* kind DXI_TASK_BATCH */
	_Atomic uint64_t word;
	struct dxh_peer *peer;
	uint32_t index;
	_Atomic uint32_t next_free;
	struct dxi_batch *next; /* in the peer's lane; I/O thread */
	unsigned char *bytes;
	uint64_t sequence; /* in the peer's lane; I/O thread */
	int64_t opened_ns; /* when its first record came, if frames linger; published by the push */
} dxi_batch;

/* Who gets the next frame that is recycled. */
typedef struct dxi_batch_want {
	struct dxi_batch_want *next;
	dxi_batch *frame; /* NULL: not yet */
} dxi_batch_want;

/* The frames of one peer. */
typedef struct dxi_batches {
	_Atomic uint64_t free; /* tag << 32 | index + 1 */
	_Atomic uint32_t made; /* frames that exist; they are made when first needed */
	uint32_t count;        /* how many there may be */
	uint32_t frame_bytes;
	uint32_t close_bytes; /* at this size, or this many records, a frame takes no more */
	uint32_t close_records;
	bool linger; /* posters say when a frame is filled */
	dxi_batch *batches;
	struct dxh_peer *peer;
	_Atomic uint32_t freed;   /* futex: counts recycled frames, in steps */
	_Atomic uint32_t waiters; /* for it; seq_cst with `freed`, as in queue/credit.h */
	uint32_t untold;          /* recycled, not yet in `freed`; I/O thread */
	dxi_batch_want *wanted;   /* recycled frames go there first; I/O thread */
} dxi_batches;

/* After init close_bytes, close_records and linger may be set, until the first append. */
dxh_status
dxi_batches_init(dxi_batches *batches, struct dxh_peer *peer, uint32_t count, uint32_t frame_bytes);
void dxi_batches_fini(dxi_batches *batches);

/* What append found. */
typedef enum dxi_appended {
	DXI_APPENDED,        /* nothing more to do */
	DXI_APPENDED_TO_NEW, /* push batch->task on the submission queue */
	DXI_APPEND_FULL      /* no frame is free */
} dxi_appended;

/* Take a free frame, for the next append. NULL: none is free. Thread: any. */
dxi_batch *dxi_batches_reserve(dxi_batches *batches);

/* Add a record to this thread's open frame, or to a new one: *pushed if it was reserved,
 * otherwise NULL. Thread: any. `*pushed` is the frame to push for DXI_APPENDED_TO_NEW;
 * *filled: frames linger, and one has been filled that the I/O thread may have. */
dxi_appended dxi_batches_append(dxi_batches *batches, uint64_t peer_id, const dxi_record *record,
                                dxi_batch **pushed, bool *filled);

/* I/O thread: nothing more will come into it, so it need not linger. */
bool dxi_batch_is_filled(const dxi_batch *batch);

/* Wait for frames to become free after `freed` had this value. false: the deadline
 * passed; a frame may be free all the same, see dxi_batches_tell(). */
bool dxi_batches_wait(dxi_batches *batches, uint32_t freed, int64_t deadline_ns);

/* I/O thread: close the frame. false: its writer is at it and will push it again.
 * Otherwise *bytes is what to send, header included, and *records how many. */
bool dxi_batch_close(dxi_batch *batch, size_t *bytes, uint32_t *records);

/* I/O thread: it was sent or dropped; it is free again, or goes where it is wanted. */
void dxi_batch_recycle(dxi_batches *batches, dxi_batch *batch);

/* I/O thread: wake who waits for frames, if enough of them are free again to be worth
 * it, or if there are no more to come (`all`). */
void dxi_batches_tell(dxi_batches *batches, bool all);

#endif
